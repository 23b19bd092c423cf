"""What both carriers of the native engine share: a request as the core takes it, and an answer as the rotation does."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Iterator
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.body import MOST_BODY, Gatherer
from proxywhirl._httpx.failing import error_of_wire, failure_of
from proxywhirl._httpx.objects import fill
from proxywhirl._httpx.rotation import Answer, Failure
from proxywhirl._httpx.said import check_answer
from proxywhirl._native.redact import Secrets

if TYPE_CHECKING:
    from proxywhirl._httpx.rotation import SendOptions
    from proxywhirl._httpx.tls import Tls
    from proxywhirl.rotator._profile import Profile

__all__ = ["NativePayload", "Orders", "Parcel"]

_MOST_OWNERS = 10_000
"""Sessions whose connections are told apart; the least recently used go first."""


class Orders:
    """Makes of requests what the core sends. May be shared by threads.

    Args:
        tls: The certificates that are accepted.
        release: Closes the connections of a session that is forgotten, by its number.
        pulled: What the parts of a request's body are taken from, made of its stream.
    """

    def __init__(self, tls: Tls, release: Callable[[int], None], pulled: Callable[[Any], Any]) -> None:
        self.tls = tls
        self.profile: Profile | None = None
        """Where the time that connections take is summed up, if it is."""
        self._release = release
        self._pulled = pulled
        self.native = _core.WireOrders()
        """Reads what is to be sent."""
        self._owners: OrderedDict[Hashable, int] = OrderedDict()
        self._numbers = 0
        self._lock = new_lock()

    def parcel(self, lease: Any, request: Any, terms: SendOptions) -> Parcel:
        """A request, ready to be sent."""
        secure = request.url.scheme == "https"
        timeouts = request.extensions.get("timeout") or {}
        if terms.timeout is not None:
            timeouts = {"connect": terms.timeout, "read": terms.timeout, "write": terms.timeout}
        most = terms.max_body
        if most is None and terms.read:
            most = MOST_BODY
        proxy_url = lease.url
        stream = request.stream
        body = b"".join(stream) if isinstance(stream, terms.flavour.ByteStream) else self._pulled(stream)
        order = self.native.order(
            lease,
            proxy_url,
            request,
            secure,
            body,
            (timeouts.get("connect"), timeouts.get("read"), timeouts.get("write")),
            time_left=terms.time_left,
            repeatable=terms.repeatable,
            whole=terms.read,
            most=None if most is None or most >= 2**63 else int(most),
            owner=None if terms.identity is None else self.owner_of(terms.identity),
            authorization=terms.authorization,
            target_tls=self.tls.native_target() if secure else None,
            proxy_tls=self.tls.native_proxy() if proxy_url.startswith("https:") else None,
        )
        tunnel = secure or not proxy_url.startswith("http")
        return Parcel(order, body, request, terms, proxy_url, most, tunnel, self.profile)

    def parcel_of(self, handed: _core.HandedOver, terms: SendOptions) -> Parcel:
        """A request that the short way has sent."""
        request, proxy_url = handed.request, handed.proxy_url
        most = MOST_BODY if terms.max_body is None else terms.max_body
        tunnel = request.url.scheme == "https" or not proxy_url.startswith("http")
        parcel = Parcel(None, b"", request, terms, proxy_url, most, tunnel, self.profile)
        parcel.sent_before(handed.age)
        return parcel

    def forget(self, identity: Hashable) -> int | None:
        """Forget a session; its number, if it had one."""
        with self._lock:
            return self._owners.pop(identity, None)

    def owner_of(self, identity: Hashable) -> int:
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
            self._release(leaving)
        return number


class Parcel:
    """A request on its way.

    Args:
        order: What the core sends; ``None`` if it was sent.
        body: The body as the order has it: bytes, or an iterator.
        request: The request.
        terms: How it is sent.
        proxy_url: The proxy, credentials included.
        most: Most bytes of the answer's body.
        tunnel: Whether it goes through a tunnel.
        profile: Where the time that connections take is summed up, if it is.
    """

    __slots__ = ("_most", "_profile", "_request", "_started", "body", "order", "proxy_url", "terms", "tunnel")

    def __init__(
        self,
        order: _core.WireOrder | None,
        body: bytes | Iterator[bytes] | AsyncIterator[bytes],
        request: Any,
        terms: SendOptions,
        proxy_url: str,
        most: float | None,
        tunnel: bool,
        profile: Profile | None,
    ) -> None:
        self.order = order
        self.body = body
        self.proxy_url = proxy_url
        self.terms = terms
        self.tunnel = tunnel
        self._most = most
        self._profile = profile
        self._request = request
        self._started = time.perf_counter()

    def sent_before(self, seconds: float) -> None:
        """It is on its way for so many seconds."""
        self._started -= seconds

    def failed(self, failure: _core.WireFailure) -> Failure:
        """What a failure means, with the exception that tells it.

        Raises:
            Exception: It is not about the transfer.
        """
        error = error_of_wire(
            failure, self.terms.flavour, self._most, has_proxy=bool(self.proxy_url), tunnel=self.tunnel
        )
        return self._meaning(error, stale=failure.stale)

    def answered(self, reply: _core.WireAnswer, payload: NativePayload) -> Answer | Failure:
        """An answer as the rotation takes it; a failure if it must not be handed on, and is to be closed then.

        Raises:
            Exception: It is not about the transfer.
        """
        if self._profile is not None and reply.dialled_ms is not None:
            self._profile.add("connection_establish", reply.dialled_ms)
        try:
            check_answer(payload, self._request, self.terms)
        except Exception as error:  # noqa: BLE001 - raised again if it is not about the transfer
            return self._meaning(error)
        status = payload.status
        return Answer(status, reply.head_ms, payload, tunnel=self.tunnel, retry_after=reply.retry_after)

    def secrets(self) -> Secrets | None:
        """What must not be repeated of what the proxy says; ``None`` if it was sent nothing."""
        own = ProxyAddress(self.proxy_url).secrets if "@" in self.proxy_url else None
        if own is None and self.terms.authorization is not None:
            return Secrets.of_authorization(self.terms.authorization)
        return own

    def _meaning(self, error: Exception, *, stale: bool = False) -> Failure:
        failure = failure_of(
            error, self._request, self.terms.flavour, self.secrets(), self.tunnel, self._started, stale=stale
        )
        if failure is None:
            raise error
        return failure


class NativePayload:
    """What an answer holds: the head, and the body where it was read whole.

    Args:
        reply: The answer.
        parcel: The request.
    """

    __slots__ = ("_headers", "_parcel", "_reply", "body", "content", "extensions", "status", "tunnel")

    def __init__(self, reply: _core.WireAnswer, parcel: Parcel) -> None:
        self._reply = reply
        self._parcel = parcel
        self.tunnel = parcel.tunnel
        self.status: int = reply.status
        self._headers: list[tuple[bytes, bytes]] | None = None
        self.extensions: dict[str, Any] = {"http_version": reply.http_version, "reason_phrase": reply.reason}
        self.body: bytes | None = reply.body
        """The body as it came over the wire; ``None`` until it is read."""
        self.content: bytes | None = reply.content
        """The body without its content coding."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names and values as they were received."""
        found = self._headers
        if found is None:
            found = self._headers = self._reply.headers
        return found

    def fill(self, objects: _core.HttpObjects, request: Any, elapsed: float) -> Any:
        """The response, where the body was read whole.

        Args:
            objects: What fills it.
            request: The request.
            elapsed: Seconds that it took.
        """
        reply = self._reply
        if reply.body is not None:
            # The headers need not become objects twice.
            return objects.answer(reply, self.extensions, request, elapsed)
        return fill(objects, self, request, elapsed)

    @property
    def max_body(self) -> float | None:
        """Most bytes of the body; ``None`` where nothing was said."""
        return self._parcel.terms.max_body

    @property
    def secrets(self) -> Secrets | None:
        """What must not be repeated of what the proxy says; ``None`` if it was sent nothing."""
        return self._parcel.secrets()

    def _gatherer(self) -> Gatherer:
        most = MOST_BODY if self.max_body is None else self.max_body
        return Gatherer(self.headers, most, Allowance({}))

    def _complete(self, gatherer: Gatherer) -> None:
        self.body = body = gatherer.body()
        self.content = gatherer.content(body, self._parcel.terms.flavour)

    def _broken(self, failure: _core.WireFailure) -> Exception:
        """The exception of a body that broke off."""
        return error_of_wire(failure, self._parcel.terms.flavour, None, has_proxy=True, tunnel=self.tunnel)
