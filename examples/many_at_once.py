"""A thousand pages with asyncio, through fast and slow proxies: the faster a proxy, the more it gets."""

import asyncio
import time

from proxywhirl import AsyncProxyRotator, PerformanceBasedStrategy
from proxywhirl.testing import ProxyFleet, ProxySpec

PAGES, AT_ONCE = 1000, 10


async def main() -> None:
    fleet = ProxyFleet([ProxySpec.fast(name=f"fast-{i}") for i in range(4)] + [ProxySpec.slow(name="slow")])
    async with fleet, AsyncProxyRotator(proxies=fleet.urls, strategy=PerformanceBasedStrategy(alpha=0.2)) as rotator:
        gate = asyncio.Semaphore(AT_ONCE)

        async def fetch(number: int) -> int:
            async with gate:
                response = await rotator.get(fleet.site_url("news.test", f"/bytes/{number % 100}"))
                return response.status_code

        began = time.perf_counter()
        codes = await asyncio.gather(*(fetch(number) for number in range(PAGES)))
        print(f"{codes.count(200)} of {PAGES} pages in {time.perf_counter() - began:.1f} s")
        for proxy, member in zip(rotator.pool, fleet):
            print(f"{member.name}: {proxy.total_successes:4} pages, {proxy.ema_response_time_ms or 0:5.1f} ms")


asyncio.run(main())
