"""How one request takes its proxies: at once where it may, else from the waiting line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import urlsplit

from proxywhirl.exceptions import ProxyPoolEmptyError

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl._httpx.wishes import Selection

__all__ = ["LeaseAcquirer"]


class LeaseAcquirer:
    """How one request takes its proxies: at once where it may, else from the line.

    Args:
        chooser: Chooses.
        url: The target.
        selection: What the request asks for.
        method: The method, for the watch.
        connects: Whether the request holds a connection of a transport of this pool.
        judge: What ``lease.report`` judges by.
        timeouts: Seconds for each phase of the request, as httpx names them.
        budget: Seconds for all attempts together; ``None`` without a bound.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_chooser",
        "_connects",
        "_judge",
        "_log",
        "_method",
        "_selection",
        "_timeouts",
        "_url",
    )

    def __init__(
        self,
        chooser: Chooser,
        url: str | None,
        selection: Selection | None,
        *,
        method: str | None = None,
        connects: bool = False,
        judge: Any = None,
        timeouts: Mapping[str, float | None] | None = None,
        budget: float | None = None,
    ) -> None:
        self._chooser = chooser
        self._url = url
        self._selection = selection
        self._method = method
        self._connects = connects
        self._judge = judge
        self._timeouts = timeouts
        self._budget = budget
        self._began = 0.0 if budget is None else time.monotonic()
        attempts = chooser.attempts
        self._log = None if attempts is None else attempts.begin()

    def __call__(self, exclude: list[Any], attempt: int, seconds: float | None) -> _core.Lease | None:
        """Take a lease now.

        Args:
            exclude: Ids of proxies not to take.
            attempt: Which attempt this is, from 1.
            seconds: How long the request may wait; ``None`` for any time.

        Returns:
            The lease; ``None`` if it is worth waiting in line with :meth:`wait`.

        Raises:
            ProxyPoolEmptyError: No proxy is admissible, and waiting is useless.
        """
        admission = self._chooser.admission
        # Requests that wait in line already come first.
        if admission.waiting:
            return None
        try:
            return self._ask(exclude, attempt)
        except ProxyPoolEmptyError as error:
            if seconds == 0 or admission.is_useless(error, seconds):
                raise
            return None

    def _place(self, exclude: Iterable[Any], attempt: int) -> tuple[str, Callable[[], _core.Lease]]:
        """The key in line of an attempt, equal for those that want the same, and what takes its lease."""
        excluded = list(exclude)
        selection = self._selection
        key = (
            None if self._url is None else urlsplit(self._url).hostname,
            None if selection is None or selection.is_plain() else selection.key(),
            sorted(map(str, excluded)),
            id(self._chooser),
        )
        return repr(key), lambda: self._ask(excluded, attempt)

    def wait(self, exclude: Iterable[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """Stand in line for a lease, blocking; arguments as above.

        Raises:
            ProxyPoolEmptyError: Time is up, or waiting has become useless.
            RequestQueueFullError: There is no place left.
        """
        key, take = self._place(exclude, attempt)
        queue = self._chooser.queue
        lease: _core.Lease
        with contextlib.nullcontext() if queue is None else queue.place(take):
            lease = self._chooser.admission.wait(key, take, seconds)
        return lease

    async def wait_async(self, exclude: Iterable[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """As :meth:`wait`, without blocking the event loop."""
        # Only a task that has to wait needs it.
        from proxywhirl._httpx.admission import wait_async

        key, take = self._place(exclude, attempt)
        queue = self._chooser.queue
        lease: _core.Lease
        with contextlib.nullcontext() if queue is None else queue.place(take):
            lease = await wait_async(self._chooser.admission, key, take, seconds)
        return lease

    def _ask(self, exclude: list[Any], attempt: int) -> _core.Lease:
        return self._chooser.lease(
            self._url,
            self._selection,
            exclude,
            method=self._method,
            attempt=attempt,
            judge=self._judge,
            log=self._log,
            connects=self._connects,
            timeout=self._milliseconds,
        )

    def _milliseconds(self) -> float | None:
        """How long the request may take from now on: its own timeout, and what is left of the policy's budget."""
        phases = self._timeouts or {}
        given = [seconds for name, seconds in phases.items() if name != "pool" and seconds is not None]
        limits = [max(given)] if given else []
        if self._budget is not None:
            limits.append(max(self._began + self._budget - time.monotonic(), 0.0))
        return min(limits) * 1000.0 if limits else None
