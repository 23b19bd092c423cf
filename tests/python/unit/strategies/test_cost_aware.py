"""Cost-aware (api 6.8)."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from proxywhirl import CostAwareStrategy, ProxyPool, ProxyPoolEmptyError, StrategyConfig

MakePool = Callable[..., ProxyPool]
N = 20_000


def test_weights(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    # Free: 10. Otherwise 1 / (cost + 0.001): 0.5 weighs 1.996, 0.199 weighs 5.
    pool = make_pool(4, cost_per_request=[0.0, None, 0.5, 0.199])
    weights = [10.0, 10.0, 1 / 0.501, 1 / 0.2]
    found = draw(CostAwareStrategy(seed=1), pool, N)
    check_shares(found, {proxy: weight / sum(weights) for proxy, weight in zip(pool.proxies, weights)})


def test_the_limit_itself_is_allowed(make_pool: MakePool, draw: Any) -> None:
    pool = make_pool(3, cost_per_request=[0.2, 0.5, 0.6])
    found = draw(CostAwareStrategy(max_cost_per_request=0.5, seed=2), pool, 500)
    assert set(found) == set(pool.proxies[:2])


def test_nothing_cheap_enough(make_pool: MakePool) -> None:
    pool = make_pool(2, cost_per_request=1.0)
    with pytest.raises(ProxyPoolEmptyError, match=r"cost <= 0\.5"):
        CostAwareStrategy(0.5).select(pool)
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0


def test_configure(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(3, cost_per_request=[0.0, 0.999, 5.0])
    strategy = CostAwareStrategy(seed=3)
    strategy.configure(StrategyConfig(metadata={"max_cost_per_request": 2.0, "free_proxy_boost": 3.0}))
    check_shares(draw(strategy, pool, N), {pool.proxies[0]: 0.75, pool.proxies[1]: 0.25})
    assert strategy.max_cost_per_request == 2.0
    assert strategy.free_proxy_boost == 3.0


def test_costs_written_later_count(make_pool: MakePool, draw: Any) -> None:
    pool, strategy = make_pool(2, cost_per_request=[0.0, 9.0]), CostAwareStrategy(1.0, seed=4)
    assert set(draw(strategy, pool, 100)) == {pool.proxies[0]}
    pool.proxies[0].cost_per_request, pool.proxies[1].cost_per_request = 9.0, 0.5
    assert set(draw(strategy, pool, 100)) == {pool.proxies[1]}


def test_as_a_filter_it_applies_the_limit(make_pool: MakePool) -> None:
    # B-07: in the published package 44 % of the traffic went over the limit.
    content = make_pool(4, cost_per_request=[0.1, 2.0, None, 0.5]).get_all_proxies()
    assert CostAwareStrategy(0.5).filter(content, None) == [content[0], content[2], content[3]]
    assert CostAwareStrategy().filter(content, None) == content


@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_the_limit_is_not_negative(limit: float) -> None:
    with pytest.raises(ValueError, match="max_cost_per_request"):
        CostAwareStrategy(limit)


def test_it_needs_no_metadata(make_pool: MakePool) -> None:
    assert CostAwareStrategy().validate_metadata(make_pool(1)) is True


def test_bytes_cost_by_what_requests_are_expected_to_take(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(3, cost_per_request=0.1)
    by_volume, carried, both = pool.proxies
    by_volume.cost_per_request, by_volume.cost_per_gb = 0.0, 1000.0
    carried.cost_per_request, carried.cost_per_gb = 0.0, 1000.0
    # Twenty requests of a million bytes each.
    carried.total_successes, carried.bytes_received = 20, 20_000_000
    both.cost_per_gb = 1000.0
    weights = [1 / 0.101, 1 / 1.001, 1 / 0.201]
    found = draw(CostAwareStrategy(seed=5), pool, N)
    check_shares(found, {proxy: weight / sum(weights) for proxy, weight in zip(pool.proxies, weights)})
    assert set(draw(CostAwareStrategy(0.15, seed=6), pool, 200)) == {by_volume}


def test_the_mean_of_bytes_is_followed_when_requests_end(make_pool: MakePool) -> None:
    from proxywhirl import RoundRobinStrategy

    pool = make_pool(1, cost_per_request=0.0)
    (proxy,) = pool.proxies
    proxy.cost_per_gb = 1000.0
    # By 100,000 bytes a request costs 0.1.
    assert CostAwareStrategy(0.1).select(pool) is proxy
    lease = pool.lease(RoundRobinStrategy(), "http://shop.test/")
    lease.report(200, bytes_received=500_000)
    with pytest.raises(ProxyPoolEmptyError, match="cost <= "):
        CostAwareStrategy(0.1).select(pool)
    assert CostAwareStrategy(0.6).select(pool) is proxy
