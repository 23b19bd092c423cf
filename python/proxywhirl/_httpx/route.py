"""One proxy's connections: a pool for each kind of target, and for each identity that has connections of its own."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple, Optional

from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.dial import AsyncDialer, AsyncDirect, Dialer, Direct
from proxywhirl._httpx.inward import AsyncPublicOnly, PublicOnly
from proxywhirl._httpx.library import core
from proxywhirl._httpx.limits import Limits
from proxywhirl._httpx.tls import Tls

# Once is bad luck: a proxy may end waiting connections after a while. Twice is its habit.
_STALE_ENOUGH = 2


class Owner(NamedTuple):
    """Whose connections these are, where they are not for all requests alike.

    Attributes:
        identity: Of the session that has them to itself; ``None`` for none.
        authorization: What they tell the proxy as ``Proxy-Authorization`` when a tunnel is opened, in place of a login
            of the proxy's own; ``None`` for nothing.
    """

    identity: Optional[Hashable]
    authorization: Optional[bytes]

    def __repr__(self) -> str:
        # The authorization stays out: this shows up in tracebacks that print locals.
        return f"<connections of {'a session' if self.identity is not None else 'an own authorization'}>"


class ConnectionPool:
    """One connection pool of a route, and how many requests use it.

    Args:
        pool: The connection pool.
        secure: Whether it is for targets with TLS.
        owner: The owner; ``None`` for a shared one.
    """

    __slots__ = ("dropped", "last_used", "owner", "pool", "secure", "users")

    def __init__(self, pool: Any, *, secure: bool, owner: Owner | None = None) -> None:
        self.pool = pool
        self.secure = secure
        self.owner = owner
        self.users = 0
        self.last_used = 0.0
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
        public_only: Whether the proxy must not be in the user's own network, wherever its name leads.
    """

    __slots__ = (
        "_is_async",
        "_limits",
        "_lines",
        "_old",
        "_public_only",
        "_stale",
        "_tls",
        "address",
        "key",
        "last_used",
        "retired",
        "told",
        "url",
        "users",
    )

    def __init__(
        self, key: Any, url: str, tls: Tls, limits: Limits, *, is_async: bool, public_only: bool = False
    ) -> None:
        self.key = key
        self._public_only = public_only
        self.url = url
        self.address = ProxyAddress(url) if url else None
        self.users = 0
        self.told: bytes | None = None
        """The last ``Proxy-Authorization`` of a user's own, for a proxy without a login."""
        self.retired = False
        self.last_used = 0.0
        self._tls = tls
        self._limits = limits
        self._is_async = is_async
        self._lines: dict[tuple[bool, Optional[Owner]], ConnectionPool] = {}
        self._old: list[ConnectionPool] = []
        self._stale = 0

    def line(self, *, secure: bool, owner: Owner | None = None) -> ConnectionPool:
        """The connection pool for targets with TLS, or without.

        A plain target behind an HTTP proxy is no tunnel: then the connections go to the proxy itself and serve all
        targets alike.
        """
        found = self._lines.get((secure, owner))
        if found is None:
            authorization = None if owner is None else owner.authorization
            if secure:
                pool = self._make(self._tls.target(), authorization=authorization, http2=self._tls.http2)
            elif self.address is not None and self.address.is_http:
                pool = self._make(self._tls.proxy() if self.address.is_tls else None, tunnel=False)
            else:
                pool = self._make(None)
            found = self._lines[secure, owner] = ConnectionPool(pool, secure=secure, owner=owner)
        return found

    def owned(self) -> list[ConnectionPool]:
        """The connection pools with an owner."""
        return [line for line in self._lines.values() if line.owner is not None]

    def drop(self, line: ConnectionPool) -> None:
        """Take a line out of use; the next request gets a new one."""
        if not line.dropped:
            line.dropped = True
            self._old.append(line)
            self._lines = {key: kept for key, kept in self._lines.items() if kept is not line}

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

    def _make(
        self, context: Any, *, tunnel: bool = True, authorization: bytes | None = None, http2: bool = False
    ) -> Any:
        limits = self._limits
        package = core()
        address = self.address if tunnel else None
        backend: Any
        if self._is_async:
            kind = package.AsyncConnectionPool
            opener = AsyncPublicOnly() if self._public_only else None
            backend = (
                AsyncDirect(opener)
                if address is None
                else AsyncDialer(address, self._tls, opener, authorization=authorization)
            )
        else:
            kind = package.ConnectionPool
            own = PublicOnly() if self._public_only else None
            backend = Direct(own) if address is None else Dialer(address, self._tls, own, authorization=authorization)
        return kind(
            ssl_context=context,
            http2=http2,
            # Bounded by the leases, see `ConnectionsLimit`: no request waits inside.
            max_connections=None,
            max_keepalive_connections=limits.keepalive if self._stale < _STALE_ENOUGH else 0,
            keepalive_expiry=limits.keepalive_seconds,
            network_backend=backend,
        )
