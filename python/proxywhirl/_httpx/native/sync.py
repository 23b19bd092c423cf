"""The native engine on the thread of the caller.

The inner interface is that of :mod:`proxywhirl._httpx.carrier`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.body import counted
from proxywhirl._httpx.engine import is_mocked
from proxywhirl._httpx.native.base import NativeBase
from proxywhirl._httpx.native.parcel import NativePayload, Orders, Parcel
from proxywhirl._httpx.rotation import Answer, Failure

if TYPE_CHECKING:
    from proxywhirl._httpx.carrier import Carrier
    from proxywhirl._httpx.limits import Limits
    from proxywhirl._httpx.rotation import SendOptions
    from proxywhirl._httpx.tls import Tls

__all__ = ["NativeCarrier"]


class NativeCarrier(NativeBase["Carrier"]):
    """Carries synchronous requests through the native engine; may be shared by threads.

    Args:
        tls: The certificates that are accepted.
        limits: The bounds of the connections.

    Raises:
        ValueError: The bounds let no request pass.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        limits.check()
        self._limits = limits
        self._wire = _core.Wire(
            keepalive=limits.keepalive, keepalive_seconds=limits.keepalive_seconds, proxies=limits.routes
        )
        self._orders = Orders(tls, self._wire.release, iter)
        self._lock = new_lock()

    def send(self, lease: Any, request: Any, terms: SendOptions) -> Answer | Failure:
        """As :meth:`Carrier.send`."""
        if is_mocked():
            return self._for_mocks().send(lease, request, terms)
        parcel = self._orders.parcel(lease, request, terms)
        assert parcel.order is not None
        return self._received(self._wire.send(parcel.order), parcel)

    def resume(self, handed: _core.HandedOver, terms: SendOptions) -> Answer | Failure:
        """As :meth:`send`, of a request that the short way has sent."""
        return self._received(handed.reply, self._orders.parcel_of(handed, terms))

    def short_way(self, client: Any, identities: Any, upkeep: tuple[Any, Any, Any]) -> _core.ShortWay | None:
        """What sends requests of a client by one call; ``None`` if its objects cannot be filled."""
        return self._short_way(client, identities, upkeep, self._wire)

    def _received(self, reply: Any, parcel: Parcel) -> Answer | Failure:
        if type(reply) is _core.WireFailure:
            return parcel.failed(reply)
        payload = _Payload(reply, parcel)
        try:
            answer = parcel.answered(reply, payload)
        except BaseException:
            payload.close()
            raise
        if type(answer) is Failure:
            payload.close()
        return answer

    def remove(self, key: Any) -> None:
        """Close the connections to a proxy; one that a request is under way on, when it is done."""
        self._wire.evict(key)
        if self._other is not None:
            self._other.routes.remove(key)

    def release(self, identity: Hashable) -> None:
        """Close the connections of a session, those with a request under way when it is done."""
        number = self._orders.forget(identity)
        if number is not None:
            self._wire.release(number)
        if self._other is not None:
            self._other.release(identity)

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()
        if self._other is not None:
            self._other.close()

    def _for_mocks(self) -> Carrier:
        """What carries requests while httpx is mocked."""
        from proxywhirl._httpx.carrier import Carrier

        return self._other_by(Carrier)


class _Payload(NativePayload):
    """An answer, with the way to its body; closing it gives the connection back."""

    __slots__ = ()

    @property
    def closed(self) -> bool:
        """Whether the connection was given back."""
        return self._reply.closed

    def parts(self) -> Iterator[bytes]:
        """The parts of a body that the caller reads, within its bound if it has one."""
        return self._parts() if self.max_body is None else counted(self._parts(), self.max_body)

    def read(self) -> None:
        """Read the rest of the body, within its bounds."""
        gatherer = self._gatherer()
        for part in self._parts():
            gatherer.add(part)
        self._complete(gatherer)

    def close(self, *, interrupted: bool = False) -> None:
        """Give back the connection; a body that was not read to its end costs the connection.

        Args:
            interrupted: Of no concern here.
        """
        del interrupted
        self._reply.close()

    def _parts(self) -> Iterator[bytes]:
        while True:
            part = self._reply.next_part()
            if part is None:
                return
            if type(part) is _core.WireFailure:
                raise self._broken(part)
            yield part
