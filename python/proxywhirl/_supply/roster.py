"""Which proxies of a pool came from which list, and how a new edition of a list changes the pool."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl import _core

__all__ = ["Diff", "Roster"]


class Diff(NamedTuple):
    """What a new edition changed."""

    added: list[_core.Proxy]
    kept: int
    removed: list[_core.Proxy]
    refused: int
    """How many found no room: the pool is at its maximum capacity."""


class Roster:
    """Applies editions of lists to a pool.

    A proxy that stays on its list stays in the pool as the same object, with everything learned about it. One that is
    on no list any more leaves: it is not chosen again, and requests under way on it finish. What the user added is
    never removed, listed or not. Thread-safe.

    Args:
        pool: The pool.
    """

    def __init__(self, pool: _core.ProxyPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._members: dict[str, dict[UUID, _core.Proxy]] = {}
        self._owners: dict[UUID, int] = {}

    def owned(self) -> list[_core.Proxy]:
        """The proxies in the pool that came from lists."""
        with self._lock:
            ids = list(self._owners)
        found = [self._pool.get_proxy_by_id(one) for one in ids]
        return [proxy for proxy in found if proxy is not None]

    def forget_threads(self) -> None:
        """In the child of a fork: nobody holds the lock, whatever it says."""
        self._lock = threading.Lock()

    def has(self, proxy: _core.Proxy) -> bool:
        """Whether the pool has a proxy of this address."""
        return self._pool.get_proxy_by_url(proxy.url) is not None

    def disown(self, proxies: Iterable[_core.Proxy]) -> None:
        """The user has named these: from now on they are the user's, and no list removes them."""
        with self._lock:
            for given in proxies:
                proxy = self._pool.get_proxy_by_url(given.url)
                if proxy is not None and self._owners.pop(proxy.id, None) is not None:
                    for members in self._members.values():
                        members.pop(proxy.id, None)

    def add(self, key: str, proxies: Iterable[_core.Proxy]) -> Diff:
        """Add proxies of a list; nothing is removed.

        Args:
            key: Which list.
            proxies: Its proxies, or some of them.
        """
        added: list[_core.Proxy] = []
        kept = refused = 0
        with self._lock:
            members = self._members.setdefault(key, {})
            for proxy in proxies:
                there = self._pool.get_proxy_by_url(proxy.url)
                if there is None:
                    try:
                        self._pool.add_proxy(proxy)
                    except ValueError:
                        refused += 1
                        continue
                    there = proxy
                    added.append(proxy)
                    self._owners[proxy.id] = 0
                else:
                    kept += 1
                    _update(there, proxy)
                if there.id in self._owners and there.id not in members:
                    self._owners[there.id] += 1
                    members[there.id] = there
        return Diff(added, kept, [], refused)

    def keep_only(self, key: str, urls: Iterable[str]) -> list[_core.Proxy]:
        """Remove what a list had and has no more.

        Args:
            key: Which list.
            urls: What it has now.

        Returns:
            Those that left the pool.
        """
        with self._lock:
            members = self._members.get(key)
            if not members:
                return []
            stays = set()
            for url in urls:
                proxy = self._pool.get_proxy_by_url(url)
                if proxy is not None:
                    stays.add(proxy.id)
            return self._drop(members, [one for one in members if one not in stays])

    def remove(self, proxies: Iterable[_core.Proxy]) -> list[_core.Proxy]:
        """Remove proxies that came from lists, whatever the lists say; others are left.

        Returns:
            Those that left the pool.
        """
        removed: list[_core.Proxy] = []
        with self._lock:
            for proxy in proxies:
                if self._owners.pop(proxy.id, None) is None:
                    continue
                for members in self._members.values():
                    members.pop(proxy.id, None)
                self._pool.remove_proxy(proxy.id)
                removed.append(proxy)
        return removed

    def tidy(self) -> None:
        """Forget proxies that others have taken out of the pool."""
        with self._lock:
            for one in [one for one in self._owners if self._pool.get_proxy_by_id(one) is None]:
                del self._owners[one]
                for members in self._members.values():
                    members.pop(one, None)

    def _drop(self, members: dict[UUID, _core.Proxy], gone: list[UUID]) -> list[_core.Proxy]:
        removed: list[_core.Proxy] = []
        for one in gone:
            proxy = members.pop(one)
            left = self._owners.get(one, 0) - 1
            if left > 0:
                self._owners[one] = left
                continue
            self._owners.pop(one, None)
            if self._pool.get_proxy_by_id(one) is not None:
                self._pool.remove_proxy(one)
                removed.append(proxy)
        return removed


def _update(there: _core.Proxy, edition: _core.Proxy) -> None:
    """Take over what a list says anew of a proxy that stays; what was learned from requests is not a list's to say."""
    if edition.expires_at is not None and edition.expires_at != there.expires_at:
        there.expires_at = edition.expires_at
    if there.country_code is None and edition.country_code is not None:
        there.country_code = edition.country_code
    if there.region is None and edition.region is not None:
        there.region = edition.region
    tags = edition.tags
    if not tags <= there.tags:
        there.tags = {*there.tags, *tags}
