"""What a request's head must not say: both engines refuse it, or set it right, as httpx does."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from scripted_site import ScriptedSite

from proxywhirl import AsyncProxyRotator, ProxyRotator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
SETS = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: kept=1\r\n\r\npage"
PAGE = "http://site.test/page"

pytestmark = pytest.mark.parametrize("engine", ["native", "httpx"])


@pytest.fixture(scope="module")
def site() -> Iterator[ScriptedSite]:
    with ScriptedSite({"/page": OK, "/sets": SETS}) as made:
        yield made


@pytest.fixture
def rotator(site: ScriptedSite, engine: str) -> Iterator[ProxyRotator]:
    site.asked.clear()
    with ProxyRotator(proxies=[site.url], engine=engine) as made:
        yield made


@pytest.mark.parametrize(
    "value", [" a", "a ", "\ta", "a\t", "  ", "a\x0bb", "a\x0cb", "a\x00b", "a\r\nX-B: b", "a\n b"]
)
def test_values_that_another_reader_would_change(site: ScriptedSite, rotator: ProxyRotator, value: str) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="Illegal header value"):
        rotator.get(PAGE, headers={"X-A": value})
    assert site.asked == []


@pytest.mark.parametrize("value", ["", "a", "a b", "a \t b", "\x1b", "\x7f", "\xfc"])
def test_values_that_stay_as_they_are(site: ScriptedSite, rotator: ProxyRotator, value: str) -> None:
    rotator.get(PAGE, headers={"X-A": value.encode("latin-1")})
    assert b"\r\nX-A: " + value.encode("latin-1") + b"\r\n" in site.asked[0]


def test_several_hosts(site: ScriptedSite, rotator: ProxyRotator) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="multiple Host"):
        rotator.get(PAGE, headers=[("Host", "a.test"), ("host", "b.test")])
    assert site.asked == []


def test_a_length_that_is_said_twice_is_sent_once(site: ScriptedSite, rotator: ProxyRotator) -> None:
    rotator.post(PAGE, content=b"abc", headers=[("Content-Length", "3"), ("content-length", "3"), ("X-A", "1")])
    assert site.asked[0].lower().count(b"content-length: 3\r\n") == 1
    assert site.asked[0].endswith(b"X-A: 1\r\n\r\nabc")
    with pytest.raises(httpx.LocalProtocolError):
        rotator.post(PAGE, content=b"abc", headers=[("Content-Length", "3"), ("Content-Length", "4")])
    assert len(site.asked) == 1


@pytest.mark.filterwarnings("ignore:Setting per-request cookies")
def test_cookies_have_one_case_wherever_they_come_from(site: ScriptedSite, rotator: ProxyRotator) -> None:
    with rotator.session() as session:
        session.get("http://site.test/sets")
        session.get(PAGE)
        session.get(PAGE, cookies={"own": "2"})
    cookies = [line for asked in site.asked for line in asked.split(b"\r\n") if line.lower().startswith(b"cookie")]
    assert cookies == [b"Cookie: kept=1", b"Cookie: kept=1; own=2"]


PORTS = [-1, 65_536, 2**31, 2**64, 10**30]


@pytest.mark.parametrize("port", PORTS)
def test_ports_that_are_none(rotator: ProxyRotator, engine: str, port: int) -> None:
    # httpx leaves it to the proxy to say that there is no such port.
    url = f"http://site.test:{port}/page"
    if engine == "httpx":
        assert rotator.get(url).status_code == 200
        return
    with pytest.raises(httpx.LocalProtocolError, match="there is no port"):
        rotator.get(url)
    assert rotator.get(PAGE).status_code == 200


@pytest.mark.parametrize("port", PORTS)
async def test_ports_that_are_none_async(site: ScriptedSite, engine: str, port: int) -> None:
    async with AsyncProxyRotator(proxies=[site.url], engine=engine) as rotator:
        url = f"http://site.test:{port}/page"
        if engine == "httpx":
            assert (await rotator.get(url)).status_code == 200
        else:
            with pytest.raises(httpx.LocalProtocolError, match="there is no port"):
                await rotator.get(url)
        assert (await rotator.get(PAGE)).status_code == 200
