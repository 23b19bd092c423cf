"""Parts of the integration with Scrapy that need no crawl: settings, hooks, handlers, browser contexts."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("scrapy", reason="Scrapy is not installed")

import scrapy
from scrapy.exceptions import NotConfigured
from scrapy.http import TextResponse
from scrapy.settings import BaseSettings, Settings
from scrapy.utils.test import get_crawler

import proxywhirl.scrapy as module
from proxywhirl import ProxyRotator
from proxywhirl.integrations.scrapy import _figures, _handlers, _middleware, _options, _playwright
from proxywhirl.integrations.scrapy._bans import HookRule, hooked

PROXIES = ["http://us%40er:p%3Aw@10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"]
URL = "http://shop.test/page"


class Spider(scrapy.Spider):
    name = "unit"


def crawler_of(**settings: Any) -> Any:
    crawler = get_crawler(Spider, {"TELNETCONSOLE_ENABLED": False, **settings})
    crawler.spider = Spider.from_crawler(crawler)
    crawler.crawling = True
    crawler.engine = SimpleNamespace(_slot=SimpleNamespace(closing=None))
    return crawler


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    _middleware.middlewares.clear()


async def middleware_of(**settings: Any) -> Any:
    return module.RotatingProxyMiddleware.from_crawler(crawler_of(PROXYWHIRL_PROXIES=PROXIES, **settings))


def answer(status: int = 200, body: bytes = b"page") -> TextResponse:
    return TextResponse(URL, status=status, body=body)


def active(middleware: Any) -> int:
    return sum(proxy.requests_active for proxy in middleware.pool)


@pytest.mark.parametrize("spider", [(), (None,), (object(),)], ids=["no spider", "None", "a spider"])
async def test_with_and_without_a_spider(spider: tuple[Any, ...]) -> None:
    middleware = await middleware_of()
    request = scrapy.Request(URL)
    assert await middleware.process_request(request, *spider) is None
    assert request.meta["proxy"] == "http://us%40er:p%3Aw@10.0.0.1:8080"
    assert request.meta["download_slot"].endswith("@shop.test")
    assert json.dumps(request.meta)
    assert active(middleware) == 1
    page = answer()
    assert await middleware.process_response(request, page, *spider) is page
    assert active(middleware) == 0

    retry = scrapy.Request(URL)
    await middleware.process_request(retry, *spider)
    again = await middleware.process_exception(retry, ConnectionRefusedError(111, "refused"), *spider)
    assert isinstance(again, scrapy.Request)
    assert not {"proxy", "download_slot", _middleware.LEASE, "_ban", "retry_times"} & set(again.meta)
    assert again.meta["proxy_retry_times"] == 1
    await middleware.process_request(again, *spider)
    assert again.meta["proxy"] != retry.meta["proxy"]
    assert await middleware.process_response(again, page, *spider) is page


async def test_an_exception_of_a_middleware_is_no_word_about_the_proxy() -> None:
    middleware = await middleware_of()
    for error in (scrapy.exceptions.IgnoreRequest("robots"), KeyError("a mistake")):
        request = scrapy.Request(URL)
        await middleware.process_request(request)
        assert await middleware.process_exception(request, error) is None
    assert [proxy.total_requests for proxy in middleware.pool] == [0, 0, 0]


async def test_an_answer_of_the_cache_is_no_word_about_the_proxy() -> None:
    middleware = await middleware_of()
    request = scrapy.Request(URL)
    await middleware.process_request(request)
    page = answer().replace(flags=["cached"])
    assert await middleware.process_response(request, page) is page
    assert [proxy.total_requests for proxy in middleware.pool] == [0, 0, 0]


async def test_a_request_that_is_lost_gives_its_proxy_back() -> None:
    middleware = await middleware_of()
    request = scrapy.Request(URL)
    await middleware.process_request(request)
    assert active(middleware) == 1
    del request
    gc.collect()
    assert active(middleware) == 0


async def test_leases_end_with_the_spider() -> None:
    middleware = await middleware_of()
    request = scrapy.Request(URL)
    await middleware.process_request(request)
    await middleware._spider_closed()
    assert active(middleware) == 0


async def test_copies_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_middleware, "_MOST_WAITING", 3)
    middleware = await middleware_of()
    for number in range(5):
        request = scrapy.Request(f"http://site-{number}.test/")
        await middleware.process_request(request)
        assert isinstance(await middleware.process_response(request, answer(403)), scrapy.Request)
    assert len(middleware._waiting) == 3
    assert active(middleware) == 0
    # A copy whose loop is forgotten, or that comes from another process, begins anew.
    stranger = scrapy.Request("http://other.test/", meta={"_proxywhirl_request": "0" * 32})
    assert await middleware.process_request(stranger) is None
    assert stranger.meta["proxy"]


async def test_slots_of_the_project_stay() -> None:
    middleware = await middleware_of(PROXYWHIRL_DOWNLOAD_SLOTS=False)
    request = scrapy.Request(URL, meta={"download_slot": "mine"})
    await middleware.process_request(request)
    again = await middleware.process_response(request, answer(403))
    assert (request.meta["download_slot"], again.meta["download_slot"]) == ("mine", "mine")


async def test_wishes_of_a_request() -> None:
    middleware = await middleware_of()
    seen = set()
    for _ in range(4):
        request = scrapy.Request(URL, meta={"proxywhirl": {"session_id": "a"}})
        await middleware.process_request(request)
        seen.add(request.meta["proxy"])
        assert request.meta["cookiejar"] == "a"
        await middleware.process_response(request, answer())
    assert len(seen) == 1
    with pytest.raises(TypeError, match="must be a mapping"):
        await middleware.process_request(scrapy.Request(URL, meta={"proxywhirl": "DE"}))
    for url in ("data:,page", "file:///tmp/page"):
        request = scrapy.Request(url)
        assert await middleware.process_request(request) is None
        assert "proxy" not in request.meta


async def test_a_browser_context_for_each_identity() -> None:
    middleware = await middleware_of()
    names = []
    for session in (None, "a", "a", "b"):
        meta: dict[str, Any] = {"playwright": True, "playwright_context_kwargs": {"locale": "de"}}
        if session is not None:
            meta["proxywhirl"] = {"session_id": session}
        request = scrapy.Request(URL, meta=meta)
        await middleware.process_request(request)
        names.append(request.meta["playwright_context"])
        assert request.meta["playwright_context_kwargs"]["locale"] == "de"
        assert request.meta["playwright_context_kwargs"]["proxy"]["server"].startswith("http://10.0.0.")
        assert request.meta["proxy"] is None
        await middleware.process_response(request, answer())
    assert names[1] == names[2]
    assert len(set(names)) == 3
    first = scrapy.Request(URL, meta={"playwright": True})
    await middleware.process_request(first)
    again = await middleware.process_response(first, answer(403))
    assert isinstance(again, scrapy.Request)
    assert "playwright_context" not in again.meta
    assert again.meta["playwright_context_kwargs"] == {}


def test_browsers_are_not_given_what_they_cannot_log_in_to() -> None:
    for urls, spoken in (
        (["socks5://10.0.0.1:1080"], ("http", "https", "socks5")),
        (["socks5://u:p@10.0.0.1:1080"], ("http", "https")),
    ):
        with ProxyRotator(proxies=urls) as rotator:
            assert _playwright.protocols(rotator.pool) == spoken


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "no proxies are set"),
        ({"PROXYWHIRL_ENABLED": False, "PROXYWHIRL_PROXIES": PROXIES}, "PROXYWHIRL_ENABLED is off"),
        ({"PROXYWHIRL_PROXIES": ["# none"]}, "names no proxy"),
        ({"PROXYWHIRL_PROXIES": ["socks5://10.0.0.1:1"]}, "no download handler"),
    ],
)
async def test_what_is_not_configured(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotConfigured, match=reason):
        module.RotatingProxyMiddleware.from_crawler(crawler_of(**settings))


def test_settings_of_either_name(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# ours\n10.0.0.1:8080\n10.0.0.2:8080:user:p:w\nuser:pw@10.0.0.3:8080\n")
    options = _options.read_options(
        crawler_of(
            ROTATING_PROXY_LIST=["10.9.9.9:1"],
            ROTATING_PROXY_LIST_PATH=str(listed),
            ROTATING_PROXY_PAGE_RETRY_TIMES=2,
            ROTATING_PROXY_CLOSE_SPIDER="True",
            ROTATING_PROXY_LOGSTATS_INTERVAL=7,
            ROTATING_PROXY_BACKOFF_BASE=10,
            ROTATING_PROXY_BACKOFF_CAP=20,
        ),
        in_loop=False,
    )
    with options.own as rotator:
        assert sorted(proxy.host for proxy in rotator.pool) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert (options.retry_policy.max_attempts, options.closes_spider, options.interval) == (3, True, 7.0)
    own = _options.read_options(
        crawler_of(
            PROXYWHIRL_PROXIES=PROXIES,
            ROTATING_PROXY_PAGE_RETRY_TIMES=2,
            PROXYWHIRL_PAGE_RETRY_TIMES=30,
            PROXYWHIRL_STRATEGY="random",
            PROXYWHIRL_OPTIONS={"max_in_flight": 2},
            PROXYWHIRL_BAN_POLICY={"statuses": [418]},
        ),
        in_loop=False,
    )
    with own.own as rotator:
        assert type(rotator.strategy).__name__ == "RandomStrategy"
        assert own.retry_policy.max_attempts == 10
        assert own.ban_policy.statuses == {418}


@pytest.mark.parametrize("in_loop", [True, False])
def test_a_rotator_of_the_project(monkeypatch: pytest.MonkeyPatch, in_loop: bool) -> None:
    with ProxyRotator(proxies=PROXIES) as rotator:
        for named in (rotator, lambda: rotator, rotator.pool):
            monkeypatch.setattr(_options, "load_object", {"project.made": named}.__getitem__)
            found = _options.read_options(crawler_of(PROXYWHIRL_ROTATOR="project.made"), in_loop=in_loop)
            assert (found.own, found.lender.pool) == (None, rotator.pool)


def test_the_add_on_takes_the_place_of_scrapy_rotating_proxies() -> None:
    theirs = "rotating_proxies.middlewares."
    settings = Settings({"PROXYWHIRL_PROXIES": PROXIES})
    settings.set(
        "DOWNLOADER_MIDDLEWARES",
        {f"{theirs}RotatingProxyMiddleware": 615, f"{theirs}BanDetectionMiddleware": 625, "project.Own": 3},
        priority="project",
    )
    module.Addon().update_settings(settings)
    here = "proxywhirl.integrations.scrapy."
    assert dict(settings["DOWNLOADER_MIDDLEWARES"]) == {
        "project.Own": 3,
        f"{here}RotatingProxyMiddleware": 615,
        f"{here}BanDetectionMiddleware": 625,
    }
    assert settings["HTTPPROXY_AUTH_ENCODING"] == "utf-8"
    # What the project says stays.
    mine = Settings({"PROXYWHIRL_PROXIES": PROXIES, "HTTPPROXY_AUTH_ENCODING": "latin-1"})
    mine.set("DOWNLOADER_MIDDLEWARES", {module.RotatingProxyMiddleware: 700}, priority="spider")
    module.Addon().update_settings(mine)
    assert mine["HTTPPROXY_AUTH_ENCODING"] == "latin-1"
    assert dict(mine["DOWNLOADER_MIDDLEWARES"]) == {
        module.RotatingProxyMiddleware: 700,
        f"{here}BanDetectionMiddleware": 620,
    }


def test_the_add_on_wraps_handlers() -> None:
    settings = Settings({"PROXYWHIRL_PROXIES": PROXIES, "PROXYWHIRL_LATE": True})
    settings.set("DOWNLOAD_HANDLERS", {"https": "project.Handler"}, priority="project")
    module.Addon().update_settings(settings)
    late = "proxywhirl.integrations.scrapy.LateHandler"
    assert dict(settings["DOWNLOAD_HANDLERS"]) == {"http": late, "https": late}
    assert settings.getdict("PROXYWHIRL_HANDLERS")["https"] == "project.Handler"
    assert _handlers.Abilities(settings).of("http").protocols == ("http", "https")


def test_what_handlers_can_do(caplog: pytest.LogCaptureFixture) -> None:
    package = "scrapy.core.downloader.handlers."
    for path, spoken in (
        (f"{package}http11.HTTP11DownloadHandler", ("http",)),
        (f"{package}_httpx.HttpxDownloadHandler", ("http", "https", "socks5")),
        ("scrapy_impersonate.ImpersonateDownloadHandler", None),
        ("scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler", ("http",)),
        ("project.Handler", None),
    ):
        settings = BaseSettings({"DOWNLOAD_HANDLERS": {"https": path}, "DOWNLOAD_HANDLERS_BASE": {}})
        assert _handlers.Abilities(settings).of("https").protocols == spoken
    with caplog.at_level(logging.WARNING):
        _handlers.Abilities(
            BaseSettings(
                {"DOWNLOAD_HANDLERS": {"https": f"{package}http2.H2DownloadHandler"}, "DOWNLOAD_HANDLERS_BASE": {}}
            )
        )
    assert "takes no proxies" in caplog.text


def test_hooks_of_the_spider_go_before_those_of_the_policy() -> None:
    crawler = crawler_of(
        PROXYWHIRL_PROXIES=PROXIES, ROTATING_PROXY_BAN_POLICY="rotating_proxies.policy.BanDetectionPolicy"
    )
    middleware = module.BanDetectionMiddleware.from_crawler(crawler)
    request = scrapy.Request(URL)
    for page, said in ((answer(), False), (answer(404), True), (answer(body=b""), True)):
        assert middleware.process_response(request, page) is page
        assert request.meta["_ban"] is said
    middleware.process_exception(request, TimeoutError())
    assert request.meta["_ban"] is True
    crawler.spider.response_is_ban = lambda request, response: None
    middleware.process_response(request, answer(404), crawler.spider)
    assert request.meta["_ban"] is None
    with pytest.raises(NotConfigured):
        module.BanDetectionMiddleware.from_crawler(crawler_of())


def test_what_hooks_say_of_failures() -> None:
    rule = HookRule()
    for said, error, means in (
        (True, TimeoutError(), True),
        (False, TimeoutError(), False),
        (True, ConnectionRefusedError(111, "refused"), None),
        (None, TimeoutError(), None),
    ):
        rule.said = said
        assert rule.exception_is_ban(None, error) is means
    policy, rule = hooked(_options.BanPolicy.of(lambda response: response.status_code == 418))
    teapot = SimpleNamespace(status_code=418)
    assert rule.response_is_ban(None, teapot) is True
    rule.said = False
    assert rule.response_is_ban(None, teapot) is False
    assert policy.statuses == _options.BanPolicy().statuses


async def test_a_hook_decides_what_is_booked() -> None:
    middleware = await middleware_of()
    for status, said, bans in ((200, True, 1), (403, False, 0), (404, None, 0)):
        request = scrapy.Request(f"http://site{status}.test/")
        await middleware.process_request(request)
        request.meta["_ban"] = said
        found = await middleware.process_response(request, answer(status))
        assert isinstance(found, scrapy.Request) == bool(bans)
        assert middleware._stats.get_value(f"bans/status/{status}", 0) == bans
    assert _figures.standing(middleware.pool)["dead"] == 0


async def test_the_end_is_not_waited_out() -> None:
    middleware = await middleware_of(PROXYWHIRL_POOL_TIMEOUT=60, PROXYWHIRL_OPTIONS={"max_in_flight": 1})
    held = [scrapy.Request(URL) for _ in middleware.pool]
    for request in held:
        await middleware.process_request(request)
    taking = asyncio.ensure_future(middleware.process_request(scrapy.Request(URL)))
    await asyncio.sleep(0.1)
    assert not taking.done()
    middleware._crawler.crawling = False
    with pytest.raises(scrapy.exceptions.IgnoreRequest):
        await asyncio.wait_for(taking, 30)
