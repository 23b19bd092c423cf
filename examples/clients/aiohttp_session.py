"""Twenty pages by aiohttp: three proxies are no good, one wants a login, one speaks SOCKS5, and every page arrives."""

import asyncio
from collections import Counter

import aiohttp

from proxywhirl.integrations.aiohttp import ProxyWhirlSession
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    ProxySpec(name="login", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="socks", scheme="socks5"),
]


async def main() -> None:
    with ProxyFleet(SPECS) as fleet:
        page = fleet.site_url("shop.test", "/whoami")
        seen: Counter[str] = Counter()
        async with ProxyWhirlSession(fleet.urls, timeout=aiohttp.ClientTimeout(total=1)) as session:
            for _ in range(20):
                async with session.get(page) as response:
                    seen[(await response.json())["proxy"]] += 1
            print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))

            # One proxy, and cookies of its own, for all requests of a session.
            async with session.get(fleet.site_url("shop.test", "/cookies/set?basket=7"), session_id="customer-7"):
                pass
            for name in ("customer-7", "customer-8"):
                async with session.get(fleet.site_url("shop.test", "/cookies"), session_id=name) as response:
                    print(name, "has", (await response.json())["cookies"])


asyncio.run(main())
