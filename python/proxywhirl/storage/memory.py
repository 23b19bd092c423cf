"""Proxies kept for the life of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.fork import new_lock

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Keeps copies of proxies in memory, where a storage is asked for and none is wanted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._proxies: list[Proxy] = []

    async def save(self, proxies: list[Proxy]) -> None:
        """Keep copies of these proxies instead of those kept before."""
        copies = [proxy.model_copy(deep=True) for proxy in proxies]
        with self._lock:
            self._proxies = copies

    async def load(self) -> list[Proxy]:
        """Return copies of the proxies that were kept; none if nothing was."""
        with self._lock:
            kept = list(self._proxies)
        return [proxy.model_copy(deep=True) for proxy in kept]

    async def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._proxies = []
