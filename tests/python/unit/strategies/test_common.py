"""Rules that every strategy follows (api 5)."""

from __future__ import annotations

import logging
import re
from typing import Any, Callable
from uuid import uuid4

import pytest

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    RandomStrategy,
    RotationStrategy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    StrategyConfig,
    WeightedStrategy,
)
from proxywhirl.models import ProxyMetadata

MakePool = Callable[..., ProxyPool]

MAKERS: dict[str, Callable[[], Any]] = {
    "round-robin": RoundRobinStrategy,
    "random": lambda: RandomStrategy(seed=1),
    "weighted": lambda: WeightedStrategy(seed=1),
    "least-used": LeastUsedStrategy,
    "performance-based": lambda: PerformanceBasedStrategy(exploration_count=5, seed=1),
    "session": SessionPersistenceStrategy,
    "geo-targeted": lambda: GeoTargetedStrategy(preferred_countries=["US"]),
    "geo without a target": GeoTargetedStrategy,
    "cost-aware": lambda: CostAwareStrategy(seed=1),
    "composite": lambda: CompositeStrategy(filters=[GeoTargetedStrategy()], selector=RandomStrategy(seed=1)),
    "nested": lambda: CompositeStrategy(filters=[CompositeStrategy(filters=["geo"])], selector="least-used"),
}


@pytest.fixture(params=sorted(MAKERS))
def strategy(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]()


def context(**fields: Any) -> SelectionContext:
    return SelectionContext(session_id=uuid4().hex, **fields)


@pytest.fixture
def pool(make_pool: MakePool) -> ProxyPool:
    return make_pool(6, country_code="US", ema_response_time_ms=100.0)


def test_it_is_a_rotation_strategy(strategy: Any) -> None:
    assert isinstance(strategy, RotationStrategy)


def test_one_start_and_one_completion(strategy: Any, pool: ProxyPool) -> None:
    for number in range(1, 31):
        proxy = strategy.select(pool, context())
        assert proxy in pool
        assert sum(p.requests_started for p in pool.proxies) == number
        assert sum(p.requests_active for p in pool.proxies) == 1
        assert proxy.requests_active == 1
        strategy.record_result(proxy, number % 3 != 0, 20.0)
        assert sum(p.requests_completed for p in pool.proxies) == number
        assert sum(p.requests_active for p in pool.proxies) == 0
        assert sum(p.total_requests for p in pool.proxies) == number
    assert sum(p.total_failures for p in pool.proxies) == 10


def test_result_by_keyword_and_the_average_moves_once(strategy: Any, pool: ProxyPool) -> None:
    proxy = strategy.select(pool, context())
    proxy.ema_response_time_ms = 100.0
    proxy.ema_alpha = 0.2
    strategy.record_result(proxy, success=True, response_time_ms=50.0)
    # 0.2 * 50 + 0.8 * 100; a second update would make it 82.
    assert proxy.ema_response_time_ms == pytest.approx(90.0)
    assert proxy.ema_alpha == 0.2


def test_failures_leave_the_average_alone(strategy: Any, pool: ProxyPool) -> None:
    proxy = strategy.select(pool, context())
    strategy.record_result(proxy, False, 1.0)
    assert proxy.ema_response_time_ms == 100.0
    assert proxy.total_failures == 1


def test_the_same_object_is_handed_out(strategy: Any, pool: ProxyPool) -> None:
    proxy = strategy.select(pool, context())
    assert pool.get_proxy_by_id(proxy.id) is proxy
    assert any(proxy is each for each in pool.proxies)


def test_empty_pool(strategy: Any, make_pool: MakePool) -> None:
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        strategy.select(make_pool(0), context())


@pytest.mark.parametrize("status", ["unhealthy", "dead"])
def test_nothing_healthy(strategy: Any, status: str, pool: ProxyPool) -> None:
    for proxy in pool.proxies:
        proxy.health_status = status
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        strategy.select(pool, context())
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0


def test_nothing_left_after_exclusion(strategy: Any, pool: ProxyPool) -> None:
    ids = [proxy.id for proxy in pool.proxies]
    with pytest.raises(ProxyPoolEmptyError, match=r"(?i)failed proxies"):
        strategy.select(pool, context(exclude_proxy_ids=set(ids[:3]), failed_proxy_ids=map(str, ids[3:])))
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0


def test_exclusions_of_both_kinds_are_honoured(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    for _ in range(50):
        given = context(failed_proxy_ids=[str(content[0].id)], exclude_proxy_ids={content[1].id})
        assert strategy.select(pool, given) in content[2:]


def test_only_eligible_proxies_are_chosen(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    content[0].health_status = "unhealthy"
    content[1].health_status = "dead"
    content[2].expires_at = content[2].created_at.replace(year=2001)
    content[3].health_status = "degraded"
    content[4].health_status = "unknown"
    seen = {strategy.select(pool, context()) for _ in range(200)}
    assert seen == set(content[3:])


def test_direct_writes_are_seen_at_once(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    for proxy in content[1:]:
        proxy.health_status = "dead"
    assert strategy.select(pool, context()) is content[0]
    content[0].health_status = "dead"
    content[5].health_status = "healthy"
    assert strategy.select(pool, context()) is content[5]


def test_recorded_failures_take_a_proxy_out_and_a_success_brings_it_back(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    for proxy in content:
        for _ in range(3):
            proxy.record_failure()
    with pytest.raises(ProxyPoolEmptyError):
        strategy.select(pool, context())
    content[2].record_success(10.0)
    assert strategy.select(pool, context()) is content[2]


def test_joining_and_leaving_is_seen_at_once(strategy: Any, pool: ProxyPool, make_proxy: Callable[..., Proxy]) -> None:
    strategy.select(pool, context())
    for proxy in pool.get_all_proxies():
        pool.remove_proxy(proxy.id)
    new = make_proxy(99, country_code="US", ema_response_time_ms=5.0)
    pool.add_proxy(new)
    assert strategy.select(pool, context()) is new


def test_one_strategy_many_pools(strategy: Any, make_pool: MakePool) -> None:
    pools = [make_pool(3, country_code="US", ema_response_time_ms=10.0) for _ in range(3)]
    for _ in range(10):
        for pool in pools:
            assert strategy.select(pool, context()) in pool


# Thresholds.


def test_context_drops_the_slow(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    content[1].ema_response_time_ms = 300.0
    content[2].ema_response_time_ms = None  # unknown is not slow
    seen = {strategy.select(pool, context(max_response_time_ms=200.0)) for _ in range(200)}
    assert content[1] not in seen
    content[1].ema_response_time_ms = 200.0  # the limit itself is not over it
    seen = {strategy.select(pool, context(max_response_time_ms=200.0)) for _ in range(400)}
    assert content[1] in seen


def test_context_drops_the_unreliable(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    content[0].total_requests, content[0].total_successes = 10, 4
    content[1].total_requests, content[1].total_successes = 10, 5
    seen = {strategy.select(pool, context(min_success_rate=0.5)) for _ in range(300)}
    assert content[0] not in seen
    assert seen >= set(content[2:]) or len(seen) >= 2  # those without requests have no rate to be dropped for


def test_configured_thresholds_the_context_wins(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    for proxy in content[:3]:
        proxy.ema_response_time_ms = 300.0
    strategy.configure(StrategyConfig(max_response_time_ms=200.0))
    assert {strategy.select(pool, context()) for _ in range(200)} <= set(content[3:])
    assert content[0] in {strategy.select(pool, context(max_response_time_ms=400.0)) for _ in range(400)}
    strategy.configure(StrategyConfig(max_response_time_ms=200.0, enable_filtering=False))
    assert content[0] in {strategy.select(pool, context()) for _ in range(400)}


# configure.


def test_config_is_kept(strategy: Any) -> None:
    assert strategy.config is None
    config = StrategyConfig(ema_alpha=0.5)
    strategy.configure(config)
    assert strategy.config is config
    strategy.config = None
    assert strategy.config is None


@pytest.mark.parametrize("form", ["model", "dict", "object"])
def test_configured_alpha_is_used(strategy: Any, form: str, pool: ProxyPool) -> None:
    config: Any = StrategyConfig(ema_alpha=0.5)
    if form == "dict":
        config = {"ema_alpha": 0.5}
    elif form == "object":
        config = type("Config", (), {"ema_alpha": 0.5})()
    strategy.configure(config)
    proxy = strategy.select(pool, context())
    strategy.record_result(proxy, True, 50.0)
    assert proxy.ema_response_time_ms == pytest.approx(75.0)
    assert proxy.ema_alpha == 0.2


def test_metadata_methods(strategy: Any, pool: ProxyPool) -> None:
    assert strategy.validate_metadata(pool) is True
    assert isinstance(strategy.requires_metadata, set)
    metadata = {proxy.id: ProxyMetadata(proxy_id=proxy.id) for proxy in pool.proxies}
    assert strategy.validate_requirements(pool, metadata) is True


# filter.


def test_filter_returns_some_of_its_input_and_counts_nothing(strategy: Any, pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    kept = strategy.filter(content[1:4], context())
    assert all(proxy in content[1:4] for proxy in kept)
    assert kept == content[1:4]  # every proxy here is in the wanted country, and free
    assert strategy.filter([], context()) == []
    assert sum(proxy.requests_started for proxy in content) == 0


# Counting windows.


def test_expired_windows_are_reset_before_counters_are_compared(make_pool: MakePool) -> None:
    pool = make_pool(2)
    first, second = pool.get_all_proxies()
    first.requests_started = first.requests_completed = 100
    first.window_start = first.created_at.replace(year=2001)
    second.requests_started = second.requests_completed = 5
    assert LeastUsedStrategy().select(pool) is first
    assert first.requests_started == 1


# Logging.


def test_decisions_are_logged_without_secrets(strategy: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = ProxyPool(proxies=[Proxy(url="http://user:hunter2@a.test:1", country_code="US", ema_response_time_ms=1.0)])
    with caplog.at_level(logging.DEBUG, logger="proxywhirl"):
        proxy = strategy.select(pool, SelectionContext(session_id="very-private-session"))
        strategy.record_result(proxy, True, 5.0)
    assert caplog.records, "nothing was logged at DEBUG"
    assert str(proxy.id) in caplog.text
    assert re.search("select|result", caplog.text, re.IGNORECASE)
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "hunter2" not in everything
    assert "very-private-session" not in everything


def test_nothing_is_logged_above_debug(strategy: Any, pool: ProxyPool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="proxywhirl"):
        strategy.record_result(strategy.select(pool, context()), True, 5.0)
    assert caplog.records == []


# Wrong input.


@pytest.mark.parametrize("value", [None, [], "pool", 3])
def test_a_pool_is_needed(strategy: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        strategy.select(value, context())


@pytest.mark.parametrize("seeded", ["random", "weighted", "performance-based", "cost-aware"])
def test_a_seed_makes_runs_repeatable(seeded: str, make_pool: MakePool) -> None:
    def run() -> list[str]:
        pool = make_pool(10, ema_response_time_ms=[10.0 * (n + 1) for n in range(10)], total_requests=9)
        strategy = MAKERS[seeded]()
        return [strategy.select(pool).host for _ in range(100)]

    first = run()
    assert first == run()
    assert len(set(first)) > 3
