"""Rotators under the mocks of httpx that people use: pytest-httpx, respx and vcrpy, with both engines."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, ProxyConnectionError, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

INSTALLED = importlib.util.find_spec("pytest_httpx") is not None
needs_pytest_httpx = pytest.mark.skipif(not INSTALLED, reason="pytest-httpx is not installed")
PAGE = "http://shop.test/page"
# Nothing listens there.
PROXIES = ["http://127.0.0.1:9", "http://user:secret@127.0.0.1:19"]


def of_mock(**options: Any) -> Any:
    """Settings of the mock; without the plug-in there is no such mark."""
    return pytest.mark.httpx_mock(**options) if INSTALLED else lambda test: test


@pytest.fixture(params=[ProxyRotator, AsyncProxyRotator])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


class Maker:
    def __init__(self, kind: type[Any], engine: str) -> None:
        self._kind, self._engine = kind, engine
        self._loop = asyncio.new_event_loop()
        self._made: list[Any] = []

    def rotator(self, proxies: Any = PROXIES, **options: Any) -> Any:
        options.setdefault("retry_policy", RetryPolicy(max_attempts=2, base_delay=0.01))
        self._made.append(self._kind(proxies=proxies, engine=self._engine, **options))
        return self._made[-1]

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work) if isinstance(work, Coroutine) else work

    def stream(self, rotator: Any, url: str) -> bytes:
        opened = rotator.stream("GET", url)
        if hasattr(opened, "__enter__"):
            with opened as response:
                return b"".join(response.iter_bytes())

        async def read() -> bytes:
            async with opened as response:
                return b"".join([part async for part in response.aiter_bytes()])

        return bytes(self.run(read()))

    def close(self) -> None:
        for one in self._made:
            self.run(one.close())
        self._loop.close()


@pytest.fixture(params=["native", "httpx"])
def make(request: pytest.FixtureRequest, kind: type[Any]) -> Iterator[Maker]:
    made = Maker(kind, request.param)
    yield made
    made.close()


@needs_pytest_httpx
def test_pytest_httpx_answers(make: Maker, httpx_mock: Any) -> None:
    httpx_mock.add_response(url=PAGE, json={"a": 1}, headers={"X-A": "b"})
    httpx_mock.add_response(url=PAGE, status_code=302, headers={"Location": "/other"})
    httpx_mock.add_response(url="http://shop.test/other", text="other")
    httpx_mock.add_response(url=PAGE, content=b"streamed")
    rotator = make.rotator(headers={"X-Own": "1"})
    first = make.run(rotator.get(PAGE))
    assert (first.json(), first.headers["x-a"]) == ({"a": 1}, "b")
    assert first.extensions["proxywhirl"]["attempts"] == 1
    assert make.run(rotator.get(PAGE)).text == "other"
    assert make.stream(rotator, PAGE) == b"streamed"
    requests = httpx_mock.get_requests()
    assert [request.url.path for request in requests] == ["/page", "/page", "/other", "/page"]
    assert {request.headers["x-own"] for request in requests} == {"1"}
    assert sum(proxy.total_successes for proxy in rotator.pool.proxies) == 4


@needs_pytest_httpx
def test_pytest_httpx_sees_the_proxy_that_was_chosen(make: Maker, httpx_mock: Any) -> None:
    for proxy in PROXIES:
        httpx_mock.add_response(url=PAGE, text=proxy, proxy_url=f"{proxy}/")
    rotator = make.rotator()
    assert sorted(make.run(rotator.get(PAGE)).text for _ in PROXIES) == sorted(PROXIES)


@needs_pytest_httpx
@pytest.mark.parametrize("proxies", [PROXIES, ["socks5://127.0.0.1:9", "socks4://127.0.0.1:19"]])
def test_pytest_httpx_fails_and_the_next_proxy_is_tried(make: Maker, httpx_mock: Any, proxies: list[str]) -> None:
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    httpx_mock.add_response(url=PAGE, text="page")
    response = make.run(make.rotator(proxies).get(PAGE))
    assert (response.text, response.extensions["proxywhirl"]["attempts"]) == ("page", 2)


@needs_pytest_httpx
@of_mock(assert_all_requests_were_expected=False)
def test_what_pytest_httpx_has_no_answer_for(make: Maker, httpx_mock: Any) -> None:
    with pytest.raises(ProxyConnectionError) as caught:
        make.run(make.rotator().get(PAGE))
    assert "No response can be found" in str(caught.value.__cause__)


@needs_pytest_httpx
@of_mock(should_mock=lambda request: request.url.host != "real.test")
def test_what_pytest_httpx_lets_pass_goes_through_the_proxy(make: Maker, httpx_mock: Any) -> None:
    httpx_mock.add_response(url=PAGE, text="mocked")
    with ProxyFleet(1) as fleet:
        rotator = make.rotator(fleet.urls, verify=fleet.ca_file())
        assert make.run(rotator.get(PAGE)).text == "mocked"
        for https in (False, True):
            answer = make.run(rotator.get(fleet.site_url("real.test", "/whoami", https=https))).json()
            assert answer["site"] == "real.test"


@needs_pytest_httpx
@of_mock(should_mock=lambda request: False)
def test_what_is_let_pass_never_goes_without_its_proxy(make: Maker, httpx_mock: Any) -> None:
    with ProxyFleet(1) as fleet, pytest.raises(httpx.UnsupportedProtocol, match="HTTP and SOCKS5"):
        make.run(make.rotator(["socks4://127.0.0.1:9"]).get(f"http://127.0.0.1:{fleet.origin.http_address[1]}/"))


@pytest.mark.parametrize("url", [PAGE, "https://shop.test/page"])
@pytest.mark.parametrize("proxy", ["http://user:secret@127.0.0.1:9", "socks5://127.0.0.1:9", "socks4://127.0.0.1:9"])
def test_respx_answers(make: Maker, url: str, proxy: str) -> None:
    respx = pytest.importorskip("respx")
    rotator = make.rotator([proxy])
    with respx.mock() as router:
        route = router.get(url).respond(200, text="page")
        assert make.run(rotator.get(url)).text == "page"
        assert make.stream(rotator, url) == b"page"
        assert route.call_count == 2


LOGIN = ("us@er", "p:w/%")


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_vcrpy_records_and_plays_back(make: Maker, tmp_path: Any, https: bool, scheme: str) -> None:
    vcr = pytest.importorskip("vcr")
    cassette = str(tmp_path / "pages.yaml")
    with ProxyFleet([ProxySpec(scheme=scheme, auth=LOGIN)]) as fleet:
        page = fleet.site_url("shop.test", "/whoami", https=https)
        moved = fleet.site_url("shop.test", "/redirect/1", https=https)
        rotator = make.rotator(fleet.urls, verify=fleet.ca_file())
        with vcr.use_cassette(cassette) as recording:
            recorded = make.run(rotator.get(page))
            after = make.run(rotator.get(moved))
            assert len(make.stream(rotator, fleet.site_url("shop.test", "/bytes/5000", https=https))) == 5000
            assert len(recording) == 4
        assert recorded.json()["site"] == "shop.test"
        counted = fleet.origin.counters()["requests"]
        assert counted == 4
        # Nothing is replaced any more.
        make.run(rotator.get(page))
        assert fleet.origin.counters()["requests"] == counted + 1
    text = (tmp_path / "pages.yaml").read_text()
    assert not any(secret in text for secret in ("p:w/%", "p%3Aw", "us@er", "us%40er", "Proxy-Authorization"))
    other = make.rotator(PROXIES)
    with vcr.use_cassette(cassette, record_mode="none"):
        again = make.run(other.get(page))
        assert (again.json(), again.status_code) == (recorded.json(), 200)
        assert again.extensions["proxywhirl"]["attempts"] == 1
        assert make.run(other.get(moved)).text == after.text
    assert sum(proxy.total_successes for proxy in other.pool.proxies) >= 2


def test_what_vcrpy_has_not_recorded(make: Maker, tmp_path: Any) -> None:
    errors = pytest.importorskip("vcr.errors")
    import vcr

    rotator = make.rotator()
    with vcr.use_cassette(str(tmp_path / "empty.yaml"), record_mode="none"):
        # As under httpx: no answer, and no fault of a proxy.
        with pytest.raises(errors.CannotOverwriteExistingCassetteException):
            make.run(rotator.get(PAGE))
    assert all((proxy.total_failures, proxy.requests_active) == (0, 0) for proxy in rotator.pool)


def test_vcrpy_that_was_there_first() -> None:
    # It wraps the methods before proxywhirl has seen them.
    pytest.importorskip("vcr")
    code = """
import tempfile, httpx, vcr
from proxywhirl.testing import ProxyFleet, ProxySpec
with ProxyFleet(1) as fleet, tempfile.TemporaryDirectory() as folder:
    with vcr.use_cassette(folder + "/page.yaml") as cassette:
        from proxywhirl import ProxyRotator
        with ProxyRotator(proxies=fleet.urls) as rotator:
            rotator.get(fleet.site_url("shop.test", "/whoami"))
        print(len(cassette))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "1"
