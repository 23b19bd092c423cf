"""Ten pages in a browser: one proxy is dead, one is banned, one is SOCKS5 with a login, and every page arrives."""

import json
import shutil
from collections import Counter

from playwright.sync_api import sync_playwright

from proxywhirl.integrations.playwright import ProxyWhirlBrowser
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec(ban_after=0),
    ProxySpec(name="socks", scheme="socks5", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="plain"),
]

with ProxyFleet(SPECS) as fleet, sync_playwright() as playwright:
    # A Chromium of the system's; without it the one that `playwright install chromium` has brought.
    chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    url = fleet.site_url("shop.test", "/whoami")
    seen: Counter[str] = Counter()
    with ProxyWhirlBrowser(fleet.urls, chromium) as browser:
        for _ in range(10):
            with browser.page(url, timeout=20_000) as page:
                seen[json.loads(page.inner_text("body"))["proxy"]] += 1
        print(sum(seen.values()), "of 10 pages, through", ", ".join(sorted(seen)))

        # One proxy, and cookies and local storage of its own, for all pages of a session.
        for _ in range(2):
            with browser.page(url, timeout=20_000, session_id="customer-7") as page:
                print("customer-7 has", page.evaluate("document.cookie") or "no cookies")
                page.evaluate("document.cookie = 'basket=7'")
    chromium.close()
