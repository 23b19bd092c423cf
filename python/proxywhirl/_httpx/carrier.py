"""The inner interface: send this request through this lease; get status, headers and body, or an error.

Everything above it (the transports, the rotators) uses a carrier by ``send`` and the two replies alone. These carriers
speak HTTP through httpcore, the engine ``"httpx"``; those of :mod:`proxywhirl._httpx.native` use the core's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Hashable
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._core import pause_of
from proxywhirl._httpx import engine
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.dial import dialled, dialled_ms
from proxywhirl._httpx.failing import as_closed, failure_of
from proxywhirl._httpx.library import core
from proxywhirl._httpx.limits import Limits
from proxywhirl._httpx.mocked import send_mocked, send_mocked_async
from proxywhirl._httpx.payload import AsyncPayload, Payload, close_shielded, secrets_of
from proxywhirl._httpx.rotation import Answer, Failure, SendOptions
from proxywhirl._httpx.route import ConnectionPool, Owner, Route
from proxywhirl._httpx.routes import AsyncRoutes, Routes
from proxywhirl._httpx.said import check_answer
from proxywhirl._httpx.tls import Tls

if TYPE_CHECKING:
    from proxywhirl.rotator._profile import Profile

__all__ = ["AsyncCarrier", "AsyncPayload", "Carrier", "Payload"]


class _ForMocks:
    """Which requests a mock of httpx is to see."""

    def __init__(self) -> None:
        self._looked_at: set[str] = set()

    def _is_for_mocks(self, lease: Any, request: Any, library: str) -> bool:
        # Imported, it can be looked at.
        core()
        self._looked_at.add(library)
        forwards = request.url.scheme == "http" and lease.url.startswith("http")
        return engine.are_transports_mocked(library, forwards=forwards)


class Carrier(_ForMocks):
    """Carries synchronous requests; may be shared by threads."""

    def __init__(self, tls: Tls, limits: Limits) -> None:
        super().__init__()
        self.tls = tls
        self.routes = Routes(tls, limits)
        self.profile: Profile | None = None
        """Where the time that connections take is summed up, if it is."""

    def send(self, lease: Any, request: Any, terms: SendOptions) -> Answer | Failure:
        """Send a request through a leased proxy.

        Other exceptions, as those of the user's own body, are raised.
        """
        library = terms.flavour.name
        replaced = library not in self._looked_at
        for _, cls, method, own in engine.methods:
            if getattr(cls, method) is not own:
                replaced = True
        # Most requests do without the call.
        if replaced and self._is_for_mocks(lease, request, library):
            return send_mocked(lease, request, terms, self.tls)
        routes = self.routes
        secure = request.url.scheme == "https"
        owner = _owner(terms, secure)
        route, line, leaving = routes.check_out(lease.id, lease.url, secure=secure, owner=owner, lease=lease)
        payload: Payload | None = None
        started = time.perf_counter()
        allowance = _allowance(request, terms, lease)
        tunnel = True
        try:
            for old in leaving:
                old.close()
            message, tunnel = _message(route, request, terms, allowance)
            dialled.set(False)
            try:
                response = line.pool.handle_request(message)
            except Exception as error:
                if not (terms.repeatable and _is_stale(error)):
                    raise
                allowance.restart()
                line, leaving = routes.exchange(route, line)
                for old in leaving:
                    old.close()
                response = line.pool.handle_request(message)
            elapsed = (time.perf_counter() - started) * 1000.0
            if self.profile is not None:
                _note_dialling(self.profile)
            payload = Payload(response, terms, allowance, routes, route, line, tunnel=tunnel)
            check_answer(payload, request, terms)
            if terms.read:
                payload.read()
        except BaseException as error:
            if payload is not None:
                payload.close(interrupted=True)
            else:
                for old in routes.check_in(route, line, interrupted=True):
                    old.close()
            failure = _failure(
                error, request, terms, route, tunnel, started, stale=payload is None and _is_stale(error)
            )
            if failure is None:
                raise
            return failure
        return _answer(payload, elapsed)

    def remove(self, key: Any) -> None:
        """Close the connections to a proxy."""
        self.routes.remove(key)

    def release(self, identity: Hashable) -> None:
        """Close the connections of a session, those with a request under way when it is done."""
        for pool in self.routes.release(identity):
            pool.close()

    def close(self) -> None:
        """Close all connections."""
        self.routes.close()


class AsyncCarrier(_ForMocks):
    """Carries asynchronous requests. Connections belong to an event loop; each loop gets its own.

    They are closed when their loop ends (``asyncio.run`` sees to that), when the carrier is closed, or when it is
    collected.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        super().__init__()
        self.tls = tls
        self._limits = limits
        self.profile: Profile | None = None
        """Where the time that connections take is summed up, if it is."""
        self._lock = new_lock()
        self._scopes: dict[asyncio.AbstractEventLoop | None, _Scope] = {}

    async def send(self, lease: Any, request: Any, terms: SendOptions) -> Answer | Failure:
        """As :meth:`Carrier.send`."""
        library = terms.flavour.name
        replaced = library not in self._looked_at
        for _, cls, method, own in engine.methods:
            if getattr(cls, method) is not own:
                replaced = True
        # Most requests do without the call.
        if replaced and self._is_for_mocks(lease, request, library):
            return await send_mocked_async(lease, request, terms, self.tls)
        routes = await self._routes_here()
        secure = request.url.scheme == "https"
        owner = _owner(terms, secure)
        route, line, leaving = routes.check_out(lease.id, lease.url, secure=secure, owner=owner, lease=lease)
        payload: AsyncPayload | None = None
        started = time.perf_counter()
        allowance = _allowance(request, terms, lease)
        tunnel = True
        try:
            for old in leaving:
                await old.aclose()
            message, tunnel = _message(route, request, terms, allowance)
            dialled.set(False)
            try:
                response = await line.pool.handle_async_request(message)
            except Exception as error:
                if not (terms.repeatable and _is_stale(error)):
                    raise
                allowance.restart()
                line, leaving = routes.exchange(route, line)
                for old in leaving:
                    await old.aclose()
                response = await line.pool.handle_async_request(message)
            elapsed = (time.perf_counter() - started) * 1000.0
            if self.profile is not None:
                _note_dialling(self.profile)
            payload = AsyncPayload(response, terms, allowance, routes, route, line, tunnel=tunnel)
            check_answer(payload, request, terms)
            if terms.read:
                await payload.read()
        except BaseException as error:
            await _abandon(payload, routes, route, line)
            failure = _failure(
                error, request, terms, route, tunnel, started, stale=payload is None and _is_stale(error)
            )
            if failure is None:
                raise
            return failure
        return _answer(payload, elapsed)

    async def remove(self, key: Any) -> None:
        """Close the connections to a proxy, in this loop now, in others at their next use of the cache."""
        here = _running_loop()
        for loop, scope in self._snapshot():
            if loop is here:
                await scope.routes.remove(key)
            elif loop is not None and not loop.is_closed():
                _run_in(loop, scope.routes.remove(key))

    async def release(self, identity: Hashable) -> None:
        """Close the connections of a session, in every loop; those with a request under way when it is done."""
        here = _running_loop()
        for loop, scope in self._snapshot():
            if loop is here:
                await scope.routes.release_all(identity)
            elif loop is not None and not loop.is_closed():
                _run_in(loop, scope.routes.release_all(identity))

    async def aclose(self) -> None:
        """Close all connections, of whichever loop."""
        here = _running_loop()
        with self._lock:
            scopes, self._scopes = self._scopes, {}
        for loop, scope in scopes.items():
            if loop is here:
                await scope.aclose()
            elif loop is not None and not loop.is_closed():
                _run_in(loop, scope.aclose())

    def forget_closed(self) -> None:
        """Drop what belongs to loops that have ended."""
        with self._lock:
            for loop in [loop for loop in self._scopes if loop is not None and loop.is_closed()]:
                del self._scopes[loop]

    def _snapshot(self) -> list[tuple[asyncio.AbstractEventLoop | None, _Scope]]:
        with self._lock:
            return list(self._scopes.items())

    async def _routes_here(self) -> AsyncRoutes:
        loop = _running_loop()
        scope = self._scopes.get(loop)
        if scope is None or scope.ended:
            self.forget_closed()
            made = _Scope(AsyncRoutes(self.tls, self._limits))
            await made.open()
            with self._lock:
                scope = self._scopes.get(loop)
                if scope is None or scope.ended:
                    scope = self._scopes[loop] = made
        return scope.routes


class _Scope:
    """The routes of one event loop, closed with it."""

    __slots__ = ("_closer", "routes")

    def __init__(self, routes: AsyncRoutes) -> None:
        self.routes = routes
        # An event loop runs asynchronous generators to their end before it closes (PEP 525), and also when they are
        # collected. That is the one public hook for either.
        self._closer: AsyncGenerator[None, None] = _close_at_end(routes)

    async def open(self) -> None:
        await self._closer.__anext__()

    async def aclose(self) -> None:
        await self._closer.aclose()

    @property
    def ended(self) -> bool:
        return self.routes.closed


async def _close_at_end(routes: AsyncRoutes) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await routes.aclose()


async def _abandon(payload: AsyncPayload | None, routes: AsyncRoutes, route: Route, line: ConnectionPool) -> None:
    """Give back what a failed or cancelled request holds, even if the task is being cancelled."""
    if payload is None:
        for pool in routes.check_in(route, line, interrupted=True):
            await close_shielded(pool)
    elif not payload.closed:
        import anyio

        with anyio.CancelScope(shield=True):
            await payload.close(interrupted=True)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # trio, or whatever else anyio runs on.
        return None


def _run_in(loop: asyncio.AbstractEventLoop, work: Any) -> None:
    try:
        asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        # The loop ended this very moment, and took its connections along.
        work.close()


def _message(route: Route, request: Any, terms: SendOptions, allowance: Allowance) -> tuple[Any, bool]:
    """The request as httpcore wants it, and whether it goes through a tunnel."""
    package = core()
    url = request.url
    address = route.address
    if terms.authorization is not None:
        route.told = terms.authorization
    tunnel = url.scheme == "https" or address is None or not address.is_http
    headers = request.headers.raw
    if tunnel or address is None:
        target = package.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    else:
        # Absolute form, to the proxy itself (RFC 9112, 3.2.2). The netloc keeps the brackets of an IPv6 address.
        target = package.URL(
            scheme=b"https" if address.is_tls else b"http",
            host=address.host,
            port=address.port,
            target=url.raw_scheme + b"://" + url.netloc + url.raw_path,
        )
        authorization = address.authorization or terms.authorization
        if authorization is not None:
            headers = [*headers, (b"Proxy-Authorization", authorization)]
    extensions = {**request.extensions, "timeout": allowance.timeouts()}
    message = package.Request(
        method=request.method, url=target, headers=headers, content=request.stream, extensions=extensions
    )
    return message, tunnel


def _owner(terms: SendOptions, secure: bool) -> Owner | None:
    """Whose connections a request is to use."""
    # Only when a tunnel is opened does the authorization belong to the connection.
    authorization = terms.authorization if secure else None
    if terms.identity is None and authorization is None:
        return None
    return Owner(terms.identity, authorization)


def _note_dialling(profile: Profile) -> None:
    took = dialled_ms.get() if dialled.get() else None
    if took is not None:
        profile.add("connection_establish", took)


def _is_stale(error: BaseException) -> bool:
    """Whether a connection that had been waiting was found closed: the proxy's right, and no reason to blame it.

    The request is then sent once more through a new connection (RFC 9112, 9.3.1), if it may be sent twice at all.
    """
    if dialled.get():
        return False
    package = core()
    return isinstance(as_closed(error), (package.RemoteProtocolError, package.ReadError, package.WriteError))


def _allowance(request: Any, terms: SendOptions, lease: Any) -> Allowance:
    timeouts = request.extensions.get("timeout") or {}
    if terms.timeout is not None:
        timeouts = {"connect": terms.timeout, "read": terms.timeout, "write": terms.timeout}
    return Allowance(timeouts, None if terms.time_left is None else time.monotonic() + terms.time_left, lease)


def _answer(payload: Any, elapsed: float) -> Answer:
    status = payload.status
    asked = pause_of(status, payload.headers)
    return Answer(status, elapsed, payload, tunnel=payload.tunnel, retry_after=asked)


def _failure(
    error: BaseException, request: Any, terms: SendOptions, route: Route, tunnel: bool, started: float, *, stale: bool
) -> Failure | None:
    secrets = secrets_of(route, terms.authorization)
    return failure_of(as_closed(error), request, terms.flavour, secrets, tunnel, started, stale=stale)
