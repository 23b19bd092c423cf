"""One route per proxy: its connections, kept for reuse, bounded in number.

A cache of routes drops the least recently used when it is full, and closes it as soon as no request is under way on it:
never under one. Routes that nobody has used for longer than connections are kept alive go too.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

from proxywhirl._http.address import ProxyAddress
from proxywhirl._http.dial import AsyncDialer, AsyncDirect, Dialer, Direct
from proxywhirl._http.flavour import core
from proxywhirl._http.tls import Tls

__all__ = ["AsyncRoutes", "Limits", "Route", "Routes", "most_routes"]


def most_routes() -> int:
    """How many proxies may have open connections, unless told otherwise.

    A request to a proxy that has just lost its connections pays for a new one, so the bound should lie above the number
    of proxies in use; but each holds file descriptors and some 10 kB.

    Returns:
        A quarter of the file descriptors this process may have, at least 100, at most 2,000.
    """
    try:
        import resource
    except ImportError:
        return 100
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2000 if allowed == resource.RLIM_INFINITY else max(100, min(2000, allowed // 4))


class Limits(NamedTuple):
    """Bounds of the connections.

    Attributes:
        connections: Most connections per proxy.
        keepalive: Most idle connections kept per proxy.
        keepalive_seconds: How long an idle connection is kept, in seconds.
        routes: Most proxies with connections at the same time.
    """

    connections: int | None = 100
    keepalive: int | None = 20
    keepalive_seconds: float | None = 300.0
    routes: int = 100


class Route:
    """The connections through one proxy.

    Args:
        url: The proxy, credentials included.
        tls: The contexts.
        limits: The bounds.
        is_async: Whether the connections are for an event loop.
    """

    __slots__ = (
        "_is_async",
        "_limits",
        "_plain",
        "_secure",
        "_stale",
        "_tls",
        "address",
        "last_used",
        "old",
        "retired",
        "url",
        "users",
    )

    def __init__(self, url: str, tls: Tls, limits: Limits, *, is_async: bool) -> None:
        self.url = url
        self.address = ProxyAddress(url)
        self.users = 0
        self.retired = False
        self.last_used = 0.0
        self.old: list[Any] = []
        """Connection pools out of use, to be closed when no request is under way."""
        self._tls = tls
        self._limits = limits
        self._is_async = is_async
        self._plain: Any = None
        self._secure: Any = None
        self._stale = 0

    def pool(self, *, secure: bool) -> Any:
        """The connection pool for targets with TLS, or without.

        A plain target behind an HTTP proxy is no tunnel: then the connections go to the proxy itself and serve all
        targets alike.
        """
        # Two threads may both make one here; the loser's is empty and is collected.
        if secure:
            made = self._secure
            if made is None:
                made = self._secure = self._make(self._tls.target())
            return made
        made = self._plain
        if made is None:
            address = self.address
            if address.is_http:
                made = self._make(self._tls.proxy() if address.is_tls else None, tunnel=False)
            else:
                made = self._make(None)
            self._plain = made
        return made

    def renew(self, stale: Any) -> None:
        """Take a pool out of use whose waiting connections the proxy has closed.

        Some proxies close every connection without announcing it. To them, connections are not kept waiting any more.

        Args:
            stale: The pool.
        """
        self._stale += 1
        self.old.append(stale)
        if stale is self._plain:
            self._plain = None
        elif stale is self._secure:
            self._secure = None

    def _make(self, context: Any, *, tunnel: bool = True) -> Any:
        limits = self._limits
        package = core()
        backend: Any
        if self._is_async:
            kind = package.AsyncConnectionPool
            backend = AsyncDialer(self.address, self._tls) if tunnel else AsyncDirect()
        else:
            kind = package.ConnectionPool
            backend = Dialer(self.address, self._tls) if tunnel else Direct()
        return kind(
            ssl_context=context,
            max_connections=limits.connections,
            max_keepalive_connections=limits.keepalive if self._stale < _STALE_ENOUGH else 0,
            keepalive_expiry=limits.keepalive_seconds,
            network_backend=backend,
        )

    def take_pools(self) -> list[Any]:
        """All connection pools, which are forgotten here."""
        pools = [pool for pool in (self._plain, self._secure, *self.old) if pool is not None]
        self._plain = self._secure = None
        self.old = []
        return pools

    def close(self) -> None:
        """Close the connections of a synchronous route."""
        for pool in self.take_pools():
            pool.close()

    async def aclose(self) -> None:
        """Close the connections of an asynchronous route."""
        for pool in self.take_pools():
            await pool.aclose()


# Once is bad luck: a proxy may end waiting connections after a while. Twice is its habit.
_STALE_ENOUGH = 2

_caches: weakref.WeakSet[_Cache] = weakref.WeakSet()


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
        if limits.routes < 1:
            raise ValueError(f"the number of proxies with connections must be at least 1, not {limits.routes}")
        self._tls = tls
        self._limits = limits
        self._routes: OrderedDict[Any, Route] = OrderedDict()
        self._lock = threading.Lock()
        _caches.add(self)

    def __len__(self) -> int:
        return len(self._routes)

    def __contains__(self, key: object) -> bool:
        return key in self._routes

    def forget(self) -> None:
        """Drop everything without closing it."""
        self._lock = threading.Lock()
        self._routes.clear()

    def check_out(self, key: Any, url: str) -> tuple[Route, list[Route]]:
        """Take the route of a proxy for one request.

        Args:
            key: Identity of the proxy.
            url: Its URL; a route to another URL under the same key is replaced.

        Returns:
            The route, and the routes to close now.
        """
        now = time.monotonic()
        leaving: list[Route] = []
        with self._lock:
            routes = self._routes
            route = routes.get(key)
            if route is not None and route.url != url:
                self._retire(routes.pop(key), leaving)
                route = None
            if route is None:
                route = Route(url, self._tls, self._limits, is_async=self.is_async)
                routes[key] = route
                while len(routes) > self._limits.routes:
                    self._retire(routes.popitem(last=False)[1], leaving)
            else:
                routes.move_to_end(key)
            route.users += 1
            route.last_used = now
            idle = self._limits.keepalive_seconds
            if idle is not None:
                # The first is the least recently used. One look per request keeps up with any rate.
                first = next(iter(routes))
                if routes[first].last_used + idle < now and not routes[first].users:
                    self._retire(routes.pop(first), leaving)
        return route, leaving

    def check_in(self, route: Route) -> list[Any]:
        """Give a route back; the connection pools to close now."""
        with self._lock:
            route.users -= 1
            if route.users or not (route.retired or route.old):
                return []
            if route.retired:
                return route.take_pools()
            old, route.old = route.old, []
            return old

    def drop(self, key: Any) -> list[Route]:
        """Take a proxy's route out of use; the routes to close now."""
        leaving: list[Route] = []
        with self._lock:
            route = self._routes.pop(key, None)
            if route is not None:
                self._retire(route, leaving)
        return leaving

    def drop_all(self) -> list[Route]:
        """Take every route out of use, those with requests under way too; the routes to close now."""
        with self._lock:
            leaving = list(self._routes.values())
            self._routes.clear()
            for route in leaving:
                route.retired = True
        return leaving

    @staticmethod
    def _retire(route: Route, leaving: list[Route]) -> None:
        route.retired = True
        if not route.users:
            leaving.append(route)


class Routes(_Cache):
    """Routes of synchronous requests; may be shared by threads.

    They are closed when the last one who could use them is gone: a rotator, or a body that is still being read.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        super().__init__(tls, limits)
        weakref.finalize(self, _close_all, self._routes)

    def remove(self, key: Any) -> None:
        """Close a proxy's connections once no request uses them."""
        for route in self.drop(key):
            route.close()

    def close(self) -> None:
        """Close everything."""
        for route in self.drop_all():
            route.close()


def _close_all(routes: OrderedDict[Any, Route]) -> None:
    for route in routes.values():
        route.close()
    routes.clear()


class AsyncRoutes(_Cache):
    """Routes of asynchronous requests; belongs to one event loop."""

    is_async = True
    closed = False
    """Whether the event loop they belong to is done with them."""

    async def remove(self, key: Any) -> None:
        """Close a proxy's connections once no request uses them."""
        for route in self.drop(key):
            await route.aclose()

    async def aclose(self) -> None:
        """Close everything."""
        self.closed = True
        for route in self.drop_all():
            await route.aclose()
