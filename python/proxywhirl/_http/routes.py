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
from collections.abc import Collection
from typing import Any, Callable, NamedTuple

from proxywhirl._http.address import ProxyAddress
from proxywhirl._http.dial import AsyncDialer, AsyncDirect, Dialer, Direct
from proxywhirl._http.flavour import core
from proxywhirl._http.tls import Tls

__all__ = ["AsyncRoutes", "Limits", "Line", "Route", "Routes", "most_routes"]


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
        connections: Most requests under way per proxy, each with a connection of its own. A proxy that has as many is
            passed over; whoever finds all like that stands in line with the others, not behind one that may hang.
        keepalive: Most idle connections kept per proxy.
        keepalive_seconds: How long an idle connection is kept, in seconds.
        routes: Most proxies with connections at the same time.
    """

    connections: int | None = 100
    keepalive: int | None = 20
    keepalive_seconds: float | None = 300.0
    routes: int = 100


class Line:
    """One connection pool of a route, and how many requests use it.

    Args:
        pool: The connection pool.
    """

    __slots__ = ("dropped", "pool", "users")

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.users = 0
        self.dropped = False
        """Out of use; closed when its last request is done."""

    def leaks(self) -> bool:
        """Whether more connections are busy than there are requests.

        A request that is interrupted at an unlucky moment leaves its connection marked as busy for ever; a few of
        those, and the pool is full.
        """
        busy = sum(not (connection.is_idle() or connection.is_closed()) for connection in self.pool.connections)
        return busy > self.users


class Route:
    """The connections through one proxy. All but the constructor is called with the cache's lock held.

    Args:
        key: Identity of the proxy.
        url: The proxy, credentials included; empty for the targets themselves, without a proxy.
        tls: The contexts.
        limits: The bounds.
        is_async: Whether the connections are for an event loop.
    """

    __slots__ = (
        "_is_async",
        "_limits",
        "_lines",
        "_old",
        "_stale",
        "_tls",
        "address",
        "key",
        "last_used",
        "proven",
        "retired",
        "url",
        "users",
    )

    def __init__(self, key: Any, url: str, tls: Tls, limits: Limits, *, is_async: bool) -> None:
        self.key = key
        self.url = url
        self.address = ProxyAddress(url) if url else None
        self.users = 0
        self.retired = False
        self.proven = False
        """Whether an answer ever came through."""
        self.last_used = 0.0
        self._tls = tls
        self._limits = limits
        self._is_async = is_async
        self._lines: dict[bool, Line] = {}
        self._old: list[Line] = []
        self._stale = 0

    def line(self, *, secure: bool) -> Line:
        """The connection pool for targets with TLS, or without.

        A plain target behind an HTTP proxy is no tunnel: then the connections go to the proxy itself and serve all
        targets alike.
        """
        found = self._lines.get(secure)
        if found is None:
            if secure:
                pool = self._make(self._tls.target())
            elif self.address is not None and self.address.is_http:
                pool = self._make(self._tls.proxy() if self.address.is_tls else None, tunnel=False)
            else:
                pool = self._make(None)
            found = self._lines[secure] = Line(pool)
        return found

    def drop(self, line: Line) -> None:
        """Take a line out of use; the next request gets a new one."""
        if not line.dropped:
            line.dropped = True
            self._old.append(line)
            self._lines = {secure: kept for secure, kept in self._lines.items() if kept is not line}

    def note_stale(self) -> None:
        """Count a connection that the proxy closed without announcing it.

        Some proxies do so with every connection. To them, connections are not kept waiting any more.
        """
        self._stale += 1

    def take_finished(self) -> list[Any]:
        """The connection pools out of use that no request is under way on; they are forgotten here."""
        if not self._old:
            return []
        finished = [line.pool for line in self._old if not line.users]
        self._old = [line for line in self._old if line.users]
        return finished

    def take_pools(self) -> list[Any]:
        """All connection pools; they are forgotten here."""
        lines = [*self._lines.values(), *self._old]
        self._lines = {}
        self._old = []
        return [line.pool for line in lines]

    def _make(self, context: Any, *, tunnel: bool = True) -> Any:
        limits = self._limits
        package = core()
        address = self.address if tunnel else None
        backend: Any
        if self._is_async:
            kind = package.AsyncConnectionPool
            backend = AsyncDirect() if address is None else AsyncDialer(address, self._tls)
        else:
            kind = package.ConnectionPool
            backend = Direct() if address is None else Dialer(address, self._tls)
        return kind(
            ssl_context=context,
            # Bounded by who is admitted, see Limits: nobody waits inside.
            max_connections=None,
            max_keepalive_connections=limits.keepalive if self._stale < _STALE_ENOUGH else 0,
            keepalive_expiry=limits.keepalive_seconds,
            network_backend=backend,
        )


_FEW = 32
# How long a failure makes careful.
_TROUBLE_SECONDS = 60.0
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

    def __init__(self, tls: Tls, limits: Limits, on_free: Callable[[], None] | None = None) -> None:
        if limits.routes < 1:
            raise ValueError(f"the number of proxies with connections must be at least 1, not {limits.routes}")
        self._tls = tls
        self._limits = limits
        self._routes: OrderedDict[Any, Route] = OrderedDict()
        self._lock = threading.Lock()
        self._on_free = on_free
        self._busy: set[Any] = set()
        self._trying: set[Any] = set()
        self._trouble_until = 0.0
        _caches.add(self)

    def __len__(self) -> int:
        return len(self._routes)

    def __contains__(self, key: object) -> bool:
        return key in self._routes

    def forget(self) -> None:
        """Drop everything without closing it."""
        self._lock = threading.Lock()
        self._routes.clear()
        self._busy.clear()
        self._trying.clear()

    def trying_now(self) -> Collection[Any]:
        """Ids of the proxies that nothing is known of yet, and that are being tried at this moment.

        Whoever has a choice takes another: where some are dead, not everybody of a crowd should meet the same one. As
        long as no proxy fails the answer is none, so that turns are taken exactly; and with many at a time, for to look
        for another among them would cost more than it saves.
        """
        trying = self._trying
        return tuple(trying) if 0 < len(trying) <= _FEW and time.monotonic() < self._trouble_until else ()

    def note(self, route: Route, *, carried: bool) -> None:
        """Note whether a proxy carried a request."""
        if carried:
            if not route.proven:
                with self._lock:
                    route.proven = True
                    self._trying.discard(route.key)
        elif route.address is not None:
            self._trouble_until = time.monotonic() + _TROUBLE_SECONDS

    def busy_now(self) -> Collection[Any]:
        """Ids of the proxies that have as many requests under way as they may."""
        return tuple(self._busy) if self._busy else ()

    def check_out(self, key: Any, url: str, *, secure: bool) -> tuple[Route, Line, list[Any]]:
        """Take the connections of a proxy for one request.

        Args:
            key: Identity of the proxy.
            url: Its URL; a route to another URL under the same key is replaced.
            secure: Whether the target wants TLS.

        Returns:
            The route, the line to use, and the connection pools to close now.
        """
        now = time.monotonic()
        leaving: list[Any] = []
        with self._lock:
            routes = self._routes
            route = routes.get(key)
            if route is not None and route.url != url:
                self._retire(routes.pop(key), leaving)
                route = None
            if route is None:
                route = Route(key, url, self._tls, self._limits, is_async=self.is_async)
                routes[key] = route
                while len(routes) > self._limits.routes:
                    self._retire(routes.popitem(last=False)[1], leaving)
            else:
                routes.move_to_end(key)
            line = route.line(secure=secure)
            line.users += 1
            route.users += 1
            route.last_used = now
            most = self._limits.connections
            if most is not None and route.users >= most and route.address is not None:
                self._busy.add(key)
            if not route.proven and route.address is not None:
                self._trying.add(key)
            idle = self._limits.keepalive_seconds
            if idle is not None:
                # The first is the least recently used. One look per request keeps up with any rate.
                first = next(iter(routes))
                if routes[first].last_used + idle < now and not routes[first].users:
                    self._retire(routes.pop(first), leaving)
        return route, line, leaving

    def check_in(self, route: Route, line: Line, *, interrupted: bool = False) -> list[Any]:
        """Give the connections back.

        Args:
            route: The route.
            line: The line.
            interrupted: Whether the request did not come to its own end.

        Returns:
            The connection pools to close now.
        """
        with self._lock:
            line.users -= 1
            route.users -= 1
            if interrupted and not line.dropped and line.leaks():
                route.drop(line)
            if not route.users:
                self._trying.discard(route.key)
            freed = route.key in self._busy and not route.retired
            if freed:
                self._busy.discard(route.key)
            leaving = route.take_pools() if route.retired and not route.users else route.take_finished()
        if freed and self._on_free is not None:
            self._on_free()
        return leaving

    def exchange(self, route: Route, line: Line, *, secure: bool) -> tuple[Line, list[Any]]:
        """Give back a line on which a closed connection was found, for a new one.

        Args:
            route: The route.
            line: The line.
            secure: Whether the target wants TLS.

        Returns:
            The line to use, and the connection pools to close now.
        """
        with self._lock:
            line.users -= 1
            route.note_stale()
            route.drop(line)
            fresh = route.line(secure=secure)
            fresh.users += 1
            return fresh, route.take_finished()

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
            self._busy.clear()
            self._trying.clear()
        return leaving

    def _retire(self, route: Route, leaving: list[Any]) -> None:
        route.retired = True
        self._busy.discard(route.key)
        self._trying.discard(route.key)
        if not route.users:
            leaving += route.take_pools()


class Routes(_Cache):
    """Routes of synchronous requests; may be shared by threads.

    They are closed when the last one who could use them is gone: a rotator, or a body that is still being read.
    """

    def __init__(self, tls: Tls, limits: Limits, on_free: Callable[[], None] | None = None) -> None:
        super().__init__(tls, limits, on_free)
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

    async def aclose(self) -> None:
        """Close everything."""
        self.closed = True
        for pool in self.drop_all():
            await pool.aclose()
