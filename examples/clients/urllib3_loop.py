"""Twenty pages by urllib3: three proxies are no good, one wants a login, one speaks SOCKS5, and every page arrives."""

from collections import Counter
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

from proxywhirl import ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    ProxySpec(name="login", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="socks", scheme="socks5"),
]


@lru_cache(maxsize=100)
def manager(proxy: str) -> urllib3.PoolManager:
    """Keeps the connections through a proxy."""
    # Retries are the loop's: those of urllib3 would go through the same proxy.
    if proxy.startswith("socks"):
        return SOCKSProxyManager(proxy, timeout=1, retries=False)
    login, at, _ = urlsplit(proxy).netloc.rpartition("@")
    headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if at else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, timeout=1, retries=False)


def fetch(rotator: ProxyRotator, url: str) -> Any:
    page: Any = None
    for attempt in rotator.attempts(url):
        with attempt:
            page = manager(attempt.url_for("urllib3")).request("GET", url)
            attempt.report(page)
    return page.json()


if __name__ == "__main__":
    with ProxyFleet(SPECS) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        page = fleet.site_url("shop.test", "/whoami")
        seen = Counter(fetch(rotator, page)["proxy"] for _ in range(20))
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))
