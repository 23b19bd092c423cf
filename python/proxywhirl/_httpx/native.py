"""The native engine as a carrier: the core's own HTTP and TLS, with httpx's names for what goes wrong.

The inner interface is that of :mod:`.carrier`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._core import pause_of
from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.body import MOST_BODY, Gatherer, counted
from proxywhirl._httpx.carrier import Carrier
from proxywhirl._httpx.engine import is_mocked
from proxywhirl._httpx.failing import error_of_wire, failure_of
from proxywhirl._httpx.inward import named_by_others
from proxywhirl._httpx.rotation import Answer, Failure
from proxywhirl._httpx.said import check_answer
from proxywhirl._native.redact import Secrets

if TYPE_CHECKING:
    from proxywhirl._httpx.payload import SendOptions
    from proxywhirl._httpx.route import Limits
    from proxywhirl._httpx.tls import Tls
    from proxywhirl.rotator._profile import Profile

__all__ = ["NativeCarrier", "NativePayload"]

_MOST_PORT = 65_535
_MOST_OWNERS = 10_000
"""Sessions whose connections are told apart; those not seen for longest go first."""


class NativeCarrier:
    """Carries synchronous requests through the native engine; may be shared by threads.

    Args:
        tls: The certificates that are believed.
        limits: The bounds of the connections.
    """

    def __init__(self, tls: Tls, limits: Limits) -> None:
        limits.check()
        self.tls = tls
        self.profile: Profile | None = None
        """Where the time that connections take is summed up, if it is."""
        self._limits = limits
        self._orders = _core.WireOrders(named_by_others)
        self._wire = _core.Wire(
            keepalive=limits.keepalive, keepalive_seconds=limits.keepalive_seconds, proxies=limits.routes
        )
        self._owners: OrderedDict[Hashable, int] = OrderedDict()
        self._numbers = 0
        self._lock = new_lock()
        self._mocked: Carrier | None = None

    def send(self, lease: Any, request: Any, terms: SendOptions) -> Answer | Failure:
        """As :meth:`Carrier.send`."""
        if is_mocked():
            return self._for_mocks().send(lease, request, terms)
        url = request.url
        secure = url.scheme == "https"
        timeouts = request.extensions.get("timeout") or {}
        if terms.timeout is not None:
            timeouts = {"connect": terms.timeout, "read": terms.timeout, "write": terms.timeout}
        most = terms.max_body
        if most is None and terms.read:
            most = MOST_BODY
        proxy_url = lease.url
        started = time.perf_counter()
        tunnel = secure or not proxy_url.startswith("http")
        port = url.port
        if port is not None and port > _MOST_PORT:
            # A redirect may lead there.
            error = terms.flavour.error("LocalProtocolError", f"there is no port {port}")
            return _failed(error, request, terms, proxy_url, tunnel, started)
        order = self._orders.order(
            lease,
            proxy_url,
            request.method,
            secure,
            url.raw_host,
            port,
            url.raw_path,
            request.headers.raw,
            _body_of(request, terms),
            (timeouts.get("connect"), timeouts.get("read"), timeouts.get("write")),
            time_left=terms.time_left,
            repeatable=terms.repeatable,
            whole=terms.read,
            most=None if most is None or most >= 2**63 else int(most),
            owner=None if terms.identity is None else self._owner(terms.identity),
            authorization=terms.authorization,
            target_tls=self.tls.native_target() if secure else None,
            proxy_tls=self.tls.native_proxy() if proxy_url.startswith("https:") else None,
        )
        reply = self._wire.send(order)
        if type(reply) is _core.WireFailure:
            error = error_of_wire(reply, terms.flavour, most, has_proxy=bool(proxy_url), tunnel=tunnel)
            return _failed(error, request, terms, proxy_url, tunnel, started)
        if self.profile is not None and reply.dialled_ms is not None:
            self.profile.add("connection_establish", reply.dialled_ms)
        payload = NativePayload(reply, terms, proxy_url, tunnel=tunnel)
        status = payload.status
        try:
            check_answer(payload, request, terms)
        except Exception as error:  # noqa: BLE001 - raised again if it is not about the transfer
            payload.close()
            return _failed(error, request, terms, proxy_url, tunnel, started)
        asked = pause_of(status, payload.headers)
        return Answer(status, reply.head_ms, payload, tunnel=tunnel, retry_after=asked)

    def remove(self, key: Any) -> None:
        """Close the connections to a proxy; one that a request is under way on, when it is done."""
        self._wire.evict(key)
        if self._mocked is not None:
            self._mocked.routes.remove(key)

    def release(self, identity: Hashable) -> None:
        """Close the connections of a session, those with a request under way when it is done."""
        with self._lock:
            number = self._owners.pop(identity, None)
        if number is not None:
            self._wire.release(number)
        if self._mocked is not None:
            self._mocked.release(identity)

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()
        if self._mocked is not None:
            self._mocked.close()

    def _owner(self, identity: Hashable) -> int:
        """The number of a session."""
        with self._lock:
            owners = self._owners
            number = owners.get(identity)
            if number is None:
                self._numbers = number = self._numbers + 1
                owners[identity] = number
                leaving = owners.popitem(last=False)[1] if len(owners) > _MOST_OWNERS else None
            else:
                owners.move_to_end(identity)
                leaving = None
        if leaving is not None:
            self._wire.release(leaving)
        return number

    def _for_mocks(self) -> Carrier:
        """What carries requests while httpx is mocked."""
        with self._lock:
            if self._mocked is None:
                self._mocked = Carrier(self.tls, self._limits)
                self._mocked.profile = self.profile
            return self._mocked


class NativePayload:
    """What an answer holds: the head, and the body or the way to it; closing it gives the connection back.

    Args:
        reply: The answer.
        terms: How the request was sent.
        proxy_url: The proxy, credentials included.
        tunnel: Whether the answer came through a tunnel.
    """

    __slots__ = ("_proxy_url", "_reply", "_terms", "body", "content", "extensions", "headers", "status", "tunnel")

    def __init__(self, reply: _core.WireAnswer, terms: SendOptions, proxy_url: str, *, tunnel: bool) -> None:
        self._reply = reply
        self._terms = terms
        self._proxy_url = proxy_url
        self.tunnel = tunnel
        self.status: int = reply.status
        self.headers: list[tuple[bytes, bytes]] = reply.headers
        self.extensions: dict[str, Any] = {"http_version": reply.http_version, "reason_phrase": reply.reason}
        self.body: bytes | None = reply.body
        """The body as it came over the wire; ``None`` until it is read."""
        self.content: bytes | None = reply.content
        """The body without its content coding."""

    @property
    def max_body(self) -> float | None:
        """Most bytes of the body; ``None`` where nothing was said."""
        return self._terms.max_body

    @property
    def secrets(self) -> Secrets | None:
        """What must not be repeated of what the proxy says; ``None`` if it was sent nothing."""
        return _secrets_of(self._proxy_url, self._terms)

    @property
    def closed(self) -> bool:
        """Whether the connection was given back."""
        return self._reply.closed

    def parts(self) -> Iterator[bytes]:
        """The parts of a body that the caller reads, within its bound if it has one."""
        most = self._terms.max_body
        return self._parts() if most is None else counted(self._parts(), most)

    def read(self) -> None:
        """Read the rest of the body, within its bounds."""
        most = MOST_BODY if self._terms.max_body is None else self._terms.max_body
        gatherer = Gatherer(self.headers, most, Allowance({}))
        for part in self._parts():
            gatherer.add(part)
        self.body = body = gatherer.body()
        self.content = gatherer.content(body, self._terms.flavour)

    def close(self, *, interrupted: bool = False) -> None:
        """Give back the connection; a body that was not read to its end costs the connection.

        Args:
            interrupted: Of no concern here.
        """
        del interrupted
        self._reply.close()

    def _parts(self) -> Iterator[bytes]:
        reply = self._reply
        while True:
            part = reply.next_part()
            if part is None:
                return
            if type(part) is _core.WireFailure:
                raise error_of_wire(part, self._terms.flavour, None, has_proxy=True, tunnel=self.tunnel)
            yield part


def _body_of(request: Any, terms: SendOptions) -> bytes | Iterator[bytes]:
    """The body of a request: as it is, or to be pulled part by part."""
    stream = request.stream
    if isinstance(stream, terms.flavour.ByteStream):
        return b"".join(stream)
    return iter(stream)


def _failed(
    error: Exception, request: Any, terms: SendOptions, proxy_url: str, tunnel: bool, started: float
) -> Failure:
    failure = failure_of(error, request, terms.flavour, _secrets_of(proxy_url, terms), tunnel, started)
    if failure is None:
        raise error
    return failure


def _secrets_of(proxy_url: str, terms: SendOptions) -> Secrets | None:
    own = ProxyAddress(proxy_url).secrets if "@" in proxy_url else None
    if own is None and terms.authorization is not None:
        return Secrets.of_authorization(terms.authorization)
    return own
