"""The native engine in event loops, on their own threads: no executor, one look at all sockets per turn.

The inner interface is that of :mod:`proxywhirl._httpx.carrier`. A loop that cannot watch descriptors, as the proactor
of Windows, is woken by a thread that can; trio, where no loop of asyncio runs, has the packages of httpx instead.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.body import counted_async
from proxywhirl._httpx.engine import is_mocked, tell_once
from proxywhirl._httpx.native.base import NativeBase
from proxywhirl._httpx.native.parcel import NativePayload, Orders, Parcel
from proxywhirl._httpx.rotation import Answer, Failure

if TYPE_CHECKING:
    from proxywhirl._httpx.carrier import AsyncCarrier
    from proxywhirl._httpx.limits import Limits
    from proxywhirl._httpx.rotation import SendOptions
    from proxywhirl._httpx.tls import Tls

__all__ = ["AsyncNativeCarrier"]

_MOST_AT_ONCE = 16
"""Parts of a body that are moved without a pause, where none has to be waited for."""

_wires: weakref.WeakSet[_core.LoopedWire] = weakref.WeakSet()


def _after_fork() -> None:
    # The loops of the parent do not run in the child, and the copies of its descriptors keep its connections open.
    for wire in list(_wires):
        wire.shut()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class AsyncNativeCarrier(NativeBase["AsyncCarrier"]):
    """Carries asynchronous requests through the native engine. Connections belong to an event loop; each gets its own.

    They are closed when their loop ends (``asyncio.run`` sees to that), when the carrier is closed, or when it is
    collected.

    Args:
        tls: The certificates that are accepted.
        limits: The bounds of the connections, per loop.

    Raises:
        ValueError: The bounds let no request pass.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        limits.check()
        self._limits = limits
        self._orders = Orders(tls, self._release, lambda stream: stream.__aiter__())
        self._lock = new_lock()
        self._scopes: dict[asyncio.AbstractEventLoop, _Scope] = {}

    async def send(self, lease: Any, request: Any, terms: SendOptions) -> Answer | Failure:
        """As :meth:`Carrier.send`."""
        loop = asyncio._get_running_loop()
        if is_mocked():
            return await self._by_httpx().send(lease, request, terms)
        if loop is None:
            tell_once("no event loop of asyncio runs: httpx carries the requests")
            return await self._by_httpx().send(lease, request, terms)
        scope = self._scopes.get(loop)
        if scope is None or scope.wire.is_shut:
            scope = await self._enter(loop)
        parcel = self._orders.parcel(lease, request, terms)
        assert parcel.order is not None
        future = loop.create_future()
        key = scope.wire.send(parcel.order, future)
        try:
            reply = await future
            if reply is None:
                reply = await _with_body(loop, scope.wire, key, parcel)
        except BaseException:
            scope.wire.cancel(key)
            raise
        return await self._received(reply, parcel, scope, key)

    async def resume(self, handed: _core.HandedOver, terms: SendOptions) -> Answer | Failure:
        """As :meth:`send`, of a request that the short way has sent."""
        # Its body was read, so that nothing is done in a loop any more.
        return await self._received(handed.reply, self._orders.parcel_of(handed, terms), None, 0)

    def short_way(self, client: Any, identities: Any, upkeep: tuple[Any, Any, Any]) -> _core.ShortWay | None:
        """What sends requests of a client by one call; ``None`` if its objects cannot be filled."""
        return self._short_way(client, identities, upkeep, None)

    async def _received(self, reply: Any, parcel: Parcel, scope: _Scope | None, key: int) -> Answer | Failure:
        if type(reply) is _core.WireFailure:
            return parcel.failed(reply)
        payload = _Payload(reply, parcel, scope, key)
        try:
            answer = parcel.answered(reply, payload)
        except BaseException:
            await payload.close()
            raise
        if type(answer) is Failure:
            await payload.close()
        return answer

    async def remove(self, key: Any) -> None:
        """Close the connections to a proxy, in this loop now, in others soon."""
        self._in_each(lambda wire: wire.evict(key))
        if self._other is not None:
            await self._other.remove(key)

    async def release(self, identity: Hashable) -> None:
        """Close the connections of a session, in every loop; those with a request under way when it is done."""
        number = self._orders.forget(identity)
        if number is not None:
            self._release(number)
        if self._other is not None:
            await self._other.release(identity)

    async def aclose(self) -> None:
        """Close all connections, of whichever loop; those with a request under way when it is done."""
        self._in_each(lambda wire: wire.close())
        here = asyncio._get_running_loop()
        with self._lock:
            scopes, self._scopes = self._scopes, {}
        for loop, scope in scopes.items():
            if loop is here and scope.wire.counts()[0] == 0:
                await scope.aclose()
        if self._other is not None:
            await self._other.aclose()

    def forget_closed(self) -> None:
        """Drop what belongs to loops that have ended."""
        with self._lock:
            for loop in [loop for loop in self._scopes if loop.is_closed()]:
                del self._scopes[loop]
        if self._other is not None:
            self._other.forget_closed()

    def _release(self, number: int) -> None:
        self._in_each(lambda wire: wire.release(number))

    def _in_each(self, call: Callable[[_core.LoopedWire], None]) -> None:
        """Call with the connections of each loop, on its thread."""
        here = asyncio._get_running_loop()
        with self._lock:
            scopes = list(self._scopes.items())
        for loop, scope in scopes:
            if loop is here:
                call(scope.wire)
                continue
            try:
                loop.call_soon_threadsafe(call, scope.wire)
            except RuntimeError:
                # The loop has ended, and has taken its connections along.
                continue

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> _Scope:
        """The connections of the running loop."""
        self.forget_closed()
        limits = self._limits
        wire = _core.LoopedWire(
            loop, keepalive=limits.keepalive, keepalive_seconds=limits.keepalive_seconds, proxies=limits.routes
        )
        _wires.add(wire)
        scope = _Scope(loop, wire)
        await scope.open()
        with self._lock:
            before = self._scopes.get(loop)
            if before is None or before.wire.is_shut:
                self._scopes[loop] = scope
                return scope
        await scope.aclose()
        return before

    def _by_httpx(self) -> AsyncCarrier:
        """What carries requests where the native engine cannot."""
        from proxywhirl._httpx.carrier import AsyncCarrier

        return self._other_by(AsyncCarrier)


class _Scope:
    """The connections of one event loop, closed with it."""

    __slots__ = ("_closer", "loop", "wire")

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: _core.LoopedWire) -> None:
        self.loop = loop
        self.wire = wire
        # An event loop runs asynchronous generators to their end before it closes (PEP 525), and also when they are
        # collected. That is the one public hook for either.
        self._closer: AsyncGenerator[None, None] = _watched(loop, wire)

    async def open(self) -> None:
        await self._closer.__anext__()

    async def aclose(self) -> None:
        await self._closer.aclose()

    def abandon(self, future: asyncio.Future[Any], key: int) -> None:
        """End a request of the short way that nothing waits for any more.

        Args:
            future: What was waited for.
            key: The key of the request.
        """
        self.wire.cancel(key)
        if future.done() and not future.cancelled() and future.exception() is None:
            found = future.result()
            if type(found) is _core.HandedOver:
                found.rotation.close()


async def _watched(loop: asyncio.AbstractEventLoop, wire: _core.LoopedWire) -> AsyncGenerator[None, None]:
    descriptor = wire.fileno()
    if descriptor is not None:
        try:
            loop.add_reader(descriptor, wire.turn)
        except NotImplementedError:
            descriptor = None
    if descriptor is None:
        wire.watch()
    try:
        yield
    finally:
        if descriptor is not None:
            loop.remove_reader(descriptor)
        wire.shut()


async def _with_body(loop: asyncio.AbstractEventLoop, wire: _core.LoopedWire, key: int, parcel: Parcel) -> Any:
    """Give the parts of a request's body as they are wanted; what comes back."""
    parts: Any = parcel.body
    pause = _Pause()
    while True:
        try:
            part = await parts.__anext__()
        except StopAsyncIteration:
            part = None
        future = loop.create_future()
        wire.give(key, part, future)
        await pause.after(future)
        reply = await future
        if reply is not None:
            return reply


class _Pause:
    """Lets other tasks run now and then: a future that is done already does not interrupt the task that awaits it."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    async def after(self, future: asyncio.Future[Any]) -> None:
        if future.done():
            self._count += 1
            if self._count >= _MOST_AT_ONCE:
                self._count = 0
                await asyncio.sleep(0)


class _Payload(NativePayload):
    """An answer, with the way to its body; closing it, or dropping it, gives the connection back."""

    __slots__ = ("_key", "_scope", "closed")

    def __init__(self, reply: _core.WireAnswer, parcel: Parcel, scope: Any, key: int) -> None:
        super().__init__(reply, parcel)
        # Held, so that the connections outlive the carrier while a body is read.
        self._scope = scope
        self._key = key
        self.closed = self.body is not None
        """Whether the connection was given back."""

    def parts(self) -> Any:
        """The parts of a body that the caller reads, within its bound if it has one."""
        return self._parts() if self.max_body is None else counted_async(self._parts(), self.max_body)

    async def read(self) -> None:
        """Read the rest of the body, within its bounds."""
        gatherer = self._gatherer()
        async for part in self._parts():
            gatherer.add(part)
        self._complete(gatherer)

    async def close(self, *, interrupted: bool = False) -> None:
        """Give back the connection; a body that was not read to its end costs the connection.

        Args:
            interrupted: Of no concern here.
        """
        del interrupted
        if not self.closed:
            self.closed = True
            self._scope.wire.cancel(self._key)

    def __del__(self) -> None:
        # Not set where the constructor has failed.
        if getattr(self, "closed", True) or self._scope.wire.is_shut:
            return
        scope = self._scope
        try:
            # What is dropped by the collector is dropped on any thread.
            scope.loop.call_soon_threadsafe(scope.wire.cancel, self._key)
        except RuntimeError:
            # The loop is closed, and the connections go with the scope.
            return

    async def _parts(self) -> AsyncIterator[bytes]:
        scope = self._scope
        pause = _Pause()
        while not self.closed:
            future = scope.loop.create_future()
            scope.wire.pull(self._key, future)
            try:
                await pause.after(future)
                part = await future
            except BaseException:
                await self.close()
                raise
            if type(part) is bytes:
                yield part
                continue
            self.closed = True
            if part is not None:
                raise self._broken(part)
