"""A Scrapy project with the add-on: proxies fail, refuse and hang, and every page arrives."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.http import TextResponse

from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [ProxySpec.dead(), ProxySpec.hanging(), ProxySpec(ban_after=0), ProxySpec(name="a"), ProxySpec(name="b")]
seen: Counter[str] = Counter()


class Pages(scrapy.Spider):
    name = "pages"

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    async def start(self) -> AsyncIterator[scrapy.Request]:
        for number in range(20):
            yield scrapy.Request(f"{self.url}?page={number}")
        # One proxy, and cookies of its own, for all requests of a session.
        for _ in range(5):
            yield scrapy.Request(self.url, meta={"proxywhirl": {"session_id": "basket"}}, dont_filter=True)

    def parse(self, response: TextResponse) -> None:
        seen[response.json()["proxy"]] += 1


with ProxyFleet(SPECS) as fleet:
    process = CrawlerProcess(
        {
            "ADDONS": {"proxywhirl.scrapy.Addon": 500},
            "PROXYWHIRL_PROXIES": fleet.urls,
            "DOWNLOAD_TIMEOUT": 1,
            "LOG_LEVEL": "ERROR",
        }
    )
    process.crawl(Pages, url=fleet.site_url("shop.test", "/whoami"))
    process.start()
print(sum(seen.values()), "of 25 pages, through", ", ".join(sorted(seen)))
