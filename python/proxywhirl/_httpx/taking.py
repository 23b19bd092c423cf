"""How one request waits for its proxies; how it takes them at once is the core's (``_core.LeaseAcquirer``)."""

from __future__ import annotations

import contextlib
from typing import Any

from proxywhirl import _core


class LeaseAcquirer(_core.LeaseAcquirer):
    """The core's acquirer, with the two ways of waiting in line."""

    __slots__ = ()

    def wait(self, exclude: list[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """Stand in line for a lease, blocking.

        Args:
            exclude: Ids of proxies not to take.
            attempt: Which attempt this is, from 1.
            seconds: How long the request may wait; ``None`` for any time.

        Raises:
            ProxyPoolEmptyError: Time is up, or waiting has become useless.
            ProxyConnectionError: "Rate limit exceeded", from a limiter that refuses.
            RequestQueueFullError: There is no place left.
        """
        key, take = self.place(exclude, attempt)
        lease: _core.Lease
        with self._queued(take):
            lease = self.chooser.admission.wait(key, take, seconds)
        return lease

    async def wait_async(self, exclude: list[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """As :meth:`wait`, without blocking the event loop."""
        # Only a task that has to wait needs it.
        from proxywhirl._httpx.admission import wait_async

        key, take = self.place(exclude, attempt)
        lease: _core.Lease
        with self._queued(take):
            lease = await wait_async(self.chooser.admission, key, take, seconds)
        return lease

    def _queued(self, take: _core.LeaseAsk) -> contextlib.AbstractContextManager[None]:
        queue = self.chooser.queue
        return contextlib.nullcontext() if queue is None else queue.place(take)
