"""Both sessions of curl_cffi over real proxies."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from client_fleet import PAGES, PATIENCE, client_fleet

from proxywhirl import ProxyBannedError, ProxyPool, ProxyPoolEmptyError, RetryPolicy
from proxywhirl.gateways import Gateway
from proxywhirl.testing import ProxyFleet, ProxySpec

pytest.importorskip("curl_cffi")

import curl_cffi
from curl_cffi.requests import exceptions

from proxywhirl.integrations.curl_cffi import AsyncProxyWhirlSession, ProxyWhirlSession

SECRET = "p@ss:word"
FAST = RetryPolicy(base_delay=0.01, max_backoff_delay=0.01)


class _InLoop:
    """The asynchronous session by the calls of the synchronous one, so that a test serves both."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._runner = asyncio.new_event_loop()
        self._session = self._runner.run_until_complete(self._make(*arguments, **named))

    async def _make(self, *arguments: Any, **named: Any) -> AsyncProxyWhirlSession:
        return AsyncProxyWhirlSession(*arguments, **named)

    def __enter__(self) -> _InLoop:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run_until_complete(self._session.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        if name in ("get", "post", "put", "request"):
            return lambda *arguments, **named: self._runner.run_until_complete(found(*arguments, **named))
        return found


@pytest.fixture(params=[ProxyWhirlSession, _InLoop], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def active(session: Any) -> int:
    return sum(proxy.requests_active for proxy in session.pool)


@pytest.mark.parametrize("https", [False, True])
def test_every_page(kind: Any, https: bool) -> None:
    with client_fleet() as crawl:
        with kind(crawl.urls, timeout=PATIENCE, impersonate="chrome", verify=crawl.ca_file) as session:
            for _ in range(PAGES):
                crawl.arrived(session.get(crawl.page(https=https)).json())
            crawl.check(session.pool)


def test_every_page_by_threads() -> None:
    with client_fleet() as crawl, ProxyWhirlSession(crawl.urls, timeout=3 * PATIENCE) as session:
        with ThreadPoolExecutor(8) as threads:
            for page in threads.map(lambda _: session.get(crawl.page()).json(), range(PAGES)):
                crawl.arrived(page)
        crawl.check(session.pool, tries=8, connections=8)


async def test_every_page_side_by_side() -> None:
    with client_fleet() as crawl:
        async with AsyncProxyWhirlSession(crawl.urls, timeout=3 * PATIENCE) as session:
            free = asyncio.Semaphore(8)

            async def fetch() -> None:
                async with free:
                    crawl.arrived((await session.get(crawl.page())).json())

            await asyncio.gather(*(fetch() for _ in range(PAGES)))
            crawl.check(session.pool, tries=8, connections=8)


def test_impersonation_is_kept(kind: Any) -> None:
    with ProxyFleet(2) as fleet, kind(fleet.urls, impersonate="chrome") as session:
        page = fleet.site_url("shop.test", "/echo")
        assert "Chrome/" in str(session.get(page).json()["headers"])
        assert "Firefox/" in str(session.get(page, impersonate="firefox").json()["headers"])


def test_a_status_that_is_raised_blames_no_proxy(kind: Any) -> None:
    with ProxyFleet(2) as fleet:
        page = fleet.site_url("shop.test", "/status/404")
        with kind(fleet.urls) as session:
            for _ in range(4):
                with pytest.raises(exceptions.HTTPError):
                    session.get(page).raise_for_status()
            assert [proxy.total_failures for proxy in session.pool] == [0, 0]
        with kind(fleet.urls, raise_for_status=True) as session:
            with pytest.raises(exceptions.HTTPError):
                session.get(page)
            assert [proxy.total_failures for proxy in session.pool] == [0, 0]


def test_cookies_of_sessions_are_apart_and_outlive_a_proxy(kind: Any) -> None:
    with ProxyFleet(3) as fleet, kind(fleet.urls) as session:
        page = fleet.site_url("shop.test", "/cookies")
        seen: dict[str | None, set[Any]] = {}
        for name in ("a", "b"):
            session.get(fleet.site_url("shop.test", f"/cookies/set?who={name}"), session_id=name)
        for name in ("a", "b", None):
            for _ in range(4):
                response = session.get(page, session_id=name)
                assert response.json()["cookies"] == ({} if name is None else {"who": name})
                seen.setdefault(name, set()).add(response.proxywhirl["proxy_id"])
        assert [len(seen[name]) for name in ("a", "b", None)] == [1, 1, 3]
        assert session.cookies_of("a")["who"] == "a"
        session.pool.remove_proxy(next(iter(seen["a"])))
        assert session.get(page, session_id="a").json()["cookies"] == {"who": "a"}
        session.cookies.set("mine", "1", domain="shop.test")
        assert session.get(page).json()["cookies"] == {"mine": "1"}


def test_which_connections_go_by_their_login() -> None:
    option = curl_cffi.CurlOpt.PROXY_CREDENTIAL_NO_REUSE
    session = ProxyWhirlSession(["http://10.0.0.1:80"], curl_options={curl_cffi.CurlOpt.MAXCONNECTS: 3})
    assert session._options_of((None, "http://10.0.0.1:80"))["curl_options"][option] == 1
    sticky = session._options_of(("a", "http://10.0.0.1:80"))["curl_options"]
    assert (sticky[option], sticky[curl_cffi.CurlOpt.MAXCONNECTS]) == (0, 3)


def test_a_gateway_gets_a_new_connection_after_a_ban(kind: Any) -> None:
    with ProxyFleet([ProxySpec(name="gw", ban_after={"shop.test": 3})]) as fleet:
        with kind([Gateway(fleet["gw"].url)], retry_policy=RetryPolicy(max_attempts=1)) as session:
            for _ in range(3):
                session.get(fleet.site_url("shop.test", "/whoami"))
            assert fleet["gw"].counters()["connections"] == 1
            assert session.get(fleet.site_url("shop.test", "/whoami")).status_code == 403
            assert session.get(fleet.site_url("other.test", "/whoami")).status_code == 200
            assert fleet["gw"].counters()["connections"] == 2


def test_sessions_are_bounded(kind: Any) -> None:
    with ProxyFleet(5) as fleet, kind(fleet.urls, max_sessions=2) as session:
        for _ in range(10):
            session.get(fleet.site_url("shop.test", "/whoami"))
        assert {proxy.counters()["connections"] for proxy in fleet} == {2}
        kept = session._idle if kind is ProxyWhirlSession else session._kept
        assert len(kept) <= 2


def test_a_stream_that_is_cut() -> None:
    with ProxyFleet([ProxySpec(fault="cut", cut_after=100)]) as fleet, ProxyWhirlSession(fleet.urls) as session:
        page = fleet.site_url("shop.test", "/bytes/5000")
        with pytest.raises(exceptions.RequestException), session.stream("GET", page) as response:
            list(response.iter_content())
        (proxy,) = session.pool
        assert (proxy.requests_active, proxy.total_successes, proxy.total_requests) == (0, 0, 1)


def test_a_stream_holds_its_lease() -> None:
    with ProxyFleet(1) as fleet, ProxyWhirlSession(fleet.urls) as session:
        page = fleet.site_url("shop.test", "/bytes/2000000")
        with session.stream("GET", page) as response:
            assert (active(session), response.proxywhirl["outcome"]) == (1, None)
            assert sum(map(len, response.iter_content())) == 2_000_000
        assert (active(session), response.proxywhirl["outcome"]) == (0, "success")
        with session.stream("GET", fleet.site_url("shop.test", "/status/404")) as response:
            assert response.status_code == 404
        with pytest.raises(ZeroDivisionError), session.stream("GET", page):
            raise ZeroDivisionError
        assert active(session) == 0
        assert [proxy.total_successes for proxy in session.pool] == [2]


async def test_an_asynchronous_stream_holds_its_lease() -> None:
    with ProxyFleet([ProxySpec(name="cut", fault="cut", cut_after=100)]) as cutting, ProxyFleet(1) as fleet:
        page = fleet.site_url("shop.test", "/bytes/200000")
        async with AsyncProxyWhirlSession(fleet.urls) as session:
            async with session.stream("GET", page) as response:
                assert active(session) == 1
                assert len(b"".join([chunk async for chunk in response.aiter_content()])) == 200_000
            assert (active(session), response.proxywhirl["outcome"]) == (0, "success")
        async with AsyncProxyWhirlSession(cutting.urls) as session:
            response = await session.get(cutting.site_url("shop.test", "/bytes/5000"), stream=True)
            with pytest.raises(exceptions.RequestException):
                async for _ in response.aiter_content():
                    pass
            await response.aclose()
            assert active(session) == 0
            assert [proxy.total_successes for proxy in session.pool] == [0]


def test_a_body_that_is_cut_is_asked_for_again(kind: Any) -> None:
    with ProxyFleet([ProxySpec(name="cut", fault="cut", cut_after=100), ProxySpec(name="good")]) as fleet:
        with kind(fleet.urls, retry_policy=FAST) as session:
            for _ in range(4):
                assert len(session.get(fleet.site_url("shop.test", "/bytes/5000")).content) == 5000


@pytest.mark.parametrize("body", [{"data": b"bytes"}, {"json": {"a": 1}}, {"data": {"a": "b"}}, "file", "iterator"])
def test_bodies_that_can_be_sent_again(kind: Any, body: Any) -> None:
    given = {"file": {"content": io.BytesIO(b"bytes")}, "iterator": {"content": iter([b"some ", b"bytes"])}}.get(
        body if isinstance(body, str) else "", body
    )
    with ProxyFleet([ProxySpec.dead(), ProxySpec(name="good")]) as fleet, kind(fleet.urls) as session:
        response = session.post(fleet.site_url("shop.test", "/echo"), **given)
        assert response.proxywhirl["attempts"] == 2
        assert len(response.json()["body"]) >= 3


def test_a_body_that_is_gone_is_not_sent_again(kind: Any) -> None:
    taken: list[int] = []

    def chunks() -> Iterator[bytes]:
        taken.append(1)
        yield b"some bytes"

    with ProxyFleet([ProxySpec(name="bad", fault="403"), ProxySpec(name="good")]) as fleet:
        with kind(fleet.urls, retry_policy=FAST) as session:
            assert session.put(fleet.site_url("shop.test", "/echo"), content=chunks()).status_code == 403
            assert (taken, active(session)) == ([1], 0)
            assert fleet["good"].counters()["connections"] == 0


def test_errors_are_the_clients_own_and_tell_no_login(kind: Any) -> None:
    once = RetryPolicy(max_attempts=1)
    cases: list[tuple[ProxySpec, bool, type[BaseException]]] = [
        (ProxySpec.dead(auth=("user", SECRET)), True, exceptions.RequestException),
        (ProxySpec.hanging(auth=("user", SECRET)), False, exceptions.Timeout),
        (ProxySpec(fault="502", auth=("user", SECRET)), True, exceptions.RequestException),
        (ProxySpec(fault="reset", auth=("user", SECRET)), False, exceptions.RequestException),
        (ProxySpec.dead(scheme="socks5", auth=("user", SECRET)), False, exceptions.RequestException),
    ]
    for spec, https, expected in cases:
        with ProxyFleet([spec]) as fleet, kind(fleet.urls, retry_policy=once, timeout=0.5) as session:
            with pytest.raises(expected) as caught:
                session.get(fleet.site_url("shop.test", "/", https=https))
            error: BaseException | None = caught.value
            while error is not None:
                assert SECRET not in f"{error} {error!r} {vars(error)}"
                error = error.__cause__ or error.__context__
            assert active(session) == 0


def test_where_there_is_no_error_of_the_client(kind: Any) -> None:
    with ProxyFleet([ProxySpec(ban_after=0)]) as fleet:
        page = fleet.site_url("shop.test", "/")
        with kind(fleet.urls, raise_on_ban=True) as session, pytest.raises(ProxyBannedError):
            session.get(page)
        with kind(ProxyPool(name="empty"), retry_policy=RetryPolicy(timeout=0.2)) as session:
            with pytest.raises(ProxyPoolEmptyError):
                session.get(page)


async def test_cancellation_settles_the_lease() -> None:
    with ProxyFleet([ProxySpec.hanging()]) as fleet:
        async with AsyncProxyWhirlSession(fleet.urls) as session:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.get(fleet.site_url("shop.test", "/")), 0.3)
            (proxy,) = session.pool
            assert (proxy.requests_active, proxy.total_failures, proxy.total_requests) == (0, 0, 0)


def test_close_closes_what_other_threads_opened() -> None:
    with ProxyFleet(2) as fleet:
        session = ProxyWhirlSession(fleet.urls)
        thread = threading.Thread(target=session.get, args=[fleet.site_url("shop.test", "/whoami")])
        thread.start()
        thread.join()
        (opened,) = session._idle
        session.close()
        with pytest.raises(exceptions.SessionClosed):
            opened.get("http://shop.test/")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_fork_leaves_the_connections_to_its_parent() -> None:
    with ProxyFleet(1) as fleet, ProxyWhirlSession(fleet.urls) as session:
        page = fleet.site_url("shop.test", "/whoami")
        session.get(page)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if session.get(page).status_code == 200 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        session.get(page)
        assert fleet.proxies[0].counters()["connections"] == 2


def test_what_is_the_rotations_to_say() -> None:
    for option in ({"proxy": "http://10.0.0.1:80"}, {"trust_env": True}, {"proxies": {}}):
        with pytest.raises(TypeError, match="rotation"):
            ProxyWhirlSession(["http://10.0.0.1:80"], **option)
