"""What the tests of the single strategies share."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from proxywhirl import Proxy, ProxyPool

    Draw = Callable[..., Counter[Proxy]]


@pytest.fixture
def draw() -> Draw:
    """``draw(strategy, pool, 1000)``: how often each proxy was chosen; each request is completed at once."""

    def run(
        strategy: Any, pool: ProxyPool, times: int, context: Any = None, *, complete: bool = True
    ) -> Counter[Proxy]:
        found: Counter[Proxy] = Counter()
        for _ in range(times):
            proxy = strategy.select(pool, context)
            found[proxy] += 1
            if complete:
                # Through the proxy's own counters alone: averages and rates stay as the test set them.
                proxy.requests_active -= 1
                proxy.requests_completed += 1
        return found

    return run


@pytest.fixture
def check_shares() -> Callable[..., None]:
    """``check_shares(found, {proxy: 0.8, other: 0.2})``: whether the counts are those of independent draws.

    A count out of n draws with chance p is binomial: mean n*p, deviation sqrt(n*p*(1-p)). It lies more than five
    deviations off once in about 1.7 million times, and the runs are seeded. A share of 0 or 1 must be met exactly.
    """

    def check(found: Counter[Proxy], shares: dict[Proxy, float]) -> None:
        total = sum(found.values())
        assert sum(shares.values()) == pytest.approx(1.0)
        assert set(found) <= set(shares)
        for proxy, share in shares.items():
            bound = 5 * sqrt(total * share * (1 - share))
            assert abs(found[proxy] - total * share) <= bound + 1e-6, (proxy.url, found[proxy], total * share, bound)

    return check
