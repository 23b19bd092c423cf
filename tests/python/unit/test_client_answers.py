"""What is read off the responses of clients, without reading from the network or awaiting."""

from __future__ import annotations

import http
import io
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxywhirl import BanPolicy, Outcome, ProxyRotator
from proxywhirl._core import ReportJudge
from proxywhirl._httpx.clients import answer_of

PAGE = "http://shop.test/"


class Streamed:
    """A response whose body and more are properties that would read from the network."""

    status_code = 403
    headers = {"Retry-After": "5"}

    @property
    def content(self) -> bytes:
        raise AssertionError("the stream was read")

    text = body = _content = _body = content


class Slotted:
    """A response of plain slots."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.body = b"captcha"


class Awaited:
    """A response of a client that awaits everything but the status, as Playwright's does."""

    status = 429

    def __init__(self) -> None:
        self.headers = {"retry-after": "8"}

    async def body(self) -> bytes:
        return b""

    async def text(self) -> str:
        return ""


class Twisted:
    """A response of Twisted's: a code, and headers with a way of their own."""

    code = 429

    class headers:  # noqa: N801
        @staticmethod
        def getAllRawHeaders() -> Any:
            return iter([(b"Retry-After", [b"9"]), (b"Set-Cookie", [b"a=1", b"b=2"])])


class Wreq:
    """A response of wreq's: an object for the status, and headers that are not quite a mapping."""

    status = SimpleNamespace(as_int=lambda: 429)

    class headers:  # noqa: N801
        @staticmethod
        def keys() -> list[bytes]:
            return [b"retry-after"]

        @staticmethod
        def get_all(name: bytes) -> list[bytes]:
            return [b"3"]


class Lazy:
    """A response of a multiplexed niquests session, which waits for the answer when its status is asked for."""

    def __init__(self) -> None:
        self.__dict__["status_code"] = None
        self.headers = {}

    def __getattribute__(self, name: str) -> Any:
        if name == "status_code":
            raise AssertionError("it was waited for")
        return super().__getattribute__(name)


def message(**fields: str) -> HTTPMessage:
    found = HTTPMessage()
    for name, value in fields.items():
        found[name.replace("_", "-")] = value
    return found


@pytest.mark.parametrize(
    ("response", "status", "body"),
    [
        (httpx.Response(403, text="captcha"), 403, b"captcha"),
        (httpx.Response(200, stream=httpx.ByteStream(b"unread")), 200, None),
        (SimpleNamespace(status_code=200, headers=None, content=b"plain"), 200, b"plain"),
        (SimpleNamespace(status=404, headers={}, _body=None), 404, None),
        (SimpleNamespace(code=503, headers=[("Retry-After", "1")]), 503, None),
        (SimpleNamespace(status_code=http.HTTPStatus.FORBIDDEN, headers={}), 403, None),
        (SimpleNamespace(status=200, _headers={b"A": [b"1"]}, _body=b"scrapy"), 200, b"scrapy"),
        (SimpleNamespace(status=200, text="words", body="words"), 200, "words"),
        (SimpleNamespace(status_code=None, status=None, code=429), 429, None),
        (Streamed(), 403, None),
        (Slotted(200), 200, b"captcha"),
        (Awaited(), 429, None),
        (Twisted(), 429, None),
        (Wreq(), 429, None),
    ],
)
def test_status_and_body(response: Any, status: int, body: Any) -> None:
    found = answer_of(response)
    assert found is not None
    assert (found.status, found.body) == (status, body)


@pytest.mark.parametrize(
    "thing",
    [
        object(),
        SimpleNamespace(status="ok"),
        SimpleNamespace(status_code=True),
        SimpleNamespace(code=7),
        SimpleNamespace(status_code=0),
        Lazy(),
        "403",
        b"403",
        [403],
        {"status_code": 403},
        4.03,
    ],
)
def test_what_is_no_response(thing: Any) -> None:
    assert answer_of(thing) is None
    with ProxyRotator(proxies=["http://10.0.0.1:80"]) as rotator:
        lease = rotator.lease(PAGE)
        with pytest.raises(TypeError, match="a status or an error"):
            lease.report(thing)
        assert not lease.closed, "the lease is not lost"
        lease.release()


@pytest.mark.parametrize("status", [-1, 1000, 10**30])
def test_a_number_that_is_no_status(status: int) -> None:
    with pytest.raises(ValueError, match="no HTTP status"):
        ReportJudge()(PAGE, status)


@pytest.mark.parametrize(
    ("response", "hold"),
    [
        (SimpleNamespace(status_code=429, headers={"Retry-After": "4"}), 4.0),
        (SimpleNamespace(status=429, headers=message(Retry_After="6")), 6.0),
        (SimpleNamespace(status=429, headers={b"Retry-After": [b"2"]}), 2.0),
        (SimpleNamespace(status=429, headers=httpx.Headers({"retry-after": "11"})), 11.0),
        (Awaited(), 8.0),
        (Twisted(), 9.0),
        (Wreq(), 3.0),
        (SimpleNamespace(status=429, headers=io.BytesIO()), None),
        (SimpleNamespace(status=429), None),
    ],
)
def test_how_long_a_site_asks_to_be_left_alone(response: Any, hold: float | None) -> None:
    assert ReportJudge()(PAGE, response) == (Outcome.RATE_LIMITED, hold, 429)


def test_what_is_given_goes_before_what_the_response_has() -> None:
    response = SimpleNamespace(status_code=429, headers={"Retry-After": "4"})
    assert ReportJudge()(PAGE, response, {"Retry-After": "40"}).hold == 40.0
    policy = BanPolicy(body=["captcha"])
    with ProxyRotator(proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"], ban_policy=policy) as rotator:
        assert rotator.lease(PAGE).report(Slotted(200)) is Outcome.BANNED
        assert rotator.lease("http://b.test/").report(Slotted(200), body=b"welcome") is Outcome.SUCCESS
        assert rotator.lease("http://c.test/").report(Streamed()) is Outcome.BANNED
        assert rotator.lease("http://d.test/").report(httpx.Response(200, text="a CAPTCHA")) is Outcome.BANNED


def test_an_error_in_either_place() -> None:
    with ProxyRotator(proxies=["http://10.0.0.1:80"]) as rotator:
        for report in ({"status": ConnectionRefusedError(111, "no")}, {"error": ConnectionRefusedError(111, "no")}):
            assert rotator.lease(PAGE).report(**report) is Outcome.PROXY_DOWN  # type: ignore[arg-type]
            (proxy,) = rotator.pool
            assert "ConnectionRefusedError" in str(proxy.metadata["last_errors"][-1])
            proxy.metadata["last_errors"].clear()
            proxy.record_success(1.0)


def test_the_rules_see_the_body_of_an_answer_that_was_raised() -> None:
    request = httpx.Request("GET", PAGE)
    response = httpx.Response(404, text="Access denied", request=request)
    with ProxyRotator(
        proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"], ban_policy=BanPolicy(body=["access denied"])
    ) as rotator:
        lease = rotator.lease(PAGE)
        with pytest.raises(httpx.HTTPStatusError), lease:
            response.raise_for_status()
        assert [row.reasons for row in rotator.explain(PAGE) if row.proxy.id == lease.id] == [["banned_here"]]
