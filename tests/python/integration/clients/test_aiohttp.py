"""``ProxyWhirlSession`` of aiohttp over real proxies."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_fleet import LOGIN, PAGES, PATIENCE, client_fleet

from proxywhirl import (
    AsyncProxyRotator,
    BanPolicy,
    Proxy,
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
)
from proxywhirl.testing import ProxyFleet, ProxySpec

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("aiohttp_socks")

from proxywhirl.integrations.aiohttp import ProxyWhirlSession  # noqa: E402

LIMIT = aiohttp.ClientTimeout(total=PATIENCE)
SECRET = "p@ss:word"
FAST = RetryPolicy(base_delay=0.01, max_backoff_delay=0.01)


def active(session: ProxyWhirlSession) -> int:
    return sum(proxy.requests_active for proxy in session.pool)


@pytest.mark.parametrize("https", [False, True])
async def test_every_page(https: bool) -> None:
    with client_fleet() as crawl:
        async with ProxyWhirlSession(crawl.urls, timeout=LIMIT) as session:
            context = crawl.fleet.ssl_context()
            for _ in range(PAGES):
                async with session.get(crawl.page(https=https), ssl=context) as response:
                    crawl.arrived(await response.json())
            crawl.check(session.pool)


async def test_every_page_side_by_side() -> None:
    with client_fleet() as crawl:
        async with ProxyWhirlSession(crawl.urls, timeout=aiohttp.ClientTimeout(total=3 * PATIENCE)) as session:
            free = asyncio.Semaphore(10)

            async def fetch() -> None:
                async with free:
                    response = await session.get(crawl.page())
                    crawl.arrived(await response.json())

            await asyncio.gather(*(fetch() for _ in range(PAGES)))
            crawl.check(session.pool, tries=10, connections=10)


@pytest.mark.parametrize("kind", ["rotator", "pool", "other rotator", "file"])
async def test_whatever_it_is_given(kind: str, tmp_path: Any) -> None:
    with ProxyFleet(2) as fleet:
        page = fleet.site_url("shop.test", "/whoami")
        source: Any = AsyncProxyRotator(proxies=fleet.urls)
        if kind == "pool":
            source = ProxyPool(name="own", proxies=[Proxy(url=url) for url in fleet.urls])
        elif kind == "other rotator":
            source = ProxyRotator(proxies=fleet.urls)
        elif kind == "file":
            source = tmp_path / "proxies.txt"
            source.write_text("\n".join(fleet.urls))
        async with ProxyWhirlSession(source) as session:
            for _ in range(2):
                assert (await (await session.get(page)).json())["site"] == "shop.test"
            assert sorted(proxy.total_successes for proxy in session.pool) == [1, 1]


async def test_the_lease_ends_with_the_response() -> None:
    with ProxyFleet(1) as fleet:
        page = fleet.site_url("shop.test", "/bytes/2000000")
        async with ProxyWhirlSession(fleet.urls) as session:
            async with session.get(page) as response:
                assert active(session) == 1
                assert response.proxywhirl["outcome"] is None
            assert (active(session), response.proxywhirl["outcome"]) == (0, "success")
            response = await session.get(page)
            assert active(session) == 1
            assert len(await response.read()) == 2_000_000
            assert active(session) == 0
            response = await session.get(page)
            async for _ in response.content.iter_chunked(65536):
                pass
            response.release()
            assert active(session) == 0
            assert session.pool.get_all_proxies()[0].total_successes == 3


async def test_a_response_that_is_read_in_pieces_and_never_closed() -> None:
    with ProxyFleet(1) as fleet:
        async with ProxyWhirlSession(fleet.urls) as session:
            response = await session.get(fleet.site_url("shop.test", "/bytes/2000"))
            async for _ in response.content.iter_chunked(100):
                pass
            assert active(session) == 1
            del response
            gc.collect()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            (proxy,) = session.pool
            assert (proxy.requests_active, proxy.total_successes) == (0, 1)
            assert [entry.users for entry in session._kept._entries.values()] == [0]


async def test_cancellation_settles_the_lease() -> None:
    with ProxyFleet([ProxySpec.hanging()]) as fleet:
        async with ProxyWhirlSession(fleet.urls) as session:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(_awaited(session.get(fleet.site_url("shop.test", "/"))), 0.3)
            (proxy,) = session.pool
            assert (proxy.requests_active, proxy.total_failures, proxy.total_requests) == (0, 0, 0)


async def test_cookies_of_sessions_are_apart_and_outlive_a_proxy() -> None:
    with ProxyFleet(3) as fleet:
        async with ProxyWhirlSession(fleet.urls) as session:
            seen: dict[str | None, set[str]] = {}
            for name in ("a", "b"):
                await (
                    await session.get(fleet.site_url("shop.test", f"/cookies/set?who={name}"), session_id=name)
                ).read()
            for name in ("a", "b", None):
                for _ in range(4):
                    response = await session.get(fleet.site_url("shop.test", "/cookies"), session_id=name)
                    cookies = (await response.json()).get("cookies")
                    assert cookies == ({} if name is None else {"who": name})
                    seen.setdefault(name, set()).add(str(response.proxywhirl["proxy_id"]))
            assert [len(seen[name]) for name in ("a", "b", None)] == [1, 1, 3]
            assert [cookie.value for cookie in session.cookies_of("a")] == ["a"]
            used = next(iter(seen["a"]))
            session.pool.remove_proxy(next(proxy for proxy in session.pool if str(proxy.id) == used).id)
            response = await session.get(fleet.site_url("shop.test", "/cookies"), session_id="a")
            assert (await response.json())["cookies"] == {"who": "a"}


async def test_a_body_that_is_cut_is_asked_for_again_where_bodies_are_read() -> None:
    with ProxyFleet([ProxySpec(name="cut", fault="cut", cut_after=100), ProxySpec(name="good")]) as fleet:
        page = fleet.site_url("shop.test", "/bytes/5000")
        async with ProxyWhirlSession(fleet.urls, read_bodies=True, retry_policy=FAST) as session:
            for _ in range(4):
                assert len(await (await session.get(page)).read()) == 5000
        async with ProxyWhirlSession([fleet["cut"].url]) as session:
            with pytest.raises(aiohttp.ClientPayloadError):
                await (await session.get(page)).read()
            assert active(session) == 0
            async with session.get(page) as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    async for _ in response.content.iter_chunked(10):
                        pass
            (proxy,) = session.pool
            assert (proxy.total_successes, proxy.requests_active) == (0, 0)


async def test_bodies_that_can_be_sent_again() -> None:
    form = aiohttp.FormData()
    form.add_field("a", "b")
    bodies: list[dict[str, Any]] = [
        {"data": b"bytes"},
        {"json": {"a": 1}},
        {"data": {"a": "b"}},
        {"data": form},
        {"data": io.BytesIO(b"bytes")},
        {"data": _chunks()},
    ]
    for body in bodies:
        with ProxyFleet([ProxySpec.dead(), ProxySpec(name="good")]) as fleet:
            async with ProxyWhirlSession(fleet.urls, retry_policy=FAST) as session:
                # Round-robin begins with the dead one; nothing of a POST has been sent.
                async with session.post(fleet.site_url("shop.test", "/echo"), **body) as response:
                    assert response.proxywhirl["attempts"] == 2, body
                    assert len((await response.json())["body"]) >= 3


@pytest.mark.parametrize("fault", ["reset", "403"])
async def test_a_body_that_is_gone_is_not_sent_again(fault: str) -> None:
    taken: list[int] = []
    with ProxyFleet([ProxySpec(name="bad", fail_rate=1.0, fail_with=fault), ProxySpec(name="good")]) as fleet:
        async with ProxyWhirlSession(fleet.urls, retry_policy=FAST) as session:
            request = session.put(fleet.site_url("shop.test", "/echo"), data=_chunks(taken))
            if fault == "403":
                async with request as response:
                    assert response.status == 403
            else:
                with pytest.raises(aiohttp.ClientError):
                    await request
            assert taken == [1]
            assert active(session) == 0
            assert fleet["good"].counters()["connections"] == 0


async def _awaited(request: Any) -> Any:
    return await request


async def _chunks(taken: list[int] | None = None) -> AsyncIterator[bytes]:
    if taken is not None:
        taken.append(1)
    yield b"some bytes"


async def test_errors_are_the_clients_own_and_tell_no_login() -> None:
    login = ("user", SECRET)
    cases: list[tuple[ProxySpec, bool, type[BaseException]]] = [
        (ProxySpec.dead(auth=login), False, aiohttp.ClientProxyConnectionError),
        (ProxySpec.dead(auth=login), True, aiohttp.ClientProxyConnectionError),
        (ProxySpec.hanging(auth=login), False, asyncio.TimeoutError),
        (ProxySpec(fault="502", auth=login), True, aiohttp.ClientHttpProxyError),
        (ProxySpec(fault="407", auth=login), True, aiohttp.ClientHttpProxyError),
        (ProxySpec(fault="407", auth=login), False, ProxyAuthenticationError),
        (ProxySpec(fault="reset", auth=login), False, aiohttp.ClientConnectionError),
    ]
    for spec, https, kind in cases:
        with ProxyFleet([spec]) as fleet:
            once = RetryPolicy(max_attempts=1)
            limit = aiohttp.ClientTimeout(total=0.5)
            async with ProxyWhirlSession(fleet.urls, retry_policy=once, timeout=limit) as session:
                context = fleet.ssl_context()
                with pytest.raises(kind) as caught:
                    await session.get(fleet.site_url("shop.test", "/", https=https), ssl=context)
                error: BaseException | None = caught.value
                while error is not None:
                    for text in (str(error), repr(error), repr(vars(error))):
                        assert SECRET not in text
                        assert "dXNlcj" not in text, "base64"
                    error = error.__cause__ or error.__context__
                assert active(session) == 0


async def test_where_there_is_no_error_of_the_client() -> None:
    with ProxyFleet([ProxySpec(ban_after={"shop.test": 0})]) as fleet:
        page = fleet.site_url("shop.test", "/")
        async with ProxyWhirlSession(fleet.urls, raise_on_ban=True) as session:
            with pytest.raises(ProxyBannedError):
                await session.get(page)
        pool = ProxyPool(name="empty")
        async with ProxyWhirlSession(pool, retry_policy=RetryPolicy(timeout=0.2)) as session:
            with pytest.raises(ProxyPoolEmptyError):
                await session.get(page)
        async with ProxyWhirlSession(fleet.urls, raise_for_status=True) as session:
            with pytest.raises(aiohttp.ClientResponseError) as caught:
                await session.get(page)
            assert caught.value.status == 403
            async with session.get(fleet.site_url("other.test", "/status/404"), raise_for_status=False) as response:
                assert response.status == 404


async def test_a_ban_in_the_text_of_a_page() -> None:
    bans = BanPolicy(body=["captcha"])
    with ProxyFleet(2) as fleet:
        page = fleet.site_url("shop.test", "/captcha")
        async with ProxyWhirlSession(fleet.urls, ban_policy=bans, read_bodies=True, retry_policy=FAST) as session:
            response = await session.get(page)
            assert response.proxywhirl["attempts"] == 2
            assert response.proxywhirl["outcome"] == "banned"


async def test_redirects_stay_on_the_proxy() -> None:
    with ProxyFleet([ProxySpec(auth=("user", SECRET)), ProxySpec(auth=("user", SECRET))]) as fleet:
        async with ProxyWhirlSession(fleet.urls) as session:
            async with session.get(fleet.site_url("shop.test", "/redirect/3")) as response:
                assert (response.status, len(response.history)) == (200, 3)
                for one in (response, *response.history):
                    assert "Proxy-Authorization" not in one.request_info.headers
            assert sorted(proxy.total_requests for proxy in session.pool) == [0, 1]


async def test_connections_are_bounded() -> None:
    with ProxyFleet(5) as fleet:
        async with ProxyWhirlSession(fleet.urls, max_connectors=2) as session:
            for _ in range(10):
                await (await session.get(fleet.site_url("shop.test", "/whoami"))).read()
                assert len(session._kept) <= 2
            await asyncio.gather(*session._closing)
            assert {proxy.counters()["connections"] for proxy in fleet} == {2}


async def test_a_rotating_gateway_gets_a_new_connection_after_a_ban() -> None:
    from proxywhirl.gateways import Gateway

    with ProxyFleet([ProxySpec(name="gw", ban_after=3, ban_for=0.05)]) as fleet:
        gateway = Gateway(fleet["gw"].url)
        async with ProxyWhirlSession([gateway], retry_policy=FAST, read_bodies=True) as session:
            for _ in range(3):
                await session.get(fleet.site_url("shop.test", "/whoami"))
            assert fleet["gw"].counters()["connections"] == 1
            await session.get(fleet.site_url("shop.test", "/whoami"))
            await session.get(fleet.site_url("other.test", "/whoami"))
        assert fleet["gw"].counters()["connections"] >= 3


async def test_without_aiohttp_socks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp_socks", None)
    monkeypatch.setattr("proxywhirl.integrations.aiohttp.find_spec", lambda name: None)
    with ProxyFleet([ProxySpec(scheme="socks5"), ProxySpec(name="good")]) as fleet, caplog.at_level(logging.WARNING):
        page = fleet.site_url("shop.test", "/whoami")
        async with ProxyWhirlSession(fleet.urls) as session:
            for _ in range(3):
                assert (await (await session.get(page)).json())["proxy"] == "good"
            assert [record.getMessage() for record in caplog.records if "aiohttp-socks" in record.getMessage()] == [
                "SOCKS proxies are left out: aiohttp speaks none by itself, pip install aiohttp-socks"
            ]
            with pytest.raises(ImportError, match="aiohttp-socks"):
                await session.get(page, protocol="socks5")
            assert active(session) == 0


async def test_logs_of_aiohttp_tell_no_login(caplog: pytest.LogCaptureFixture) -> None:
    with ProxyFleet([ProxySpec(auth=LOGIN)]) as fleet:
        async with ProxyWhirlSession(fleet.urls):
            auth = "BasicAuth(login='user', password='p@ss:word', encoding='latin1')"
            logging.getLogger("aiohttp.client").warning("trouble with %s", f"http://user:{SECRET}@10.0.0.1:80")
            logging.getLogger("asyncio").error("Unclosed connection proxy_auth=%s", auth)
            logging.getLogger("aiohttp.client").warning("sent Proxy-Authorization: Basic dXNlcjpwQHNz")
    assert len(caplog.records) == 3
    assert not any(secret in caplog.text for secret in ("p@ss", "dXNlcjpwQHNz", SECRET)), caplog.text


def test_what_is_the_rotations_to_say() -> None:
    for option in ({"proxy": "http://10.0.0.1:80"}, {"trust_env": True}, {"connector": None}):
        with pytest.raises(TypeError, match="rotation"):
            ProxyWhirlSession(["http://10.0.0.1:80"], **option)
