"""Twenty pages by crawlee's HTTP crawler: three proxies are no good, and every page arrives."""

import asyncio
import json
import logging
from collections import Counter
from datetime import timedelta

from crawlee.crawlers import HttpCrawler, HttpCrawlingContext
from crawlee.storage_clients import MemoryStorageClient

from proxywhirl.integrations.crawlee import ProxyWhirlConfiguration
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [ProxySpec.dead(), ProxySpec.hanging(), ProxySpec(ban_after=0), ProxySpec(name="a"), ProxySpec(name="b")]


async def main() -> None:
    seen: Counter[str] = Counter()
    with ProxyFleet(SPECS) as fleet:
        proxies = ProxyWhirlConfiguration(fleet.urls)
        crawler = HttpCrawler(
            **proxies.crawler_options(),
            navigation_timeout=timedelta(seconds=2),
            storage_client=MemoryStorageClient(),
            configure_logging=False,
        )

        @crawler.router.default_handler
        async def handle(context: HttpCrawlingContext) -> None:
            seen[json.loads(await context.http_response.read())["proxy"]] += 1

        await crawler.run([fleet.site_url("shop.test", f"/whoami?page={number}") for number in range(20)])
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))
        await proxies.aclose()


logging.disable(logging.ERROR)
asyncio.run(main())
