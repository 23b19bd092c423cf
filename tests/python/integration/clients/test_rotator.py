"""The rotators themselves do what is asked of every client."""

from __future__ import annotations

from client_fleet import PAGES, PATIENCE, client_fleet

from proxywhirl import ProxyConfiguration, ProxyRotator


def test_every_page() -> None:
    with (
        client_fleet() as crawl,
        ProxyRotator(proxies=crawl.urls, config=ProxyConfiguration(timeout=PATIENCE)) as rotator,
    ):
        for _ in range(PAGES):
            crawl.arrived(rotator.get(crawl.page()).json())
        crawl.check(rotator.pool, connections=1)
