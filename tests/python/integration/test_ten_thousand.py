"""SC-008 at the level of rotators: ten thousand requests over real proxies, and the books balance."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from proxywhirl import AsyncProxyRotator, ProxyPool, ProxyRotator
from proxywhirl.testing import ProxyFleet

REQUESTS = 10_000

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet(10, seed=8) as fleet:
        yield fleet


def check_books(pool: ProxyPool, fleet: ProxyFleet) -> None:
    proxies = pool.get_all_proxies()
    assert sum(proxy.total_successes for proxy in proxies) == REQUESTS
    assert sum(proxy.requests_completed for proxy in proxies) == REQUESTS
    assert [proxy.requests_active for proxy in proxies] == [0] * len(proxies)
    # What the proxies themselves have counted is what the pool says of them, and turns were taken evenly.
    seen = {proxy.port: proxy.counters()["requests"] for proxy in fleet.proxies}
    assert {proxy.port: proxy.total_successes for proxy in proxies} == seen
    assert max(seen.values()) - min(seen.values()) <= 1


def test_by_threads(fleet: ProxyFleet) -> None:
    url = fleet.http_url("/bytes/10")
    workers, failures = 50, []
    with ProxyRotator(proxies=fleet.urls) as rotator:

        def work() -> None:
            for _ in range(REQUESTS // workers):
                response = rotator.get(url)
                if response.status_code != 200:
                    failures.append(response.status_code)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        check_books(rotator.pool, fleet)


async def test_by_tasks(fleet: ProxyFleet) -> None:
    url = fleet.http_url("/bytes/10")
    at_once = asyncio.Semaphore(64)
    async with AsyncProxyRotator(proxies=fleet.urls) as rotator:

        async def one() -> int:
            async with at_once:
                return int((await rotator.get(url)).status_code)

        statuses = await asyncio.gather(*(one() for _ in range(REQUESTS)))
        assert statuses.count(200) == REQUESTS
        check_books(rotator.pool, fleet)
