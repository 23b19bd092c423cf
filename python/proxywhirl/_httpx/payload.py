"""What comes out of a carrier of httpx with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.body import MOST_BODY, Gatherer, counted, counted_async
from proxywhirl._httpx.objects import fill
from proxywhirl._httpx.rotation import SendOptions
from proxywhirl._httpx.route import ConnectionPool, Route
from proxywhirl._httpx.routes import AsyncRoutes, Routes
from proxywhirl._native.redact import Secrets

if TYPE_CHECKING:
    from proxywhirl import _core


class ReadPayload:
    """What an answer holds: the head, and the body or the way to it."""

    __slots__ = (
        "_allowance",
        "_authorization",
        "_flavour",
        "body",
        "closed",
        "content",
        "extensions",
        "headers",
        "max_body",
        "status",
        "stream",
        "tunnel",
    )

    def __init__(self, response: Any, terms: SendOptions, allowance: Allowance, *, tunnel: bool) -> None:
        self.status: int = response.status
        self.headers: list[tuple[bytes, bytes]] = response.headers
        self.extensions: dict[str, Any] = response.extensions
        self.stream: Any = response.stream
        self.tunnel = tunnel
        self.body: bytes | None = None
        """The body as it came over the wire; ``None`` until it is read."""
        self.content: bytes | None = None
        """The body without its content coding."""
        self.closed = False
        self.max_body = terms.max_body
        self._flavour = terms.flavour
        self._authorization = terms.authorization
        self._allowance = allowance
        allowance.begin_body(whole=False)

    @property
    def secrets(self) -> Secrets | None:
        """What must not be repeated of what the proxy says; ``None`` if it was sent nothing."""
        raise NotImplementedError

    def fill(self, objects: _core.HttpObjects, request: Any, elapsed: float) -> Any:
        """The response, where the body was read whole, as :func:`.objects.fill` makes it."""
        return fill(objects, self, request, elapsed)

    def _gather(self) -> Gatherer:
        self._allowance.begin_body(whole=True)
        return Gatherer(self.headers, MOST_BODY if self.max_body is None else self.max_body, self._allowance)

    def _complete(self, gatherer: Gatherer) -> None:
        self.body = body = gatherer.body()
        self.content = gatherer.content(body, self._flavour)


class Blocking(ReadPayload):
    """An answer whose body is read by this thread."""

    __slots__ = ()

    def parts(self) -> Any:
        """The parts of a body that the caller reads, within its bound if it has one."""
        return self.stream if self.max_body is None else counted(self.stream, self.max_body)

    def read(self) -> None:
        """Read the body, within its bounds."""
        gatherer = self._gather()
        for part in self.stream:
            gatherer.add(part)
        self.close()
        self._complete(gatherer)

    def close(self, *, interrupted: bool = False) -> None:
        """Let go of what the body comes through."""
        raise NotImplementedError


class Awaited(ReadPayload):
    """An answer whose body is awaited."""

    __slots__ = ()

    def parts(self) -> Any:
        """The parts of a body that the caller reads, within its bound if it has one."""
        return self.stream if self.max_body is None else counted_async(self.stream, self.max_body)

    async def read(self) -> None:
        """Read the body, within its bounds."""
        gatherer = self._gather()
        async for part in self.stream:
            gatherer.add(part)
        await self.close()
        self._complete(gatherer)

    async def close(self, *, interrupted: bool = False) -> None:
        """Let go of what the body comes through."""
        raise NotImplementedError


class _Routed(ReadPayload):
    """An answer that comes through a connection of a route; closing it gives the connection back."""

    __slots__ = ("_line", "_route", "_routes")

    def __init__(
        self,
        response: Any,
        terms: SendOptions,
        allowance: Allowance,
        routes: Routes | AsyncRoutes,
        route: Route,
        line: ConnectionPool,
        *,
        tunnel: bool,
    ) -> None:
        super().__init__(response, terms, allowance, tunnel=tunnel)
        self._routes = routes
        self._route = route
        self._line = line

    @property
    def secrets(self) -> Secrets | None:
        return secrets_of(self._route, self._authorization)


class Payload(_Routed, Blocking):
    """An answer to a blocking request."""

    __slots__ = ()

    def close(self, *, interrupted: bool = False) -> None:
        """Give back the connection; a body that was not read to its end costs the connection."""
        if self.closed:
            return
        self.closed = True
        clean = False
        try:
            # That of a mock may have nothing to close.
            if hasattr(self.stream, "close"):
                self.stream.close()
            clean = not interrupted
        finally:
            for pool in self._routes.check_in(self._route, self._line, interrupted=not clean):
                pool.close()


class AsyncPayload(_Routed, Awaited):
    """An answer to a request of a task."""

    __slots__ = ()

    async def close(self, *, interrupted: bool = False) -> None:
        """Give back the connection; a body that was not read to its end costs the connection."""
        if self.closed:
            return
        self.closed = True
        clean = False
        try:
            if hasattr(self.stream, "aclose"):
                await self.stream.aclose()
            clean = not interrupted
        finally:
            for pool in self._routes.check_in(self._route, self._line, interrupted=not clean):
                await close_shielded(pool)


async def close_shielded(closable: Any) -> None:
    """Close a connection pool even when the task is being cancelled."""
    import anyio

    with anyio.CancelScope(shield=True):
        await closable.aclose()


def secrets_of(route: Route, authorization: bytes | None) -> Secrets | None:
    """What a proxy was sent and must not be repeated of what it says; ``None`` if it was sent nothing."""
    own = None if route.address is None else route.address.secrets
    if own is None and authorization is not None:
        return Secrets.of_authorization(authorization)
    return own
