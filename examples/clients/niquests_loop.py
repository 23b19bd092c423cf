"""Twenty pages by niquests: three proxies are no good, one wants a login, one speaks SOCKS5, and every page arrives."""

from collections import Counter
from typing import Any

import niquests

from proxywhirl import ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    ProxySpec(name="login", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="socks", scheme="socks5"),
]
session = niquests.Session()


def fetch(rotator: ProxyRotator, url: str) -> Any:
    page: Any = None
    for attempt in rotator.attempts(url):
        with attempt:
            page = session.get(url, proxies=attempt.requests_proxies, timeout=1)
            attempt.report(page)
    return page.json()


if __name__ == "__main__":
    with ProxyFleet(SPECS) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        page = fleet.site_url("shop.test", "/whoami")
        seen = Counter(fetch(rotator, page)["proxy"] for _ in range(20))
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))
