"""Clients by proxy, least recently used first out: for code that rotates clients of its own.

The rotators themselves keep connections, not clients; see :mod:`proxywhirl.transport`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from proxywhirl._base.fork import new_lock

__all__ = ["LRUAsyncClientPool", "LRUClientPool"]

C = TypeVar("C")


class _Lru(Generic[C]):
    def __init__(self, maxsize: int = 100) -> None:
        if maxsize < 1:
            raise ValueError(f"maxsize must be at least 1, not {maxsize}")
        self.maxsize = maxsize
        self._clients: OrderedDict[str, C] = OrderedDict()
        self._lock = new_lock()

    def _get(self, proxy_id: Any) -> C | None:
        key = str(proxy_id)
        with self._lock:
            client = self._clients.get(key)
            if client is not None:
                self._clients.move_to_end(key)
            return client

    def _put(self, proxy_id: Any, client: C) -> list[C]:
        """Store a client; those that have to be closed."""
        key = str(proxy_id)
        leaving: list[C] = []
        with self._lock:
            before = self._clients.pop(key, None)
            if before is not None and before is not client:
                leaving.append(before)
            self._clients[key] = client
            while len(self._clients) > self.maxsize:
                leaving.append(self._clients.popitem(last=False)[1])
        return leaving

    def _remove(self, proxy_id: Any) -> C | None:
        with self._lock:
            return self._clients.pop(str(proxy_id), None)

    def _clear(self) -> list[C]:
        with self._lock:
            leaving = list(self._clients.values())
            self._clients.clear()
        return leaving

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, proxy_id: object) -> bool:
        return str(proxy_id) in self._clients

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._clients))

    def __getitem__(self, proxy_id: Any) -> C:
        client = self._get(proxy_id)
        if client is None:
            raise KeyError(str(proxy_id))
        return client


class LRUClientPool(_Lru[Any]):
    """Synchronous clients by proxy id; one that is pushed out, replaced or removed is closed.

    Args:
        maxsize: Most clients kept, at least 1.

    Raises:
        ValueError: ``maxsize`` is below 1.
    """

    def get(self, proxy_id: Any) -> Any | None:
        """The client of a proxy, which thereby becomes the most recently used; ``None`` if there is none."""
        return self._get(proxy_id)

    def put(self, proxy_id: Any, client: Any) -> None:
        """Keep a client, closing the least recently used when there are too many."""
        for old in self._put(proxy_id, client):
            old.close()

    def remove(self, proxy_id: Any) -> None:
        """Close and forget the client of a proxy, if there is one."""
        client = self._remove(proxy_id)
        if client is not None:
            client.close()

    def clear(self) -> None:
        """Close and forget all."""
        for client in self._clear():
            client.close()

    def __setitem__(self, proxy_id: Any, client: Any) -> None:
        self.put(proxy_id, client)

    def __delitem__(self, proxy_id: Any) -> None:
        if proxy_id not in self:
            raise KeyError(str(proxy_id))
        self.remove(proxy_id)


class LRUAsyncClientPool(_Lru[Any]):
    """Asynchronous clients by proxy id; one that is pushed out, replaced or removed is closed.

    Args:
        maxsize: Most clients kept, at least 1.

    Raises:
        ValueError: ``maxsize`` is below 1.
    """

    async def get(self, proxy_id: Any) -> Any | None:
        """The client of a proxy, which thereby becomes the most recently used; ``None`` if there is none."""
        return self._get(proxy_id)

    async def put(self, proxy_id: Any, client: Any) -> None:
        """Keep a client, closing the least recently used when there are too many."""
        for old in self._put(proxy_id, client):
            await old.aclose()

    async def remove(self, proxy_id: Any) -> None:
        """Close and forget the client of a proxy, if there is one."""
        client = self._remove(proxy_id)
        if client is not None:
            await client.aclose()

    async def clear(self) -> None:
        """Close and forget all."""
        for client in self._clear():
            await client.aclose()
