"""One route per proxy: its connections, kept for reuse, bounded in number.

A cache of routes drops the least recently used when it is full, and closes it as soon as no request is under way on it:
never under one. Routes unused for longer than connections are kept alive go too.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from proxywhirl._base.fork import new_lock
from proxywhirl._core import must_be_public
from proxywhirl._httpx.limits import Limits
from proxywhirl._httpx.route import ConnectionPool, Owner, Route
from proxywhirl._httpx.said import hide_in_debug_logs
from proxywhirl._httpx.tls import Tls
from proxywhirl._native.redact import Secrets

_caches: weakref.WeakSet[_Cache] = weakref.WeakSet()


def _secrets_in_use() -> list[Secrets]:
    """The logins of the proxies that requests are under way through."""
    routes = [route for cache in list(_caches) for route in list(cache._routes.values()) if route.users]
    found = [None if route.address is None else route.address.secrets for route in routes]
    found += [Secrets.of_authorization(route.told) for route in routes if route.told is not None]
    return [secrets for secrets in found if secrets is not None]


hide_in_debug_logs(_secrets_in_use)


def _after_fork() -> None:
    # The sockets are shared with the parent: they must not be spoken on, nor said goodbye on. Locks may be held by
    # threads that do not exist here.
    for cache in list(_caches):
        cache.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Cache:
    """The book-keeping that both kinds share; what has to be closed is handed to the caller."""

    is_async = False

    def __init__(self, tls: Tls, limits: Limits) -> None:
        limits.check()
        self._tls = tls
        self._limits = limits
        self._routes: OrderedDict[Any, Route] = OrderedDict()
        self._lock = new_lock()
        # The least recently used first.
        self._owned: OrderedDict[ConnectionPool, Route] = OrderedDict()
        _caches.add(self)

    def __len__(self) -> int:
        return len(self._routes)

    def __contains__(self, key: object) -> bool:
        return key in self._routes

    def forget(self) -> None:
        """Drop everything without closing it."""
        self._lock = new_lock()
        self._routes.clear()
        self._owned.clear()

    def check_out(
        self, key: Any, url: str, *, secure: bool, owner: Owner | None = None, lease: Any = None
    ) -> tuple[Route, ConnectionPool, list[Any]]:
        """Take the connections of a proxy for one request."""
        now = time.monotonic()
        leaving: list[Any] = []
        with self._lock:
            routes = self._routes
            route = routes.get(key)
            if route is not None and route.url != url:
                self._retire(routes.pop(key), leaving)
                route = None
            if route is None:
                public = must_be_public(lease)
                route = Route(key, url, self._tls, self._limits, is_async=self.is_async, public_only=public)
                routes[key] = route
                while len(routes) > self._limits.routes:
                    self._retire(routes.popitem(last=False)[1], leaving)
            else:
                routes.move_to_end(key)
            line = route.line(secure=secure, owner=owner)
            line.users += 1
            route.users += 1
            route.last_used = now
            if owner is not None or self._owned:
                self._bound_owned(route, line, now, leaving)
            idle = self._limits.keepalive_seconds
            if idle is not None:
                # The first is the least recently used. One look per request keeps up with any rate.
                first = next(iter(routes))
                if routes[first].last_used + idle < now and not routes[first].users:
                    self._retire(routes.pop(first), leaving)
        return route, line, leaving

    def check_in(self, route: Route, line: ConnectionPool, *, interrupted: bool = False) -> list[Any]:
        """Give the connections back."""
        with self._lock:
            line.users -= 1
            route.users -= 1
            if interrupted and not line.dropped and line.leaks():
                self._owned.pop(line, None)
                route.drop(line)
            return route.take_pools() if route.retired and not route.users else route.take_finished()

    def exchange(self, route: Route, line: ConnectionPool) -> tuple[ConnectionPool, list[Any]]:
        """Give back a line on which a closed connection was found, for a new one."""
        with self._lock:
            line.users -= 1
            route.note_stale()
            self._owned.pop(line, None)
            route.drop(line)
            fresh = route.line(secure=line.secure, owner=line.owner)
            fresh.users += 1
            leaving = route.take_finished()
            if fresh.owner is not None:
                self._bound_owned(route, fresh, time.monotonic(), leaving)
            return fresh, leaving

    def release(self, identity: Hashable) -> list[Any]:
        """Take the connections of a session out of use; the connection pools to close now."""
        leaving: list[Any] = []
        with self._lock:
            theirs = [line for line in self._owned if line.owner is not None and line.owner.identity == identity]
            for line in theirs:
                self._disown(line, leaving)
        return leaving

    def _bound_owned(self, route: Route, line: ConnectionPool, now: float, leaving: list[Any]) -> None:
        """Note the use of a line, and let go of those of owners not seen for longest."""
        owned = self._owned
        if line.owner is not None:
            line.last_used = now
            owned[line] = route
            owned.move_to_end(line)
        while len(owned) > self._limits.routes:
            self._disown(next(iter(owned)), leaving)
        idle = self._limits.keepalive_seconds
        if idle is not None and owned:
            first = next(iter(owned))
            if first.last_used + idle < now and not first.users:
                self._disown(first, leaving)

    def _disown(self, line: ConnectionPool, leaving: list[Any]) -> None:
        route = self._owned.pop(line)
        route.drop(line)
        leaving += route.take_finished()

    def drop(self, key: Any) -> list[Any]:
        """Take a proxy's route out of use; the connection pools to close now."""
        leaving: list[Any] = []
        with self._lock:
            route = self._routes.pop(key, None)
            if route is not None:
                self._retire(route, leaving)
        return leaving

    def drop_all(self) -> list[Any]:
        """Take every route out of use, those with requests under way too; the connection pools to close now."""
        leaving: list[Any] = []
        with self._lock:
            for route in self._routes.values():
                route.retired = True
                leaving += route.take_pools()
            self._routes.clear()
            self._owned.clear()
        return leaving

    def _retire(self, route: Route, leaving: list[Any]) -> None:
        route.retired = True
        if self._owned:
            for line in route.owned():
                self._owned.pop(line, None)
        if not route.users:
            leaving += route.take_pools()


class Routes(_Cache):
    """Routes of synchronous requests; may be shared by threads.

    They are closed when the last possible user is gone: a rotator, or a body that is still being read.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        super().__init__(tls, limits)
        weakref.finalize(self, _close_all, self._routes)

    def remove(self, key: Any) -> None:
        """Close a proxy's connections once no request uses them."""
        for pool in self.drop(key):
            pool.close()

    def close(self) -> None:
        """Close everything."""
        for pool in self.drop_all():
            pool.close()


def _close_all(routes: OrderedDict[Any, Route]) -> None:
    for route in routes.values():
        for pool in route.take_pools():
            pool.close()
    routes.clear()


class AsyncRoutes(_Cache):
    """Routes of asynchronous requests; belongs to one event loop."""

    is_async = True
    closed = False
    """Whether the event loop they belong to is done with them."""

    async def remove(self, key: Any) -> None:
        """Close a proxy's connections once no request uses them."""
        for pool in self.drop(key):
            await pool.aclose()

    async def release_all(self, identity: Hashable) -> None:
        """Close the connections of a session once no request uses them."""
        for pool in self.release(identity):
            await pool.aclose()

    async def aclose(self) -> None:
        """Close everything."""
        self.closed = True
        for pool in self.drop_all():
            await pool.aclose()
