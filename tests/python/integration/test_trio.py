"""`AsyncProxyRotator` under trio, where the packages of httpx carry the requests."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, AsyncRotatingTransport, ProxyConnectionError, RateLimiter, RetryPolicy
from proxywhirl._httpx import engine
from proxywhirl.testing import ProxyFleet, ProxySpec

trio = pytest.importorskip("trio")

SCHEMES = ("http", "https", "socks4", "socks5")


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(30):
            return await work()

    return trio.run(main)


@pytest.fixture(autouse=True)
def default_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_ENGINE", raising=False)
    monkeypatch.setattr(engine, "_told", set())


def test_requests_streams_and_sessions(caplog: pytest.LogCaptureFixture) -> None:
    specs = [*(ProxySpec(scheme=name) for name in SCHEMES), ProxySpec.dead()]

    async def work() -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, verify=False) as rotator:
            for secure in (False, True):
                url = fleet.site_url("shop.test", "/whoami", https=secure)
                pages = [(await rotator.get(url)).json() for _ in range(8)]
                assert {page["proxy"] for page in pages} == {"proxy-0", "proxy-1", "proxy-2", "proxy-3"}
            async with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/5000")) as response:
                assert sum([len(part) async for part in response.aiter_bytes()]) == 5000
            async with rotator.session("basket") as session:
                pages = [(await session.get(url)).json() for _ in range(4)]
                assert len({page["proxy"] for page in pages}) == 1
            assert all(proxy.requests_active == 0 for proxy in rotator.pool)

    with ProxyFleet(specs) as fleet, caplog.at_level(logging.INFO, logger="proxywhirl.rotation"):
        run(work)
    assert caplog.text.count("no event loop of asyncio runs") == 1


def test_waiting_for_a_place_and_between_attempts() -> None:
    async def work() -> None:
        url = fleet.site_url("shop.test", "/whoami")
        async with AsyncProxyRotator(proxies=fleet.urls[:1], max_in_flight=1) as rotator:
            async with trio.open_nursery() as nursery:
                for _ in range(12):
                    nursery.start_soon(rotator.get, url)
            assert [proxy.total_successes for proxy in rotator.pool] == [12]
        policy = RetryPolicy(max_attempts=3, base_delay=0.05)
        async with AsyncProxyRotator(proxies=fleet.urls[1:], retry_policy=policy) as rotator:
            with pytest.raises(ProxyConnectionError, match="failed after 3 attempts"):
                await rotator.get(url)
        limiter = RateLimiter(requests_per_second=20)
        async with AsyncProxyRotator(proxies=fleet.urls[:1], rate_limiter=limiter) as rotator:
            assert [(await rotator.get(url)).status_code for _ in range(4)] == [200] * 4

    with ProxyFleet([ProxySpec(), ProxySpec(fault="reset")]) as fleet:
        run(work)


def test_cancelling_gives_back_the_place() -> None:
    async def work() -> None:
        async with AsyncProxyRotator(proxies=fleet.urls) as rotator:
            for seconds in (0.0, 0.001, 0.01, 0.1):
                with trio.move_on_after(seconds) as scope:
                    await rotator.get(fleet.site_url("shop.test", "/whoami"))
                assert scope.cancelled_caught
                assert [proxy.requests_active for proxy in rotator.pool] == [0]

    with ProxyFleet([ProxySpec(fault="hang")]) as fleet:
        run(work)


def test_lists_and_saving(tmp_path: Path) -> None:
    place = tmp_path / "pool.json"

    async def work() -> None:
        url = fleet.site_url("shop.test", "/whoami")
        listed = tmp_path / "list.txt"
        listed.write_text(fleet.urls[0])
        options: dict[str, Any] = {"auto_fetch_sources": [listed], "allow_local": True}
        async with AsyncProxyRotator(storage_backend="file", storage_path=place, **options) as rotator:
            assert (await rotator.get(url)).status_code == 200
            assert len(await rotator.refresh_proxies()) == 1
            await rotator.save()
        async with AsyncProxyRotator(storage_backend="file", storage_path=place) as rotator:
            assert (await rotator.get(url)).status_code == 200
            assert [proxy.total_successes for proxy in rotator.pool] == [2]

    with ProxyFleet(1) as fleet:
        run(work)


def test_a_users_own_client() -> None:
    async def work() -> None:
        async with httpx.AsyncClient(transport=AsyncRotatingTransport(fleet.urls, engine="native")) as client:
            for _ in range(2):
                assert (await client.get(fleet.site_url("shop.test", "/whoami"))).json()["site"] == "shop.test"

    with ProxyFleet(1) as fleet:
        run(work)
