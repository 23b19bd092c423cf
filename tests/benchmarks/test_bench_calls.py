"""One call each, from Python. What they should cost, and at which sizes, is in `benches/python/calls.py`."""

from __future__ import annotations

import uuid
from typing import Any, Callable

import pytest

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    WeightedStrategy,
)

STRATEGIES: dict[str, Callable[[], Any]] = {
    "round-robin": RoundRobinStrategy,
    "random": RandomStrategy,
    "weighted": WeightedStrategy,
    "least-used": LeastUsedStrategy,
    "performance-based": PerformanceBasedStrategy,
    "cost-aware": CostAwareStrategy,
    "session": SessionPersistenceStrategy,
    "geo": GeoTargetedStrategy,
    "composite": lambda: CompositeStrategy([GeoTargetedStrategy()], PerformanceBasedStrategy()),
}


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Any:
    return STRATEGIES[request.param]()


def _warm(strategy: Any, pool: ProxyPool, context: SelectionContext | None = None) -> Any:
    """Choose once: the first choice builds what the rest use, and would mislead the calibration."""
    strategy.select(pool, context)
    return strategy


@pytest.fixture
def context() -> SelectionContext:
    return SelectionContext(session_id="customer-7", target_country="DE")


@pytest.mark.benchmark(group="select")
@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "session"])
def test_select(benchmark: Any, pool: ProxyPool, name: str) -> None:
    assert benchmark(_warm(STRATEGIES[name](), pool).select, pool) in pool


@pytest.mark.benchmark(group="select with context")
def test_select_with_context(benchmark: Any, pool: ProxyPool, strategy: Any, context: SelectionContext) -> None:
    assert benchmark(_warm(strategy, pool, context).select, pool, context) in pool


@pytest.mark.benchmark(group="select with context")
def test_select_with_fifty_excluded(benchmark: Any, pool: ProxyPool) -> None:
    some = [proxy.id for proxy in list(pool)[: min(50, len(pool) // 2)]]
    context = SelectionContext(exclude_proxy_ids=some + [uuid.uuid4() for _ in range(50 - len(some))])
    assert benchmark(_warm(RandomStrategy(), pool, context).select, pool, context).id not in some


@pytest.mark.benchmark(group="record_result")
def test_record_result(benchmark: Any, pool: ProxyPool, strategy: Any, context: SelectionContext) -> None:
    proxy = strategy.select(pool, context)
    benchmark(strategy.record_result, proxy, True, 80.0)
    assert proxy.total_successes > 1


@pytest.mark.benchmark(group="lease")
@pytest.mark.parametrize("name", ["round-robin", "random", "least-used", "performance-based"])
def test_lease_and_finish(benchmark: Any, pool: ProxyPool, name: str) -> None:
    strategy = _warm(STRATEGIES[name](), pool)
    active = sum(proxy.requests_active for proxy in pool)

    def lease_and_finish() -> None:
        pool.lease(strategy, "http://shop.test/").finish("success", 80.0)

    benchmark(lease_and_finish)
    assert sum(proxy.requests_active for proxy in pool) == active


@pytest.mark.benchmark(group="context")
def test_build_a_context(benchmark: Any) -> None:
    made = benchmark(SelectionContext, session_id="customer-7", target_country="DE")
    assert made.target_country == "DE"


@pytest.mark.benchmark(group="add")
@pytest.mark.parametrize("what", ["proxies", "urls"])
def test_add_proxy(benchmark: Any, size: int, urls: list[str], what: str) -> None:
    # Each round fills a pool of its own.
    def fresh() -> tuple[tuple[ProxyPool, list[Any]], dict[str, Any]]:
        return (ProxyPool(max_pool_size=size), [Proxy(url=url) for url in urls] if what == "proxies" else urls), {}

    def fill(pool: ProxyPool, items: list[Any]) -> int:
        for item in items:
            pool.add_proxy(item)
        return len(pool)

    assert benchmark.pedantic(fill, setup=fresh, rounds=100) == size


@pytest.mark.benchmark(group="add")
def test_add_many(benchmark: Any, size: int, urls: list[str]) -> None:
    def fresh() -> tuple[tuple[ProxyPool], dict[str, Any]]:
        return (ProxyPool(max_pool_size=size),), {}

    assert benchmark.pedantic(lambda pool: pool.add_many(urls).added, setup=fresh, rounds=100) == size
