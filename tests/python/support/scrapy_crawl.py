"""A crawl of its own process: reads what to do as JSON from its first argument, prints what came of it as JSON.

Keys: ``settings``; ``requests`` (arguments of ``scrapy.Request``, a number is put into ``cb_kwargs``); ``module`` (a
settings module, in the place of ``settings``); ``hooks`` (a text whose pages the spider calls a ban); ``lose`` (whether a
middleware loses the first answers on their way).
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.settings import Settings

from proxywhirl.integrations.scrapy._middleware import middlewares

TASK: dict[str, Any] = json.loads(sys.argv[1])
FOUND: dict[str, Any] = {"pages": [], "errors": [], "reason": None, "stats": {}, "proxies": []}


class Crawl(scrapy.Spider):
    """Asks for what the task names."""

    name = "crawl"

    async def start(self) -> Any:
        """The requests, since 2.13."""
        for request in self.start_requests_of_task():
            yield request

    def start_requests_of_task(self) -> Any:
        for number, arguments in enumerate(TASK["requests"]):
            given = {"dont_filter": True, **arguments}
            yield scrapy.Request(cb_kwargs={"number": number}, callback=self.parse, errback=self.failed, **given)

    if tuple(int(part) for part in scrapy.__version__.split(".")[:2]) < (2, 13):
        start_requests = start_requests_of_task

    def parse(self, response: Any, number: int) -> None:
        json.dumps({key: value for key, value in response.meta.items() if key.startswith("_proxywhirl")})
        FOUND["pages"].append(
            {
                "number": number,
                "status": response.status,
                "body": response.text,
                "proxy": response.meta.get("proxy"),
                "slot": response.meta.get("download_slot"),
                "tried": response.meta.get("proxy_retry_times", 0),
            }
        )

    def failed(self, failure: Any) -> None:
        FOUND["errors"].append({"kind": failure.type.__name__, "text": str(failure.value)})

    def closed(self, reason: str) -> None:
        FOUND["reason"] = reason
        middleware = middlewares.get(self.crawler)
        self.pool = [] if middleware is None else middleware.pool


if TASK.get("hooks"):

    def response_is_ban(self: Any, request: Any, response: Any) -> bool | None:
        return TASK["hooks"] in response.text or None

    Crawl.response_is_ban = response_is_ban  # type: ignore[attr-defined]


class Losing:
    """Replaces answers by requests above the middleware, which never sees them come back."""

    lost = 0

    def process_response(self, request: Any, response: Any, spider: Any = None) -> Any:
        if Losing.lost < 5 and not request.meta.get("lost"):
            Losing.lost += 1
            again = request.replace(dont_filter=True)
            again.meta["lost"] = True
            return again
        return response


class Policy:
    """A policy as projects have them."""

    def response_is_ban(self, request: Any, response: Any) -> bool | None:
        return b"captcha" in response.body or None

    def exception_is_ban(self, request: Any, exception: BaseException) -> bool | None:
        return None


def main() -> None:
    settings = Settings()
    settings.setmodule("scrapy.settings.default_settings", priority="default")
    if TASK.get("module"):
        settings.setmodule(importlib.import_module(TASK["module"]))
    settings.setdict({"TELNETCONSOLE_ENABLED": False, **TASK.get("settings", {})})
    if TASK.get("lose"):
        settings.set("DOWNLOADER_MIDDLEWARES", {Losing: 650})
    process = CrawlerProcess(settings)
    crawler = process.create_crawler(Crawl)
    process.crawl(crawler)
    process.start()
    FOUND["stats"] = {key: value for key, value in crawler.stats.get_stats().items() if isinstance(value, (int, str))}
    for proxy in getattr(crawler.spider, "pool", []):
        names = ("host", "port", "total_requests", "total_successes", "total_failures", "requests_active")
        FOUND["proxies"].append({name: getattr(proxy, name) for name in names})
    json.dump(FOUND, sys.stdout)


if __name__ == "__main__":
    sys.modules["scrapy_crawl"] = sys.modules["__main__"]
    main()
