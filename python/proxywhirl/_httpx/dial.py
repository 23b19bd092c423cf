"""Network backends that reach a target through a proxy.

To httpcore the proxy is part of the network: it asks for a connection to the target and gets one that has been through
the proxy. That makes CONNECT, SOCKS4 and SOCKS5 one case, lets a connection that breaks on the way leave the pool, and
keeps the time limit for connecting over the whole of it: TCP, TLS to the proxy and the handshake together.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, NoReturn

from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.handshake import Refused, opened
from proxywhirl._httpx.library import core
from proxywhirl._httpx.stream import (
    AsyncStream,
    Clock,
    Steps,
    Stream,
    close_for_good,
    connect,
    connect_async,
    run,
    run_async,
    seconds_to_connect,
)
from proxywhirl._httpx.tls import Tls
from proxywhirl._httpx.unreachable import ProxyUnreachable

dialled: ContextVar[bool] = ContextVar("dialled", default=False)
"""Set when a connection is opened. A request that clears it before it is sent can tell a new connection from one that
had been waiting: opening happens in the thread, or the task, of the request."""

dialled_ms: ContextVar[float | None] = ContextVar("dialled_ms", default=None)
"""How long that took, in milliseconds, handshake with the proxy included; set when it succeeded."""

_core: Any = core()
_READ_SIZE = 4096
_TIMEOUTS = (_core.ConnectTimeout, _core.ReadTimeout, _core.WriteTimeout)
_ERRORS = (*_TIMEOUTS, _core.ConnectError, _core.ReadError, _core.WriteError)


def _fail(error: Exception, phase: str) -> NoReturn:
    if isinstance(error, Refused):
        raise ProxyUnreachable(
            str(error), kind="ProxyError", outcome=error.outcome, retry_after=error.retry_after
        ) from error
    if isinstance(error, _TIMEOUTS):
        raise ProxyUnreachable(f"timeout while {phase}", kind="ConnectTimeout") from error
    raise ProxyUnreachable(f"{str(error) or type(error).__name__} while {phase}", kind="ConnectError") from error


def _count(timeout: Any, sent: int, received: int) -> None:
    """Count what is said to the proxy, for the request that the connection is opened for."""
    if type(timeout) is Allowance:
        timeout.moved(sent, received)


def _note_duration(started: float) -> None:
    dialled_ms.set((time.perf_counter() - started) * 1000.0)


class Direct(_core.NetworkBackend):  # type: ignore[misc]
    """Opens connections to the proxy itself, blocking: for plain requests that the proxy forwards."""

    def __init__(self, backend: Any = None) -> None:
        self._backend = _core.SyncBackend() if backend is None else backend

    def connect_tcp(self, host: str, port: int, timeout: Any = None, **options: Any) -> Any:
        dialled.set(True)
        started = time.perf_counter()
        stream = connect(self._backend, host, port, Clock(seconds_to_connect(timeout)), **options)
        _note_duration(started)
        return Stream(stream)


class AsyncDirect(_core.AsyncNetworkBackend):  # type: ignore[misc]
    """The same without blocking."""

    def __init__(self, backend: Any = None) -> None:
        self._backend = _core.AnyIOBackend() if backend is None else backend

    async def connect_tcp(self, host: str, port: int, timeout: Any = None, **options: Any) -> Any:
        dialled.set(True)
        started = time.perf_counter()
        stream = await connect_async(self._backend, host, port, Clock(seconds_to_connect(timeout)), **options)
        _note_duration(started)
        return AsyncStream(stream)


class _Way:
    """How a target is reached through one proxy.

    Args:
        address: The proxy.
        tls: The contexts.
        backend: What opens the connection to the proxy itself.
        authorization: The ``Proxy-Authorization`` for an HTTP proxy without a login of its own.
    """

    _connect: Any
    _close: Any

    def __init__(self, address: ProxyAddress, tls: Tls, backend: Any, authorization: bytes | None) -> None:
        self._authorization = authorization
        self._address = address
        self._tls = tls
        self._backend = backend

    def _steps(self, host: str, port: int, timeout: Any, options: dict[str, Any]) -> Steps:
        dialled.set(True)
        started = time.perf_counter()
        address = self._address
        stream: Any = None
        phase = "connecting to the proxy"
        try:
            clock = Clock(seconds_to_connect(timeout))
            stream = yield self._connect(self._backend, address.host, address.port, clock, **options)
            if address.is_tls:
                phase = "starting TLS with the proxy"
                stream = yield stream.start_tls(self._tls.proxy(), server_hostname=address.host, timeout=clock.left())
            phase = "talking to the proxy"
            talk = address.handshake(host, port, self._authorization)
            message = opened(talk.start())
            while message is not None:
                if message:
                    yield stream.write(message, timeout=clock.left())
                    _count(timeout, len(message), 0)
                received = yield stream.read(_READ_SIZE, timeout=clock.left())
                _count(timeout, 0, len(received))
                if not received:
                    raise Refused("the proxy closed the connection during the handshake")
                message = opened(talk.feed(received))
        except BaseException as error:
            if stream is not None:
                yield self._close(stream)
            if isinstance(error, (*_ERRORS, Refused)):
                _fail(error, phase)
            raise
        _note_duration(started)
        return stream


class Dialer(_Way, _core.NetworkBackend):  # type: ignore[misc]
    """Opens connections to targets through one proxy, blocking."""

    _connect = staticmethod(connect)

    def __init__(
        self, address: ProxyAddress, tls: Tls, backend: Any = None, *, authorization: bytes | None = None
    ) -> None:
        super().__init__(address, tls, _core.SyncBackend() if backend is None else backend, authorization)

    @staticmethod
    def _close(stream: Any) -> None:
        stream.close()

    def connect_tcp(self, host: str, port: int, timeout: Any = None, **options: Any) -> Any:
        return Stream(run(self._steps(host, port, timeout, options)))


class AsyncDialer(_Way, _core.AsyncNetworkBackend):  # type: ignore[misc]
    """The same without blocking, on asyncio or trio."""

    _connect = staticmethod(connect_async)
    _close = staticmethod(close_for_good)

    def __init__(
        self, address: ProxyAddress, tls: Tls, backend: Any = None, *, authorization: bytes | None = None
    ) -> None:
        super().__init__(address, tls, _core.AnyIOBackend() if backend is None else backend, authorization)

    async def connect_tcp(self, host: str, port: int, timeout: Any = None, **options: Any) -> Any:
        return AsyncStream(await run_async(self._steps(host, port, timeout, options)))
