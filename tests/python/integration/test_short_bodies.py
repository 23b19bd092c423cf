"""Bodies and wishes on the short way: one native call, and the bytes that httpx itself would have sent."""

from __future__ import annotations

import asyncio
import collections
import enum
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from scripted_site import ScriptedSite

from proxywhirl import AsyncProxyRotator, Proxy, ProxyRotator, RetryPolicy
from proxywhirl.exceptions import ProxyConnectionError, ProxyPoolEmptyError
from proxywhirl.testing import ProxyFleet, ProxySpec

URL = "http://shop.test/page"
OPEN = "http://shop.test/open"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "/page": OK,
    "/open": OK,
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /page\r\nContent-Length: 0\r\n\r\n",
    "/failed": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
}
KINDS = ("sync", "async")


class Colour(str, enum.Enum):
    RED = "red"


class Caller:
    """A rotator of either kind, used without ``await``."""

    def __init__(self, kind: str, proxies: Any, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        made: Any = ProxyRotator if kind == "sync" else AsyncProxyRotator
        self.is_sync = kind == "sync"
        self.own: Any = made(**{"proxies": proxies, "engine": "native", **options})

    def request(self, method: str, url: str, **given: Any) -> httpx.Response:
        got = self.own.request(method, url, **given)
        response: httpx.Response = got if self.is_sync else self.loop.run_until_complete(got)
        return response

    def is_short(self, method: str, url: str, **given: Any) -> bool:
        """Whether one native call has sent the request and made its response."""
        way = self.own._short
        if self.is_sync:
            return type(way.send(method, url, given)) is httpx.Response

        async def run() -> bool:
            begun = way.submit(method, url, given)
            return type(begun) is tuple and type(await begun[1]) is httpx.Response

        return self.loop.run_until_complete(run())

    def close(self) -> None:
        if self.is_sync:
            self.own.close()
        else:
            self.loop.run_until_complete(self.own.aclose())
        self.loop.close()


Make = Callable[..., Caller]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Caller] = []

    def make(proxies: Any, **options: Any) -> Caller:
        made.append(Caller(request.param, proxies, **options))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


@pytest.fixture
def site() -> Iterator[ScriptedSite]:
    with ScriptedSite(ANSWERS) as site:
        yield site


BODIES: list[dict[str, Any]] = [
    {"json": {}},
    {"json": []},
    {"json": ""},
    {"json": 0},
    {"json": False},
    {"json": {"a": [1, 2.5, None, True, {"b": []}], "ü": '☃ \U0001f600 "\\\n\u2028', "1": -0.0, "e": 1e300}},
    {"json": [Colour.RED, collections.OrderedDict(z=1, a=(2, 3))]},
    {"json": {1: 2, None: 3, False: 4, 2.5: 5}},
    {"json": {"a": 1}, "headers": {"Content-Type": "application/vnd.api+json", "X-A": "1"}},
    {"json": {"a": 1}, "headers": [("content-length", "7"), ("x-a", "1"), ("X-A", "2")]},
    {"json": None},
    {"data": {"a": "1", "b": 2, "c": True, "d": None, "e": 2.5}},
    {"data": {"list": ["x", 1, None, False], "pair": ("y", 2), "none": []}},
    {"data": {"none": []}},
    {"data": {"ü": "ä ö&=+%/☃", "space": "a b", "nan": float("nan")}},
    {"data": {}},
    {"data": {}, "json": {"a": 1}},
    {"data": {"a": "1"}, "json": {"b": 2}},
    {"data": {"a": "1"}, "headers": {"CONTENT-TYPE": "text/plain"}},
    {"content": "text ☃"},
    {"content": ""},
    {"content": b""},
    {"content": b"bytes", "json": {"a": 1}},
    {"content": "text", "data": {"a": "1"}},
    {"json": {"a": 1}, "params": {"q": ["1", "2"], "none": None, "yes": True, "ü": 1.5}},
    {"params": [("a", "1"), ("a", "2")], "timeout": 7.5},
]


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize("given", BODIES, ids=str)
def test_the_bytes_are_those_of_httpx(make: Make, site: ScriptedSite, method: str, given: dict[str, Any]) -> None:
    headers = {"User-Agent": "test", "Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive"}
    with httpx.Client(proxy=site.url, trust_env=False, headers=headers) as client:
        client.request(method, URL, **given)
    short = make([site.url], headers=headers)
    short.request("GET", OPEN)
    made = short.request(method, URL, **given).request
    assert short.is_short(method, URL, **given)
    long = make([site.url], headers=headers)
    long.request("GET", OPEN)
    long.own._short = None
    as_long = long.request(method, URL, **given).request
    other = make([site.url], headers=headers, engine="httpx")
    other.request(method, URL, **given)
    oracle, *found = [asked for asked in site.asked if b"/open" not in asked]
    assert found == [oracle] * 4
    assert made.headers.raw == as_long.headers.raw
    assert (made.content, made.extensions.get("timeout")) == (as_long.content, as_long.extensions.get("timeout"))


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@pytest.mark.parametrize("given", BODIES, ids=str)
def test_the_bytes_are_those_of_httpx2(make: Make, site: ScriptedSite, method: str, given: dict[str, Any]) -> None:
    httpx2 = pytest.importorskip("httpx2")
    headers = {"User-Agent": "test", "Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive"}
    with httpx2.Client(proxy=site.url, trust_env=False, headers=headers) as client:
        client.request(method, URL, **given)
    caller = make([site.url], headers=headers, http="httpx2")
    caller.request("GET", OPEN)
    assert type(caller.request(method, URL, **given)) is httpx2.Response
    oracle, found = [asked for asked in site.asked if b"/open" not in asked]
    assert found == oracle


@pytest.mark.parametrize("given", [{"json": float("nan")}, {"json": [float("inf")]}, {"json": object()}])
def test_what_cannot_be_encoded_is_the_error_of_httpx(make: Make, site: ScriptedSite, given: dict[str, Any]) -> None:
    def failed(call: Callable[[], object]) -> tuple[type, str]:
        with pytest.raises(Exception) as caught:
            call()
        return caught.type, str(caught.value).split(" at 0x")[0]

    caller = make([site.url])
    caller.request("GET", URL)
    expected = failed(lambda: httpx.Request("POST", URL, **given))
    found = failed(lambda: caller.request("POST", URL, **given))
    assert found == expected
    assert len(site.asked) == 1
    assert [proxy.requests_active for proxy in caller.own.pool] == [0]


def test_a_body_that_is_pulled_goes_another_way(make: Make, site: ScriptedSite) -> None:
    caller = make([site.url])
    caller.request("GET", URL)
    for given in ({"content": iter([b"a"])}, {"files": {"a": b"1"}}, {"data": collections.OrderedDict(a="1")}):
        assert not caller.is_short("POST", URL, **given)


WISHES: list[dict[str, Any]] = [
    {"country": "DE"},
    {"country": "de", "tags": ["fast"]},
    {"tags": {"fast"}},
    {"region": "EU-West"},
    {"protocol": "http"},
    {"country": None, "tags": None},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
def test_wishes_take_one_call_and_are_met(make: Make, wishes: dict[str, Any]) -> None:
    with ProxyFleet(3) as fleet:
        other, wanted, _ = proxies = [Proxy(url=url) for url in fleet.urls]
        other.country_code = "US"
        wanted.country_code, wanted.region, wanted.tags = "DE", "EU-West", {"fast"}
        caller = make(proxies)
        url = fleet.site_url("shop.test", "/whoami")
        caller.request("GET", url)
        before = wanted.total_requests
        assert caller.is_short("GET", url, **wishes)
        for _ in range(5):
            response = caller.request("GET", url, json={"a": 1}, **wishes)
            assert response.status_code == 200
        if "DE" in str(wishes).upper() or "fast" in str(wishes) or "region" in wishes:
            assert wanted.total_requests == before + 6


def test_wishes_hold_for_redirects_and_further_attempts(make: Make) -> None:
    with ScriptedSite(ANSWERS) as first, ScriptedSite(ANSWERS) as second, ScriptedSite(ANSWERS) as third:
        proxies = [Proxy(url=site.url) for site in (first, second, third)]
        for proxy in proxies[:2]:
            proxy.tags = {"fast"}
        policy = RetryPolicy(max_attempts=3, base_delay=0.001)
        caller = make(proxies, retry_policy=policy, follow_redirects=True)
        caller.request("GET", URL, tags=["fast"])
        for _ in range(4):
            response = caller.request("GET", "http://shop.test/moved", tags=["fast"])
            assert [hop.status_code for hop in (*response.history, response)] == [302, 200]
        with pytest.raises(ProxyConnectionError) as caught:
            caller.request("GET", "http://other.test/failed", tags=["fast"])
        assert caught.value.attempt_count == 3
        assert third.asked == []
        assert first.asked
        assert second.asked


def test_wishes_that_cannot_be_met_are_refused_as_ever(make: Make, site: ScriptedSite) -> None:
    caller = make([site.url])
    caller.request("GET", URL)
    with pytest.raises(ProxyPoolEmptyError):
        caller.request("GET", URL, country="FR")
    with pytest.raises(TypeError):
        caller.request("GET", URL, tags="fast")
    assert len(site.asked) == 1


COOKIE = b"HTTP/1.1 200 OK\r\nSet-Cookie: seen=1; Path=/\r\nContent-Length: 2\r\n\r\nok"


def test_sessions_take_one_call_and_keep_what_is_theirs(make: Make) -> None:
    with ScriptedSite({**ANSWERS, "/cookie": COOKIE}) as site:
        caller = make([site.url])
        caller.request("GET", URL)
        del site.asked[:]
        for session_id in ("a", "b"):
            assert caller.is_short("GET", URL, session_id=session_id)
        # What sets a cookie is kept by the layers above.
        assert not caller.is_short("GET", "http://shop.test/cookie", session_id="b")
        response = caller.request("GET", "http://shop.test/cookie", session_id="a", params={"q": "1"})
        assert response.cookies["seen"] == "1"
        del site.asked[:]
        assert caller.is_short("GET", URL, session_id="a", headers={"X-A": "1"})
        caller.request("GET", URL, session_id="a", headers={"Cookie": "own=2"})
        caller.request("GET", URL, session_id="c")
        caller.request("GET", URL)
        lines = [[line for line in asked.split(b"\r\n") if line.startswith(b"Cookie")] for asked in site.asked]
        assert lines == [[b"Cookie: seen=1"], [b"Cookie: own=2"], [], []]


def test_headers_and_connections_of_a_session_are_its_own(make: Make, site: ScriptedSite) -> None:
    def run(is_short: bool) -> tuple[list[bytes], int]:
        caller = make([site.url])
        caller.request("GET", URL)
        if not is_short:
            caller.own._short = None
        session = caller.own.session("a")
        session.headers.update({"X-Session": "s", "Accept": "text/csv"})
        before, opened = len(site.asked), len(site._open)
        for headers in (None, {"accept": "text/html", "X-More": "m"}):
            for session_id in ("a", "b", None):
                caller.request("POST", URL, session_id=session_id, headers=headers, json={"a": 1})
        return site.asked[before:], len(site._open) - opened

    assert run(True) == run(False)


def test_a_session_goes_on_after_a_failure(make: Make) -> None:
    moved = {"/gone": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "/cookie": COOKIE, "/page": OK}
    with ScriptedSite(moved) as first, ScriptedSite(moved) as second:
        caller = make([first.url, second.url], retry_policy=RetryPolicy(max_attempts=2, base_delay=0.001))
        caller.request("GET", URL)
        caller.request("GET", "http://shop.test/cookie", session_id="a")
        with pytest.raises(Exception, match=r"2 attempts|failed"):
            caller.request("GET", "http://shop.test/gone", session_id="a")
        gone = [asked for site in (first, second) for asked in site.asked if b"/gone" in asked]
        assert len(gone) == 2
        assert all(b"Cookie: seen=1\r\n" in asked for asked in gone)


def test_a_session_that_waits_for_its_proxy_has_its_cookies(make: Make) -> None:
    with ScriptedSite({**ANSWERS, "/cookie": COOKIE}) as site:
        caller = make([site.url], max_in_flight=1)
        caller.request("GET", URL)
        caller.request("GET", "http://shop.test/cookie", session_id="a")
        (proxy,) = caller.own.pool
        lease = caller.own.pool.lease(caller.own.strategy, URL, connects=True)
        assert proxy.requests_active == 1
        timer = threading.Timer(0.2, lease.release)
        timer.start()
        response = caller.request("GET", URL, session_id="a", json={"a": 1})
        timer.join()
        assert response.status_code == 200
        assert b"\r\nCookie: seen=1\r\n" in site.asked[-1]
        assert site.asked[-1].endswith(b'{"a":1}')


def test_a_deadline_takes_one_call_and_holds(make: Make) -> None:
    def failed(is_short: bool) -> str:
        with ProxyFleet([ProxySpec(name="slow", latency=60_000), ProxySpec(name="quick")]) as fleet:
            slow, quick = (Proxy(url=url) for url in fleet.urls)
            slow.tags, quick.tags = {"slow"}, {"quick"}
            caller = make([slow, quick], retry_policy=RetryPolicy(timeout=1.0))
            url = fleet.site_url("shop.test", "/whoami")
            caller.request("GET", url, tags=["quick"])
            if is_short:
                assert caller.is_short("GET", url, tags=["quick"])
            else:
                caller.own._short = None
            began = time.monotonic()
            with pytest.raises(ProxyConnectionError) as caught:
                caller.request("GET", url, tags=["slow"])
            # Far from the timeouts of its phases, and from the answer.
            assert 0.9 < time.monotonic() - began < 20
            assert caught.value.attempt_count == 1
            return str(caught.value)

    assert failed(True) == failed(False)
