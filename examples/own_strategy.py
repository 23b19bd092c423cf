"""A strategy of one's own: nothing to inherit, and nothing to count. What it raises is contained."""

from __future__ import annotations

from collections import Counter

from proxywhirl import Proxy, ProxyPool, ProxyRotator, SelectionContext
from proxywhirl.testing import ProxyFleet, ProxySpec


class CheapestFirst:
    """The cheapest proxy that has fewer than `limit` requests; when all are used up, the cheapest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        by_cost = sorted(pool.get_healthy_proxies(), key=lambda proxy: proxy.cost_per_request or 0.0)
        return next((proxy for proxy in by_cost if proxy.requests_started < self.limit), by_cost[0])

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """Nothing to learn from results; counting is done by the caller."""


with ProxyFleet([ProxySpec(name="dear"), ProxySpec(name="cheap"), ProxySpec(name="fair")]) as fleet:
    costs = {"dear": 0.09, "cheap": 0.01, "fair": 0.03}
    proxies = [Proxy(url=member.url, cost_per_request=costs[member.name]) for member in fleet]
    with ProxyRotator(proxies=proxies, strategy=CheapestFirst(limit=5)) as rotator:
        carried = Counter(rotator.get(fleet.site_url("shop.test", "/whoami")).json()["proxy"] for _ in range(12))
    print(*(f"{name} {count}" for name, count in carried.most_common()), sep=", ")
