"""Requests while a mock of httpx is there, as pytest-httpx and respx are: they go through the transports of httpx.

Carriers open connections themselves, below these transports; a mock would not see the request, or not its site.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from proxywhirl._core import pause_of
from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.failing import failure_of
from proxywhirl._httpx.payload import Awaited, Blocking, ReadPayload
from proxywhirl._httpx.rotation import Answer, Failure
from proxywhirl._httpx.said import check_answer
from proxywhirl._httpx.stream import Steps, run, run_async
from proxywhirl._native.redact import Secrets

if TYPE_CHECKING:
    from proxywhirl._httpx.rotation import SendOptions
    from proxywhirl._httpx.tls import Tls


def send_mocked(lease: Any, request: Any, terms: SendOptions, tls: Tls) -> Answer | Failure:
    """As ``send`` of a carrier, through a transport of httpx that is made for this request."""
    sending = _Sending(lease, request, terms)
    transport = sending.transport(terms.flavour.module.HTTPTransport, tls)
    done: Answer | Failure = run(_steps(sending, transport, transport.handle_request, transport.close, _Payload))
    return done


async def send_mocked_async(lease: Any, request: Any, terms: SendOptions, tls: Tls) -> Answer | Failure:
    """As :func:`send_mocked`."""
    sending = _Sending(lease, request, terms)
    transport = sending.transport(terms.flavour.module.AsyncHTTPTransport, tls)
    steps = _steps(sending, transport, transport.handle_async_request, transport.aclose, _AsyncPayload)
    done: Answer | Failure = await run_async(steps)
    return done


def _steps(sending: _Sending, transport: Any, send: Any, close: Any, payload_of: Any) -> Steps:
    payload: Any = None
    try:
        response = yield send(sending.request)
        payload = payload_of(sending.received(response), sending, transport)
        check_answer(payload, sending.request, sending.terms)
        if sending.terms.read:
            yield payload.read()
    except BaseException as error:  # noqa: BLE001 - raised again if it is not about the transfer
        if payload is not None:
            yield payload.close()
        yield close()
        return sending.failed(error)
    return sending.answered(payload)


class _Sending:
    """One request."""

    def __init__(self, lease: Any, request: Any, terms: SendOptions) -> None:
        self._url: str = lease.url
        self.request = request
        self.terms = terms
        self.tunnel = request.url.scheme == "https" or not self._url.startswith("http")
        self._started = time.perf_counter()
        own = ProxyAddress(self._url).secrets if "@" in self._url else None
        if own is None and terms.authorization is not None:
            own = Secrets.of_authorization(terms.authorization)
        self.secrets = own

    def transport(self, make: Any, tls: Tls) -> Any:
        """The transport that the mock stands in for. What the mock lets pass goes through the proxy of the lease."""
        package = self.terms.flavour.module
        if not self._url:
            return make(verify=tls.target())
        if self._url.startswith("socks4"):
            made = make(verify=tls.target())
            # Never without its proxy: httpx does not speak SOCKS4.
            made._pool = _Refusing(package)
            return made
        authorization = self.terms.authorization
        headers = {} if authorization is None else {"Proxy-Authorization": authorization.decode("latin-1")}
        context = tls.proxy() if self._url.startswith("https:") else None
        # In SOCKS5 the proxy resolves names under either spelling; older versions of httpx know only this one.
        url = self._url.replace("socks5h:", "socks5:", 1)
        return make(verify=tls.target(), proxy=package.Proxy(url, headers=headers, ssl_context=context))

    def received(self, response: Any) -> Any:
        """A response of httpx in the form of httpcore's."""
        return SimpleNamespace(
            status=response.status_code,
            headers=response.headers.raw,
            extensions=dict(response.extensions),
            stream=response.stream,
        )

    def answered(self, payload: Any) -> Answer:
        elapsed = (time.perf_counter() - self._started) * 1000.0
        asked = pause_of(payload.status, payload.headers)
        return Answer(payload.status, elapsed, payload, tunnel=self.tunnel, retry_after=asked)

    def failed(self, error: BaseException) -> Failure:
        """What an exception means; raises it if it is not about the transfer."""
        meaning = failure_of(error, self.request, self.terms.flavour, self.secrets, self.tunnel, self._started)
        if meaning is None:
            raise error
        return meaning


class _Refusing:
    """Takes the place of the connections of a transport that must make none."""

    def __init__(self, package: Any) -> None:
        self._error = package.UnsupportedProtocol(
            "a request that a mock lets pass goes through HTTP and SOCKS5 proxies only"
        )

    def handle_request(self, request: Any) -> Any:
        raise self._error

    async def handle_async_request(self, request: Any) -> Any:
        raise self._error

    def close(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class _Mocked(ReadPayload):
    __slots__ = ("_sending", "_transport")

    def __init__(self, response: Any, sending: _Sending, transport: Any) -> None:
        super().__init__(response, sending.terms, Allowance({}), tunnel=sending.tunnel)
        self._sending = sending
        self._transport = transport

    @property
    def secrets(self) -> Secrets | None:
        return self._sending.secrets


class _Payload(_Mocked, Blocking):
    __slots__ = ()

    def close(self, *, interrupted: bool = False) -> None:
        del interrupted
        if not self.closed:
            self.closed = True
            self.stream.close()
            self._transport.close()


class _AsyncPayload(_Mocked, Awaited):
    __slots__ = ()

    async def close(self, *, interrupted: bool = False) -> None:
        del interrupted
        if not self.closed:
            self.closed = True
            await self.stream.aclose()
            await self._transport.aclose()
