"""Twenty pages by pyreqwest: three proxies are no good, one wants a login, one speaks SOCKS5; every page arrives."""

import json
from collections import Counter
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.proxy import ProxyBuilder

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
def client(proxy: str) -> SyncClient:
    """Keeps the connections through a proxy."""
    return SyncClientBuilder().proxy(ProxyBuilder.all(proxy)).timeout(timedelta(seconds=1)).build()


def fetch(rotator: ProxyRotator, url: str) -> Any:
    text = ""
    for attempt in rotator.attempts(url):
        with attempt:
            page = client(attempt.url_for("pyreqwest")).get(url).build().send()
            # Read in the block: a body that is cut short is asked for again. Ban rules see a body that they are given.
            text = page.text()
            attempt.report(page, body=text)
    return json.loads(text)


if __name__ == "__main__":
    with ProxyFleet(SPECS) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        page = fleet.site_url("shop.test", "/whoami")
        seen = Counter(fetch(rotator, page)["proxy"] for _ in range(20))
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))
