"""Checks of proxies, one after the other, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl._core import CheckResult

__all__ = ["Checks"]

_BATCH = 256


class Checks:
    """Checks under way: results in the order in which they become ready, to a ``for`` loop or an ``async for`` loop.

    The loops block no other code: the work is done on native threads. Leaving the ``with`` block, or breaking off an
    ``async for`` loop that is closed, ends what is under way and closes its sockets. On Ctrl-C what is done stays in
    :attr:`results`. One loop at a time.

    Args:
        proxies: A ``ParsedProxies``, a ``ProxyPool``, or an iterable of ``Proxy`` objects, URLs and dictionaries.
        record: Whether results enter the books of ``Proxy`` objects: counters, health, latency.
        **options: What ``_core.CheckRun`` takes: ``level``, ``targets``, ``judge``, ``statuses``, ``contains``,
            ``timeout`` (seconds), ``concurrency``, ``per_host``, ``max_total_bytes``, ``max_body``, ``max_redirects``,
            ``detect``, ``anonymity``, ``own_addresses``, ``user_agent``, ``verify``.

    Attributes:
        results: Those that have come so far.

    Raises:
        ValueError: An option is none, or one that is needed is missing.
        TypeError: An option is unknown or of the wrong type.
    """

    def __init__(self, proxies: Any, *, record: bool = False, **options: Any) -> None:
        self._run = _core.CheckRun(proxies, record=record, **options)
        self.results: list[CheckResult] = []

    @property
    def total(self) -> int:
        """How many are checked."""
        return self._run.total

    @property
    def bytes_read(self) -> int:
        """Bytes read from proxies so far."""
        return self._run.bytes_read

    def __len__(self) -> int:
        return self._run.total

    def __iter__(self) -> Iterator[CheckResult]:
        while True:
            batch = self._run.next_batch(_BATCH)
            if batch is None:
                return
            for result in batch:
                self.results.append(result)
                yield result

    async def __aiter__(self) -> AsyncIterator[CheckResult]:
        loop = asyncio.get_running_loop()
        try:
            while True:
                batch = self._run.take(_BATCH)
                if batch is None:
                    return
                if not batch:
                    await self._ready(loop)
                for result in batch:
                    self.results.append(result)
                    yield result
        finally:
            # The loop was left early, by a break or by a cancellation; after the last result this does nothing.
            self._run.cancel()

    async def _ready(self, loop: asyncio.AbstractEventLoop) -> None:
        ready = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        def wake() -> None:
            # On a native thread. A loop that was closed meanwhile is not woken.
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell)

        self._run.on_ready(wake)
        await ready

    def collect(self, callback: Callable[[CheckResult], Any] | None = None) -> list[CheckResult]:
        """Wait for all results.

        Args:
            callback: Called with each as it comes, on this thread.

        Returns:
            The results, in the order of the proxies.

        Raises:
            KeyboardInterrupt: Ctrl-C; the checks have ended, and what was done is in :attr:`results`.
        """
        try:
            for result in self:
                if callback is not None:
                    callback(result)
        except BaseException:
            self.cancel()
            raise
        return sorted(self.results, key=lambda result: result.index)

    def cancel(self) -> None:
        """End the checks; their sockets are closed when this returns. Any thread may call it."""
        self._run.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"Checks({len(self.results)} of {self.total} done)"
