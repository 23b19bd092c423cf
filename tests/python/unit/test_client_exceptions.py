"""What is read off the exceptions of clients: those of clients that are not installed have faithful stand-ins.

A stand-in is made of module and name, as the classes of the client are, with the attributes and the text that the client
gives them. niquests is among them because its urllib3-future takes the place of urllib3, and so the place of requests'
too; Playwright, Selenium, Scrapy and Twisted because of their size.
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import logging
import socket
import ssl
import urllib.error
import zlib
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxywhirl import Outcome, ProxyRotator
from proxywhirl._core import ReportJudge
from proxywhirl._httpx.clients import AMBIGUOUS, Fault, read
from proxywhirl._httpx.judge import outcome_of_error


def made(path: str, *args: Any, bases: tuple[type, ...] = (Exception,), **attributes: Any) -> Any:
    """An exception of a client: ``made("requests.exceptions.RequestException.ConnectionError")``, the base first."""
    module = ".".join(
        part for part in path.split(".") if not (part[0].isupper() or (part[0] == "_" and part[1].isupper()))
    )
    names = path[len(module) + 1 :].split(".")
    cls: type = type(names[0], bases, {"__module__": module})
    for name in names[1:]:
        cls = type(name, (cls,), {"__module__": module})
    error = cls(*args)
    vars(error).update(attributes)
    return error


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def wrapped(library: str, name: str, inner: Exception) -> Any:
    """As requests and niquests wrap what urllib3 has wrapped."""
    kind = "urllib3_future" if library == "niquests" else "urllib3"
    pool = made(f"{kind}.exceptions.HTTPError.PoolError.RequestError.MaxRetryError", "Max retries", reason=inner)
    return made(f"{library}.exceptions.RequestException.{name}", pool, bases=(OSError,))


def proxy_error(inner: Exception, kind: str = "urllib3") -> Any:
    return made(f"{kind}.exceptions.HTTPError.ProxyError", "Unable to connect to proxy", inner, original_error=inner)


def selenium(message: str) -> Any:
    error = made("selenium.common.exceptions.WebDriverException", message, msg=message)
    type(error).__str__ = lambda self: f"Message: {self.msg}\n"
    return error


def failure(error: BaseException) -> Any:
    """Twisted's wrapper."""
    return type("Failure", (BaseException,), {"__module__": "twisted.python.failure", "value": error})()


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
NOT_TRUSTED = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
TUNNEL_407 = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
PLAYWRIGHT = "playwright._impl._errors.Error"

FAULTS = [
    # requests, niquests, urllib3, urllib3-future
    *[
        (wrapped(library, name, inner), fault)
        for library in ("requests", "niquests")
        for name, inner, fault in [
            ("ConnectionError.ProxyError", proxy_error(REFUSED), Fault.PROXY),
            ("ConnectionError.ProxyError", proxy_error(TUNNEL_407), Fault.CONNECT),
            ("ConnectionError.ProxyError", proxy_error(NOT_TRUSTED), Fault.PROXY),
            ("ConnectionError.ProxyError", proxy_error(http.client.RemoteDisconnected("closed")), Fault.CUT),
            ("ConnectionError.SSLError", made("urllib3.exceptions.HTTPError.SSLError", NOT_TRUSTED), Fault.TLS),
            (
                "ConnectionError.ConnectTimeout",
                made("urllib3.exceptions.HTTPError.TimeoutError.ConnectTimeoutError"),
                Fault.PROXY,
            ),
            ("ConnectionError", caused(made("urllib3.exceptions.HTTPError.NewConnectionError"), REFUSED), Fault.PROXY),
            (
                "ConnectionError",
                caused(made("urllib3.exceptions.HTTPError.NewConnectionError"), OSError(errno.EMFILE, "too many")),
                Fault.CLIENT,
            ),
            ("Timeout.ReadTimeout", made("urllib3.exceptions.HTTPError.TimeoutError.ReadTimeoutError"), Fault.CUT),
            ("ChunkedEncodingError", made("urllib3.exceptions.HTTPError.ProtocolError"), Fault.CUT),
            ("ContentDecodingError", made("urllib3.exceptions.HTTPError.DecodeError"), Fault.CUT),
        ]
    ],
    (
        made("requests.exceptions.RequestException.InvalidSchema", "Missing dependencies for SOCKS support."),
        Fault.CLIENT,
    ),
    (made("niquests.exceptions.RequestException.InvalidURL", "Invalid URL"), Fault.CLIENT),
    (made("requests.exceptions.RequestException.InvalidHeader", "Invalid header"), Fault.CLIENT),
    (made("requests.exceptions.RequestException.InvalidJSONError", "no JSON"), Fault.ELSEWHERE),
    (made("urllib3.exceptions.HTTPError.LocationValueError"), Fault.CLIENT),
    (made("urllib3.exceptions.HTTPError.PoolError.EmptyPoolError"), Fault.CLIENT),
    (made("urllib3_future.exceptions.HTTPError.ProtocolError.IncompleteRead"), Fault.CUT),
    # httpx and its relatives
    (httpx.ConnectError("[Errno 111] Connection refused"), Fault.PROXY),
    (caused(httpx.ConnectError(""), REFUSED), Fault.PROXY),
    (caused(httpx.ConnectError(""), NOT_TRUSTED), Fault.TLS),
    (caused(httpx.ConnectError(""), OSError(errno.EMFILE, "too many")), Fault.CLIENT),
    (httpx.ReadTimeout(""), Fault.CUT),
    (httpx.PoolTimeout(""), Fault.CLIENT),
    (httpx.DecodingError(""), Fault.CUT),
    (httpx.ProxyError("407 Proxy Authentication Required"), Fault.CONNECT),
    (httpx.ProxyError("Invalid username/password"), Fault.LOGIN),
    (httpx.ProxyError("Proxy Server could not connect: Connection not allowed by ruleset."), Fault.RULESET),
    (httpx.ProxyError("Proxy Server could not connect: Host unreachable."), Fault.UNREACHED),
    (httpx.ProxyError("Proxy Server could not connect: Command not supported."), Fault.PROXY),
    (httpx.TooManyRedirects(""), Fault.ELSEWHERE),
    (made("httpx2.HTTPError.RequestError.TransportError.ProtocolError.RemoteProtocolError"), Fault.CUT),
    (made("httpcore2.ProxyError", "502 Bad Gateway"), Fault.CONNECT),
    (made("impit.HTTPError.RequestError.TransportError.ProxyError", "Proxy authentication required."), Fault.LOGIN),
    # aiohttp
    (made("aiohttp.client_exceptions.ClientError.ClientConnectionError.ClientOSError", os_error=REFUSED), Fault.PROXY),
    (made("aiohttp.client_exceptions.ClientError.ClientResponseError.ClientHttpProxyError", status=407), Fault.CONNECT),
    (made("aiohttp.client_exceptions.ClientError.InvalidURL"), Fault.CLIENT),
    (
        caused(
            made("aiohttp.client_exceptions.ClientError.ClientResponseError", status=400),
            made("aiohttp.http_exceptions.HttpProcessingError", code=400),
        ),
        Fault.CUT,
    ),
    (made("aiohttp_socks._errors.ProxyError", error_code=2), Fault.RULESET),
    (made("python_socks._errors.ProxyException.ProxyError", error_code=SimpleNamespace(value=5)), Fault.UNREACHED),
    (made("python_socks._errors.ProxyException.ProxyError", error_code=407), Fault.CONNECT),
    (made("python_socks._errors.ProxyException.ProxyTimeoutError", bases=(TimeoutError,)), Fault.PROXY),
    # curl_cffi
    *[
        (
            made(
                "curl_cffi.requests.exceptions.RequestException", f"Failed to perform, curl: ({code}) words.", code=code
            ),
            fault,
        )
        for code, fault in [
            (5, Fault.PROXY),
            (7, Fault.PROXY),
            (28, Fault.CUT),
            (35, Fault.TLS),
            (60, Fault.TLS),
            (52, Fault.CUT),
            (56, Fault.CUT),
            (18, Fault.CUT),
            (61, Fault.CUT),
            (3, Fault.CLIENT),
            (77, Fault.CLIENT),
            (97, Fault.PROXY),
            (4711, Fault.CUT),
        ]
    ],
    (
        made(
            "curl_cffi.requests.exceptions.CurlError",
            "Failed to perform, curl: (56) CONNECT tunnel failed, response 407. See",
            code=56,
        ),
        Fault.CONNECT,
    ),
    (made("curl_cffi.curl.CurlError", "Session is closed"), Fault.CUT),
    (made("curl_cffi.requests.exceptions.CurlError.InvalidHeader", "no"), Fault.CLIENT),
    # Browsers
    (made(PLAYWRIGHT, "Page.goto: net::ERR_PROXY_CONNECTION_FAILED at http://shop.test/407"), Fault.PROXY),
    (made(PLAYWRIGHT, "net::ERR_TUNNEL_CONNECTION_FAILED at https://shop.test/"), Fault.UNREACHED),
    (made(PLAYWRIGHT, "Page.goto: net::ERR_INVALID_AUTH_CREDENTIALS at https://shop.test/"), Fault.LOGIN),
    (made(PLAYWRIGHT, "Page.goto: net::ERR_CERT_AUTHORITY_INVALID at https://shop.test/"), Fault.TLS),
    (made(PLAYWRIGHT, "Page.goto: net::ERR_EMPTY_RESPONSE at http://shop.test/"), Fault.CUT),
    (made(PLAYWRIGHT, "Page.goto: net::ERR_INTERNET_DISCONNECTED at http://shop.test/"), Fault.CLIENT),
    (made(PLAYWRIGHT, "Page.goto: net::ERR_ABORTED at http://shop.test/"), Fault.ELSEWHERE),
    (made(PLAYWRIGHT, "Page.goto: NS_ERROR_PROXY_CONNECTION_REFUSED\nCall log:\n"), Fault.PROXY),
    (made(f"{PLAYWRIGHT}.TimeoutError", "Page.goto: Timeout 30000ms exceeded.\nCall log:\n"), Fault.CUT),
    (made(f"{PLAYWRIGHT}.TimeoutError", "Locator.click: Timeout 30000ms exceeded."), Fault.ELSEWHERE),
    (
        made(PLAYWRIGHT, "Page.evaluate: net::ERR is a word of the page, ERR_PROXY_CONNECTION_FAILED too"),
        Fault.ELSEWHERE,
    ),
    (selenium("unknown error: net::ERR_PROXY_CONNECTION_FAILED\n  (Session info: chrome=140)"), Fault.PROXY),
    (selenium("unknown error: net::ERR_CONNECTION_RESET"), Fault.CUT),
    (selenium("Reached error page: about:neterror?e=proxyConnectFailure&u=http%3A//shop.test/"), Fault.PROXY),
    (selenium("timeout: Timed out receiving message from renderer: 10.000"), Fault.CUT),
    (selenium("no such element: Unable to locate element"), Fault.ELSEWHERE),
    # Scrapy and Twisted
    (made("twisted.internet.error.ConnectError.ConnectionRefusedError"), Fault.PROXY),
    (made("twisted.internet.error.ConnectionClosed.ConnectionLost"), Fault.CUT),
    (made("twisted.internet.error.ConnectError.UserError.TimeoutError"), Fault.CUT),
    (made("twisted.internet.error.ConnectError.TCPTimedOutError"), Fault.PROXY),
    (
        made(
            "twisted.web._newclient._WrapperException.ResponseFailed.ResponseNeverReceived",
            reasons=[failure(made("twisted.internet.error.ConnectionClosed.ConnectionDone"))],
        ),
        Fault.CUT,
    ),
    (failure(made("twisted.internet.error.ConnectError.ConnectionRefusedError")), Fault.PROXY),
    (
        made(
            "scrapy.core.downloader.handlers.http11.TunnelError",
            "Could not open CONNECT tunnel with proxy 10.0.0.1:407 [{'status': 502, 'reason': b'no'}]",
        ),
        Fault.CONNECT,
    ),
    (
        made(
            "scrapy.core.downloader.handlers.http11.TunnelError",
            "Could not open CONNECT tunnel with proxy 10.0.0.1:407 [b'']",
        ),
        Fault.PROXY,
    ),
    (made("scrapy.exceptions.DownloadConnectionRefusedError"), Fault.PROXY),
    (made("scrapy.exceptions.DownloadTimeoutError"), Fault.CUT),
    (made("scrapy.exceptions.IgnoreRequest"), Fault.ELSEWHERE),
    # PySocks, anyio, and the standard library
    (made("socks.ProxyError.SOCKS5AuthError", "SOCKS5 authentication failed", bases=(OSError,)), Fault.LOGIN),
    (made("socks.ProxyError.SOCKS5Error", "0x05: Connection refused", bases=(OSError,)), Fault.UNREACHED),
    (made("socks.ProxyError.SOCKS5Error", "0x02: Connection not allowed by ruleset", bases=(OSError,)), Fault.RULESET),
    (made("socks.ProxyError.SOCKS4Error", "0x5b: Request rejected or failed", bases=(OSError,)), Fault.UNREACHED),
    (made("socks.ProxyError.HTTPError", "403: Forbidden", bases=(OSError,)), Fault.CONNECT),
    (made("anyio.EndOfStream"), Fault.CUT),
    (caused(OSError("All connection attempts failed"), REFUSED), Fault.PROXY),
    (REFUSED, Fault.PROXY),
    (ConnectionResetError(errno.ECONNRESET, "reset"), Fault.CUT),
    (BrokenPipeError(errno.EPIPE, "broken"), Fault.CUT),
    (OSError(errno.EHOSTUNREACH, "no route"), Fault.PROXY),
    (OSError(errno.EMFILE, "too many"), Fault.CLIENT),
    (FileNotFoundError(errno.ENOENT, "no such file"), Fault.ELSEWHERE),
    (PermissionError(errno.EACCES, "not yours"), Fault.ELSEWHERE),
    (TimeoutError(), Fault.CUT),
    (socket.timeout("timed out"), Fault.CUT),
    (TimeoutError(errno.ETIMEDOUT, "the kernel's"), Fault.PROXY),
    (asyncio.TimeoutError(), Fault.CUT),
    (asyncio.IncompleteReadError(b"", 4), Fault.CUT),
    (socket.gaierror(-2, "Name or service not known"), Fault.PROXY),
    (NOT_TRUSTED, Fault.TLS),
    (http.client.BadStatusLine("SSH-2.0"), Fault.CUT),
    (http.client.InvalidURL("bad"), Fault.CLIENT),
    (urllib.error.URLError(REFUSED), Fault.PROXY),
    (urllib.error.URLError(TUNNEL_407), Fault.CONNECT),
    (urllib.error.URLError("unknown url type: foo"), Fault.CLIENT),
    (zlib.error("incorrect header check"), Fault.CUT),
    (asyncio.CancelledError(), Fault.ELSEWHERE),
    (KeyboardInterrupt(), Fault.ELSEWHERE),
    (ValueError("a mistake"), Fault.ELSEWHERE),
    (ImportError("Using SOCKS proxy, but the 'socksio' package is not installed."), Fault.ELSEWHERE),
]


@pytest.mark.parametrize(
    ("error", "fault"), FAULTS, ids=[f"{type(error).__name__}-{n}" for n, (error, _) in enumerate(FAULTS)]
)
def test_what_each_says(error: BaseException, fault: Fault) -> None:
    assert read(error).fault is fault


URL = "http://shop.test/item/14075"
# Everything has 407 in it, and nothing of it is a status.
NAMES = f"HTTPConnectionPool(host='10.0.4.7', port=40700): Max retries exceeded with url: {URL}"


@pytest.mark.parametrize(
    "error",
    [
        wrapped(
            "requests",
            "ConnectionError.ProxyError",
            proxy_error(made("urllib3.exceptions.HTTPError.NewConnectionError", NAMES)),
        ),
        made("requests.exceptions.RequestException.ConnectionError.ProxyError", NAMES, bases=(OSError,)),
        made("niquests.exceptions.RequestException.ConnectionError.ProxyError", NAMES, bases=(OSError,)),
        made("urllib3.exceptions.HTTPError.ProxyError", f"407: {NAMES}"),
        made("aiohttp.client_exceptions.ClientError.ClientConnectionError.ClientProxyConnectionError", NAMES),
        made(
            "curl_cffi.requests.exceptions.ProxyError",
            f"Failed to perform, curl: (7) Failed to connect to 10.0.4.7 port 407 for {URL}",
            code=7,
        ),
        made(
            "primp.PrimpError.RequestError.ConnectError",
            f"error sending request for url ({URL}) > client error (Connect) > tcp connect error > Connection refused (os error 111)",
        ),
        made(PLAYWRIGHT, f"Page.goto: net::ERR_PROXY_CONNECTION_FAILED at {URL}?net::ERR_PROXY_AUTH_REQUESTED"),
        httpx.ProxyError(f"the proxy 10.0.4.7:407 refused {URL}"),
        httpx.ConnectError(f"407 {URL}"),
        ConnectionRefusedError(111, f"Tunnel connection failed: 407 at {URL}"),
        socket.gaierror(-2, "407.proxies.test: Tunnel connection failed: 407"),
        made(
            "socks.ProxyError.ProxyConnectionError", "Error connecting to SOCKS5 proxy 407.test:407", bases=(OSError,)
        ),
    ],
)
def test_a_number_in_a_text_is_no_status(error: BaseException) -> None:
    assert ReportJudge()(URL, None, error=error).outcome is Outcome.PROXY_DOWN


@pytest.mark.parametrize(
    "error",
    [
        OSError(f"in the middle: Tunnel connection failed: 407 {URL}"),
        OSError("Tunnel connection failed: 4071 pages"),
        RuntimeError("Tunnel connection failed: 407 Proxy Authentication Required"),
    ],
)
def test_a_phrase_counts_at_its_place_only(error: BaseException) -> None:
    assert outcome_of_error(error) is None


@pytest.mark.parametrize(("status", "outcome"), [(407, "proxy_auth"), (402, "proxy_auth"), (429, "rate_limited")])
def test_an_answer_to_connect(status: int, outcome: str) -> None:
    error = made(
        "aiohttp.client_exceptions.ClientError.ClientResponseError.ClientHttpProxyError",
        status=status,
        headers={"Retry-After": "7"},
    )
    judged = ReportJudge()("https://shop.test/", None, error=error)
    assert (judged.outcome, judged.hold, judged.status) == (outcome, 7.0 if status == 429 else None, None)
    other = made("aiohttp.client_exceptions.ClientError.ClientResponseError.ClientHttpProxyError", status=503)
    assert ReportJudge()("https://shop.test/", None, error=other).outcome == outcome_of_error(TimeoutError())
    assert read(other).fault is Fault.CONNECT


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (OSError("Tunnel connection failed: 403 Traffic limit exceeded"), "proxy_auth"),
        (httpx.ProxyError("403 quota used up"), "proxy_auth"),
        (
            made(
                "aiohttp.client_exceptions.ClientError.ClientResponseError.ClientHttpProxyError",
                status=403,
                message="Insufficient balance",
            ),
            "proxy_auth",
        ),
        (made("python_socks._errors.ProxyException.ProxyError", "http://quota.test", error_code=403), "ambiguous"),
        (OSError("Tunnel connection failed: 403 Forbidden"), "ambiguous"),
        (httpx.ProxyError("503"), "ambiguous"),
    ],
)
def test_a_quota_that_is_used_up_is_a_login_that_is_refused(error: Exception, outcome: str) -> None:
    assert outcome_of_error(error) == outcome


def test_the_ambiguous_are_the_ones_that_can_be_either() -> None:
    assert {Fault.UNREACHED, Fault.TLS, Fault.CUT} == AMBIGUOUS
    outcomes = {
        outcome_of_error(TimeoutError()),
        outcome_of_error(NOT_TRUSTED),
        outcome_of_error(http.client.BadStatusLine("")),
    }
    assert outcomes == {"ambiguous"}


class Wrapped(Exception):
    """Of a program's own."""


class TooSlow(TimeoutError):
    """Of a program's own, with a base that says something."""


def test_a_class_that_is_not_known_is_judged_by_its_base_or_its_cause() -> None:
    assert read(TooSlow("20 s")).fault is Fault.CUT
    assert read(caused(Wrapped(), REFUSED)).fault is Fault.PROXY
    try:
        try:
            raise REFUSED
        except ConnectionRefusedError:
            raise Wrapped from None
    except Wrapped as error:
        found = read(error)
    assert found.fault is Fault.UNKNOWN, "what was being handled is not what happened"


def test_groups_are_judged_by_a_member_that_says_something() -> None:
    group = made("exceptiongroup.BaseExceptionGroup.ExceptionGroup", "two", exceptions=(ValueError("a bug"), REFUSED))
    assert read(group).fault is Fault.PROXY
    assert (
        read(made("exceptiongroup.BaseExceptionGroup.ExceptionGroup", "one", exceptions=(ValueError("a bug"),))).fault
        is Fault.ELSEWHERE
    )


def test_a_chain_without_an_end() -> None:
    first, second = Wrapped("a"), Wrapped("b")
    first.__cause__, second.__cause__ = second, first
    assert read(first).fault is Fault.UNKNOWN
    pool = made("urllib3.exceptions.HTTPError.PoolError.MaxRetryError")
    pool.reason = pool
    assert read(pool).fault is Fault.CUT


def test_an_unknown_class_is_released_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Exception):
        """Of no client."""

    with caplog.at_level(logging.WARNING, "proxywhirl"), ProxyRotator(proxies=["http://10.0.0.1:8080"]) as rotator:
        for _ in range(3):
            with pytest.raises(Odd), rotator.lease("http://shop.test/"):
                raise Odd("http://user:secret@10.0.0.1:8080")
        assert rotator.lease("http://shop.test/").report(Odd()) is Outcome.CLIENT_FAULT
        with pytest.raises(ValueError, match="a mistake"), rotator.lease("http://shop.test/"):
            raise ValueError("a mistake")
        (proxy,) = rotator.pool
        assert (proxy.total_requests, proxy.requests_active) == (0, 0)
    (record,) = [record for record in caplog.records if record.name.startswith("proxywhirl")]
    assert "Odd" in record.getMessage()
    assert "secret" not in record.getMessage(), "the class, not the text"


def test_a_namesake_of_wreq_is_not_wreqs() -> None:
    assert read(made("exceptions.ProxyConnectionError", "mine")).fault is Fault.UNKNOWN
