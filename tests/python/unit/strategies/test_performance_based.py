"""Performance-based (api 6.5, C-02, C-10, 23.29)."""

from __future__ import annotations

import random
from typing import Any, Callable

import pytest

from proxywhirl import (
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    RoundRobinStrategy,
    SelectionContext,
    StrategyConfig,
    StrategyMetadataError,
)

MakePool = Callable[..., ProxyPool]
N = 20_000


def warm(make_pool: MakePool, *averages: float | None) -> ProxyPool:
    return make_pool(
        len(averages),
        ema_response_time_ms=list(averages),
        total_requests=20,
        total_successes=20,
        health_status="healthy",
    )


def inverse(pool: ProxyPool) -> dict[Proxy, float]:
    weights = {proxy: 1 / proxy.ema_response_time_ms for proxy in pool.proxies if proxy.ema_response_time_ms}
    return {proxy: weight / sum(weights.values()) for proxy, weight in weights.items()}


@pytest.mark.parametrize(
    "averages", [(50.0, 500.0), (100.0, 100.0, 100.0), (1.0, 10.0, 100.0, 1000.0), (7.0,), (33.3, 0.5, 64.0, 65.0, 1e5)]
)
def test_chances_are_in_proportion_to_the_inverse_average(
    averages: Any, make_pool: MakePool, draw: Any, check_shares: Any
) -> None:
    pool = warm(make_pool, *averages)
    check_shares(draw(PerformanceBasedStrategy(seed=1), pool, N), inverse(pool))


def test_proportions_follow_results(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool, strategy = warm(make_pool, 100.0, 100.0), PerformanceBasedStrategy(alpha=1.0, seed=2)
    strategy.record_result(pool.proxies[0], True, 25.0)
    assert pool.proxies[0].ema_response_time_ms == 25.0
    check_shares(draw(strategy, pool, N), {pool.proxies[0]: 0.8, pool.proxies[1]: 0.2})
    pool.proxies[1].ema_response_time_ms = 25.0
    check_shares(draw(strategy, pool, N), {pool.proxies[0]: 0.5, pool.proxies[1]: 0.5})


def test_proportions_hold_for_many(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    generator = random.Random(3)
    pool = warm(make_pool, *[generator.uniform(5.0, 3000.0) for _ in range(200)])
    check_shares(draw(PerformanceBasedStrategy(seed=3), pool, 50_000), inverse(pool))


def test_proportions_among_those_left(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = warm(make_pool, 10.0, 20.0, 40.0)
    first, second, third = pool.get_all_proxies()
    context = SelectionContext(exclude_proxy_ids={first.id})
    found = draw(PerformanceBasedStrategy(seed=4), pool, N, context)
    check_shares(found, {second: 2 / 3, third: 1 / 3})


# Exploration.


def test_a_proxy_with_few_requests_comes_first(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = warm(make_pool, 10.0, 20.0, 40.0, 50.0)
    for proxy in pool.proxies[2:]:
        proxy.total_requests = proxy.total_successes = 2
    found = draw(PerformanceBasedStrategy(exploration_count=3, seed=5), pool, N)
    check_shares(found, {pool.proxies[2]: 0.5, pool.proxies[3]: 0.5})
    pool.proxies[2].total_requests = 3
    assert set(draw(PerformanceBasedStrategy(exploration_count=3, seed=5), pool, 100)) == {pool.proxies[3]}


def test_a_fresh_pool_is_explored_and_then_weighed(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool, strategy = make_pool(3), PerformanceBasedStrategy(exploration_count=5, seed=6)
    speeds = dict(zip(pool.proxies, (20.0, 40.0, 80.0)))
    for _ in range(15):
        proxy = strategy.select(pool)
        strategy.record_result(proxy, True, speeds[proxy])
    assert [proxy.total_requests for proxy in pool.proxies] == [5, 5, 5]
    check_shares(draw(strategy, pool, N), inverse(pool))


def test_exploration_zero_is_off(make_pool: MakePool, draw: Any) -> None:
    pool = make_pool(2, ema_response_time_ms=[10.0, None])
    found = draw(PerformanceBasedStrategy(exploration_count=0, seed=7), pool, 200)
    assert set(found) == {pool.proxies[0]}


def test_a_cold_pool_used_directly_is_an_error(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3), PerformanceBasedStrategy()
    assert strategy.validate_metadata(pool) is False
    with pytest.raises(StrategyMetadataError) as caught:
        strategy.select(pool)
    assert isinstance(caught.value, ProxyPoolEmptyError)
    assert caught.value.missing_fields == ["ema_response_time_ms"]
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0
    with pytest.raises(StrategyMetadataError):
        PerformanceBasedStrategy(exploration_count=0).select(pool)


def test_after_configure_it_explores(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3), PerformanceBasedStrategy()
    strategy.configure(StrategyConfig(ema_alpha=0.2))
    assert strategy.select(pool) in pool
    assert strategy.validate_metadata(pool) is True


def test_an_explicit_exploration_gives_way_only_to_an_explicit_one(make_pool: MakePool) -> None:
    pool = make_pool(2)
    strict = PerformanceBasedStrategy(exploration_count=0)
    strict.configure(StrategyConfig(ema_alpha=0.2))
    with pytest.raises(StrategyMetadataError):
        strict.select(pool)
    strict.configure(StrategyConfig(exploration_count=1))
    assert strict.select(pool) in pool


def test_explored_without_success_it_is_random(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    # api 23.29: every proxy has had its turns, none has an average.
    pool = make_pool(3, total_requests=9, total_failures=9, health_status="degraded")
    found = draw(PerformanceBasedStrategy(exploration_count=5, seed=8), pool, N)
    check_shares(found, dict.fromkeys(pool.proxies, 1 / 3))
    with pytest.raises(StrategyMetadataError):
        PerformanceBasedStrategy(exploration_count=0).select(pool)


def test_an_average_of_zero_is_no_measurement(make_pool: MakePool, draw: Any) -> None:
    pool = warm(make_pool, 0.0, 30.0)
    assert set(draw(PerformanceBasedStrategy(exploration_count=0, seed=9), pool, 200)) == {pool.proxies[1]}


# Fallbacks.


def test_the_fallback_serves_a_cold_pool(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3), PerformanceBasedStrategy(exploration_count=0)
    strategy.configure(StrategyConfig(fallback_strategy="round-robin"))
    assert [strategy.select(pool) for _ in range(4)] == [*pool.proxies, pool.proxies[0]]
    strategy.configure(StrategyConfig(fallback_strategy="round-robin", enable_fallback=False))
    with pytest.raises(StrategyMetadataError):
        strategy.select(pool)


def test_all_too_slow_goes_round(make_pool: MakePool) -> None:
    pool, strategy = warm(make_pool, 900.0, 800.0, 700.0), PerformanceBasedStrategy(seed=10)
    strategy.configure(StrategyConfig(max_response_time_ms=500.0))
    assert sorted(strategy.select(pool).host for _ in range(3)) == sorted(proxy.host for proxy in pool.proxies)
    assert {proxy.requests_started for proxy in pool.proxies} == {1}


# Alpha.


@pytest.mark.parametrize(
    ("constructor", "configured", "own", "expected"),
    [
        (None, None, 0.2, 90.0),
        (None, None, 0.5, 75.0),  # the proxy's own when nothing else is set
        (0.5, None, 0.2, 75.0),
        (0.5, 0.1, 0.2, 95.0),  # configured beats constructed
        (0.0, None, 0.2, 100.0),
        (1.0, None, 0.2, 50.0),
    ],
)
def test_order_of_alphas(
    constructor: float | None, configured: float | None, own: float, expected: float, make_pool: MakePool
) -> None:
    pool = warm(make_pool, 100.0)
    (proxy,) = pool.get_all_proxies()
    proxy.ema_alpha = own
    strategy = PerformanceBasedStrategy(alpha=constructor)
    if configured is not None:
        strategy.configure(StrategyConfig(ema_alpha=configured))
    strategy.record_result(strategy.select(pool), True, 50.0)
    assert proxy.ema_response_time_ms == pytest.approx(expected)
    assert proxy.ema_alpha == own


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_between_0_and_1(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        PerformanceBasedStrategy(alpha=alpha)


def test_exploration_is_not_negative() -> None:
    with pytest.raises((ValueError, OverflowError)):
        PerformanceBasedStrategy(exploration_count=-1)


def test_first_position_int_is_exploration_float_is_alpha(make_pool: MakePool) -> None:
    pool = make_pool(1)
    assert PerformanceBasedStrategy(3).select(pool) is pool.proxies[0]
    with pytest.raises(StrategyMetadataError):
        PerformanceBasedStrategy(0).select(pool)
    pool = warm(make_pool, 100.0)
    strategy = PerformanceBasedStrategy(0.5)
    strategy.record_result(strategy.select(pool), True, 50.0)
    assert pool.proxies[0].ema_response_time_ms == pytest.approx(75.0)


# Effect.


def test_it_adapts_to_a_change_of_speed(make_pool: MakePool) -> None:
    # At alpha 0.2 the old average weighs 0.8**20 = 1.2 % after 20 results of a proxy.
    pool, strategy = warm(make_pool, 50.0, 50.0), PerformanceBasedStrategy(seed=11)
    slow, quick = pool.get_all_proxies()
    for _ in range(200):
        proxy = strategy.select(pool)
        strategy.record_result(proxy, True, 500.0 if proxy is slow else 50.0)
        if slow.total_requests >= 40:
            break
    assert slow.ema_response_time_ms == pytest.approx(500.0, rel=0.03)
    found = [strategy.select(pool) for _ in range(2000)]
    assert found.count(slow) / 2000 == pytest.approx(1 / 11, abs=0.04)
    assert quick.ema_response_time_ms == pytest.approx(50.0)


def test_metadata(make_pool: MakePool) -> None:
    strategy = PerformanceBasedStrategy()
    assert strategy.requires_metadata == {"ema_response_time_ms"}
    assert strategy.validate_metadata(warm(make_pool, 100.0, None)) is True
    pool = warm(make_pool, 100.0, None)
    pool.proxies[0].health_status = "dead"
    assert strategy.validate_metadata(pool) is False  # the one that was measured cannot be chosen


def test_mean_response_time_is_lower_than_round_robins(make_pool: MakePool) -> None:
    # SC-004: at least 15 % lower, for proxies of 50 to 500 ms.
    means = []
    for strategy in (RoundRobinStrategy(), PerformanceBasedStrategy(exploration_count=5, seed=12)):
        pool, total = make_pool(10), 0.0
        speed = {proxy: 50.0 * (place + 1) for place, proxy in enumerate(pool.proxies)}
        for _ in range(5000):
            proxy = strategy.select(pool)
            strategy.record_result(proxy, True, speed[proxy])
            total += speed[proxy]
        means.append(total / 5000)
    assert means[1] <= 0.85 * means[0]
