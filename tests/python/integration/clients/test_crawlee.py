"""crawlee's HTTP crawler over real proxies, with crawlee's own retries and sessions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from client_fleet import PAGES, PATIENCE, ClientFleet, client_fleet

from proxywhirl import AsyncProxyRotator, Proxy, ProxyPool, ProxyRotator, ResilienceConfig
from proxywhirl.testing import ProxyFleet, ProxySpec

if sys.version_info < (3, 10):
    pytest.skip("crawlee needs Python 3.10", allow_module_level=True)
pytest.importorskip("crawlee")

from crawlee import ConcurrencySettings, Request, service_locator
from crawlee.configuration import Configuration
from crawlee.crawlers import HttpCrawler
from crawlee.errors import SessionError
from crawlee.events import LocalEventManager
from crawlee.http_clients import HttpxHttpClient, ImpitHttpClient
from crawlee.storage_clients import MemoryStorageClient

from proxywhirl.integrations.crawlee import LeasedProxyInfo, ProxyWhirlConfiguration


@pytest.fixture(autouse=True)
def apart() -> None:
    """Crawlee keeps one queue for all crawlers of a process."""
    service_locator.storage_instance_manager.clear_cache()


def crawler_of(
    proxies: ProxyWhirlConfiguration, *, at_once: int = 1, client: Any = None, **options: Any
) -> HttpCrawler:
    concurrency = ConcurrencySettings(min_concurrency=at_once, max_concurrency=at_once, desired_concurrency=at_once)
    given = {**proxies.crawler_options(client), **options}
    return HttpCrawler(
        **given,
        concurrency_settings=concurrency,
        configuration=Configuration(),
        event_manager=LocalEventManager(),
        storage_client=MemoryStorageClient(),
        navigation_timeout=timedelta(seconds=PATIENCE if at_once == 1 else 3 * PATIENCE),
        configure_logging=False,
    )


async def crawl_with(crawler: HttpCrawler, handler: Callable[[Any], Any], pages: list[Any]) -> Any:
    crawler.router.default_handler(handler)
    return await crawler.run(pages)


def patient(crawl: ClientFleet) -> AsyncProxyRotator:
    """A rotator in which bad proxies rest for longer than a crawl takes on a busy machine."""
    resilience = ResilienceConfig(rest_base=600, rest_cap=600, bench_base=600, bench_cap=600)
    return AsyncProxyRotator(proxies=crawl.urls, resilience=resilience)


def collecting(crawl: ClientFleet) -> Callable[[Any], Any]:
    async def handler(context: Any) -> None:
        crawl.arrived(json.loads(await context.http_response.read()))

    return handler


@pytest.mark.parametrize("client", [None, HttpxHttpClient])
async def test_every_page(client: Any) -> None:
    with client_fleet() as crawl:
        proxies = ProxyWhirlConfiguration(patient(crawl))
        crawler = crawler_of(proxies, client=None if client is None else client())
        await crawl_with(crawler, collecting(crawl), [crawl.page(f"/whoami?{number}") for number in range(PAGES)])
        # Bans are learned: crawlee alone meets one in every tenth page.
        crawl.check(proxies.pool)


async def test_every_page_side_by_side() -> None:
    with client_fleet() as crawl:
        proxies = ProxyWhirlConfiguration(patient(crawl))
        pages = [crawl.page(f"/whoami?{number}") for number in range(PAGES)]
        await crawl_with(crawler_of(proxies, at_once=8), collecting(crawl), pages)
        crawl.check(proxies.pool, tries=8, connections=10)


async def test_a_session_stays_on_its_proxy_with_cookies_of_its_own() -> None:
    seen: dict[str, set[str]] = {}
    cookies: dict[str, list[Any]] = {}

    with ProxyFleet(4) as fleet:

        async def handler(context: Any) -> None:
            name = context.session.id
            seen.setdefault(name, set()).add(context.proxy_info.url)
            response = await context.send_request(fleet.site_url("shop.test", "/cookies"))
            cookies.setdefault(name, []).append(json.loads(await response.read())["cookies"])
            await context.send_request(fleet.site_url("shop.test", f"/cookies/set?who={name}"))

        proxies = ProxyWhirlConfiguration(fleet.urls)
        crawler = crawler_of(proxies, session_pool=proxies.session_pool(max_pool_size=2))
        pages = [fleet.site_url("shop.test", f"/whoami?{number}") for number in range(20)]
        await crawl_with(crawler, handler, pages)
        assert [len(urls) for urls in seen.values()] == [1, 1]
        for name, found in cookies.items():
            assert found == [{}, *([{"who": name}] * (len(found) - 1))]


@pytest.mark.parametrize("said", ["retire", "mark_bad", "raise"])
async def test_what_a_handler_says_of_its_session(said: str) -> None:
    handled: list[str] = []

    async def handler(context: Any) -> None:
        handled.append(json.loads(await context.http_response.read())["proxy"])
        if handled[-1] == "refused":
            if said == "raise":
                raise SessionError("a page for robots")
            getattr(context.session, said)()

    with ProxyFleet([ProxySpec(name="refused"), ProxySpec(name="a"), ProxySpec(name="b")]) as fleet:
        proxies = ProxyWhirlConfiguration(fleet.urls)
        pages = [fleet.site_url("shop.test", f"/whoami?{number}") for number in range(12)]
        await crawl_with(crawler_of(proxies), handler, pages)
        assert handled.count("refused") == 1
        by_port = {proxy.port: proxy for proxy in proxies.pool}
        refused = by_port[fleet["refused"].port]
        assert (refused.total_failures, refused.total_successes, refused.requests_active) == (0, 0, 0)
        reasons = {row.proxy.port: row.reasons for row in proxies._rotator.explain(pages[0])}
        assert reasons == {member.port: ["banned_here"] if member.name == "refused" else [] for member in fleet}


async def test_an_error_of_the_handler_blames_no_proxy() -> None:
    async def handler(context: Any) -> None:
        raise LookupError("no such field")

    with ProxyFleet(2) as fleet:
        proxies = ProxyWhirlConfiguration(fleet.urls)
        page = fleet.site_url("shop.test", "/whoami")
        await crawl_with(crawler_of(proxies, max_request_retries=1), handler, [page])
        assert [proxy.total_failures for proxy in proxies.pool] == [0, 0]
        assert sum(proxy.total_successes for proxy in proxies.pool) == 2
        assert not any(row.reasons for row in proxies._rotator.explain(page))


async def test_without_sessions_the_answers_tell() -> None:
    with client_fleet() as crawl:
        proxies = ProxyWhirlConfiguration(patient(crawl))
        crawler = crawler_of(proxies, use_session_pool=False)
        pages = [crawl.page(f"/whoami?{number}") for number in range(40)]
        await crawl_with(crawler, collecting(crawl), pages)
        # A 403 is a client's error to crawlee without sessions, and no reason to try again.
        assert len(crawl.pages) == 39
        assert all(1 <= number <= 1 for number in crawl.tries(proxies.pool).values())
        assert sum(proxy.total_successes for proxy in proxies.pool) == 39


async def test_sessions_tell_where_no_client_does() -> None:
    """As in a browser's crawler, which takes no HTTP client."""

    async def handler(context: Any) -> None:
        crawl.arrived(json.loads(await context.http_response.read()))

    with client_fleet() as crawl:
        proxies = ProxyWhirlConfiguration(patient(crawl))
        crawler = crawler_of(proxies, http_client=ImpitHttpClient())
        await crawl_with(crawler, handler, [crawl.page(f"/whoami?{number}") for number in range(40)])
        crawl.check(proxies.pool, pages=40)


async def test_tiers_follow_the_sessions_that_were_retired() -> None:
    tried: list[Any] = []
    with ProxyFleet([ProxySpec(name="cheap", ban_after=0), ProxySpec(name="dear")]) as fleet:
        source = [
            Proxy(url=fleet["cheap"].url, tags={"cheap"}),
            Proxy(url=fleet["dear"].url, tags={"dear"}),
        ]
        proxies = ProxyWhirlConfiguration(source, tiers=[{"tags": ["cheap"]}, {"tags": ["dear"]}])

        async def handler(context: Any) -> None:
            tried.append((context.proxy_info.proxy_tier, json.loads(await context.http_response.read())["proxy"]))

        await crawl_with(crawler_of(proxies), handler, [fleet.site_url("shop.test", "/whoami")])
        assert tried == [(1, "dear")]
        assert (await proxies.new_proxy_info(None, None, 0)).port == fleet["cheap"].port


async def test_what_is_shown_of_a_lease() -> None:
    async with AsyncProxyRotator(proxies=["http://user:p%40ss@10.0.0.1:80"]) as rotator:
        proxies = ProxyWhirlConfiguration(rotator)
        info = await proxies.new_proxy_info("a", Request.from_url("http://shop.test/"), None)
        assert isinstance(info, LeasedProxyInfo)
        assert (info.username, info.password, info.hostname, info.port) == ("user", "p@ss", "10.0.0.1", 80)
        assert "ss" not in repr(info)
        assert await proxies.new_url("a") == info.url
        info.settle()
    assert ProxyWhirlConfiguration(ProxyPool(name="own", proxies=[Proxy(url="http://10.0.0.1:80")])).pool
    with pytest.raises(TypeError, match="AsyncProxyRotator"):
        ProxyWhirlConfiguration(ProxyRotator(proxies=["http://10.0.0.1:80"]))
