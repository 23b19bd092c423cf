"""``ProxyWhirlBrowser`` of Playwright over real proxies, in a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from client_fleet import client_fleet

from proxywhirl import BanPolicy, ProxyConfiguration, ProxyPoolEmptyError, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

pytest.importorskip("playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.timeout(240),
    # Playwright leaves the transport of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

from playwright.async_api import async_playwright  # noqa: E402
from playwright.sync_api import Error, sync_playwright  # noqa: E402

from proxywhirl.integrations.playwright import AsyncProxyWhirlBrowser, ProxyWhirlBrowser  # noqa: E402

PAGES = 60
# The proxy that hangs takes so long once; a busy machine needs a good part of it for a page.
PATIENCE = 8_000
SITE = "shop.test"
# A browser asks for nothing but what the tests ask for.
OPTIONS = {
    "executable_path": CHROMIUM,
    "args": [
        "--no-sandbox",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
}
FAST = RetryPolicy(base_delay=0.01, max_backoff_delay=0.01)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**OPTIONS)
        yield browser
        browser.close()


@contextlib.asynccontextmanager
async def async_chromium() -> AsyncIterator[Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**OPTIONS)
        yield browser
        await browser.close()


def whoami(page: Any) -> Any:
    return json.loads(page.inner_text("body"))


def tries(began: float) -> int:
    """Most tries of a bad proxy: one, and one more whenever its rest is over, which is half a minute at first."""
    return 1 + int((time.monotonic() - began) / 20)


def fetched(browser: ProxyWhirlBrowser, url: str, **wishes: Any) -> Any:
    """The JSON of a page."""
    with browser.page(url, timeout=PATIENCE, **wishes) as page:
        return whoami(page)


def test_every_page() -> None:
    with client_fleet() as crawl, chromium() as browser:
        with ProxyWhirlBrowser(crawl.urls, browser) as rotating:
            began = time.monotonic()
            for _ in range(PAGES):
                crawl.arrived(fetched(rotating, crawl.page()))
            assert len(browser.contexts) <= 5, "one for each proxy that works"
            # Browsers open connections in advance.
            crawl.check(rotating.pool, pages=PAGES, connections=4, tries=tries(began))
        assert browser.contexts == []
        assert browser.is_connected()


async def test_every_page_side_by_side() -> None:
    with client_fleet() as crawl:
        async with async_chromium() as browser, AsyncProxyWhirlBrowser(crawl.urls, browser) as rotating:

            async def fetch() -> None:
                async with rotating.page(crawl.page(), timeout=PATIENCE) as page:
                    crawl.arrived(json.loads(await page.inner_text("body")))

            free = asyncio.Semaphore(4)
            began = time.monotonic()

            async def in_turn() -> None:
                async with free:
                    await fetch()

            await asyncio.gather(*(in_turn() for _ in range(PAGES)))
            crawl.check(rotating.pool, pages=PAGES, connections=PAGES, tries=3 + tries(began))


def test_sessions_keep_their_proxy_and_their_cookies() -> None:
    with ProxyFleet([ProxySpec(name=f"p{n}") for n in range(3)]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        with ProxyWhirlBrowser(fleet.urls, browser) as rotating:
            proxies = {"a": set(), "b": set()}
            for session_id, found in proxies.items():
                for turn in range(2):
                    for attempt in rotating.attempts(url, session_id=session_id):
                        with attempt as page:
                            attempt.report(page.goto(url, timeout=PATIENCE))
                            found.add(whoami(page)["proxy"])
                            seen = page.evaluate("document.cookie")
                            assert seen == ("" if turn == 0 else f"who={session_id}")
                            page.evaluate(f"document.cookie = 'who={session_id}'")
            assert all(len(found) == 1 for found in proxies.values()), proxies


def test_a_session_moves_with_what_sites_have_stored() -> None:
    with ProxyFleet([ProxySpec(name=f"p{n}") for n in range(2)]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        with ProxyWhirlBrowser(fleet.urls, browser, wishes={"session_id": "a"}) as rotating:
            with rotating.page(url, timeout=PATIENCE) as page:
                first = whoami(page)["proxy"]
                page.evaluate("document.cookie = 'who=a'; localStorage.setItem('basket', '3')")
            fleet[first].set_behaviour(ban_after={SITE: 0})
            with rotating.page(url, timeout=PATIENCE) as page:
                second = whoami(page)["proxy"]
                stored = page.evaluate("[document.cookie, localStorage.getItem('basket')]")
            assert second != first
            assert stored == ["who=a", "3"]
            assert len(browser.contexts) == 1


def test_pages_without_a_session_know_nothing_of_each_other() -> None:
    with ProxyFleet([ProxySpec()]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        for reuse in (True, False):
            with ProxyWhirlBrowser(fleet.urls, browser, reuse=reuse) as rotating:
                for _ in range(2):
                    for attempt in rotating.attempts(url):
                        with attempt as page:
                            attempt.report(page.goto(url, timeout=PATIENCE))
                            stored = page.evaluate("[document.cookie, localStorage.length]")
                            page.evaluate("document.cookie = 'who=a'; localStorage.setItem('basket', '3')")
                            assert stored == ["", 0]
                    assert len(browser.contexts) == reuse


def test_contexts_are_bounded() -> None:
    with ProxyFleet([ProxySpec() for _ in range(4)]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        with ProxyWhirlBrowser(fleet.urls, browser, max_contexts=2) as rotating:
            for _ in range(8):
                fetched(rotating, url)
                assert len(browser.contexts) <= 2


def test_a_context_for_several_pages() -> None:
    with ProxyFleet([ProxySpec(name="a"), ProxySpec(name="b")]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        options_of: list[str] = []
        with ProxyWhirlBrowser(
            fleet.urls,
            browser,
            locale="de-DE",
            options_for=lambda proxy: options_of.append(proxy.host) or {"locale": "fr-FR"},
        ) as rotating:
            with rotating.context(url, key="customer-7") as context:
                seen = set()
                for _ in range(3):
                    page = context.new_page()
                    page.goto(url, timeout=PATIENCE)
                    seen.add(whoami(page)["proxy"])
                assert page.evaluate("navigator.language") == "fr-FR"
            assert len(seen) == 1
            assert context.pages == []
            with rotating.context(url, key="customer-7") as again:
                assert again is context
            assert options_of == ["127.0.0.1"]
            with pytest.raises(ZeroDivisionError), rotating.context(url) as context:
                raise ZeroDivisionError
            assert all(proxy.requests_active == 0 and proxy.total_failures == 0 for proxy in rotating.pool)


def test_what_the_last_attempt_ended_with() -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec.dead()]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        with ProxyWhirlBrowser(fleet.urls, browser, wishes={"retry_policy": FAST}) as rotating:
            with pytest.raises(Error, match="ERR_PROXY_CONNECTION_FAILED"):
                fetched(rotating, url)
            assert all(proxy.total_failures >= 1 for proxy in rotating.pool)
        assert browser.contexts == []


def test_bans_that_only_the_text_tells() -> None:
    with ProxyFleet([ProxySpec(name="a"), ProxySpec(name="b")]) as fleet, chromium() as browser:
        url = fleet.site_url(SITE, "/whoami")
        with ProxyRotator(proxies=fleet.urls, ban_policy=BanPolicy(body=['"proxy": ?"a"'])) as rotator:
            with ProxyWhirlBrowser(rotator, browser) as rotating:
                assert {fetched(rotating, url)["proxy"] for _ in range(3)} == {"b"}
                with rotating.page(url, timeout=PATIENCE) as page:
                    shown = page.proxywhirl
                assert (shown["status"], shown["outcome"], shown["attempts"]) == (200, "success", 1)


def test_what_is_refused() -> None:
    with chromium() as browser:
        with pytest.raises(TypeError, match="proxy: not an option"):
            ProxyWhirlBrowser(["http://127.0.0.1:9"], browser, proxy={"server": "http://127.0.0.1:9"})
        with pytest.raises(TypeError, match="contry"):
            ProxyWhirlBrowser(["http://127.0.0.1:9"], browser, wishes={"contry": "DE"})
        with pytest.raises(ValueError, match="max_contexts"):
            ProxyWhirlBrowser(["http://127.0.0.1:9"], browser, max_contexts=0)
        rotator = ProxyRotator(config=ProxyConfiguration(pool_timeout=0.05))
        with rotator, ProxyWhirlBrowser(rotator, browser) as rotating, pytest.raises(ProxyPoolEmptyError):
            fetched(rotating, "http://shop.test/")
