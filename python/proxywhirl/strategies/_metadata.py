"""The mapping that strategies of the shape ``select(pool, metadata, context)`` are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from proxywhirl._core import ProxyMetadataView, ProxyPool


class PoolMetadata(Mapping[UUID, "ProxyMetadataView"]):
    """Every proxy's id with the live view of its counters.

    Nothing is copied: a proxy that joins the pool is here at once, one that leaves is gone, and what is recorded
    on a view is recorded on the proxy.
    """

    __slots__ = ("_pool",)

    def __init__(self, pool: ProxyPool) -> None:
        self._pool = pool

    def __getitem__(self, key: UUID | str) -> ProxyMetadataView:
        proxy = self._pool.get_proxy_by_id(key) if isinstance(key, (UUID, str)) else None
        if proxy is None:
            raise KeyError(key)
        return proxy._metadata()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (UUID, str)) and self._pool.get_proxy_by_id(key) is not None

    def __iter__(self) -> Iterator[UUID]:
        return (proxy.id for proxy in self._pool)

    def __len__(self) -> int:
        return len(self._pool)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} proxies>"
