"""``rotator.attempts()`` around real clients, over a fleet in which half of the proxies fail."""

from __future__ import annotations

import asyncio

import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

# Clients leave sockets to the garbage collector when they raise.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PAGES = 200
SPECS = [
    *(ProxySpec.dead() for _ in range(3)),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    *(ProxySpec(name=f"good-{number}") for number in range(5)),
]


def test_every_page_by_requests() -> None:
    import requests

    with ProxyFleet(SPECS) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        page = fleet.site_url("shop.test", "/whoami")

        def fetch(url: str) -> requests.Response:
            response = requests.Response()
            for attempt in rotator.attempts(url):
                with attempt:
                    response = requests.get(url, proxies=attempt.requests_proxies, timeout=1.0)
                    attempt.report(response)
            return response

        assert [fetch(page).status_code for _ in range(PAGES)] == [200] * PAGES
        assert all(proxy.requests_active == 0 for proxy in rotator.pool.get_all_proxies())
        assert sum(proxy.total_successes for proxy in rotator.pool.get_all_proxies()) == PAGES


def test_every_page_by_aiohttp() -> None:
    import aiohttp

    async def main() -> None:
        with ProxyFleet(SPECS) as fleet:
            page = fleet.site_url("shop.test", "/whoami")
            limit = aiohttp.ClientTimeout(total=1.0)
            async with AsyncProxyRotator(proxies=fleet.urls) as rotator, aiohttp.ClientSession(timeout=limit) as client:
                free = asyncio.Semaphore(10)

                async def fetch(url: str) -> int:
                    status = 0
                    async with free:
                        async for attempt in rotator.attempts(url):
                            async with attempt, client.get(url, proxy=attempt.url) as response:
                                await response.read()
                                status = response.status
                                attempt.report(response)
                    return status

                assert await asyncio.gather(*(fetch(page) for _ in range(PAGES))) == [200] * PAGES
                assert all(proxy.requests_active == 0 for proxy in rotator.pool.get_all_proxies())

    asyncio.run(main())
