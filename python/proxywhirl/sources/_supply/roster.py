"""Which proxies of a pool came from which list, and how a new edition of a list changes the pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import ProxySource

if TYPE_CHECKING:
    from proxywhirl import _core

# A list may be long: the lock is let go of in between, since adding a proxy by hand takes it too.
_PORTION = 2000


class Joined(NamedTuple):
    """What became of proxies that were to join."""

    added: list[_core.Proxy]
    refused: int
    """How many found no room: the pool is at its maximum capacity."""


class Roster:
    """Applies editions of lists to a pool.

    A proxy that stays on its list stays in the pool as the same object, with everything learned about it. One that is
    on no list any more leaves: it is not chosen again, and requests under way on it finish. What the user added is
    never removed, listed or not. Thread-safe.
    """

    def __init__(self, pool: _core.ProxyPool) -> None:
        self._pool = pool
        self._lock = new_lock()
        # By list: the proxies by their URLs as the list writes them. Others may take a proxy out of the pool, and put
        # another of the same URL in, so an entry counts only while the pool has that very object.
        self._members: dict[str, dict[str, _core.Proxy]] = {}
        # On how many lists a proxy is that came from a list; the user's own are not in here. By the proxy's own URL.
        self._owners: dict[str, int] = {}
        self._mortal: dict[str, _core.Proxy] = {}
        self._adopted: set[str] = set()
        self._named: set[str] = set()

    def forget_threads(self) -> None:
        """In the child of a fork: no thread holds the lock, whatever its state."""
        self._lock = new_lock()

    def adopt(self, key: str, name: str) -> None:
        """Take over what an earlier run got from a list and a storage brought back; done once for each list."""
        if key in self._adopted:
            return
        self._adopted.add(key)
        kinds = (ProxySource.FETCHED, ProxySource.FILE)
        found = [proxy for proxy in self._pool.get_all_proxies() if proxy.source_url == name and proxy.source in kinds]
        with self._lock:
            members = self._members.setdefault(key, {})
            for proxy in found:
                url = proxy.url
                if url in self._owners or url in self._named:
                    continue
                self._owners[url] = 0
                if proxy.expires_at is not None:
                    self._mortal[url] = proxy
                self._enter(members, url, proxy)

    def note(self, key: str, urls: Sequence[str], tags: set[str]) -> list[int]:
        """Note which proxies of a list the pool has already."""
        unknown: list[int] = []
        for start in range(0, len(urls), _PORTION):
            with self._lock:
                members = self._members.setdefault(key, {})
                for index, url in enumerate(urls[start : start + _PORTION], start):
                    there = self._pool.get_proxy_by_url(url)
                    if there is None:
                        unknown.append(index)
                    elif members.get(url) is not there:
                        self._enter(members, url, there)
                        if not tags <= there.tags:
                            there.tags = {*there.tags, *tags}
        return unknown

    def renew(self, proxies: Iterable[_core.Proxy]) -> None:
        """Take over what a list says anew of proxies that stay; what requests have taught is not a list's to say."""
        for edition in proxies:
            if edition.expires_at is None:
                continue
            there = self._pool.get_proxy_by_url(edition.url)
            if there is not None and there.expires_at != edition.expires_at:
                there.expires_at = edition.expires_at

    def add(self, key: str, proxies: Sequence[_core.Proxy]) -> Joined:
        """Add proxies of a list that the pool does not have."""
        added: list[_core.Proxy] = []
        refused = 0
        for start in range(0, len(proxies), _PORTION):
            with self._lock:
                members = self._members.setdefault(key, {})
                for proxy in proxies[start : start + _PORTION]:
                    url = proxy.url
                    there = self._pool.get_proxy_by_url(url)
                    if there is None:
                        try:
                            self._pool.add_proxy(proxy)
                        except ValueError:
                            refused += 1
                            continue
                        there = proxy
                        added.append(proxy)
                        self._owners[url] = 0
                        if proxy.expires_at is not None:
                            self._mortal[url] = proxy
                    if members.get(url) is not there:
                        self._enter(members, url, there)
        return Joined(added, refused)

    def keep_only(self, key: str, urls: Iterable[str]) -> list[_core.Proxy]:
        """Remove what a list had and has no more."""
        removed: list[_core.Proxy] = []
        with self._lock:
            members = self._members.get(key)
            if not members:
                return []
            for url in members.keys() - set(urls):
                proxy = members.pop(url)
                own = proxy.url
                if own not in self._owners or self._pool.get_proxy_by_url(own) is not proxy:
                    continue
                self._owners[own] -= 1
                if self._owners[own] <= 0:
                    self._take_out(proxy)
                    removed.append(proxy)
        return removed

    def remove(self, proxies: Iterable[_core.Proxy]) -> list[_core.Proxy]:
        """Remove proxies that came from lists, whatever the lists say; others are left."""
        removed: list[_core.Proxy] = []
        with self._lock:
            for proxy in proxies:
                if proxy.url in self._owners:
                    self._take_out(proxy)
                    removed.append(proxy)
        return removed

    def disown(self, proxies: Iterable[_core.Proxy]) -> None:
        """The user has named these: from now on they are the user's, and no list removes them."""
        with self._lock:
            for given in proxies:
                there = self._pool.get_proxy_by_url(given.url)
                if there is not None:
                    self._owners.pop(there.url, None)
                    if there.source_url is not None:
                        self._named.add(there.url)

    def expired(self) -> list[_core.Proxy]:
        """The proxies of lists whose time is over."""
        with self._lock:
            return [proxy for proxy in self._mortal.values() if proxy.is_expired]

    def next_expiry(self) -> float | None:
        """Seconds until the time of the next one is over; ``None`` if there is none."""
        with self._lock:
            ends = [proxy.expires_at for proxy in self._mortal.values()]
        soonest = min((end for end in ends if end is not None), default=None)
        return None if soonest is None else (soonest - datetime.now(timezone.utc)).total_seconds()

    def owned(self) -> list[_core.Proxy]:
        """The proxies in the pool that came from lists. What others have taken out is forgotten."""
        found: dict[str, _core.Proxy] = {}
        with self._lock:
            for members in self._members.values():
                for url, proxy in list(members.items()):
                    own = proxy.url
                    if own in found:
                        continue
                    if self._pool.get_proxy_by_url(own) is not proxy:
                        del members[url]
                    elif own in self._owners:
                        found[own] = proxy
            for own in self._owners.keys() - found.keys():
                del self._owners[own]
                self._mortal.pop(own, None)
        return list(found.values())

    def _enter(self, members: dict[str, _core.Proxy], url: str, proxy: _core.Proxy) -> None:
        own = proxy.url
        if own in self._owners:
            self._owners[own] += 1
        members[url] = proxy

    def _take_out(self, proxy: _core.Proxy) -> None:
        own = proxy.url
        del self._owners[own]
        self._mortal.pop(own, None)
        if self._pool.get_proxy_by_url(own) is proxy:
            self._pool.remove_proxy(proxy.id)
