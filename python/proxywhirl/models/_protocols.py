"""What a storage and a health checker must offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from proxywhirl._core import Proxy


@runtime_checkable
class StorageBackend(Protocol):
    """Keeps proxies beyond the life of the process."""

    async def save(self, proxies: list[Proxy]) -> None:
        """Keep these proxies instead of those kept before."""

    async def load(self) -> list[Proxy]:
        """Return the proxies that were kept."""

    async def clear(self) -> None:
        """Forget everything."""


ProxyStorage = StorageBackend


@runtime_checkable
class HealthChecker(Protocol):
    """Finds out whether a proxy works."""

    async def check(self, proxy: Proxy) -> bool:
        """Whether the proxy works right now."""
