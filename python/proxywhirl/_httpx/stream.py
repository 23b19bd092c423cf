"""Byte streams that keep to the allowance of the request they serve, and close when TLS cannot be set up on them.

A stream lives as long as its connection and serves one request after another. The bounds belong to the request: an
:class:`Allowance` comes in with every operation as its timeout. Plain seconds are accepted too, for other users of a
stream, as after an upgrade.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Generator
from typing import Any, Callable

from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.library import core
from proxywhirl._httpx.resolve import resolve, resolve_async

_core: Any = core()
# As much as one record of TLS holds. A write is bounded per piece, so a piece must be small to a socket's buffer.
_PIECE = 16 * 1024


class Clock:
    """What is left of the time for connecting.

    Args:
        timeout: Seconds in all; ``None`` for any time.
    """

    __slots__ = ("_deadline",)

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds left. Raises ``ConnectTimeout`` (none are)."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _core.ConnectTimeout
        return left


def seconds_to_connect(timeout: Any) -> float | None:
    """The seconds of a timeout of httpcore."""
    seconds: float | None = timeout.connecting() if type(timeout) is Allowance else timeout
    return seconds


Steps = Generator[Any, Any, Any]
"""Work that both kinds of connections do alike: yields each result of a call that may have to be awaited."""


def run(steps: Steps) -> Any:
    """Carry out steps of blocking calls, whose results are there at once."""
    result: Any = None
    try:
        while True:
            result = steps.send(result)
    except StopIteration as end:
        return end.value


async def run_async(steps: Steps) -> Any:
    """Carry out steps of calls that are awaited."""
    go_on: Callable[[Any], Any] = steps.send
    result: Any = None
    try:
        while True:
            waiting = go_on(result)
            try:
                go_on, result = steps.send, await waiting
            except BaseException as error:  # noqa: BLE001 - raised where it was yielded
                go_on, result = steps.throw, error
    except StopIteration as end:
        return end.value


def connect(backend: Any, host: str, port: int, clock: Clock, **options: Any) -> Any:
    """Open a TCP connection, blocking: the addresses of a name are tried in turn, each with an equal share of the time.

    Raises ``ConnectError`` (no address can be reached), ``ConnectTimeout`` (time is up).
    """
    return run(_connecting(backend, resolve, host, port, clock, options))


async def connect_async(backend: Any, host: str, port: int, clock: Clock, **options: Any) -> Any:
    """As :func:`connect`, without blocking the event loop."""
    return await run_async(_connecting(backend, resolve_async, host, port, clock, options))


def _connecting(backend: Any, look_up: Any, host: str, port: int, clock: Clock, options: dict[str, Any]) -> Steps:
    addresses = yield look_up(host, port, clock.left())
    for index, address in enumerate(addresses):
        left = clock.left()
        share = None if left is None else left / (len(addresses) - index)
        try:
            return (yield backend.connect_tcp(address, port, timeout=share, **options))
        except (_core.ConnectError, _core.ConnectTimeout):
            if index + 1 == len(addresses):
                raise
    raise _core.ConnectError(f"the name {host} has no address")


class Stream(_core.NetworkStream):  # type: ignore[misc]
    """A blocking stream."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        # Nothing is added to these: they are the stream's own methods.
        self.close = inner.close
        self.get_extra_info = inner.get_extra_info

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        if type(timeout) is not Allowance:
            plain: bytes = self._inner.read(max_bytes, timeout=timeout)
            return plain
        seconds = timeout.reading()
        try:
            data: bytes = self._inner.read(max_bytes, timeout=seconds)
        except _core.ReadTimeout as error:
            raise timeout.timed_out(error) from error.__cause__
        timeout.received(len(data))
        return data

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        if type(timeout) is not Allowance:
            self._inner.write(buffer, timeout=timeout)
        elif len(buffer) <= _PIECE:
            # Also for nothing at all, with which httpcore ends a body.
            self._inner.write(buffer, timeout=timeout.writing())
            timeout.moved(len(buffer), 0)
        else:
            rest = memoryview(buffer)
            while rest:
                self._inner.write(rest[:_PIECE], timeout=timeout.writing())
                timeout.moved(len(rest[:_PIECE]), 0)
                rest = rest[_PIECE:]

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None) -> Any:
        try:
            seconds = seconds_to_connect(timeout)
            if self.get_extra_info("ssl_object") is not None:
                return Stream(TlsInTls(self, ssl_context, server_hostname, Clock(seconds)))
            return Stream(self._inner.start_tls(ssl_context, server_hostname=server_hostname, timeout=seconds))
        except BaseException:
            self.close()
            raise


class TlsInTls(_core.NetworkStream):  # type: ignore[misc]
    """TLS with a target inside TLS with its proxy, blocking.

    ``ssl`` cannot wrap a socket that it has wrapped already, so records go through memory (``ssl.MemoryBIO``).
    """

    def __init__(self, inner: Any, context: ssl.SSLContext, server_hostname: str | None, clock: Clock) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self.close = inner.close
        try:
            self._run(self._object.do_handshake, clock.left)
        except (_core.ReadTimeout, _core.WriteTimeout) as error:
            raise _core.ConnectTimeout(str(error)) from error
        except (_core.ReadError, _core.WriteError, OSError) as error:
            raise _core.ConnectError(str(error)) from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data: bytes = self._run(functools.partial(self._object.read, max_bytes), _left(timeout, _core.ReadTimeout))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
        except OSError as error:
            raise _core.ReadError(str(error)) from error
        return data

    def write(self, buffer: Any, timeout: float | None = None) -> None:
        left = _left(timeout, _core.WriteTimeout)
        rest = memoryview(buffer)
        try:
            while rest:
                rest = rest[self._run(functools.partial(self._object.write, rest), left) :]
        except OSError as error:
            raise _core.WriteError(str(error)) from error

    def get_extra_info(self, info: str) -> Any:
        return self._object if info == "ssl_object" else self._inner.get_extra_info(info)

    def _run(self, step: Callable[[], Any], left: Callable[[], float | None]) -> Any:
        """Repeat a step of TLS, carrying records to and fro, until it is done."""
        while True:
            done = True
            result = None
            try:
                result = step()
            except ssl.SSLWantReadError:
                done = False
            outgoing = self._outgoing.read()
            if outgoing:
                self._inner.write(outgoing, timeout=left())
            if done:
                return result
            received = self._inner.read(_PIECE, timeout=left())
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()


def _left(timeout: float | None, error: type[Exception]) -> Callable[[], float | None]:
    """Seconds left of one operation, however many reads and writes it takes."""
    if timeout is None:
        return lambda: None
    deadline = time.monotonic() + timeout

    def left() -> float:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise error("the operation took too long")
        return seconds

    return left


class AsyncStream(_core.AsyncNetworkStream):  # type: ignore[misc]
    """A stream for event loops."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.aclose = inner.aclose
        self.get_extra_info = inner.get_extra_info

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        if type(timeout) is not Allowance:
            plain: bytes = await self._inner.read(max_bytes, timeout=timeout)
            return plain
        seconds = timeout.reading()
        try:
            data: bytes = await self._inner.read(max_bytes, timeout=seconds)
        except _core.ReadTimeout as error:
            raise timeout.timed_out(error) from error.__cause__
        timeout.received(len(data))
        return data

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        if type(timeout) is not Allowance or len(buffer) <= _PIECE:
            if type(timeout) is not Allowance:
                await self._inner.write(buffer, timeout=timeout)
                return
            await self._inner.write(buffer, timeout=timeout.writing())
            timeout.moved(len(buffer), 0)
            return
        rest = memoryview(buffer)
        while rest:
            await self._inner.write(rest[:_PIECE], timeout=timeout.writing())
            timeout.moved(len(rest[:_PIECE]), 0)
            rest = rest[_PIECE:]

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> Any:
        try:
            seconds = seconds_to_connect(timeout)
            made = await self._inner.start_tls(ssl_context, server_hostname=server_hostname, timeout=seconds)
            return AsyncStream(made)
        except BaseException:
            await close_for_good(self._inner)
            raise


async def close_for_good(stream: Any) -> None:
    """Close even when the task is being cancelled."""
    import anyio

    with anyio.CancelScope(shield=True):
        await stream.aclose()
