"""The least check there is: whether a proxy's port accepts a connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._health.checks import TcpCheck

if TYPE_CHECKING:
    from proxywhirl.fetchers._progress import Progress

__all__ = ["Reachable"]


class Reachable:
    """Checks of new proxies before they join a pool. Contacts nobody but the proxies themselves.

    What works in earnest shows with the first requests; this keeps out the many that are not there at all.

    Args:
        timeout: Seconds for one check.
        concurrency: Checks under way at the same time, at least 1.
    """

    def __init__(self, timeout: float = 5.0, concurrency: int = 200) -> None:
        self._check = TcpCheck(timeout)
        self._concurrency = concurrency

    async def validate_batch(self, proxies: list[Any], progress_callback: Progress = None) -> list[Any]:
        """Check proxies.

        Args:
            proxies: ``Proxy`` objects, or dictionaries with a ``url``.
            progress_callback: Called with ``(done, total, valid)`` after each.

        Returns:
            Those that can be reached, in order.
        """
        turn = asyncio.Semaphore(self._concurrency)
        done = valid = 0

        async def one(proxy: Any) -> bool:
            nonlocal done, valid
            async with turn:
                passed = await self._check.check(_core.Proxy(url=proxy["url"]) if isinstance(proxy, dict) else proxy)
            done += 1
            valid += passed
            if progress_callback is not None:
                progress_callback(done, len(proxies), valid)
            return passed

        passed = await asyncio.gather(*(one(proxy) for proxy in proxies))
        return [proxy for proxy, good in zip(proxies, passed) if good]
