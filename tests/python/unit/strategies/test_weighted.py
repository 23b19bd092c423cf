"""Weighted (api 6.3)."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, StrategyConfig, WeightedStrategy

MakePool = Callable[..., ProxyPool]
N = 20_000


def shares(pool: ProxyPool, *weights: float) -> dict[Proxy, float]:
    return {proxy: weight / sum(weights) for proxy, weight in zip(pool.proxies, weights)}


def test_by_url(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(3)
    weights = {proxy.url: weight for proxy, weight in zip(pool.proxies, (1.0, 2.0, 7.0))}
    check_shares(draw(WeightedStrategy(weights, seed=1), pool, N), shares(pool, 1, 2, 7))


def test_by_id(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(3)
    weights = {str(proxy.id): weight for proxy, weight in zip(pool.proxies, (5.0, 3.0, 2.0))}
    check_shares(draw(WeightedStrategy(weights=weights, seed=1), pool, N), shares(pool, 5, 3, 2))


def test_id_comes_before_url(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(2)
    first, second = pool.get_all_proxies()
    weights = {str(first.id): 9.0, first.url: 1.0, second.url: 1.0}
    check_shares(draw(WeightedStrategy(weights, seed=1), pool, N), shares(pool, 9, 1))


def test_tags_are_groups_whatever_their_size(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    # 0.8 for the one of the user's, 0.2 for nine fetched ones.
    pool = make_pool(10, tags=[{"source:user"}] + [{"source:fetched"}] * 9)
    strategy = WeightedStrategy(weights={"source:user": 0.8, "source:fetched": 0.2}, seed=2)
    check_shares(draw(strategy, pool, N), shares(pool, 0.8, *[0.2 / 9] * 9))


def test_groups_without_a_candidate_leave_their_share_to_the_others(
    make_pool: MakePool, draw: Any, check_shares: Any
) -> None:
    pool = make_pool(4, tags=[{"a"}, {"a"}, {"b"}, {"c"}])
    strategy = WeightedStrategy({"a": 0.5, "b": 0.3, "c": 0.2}, seed=3)
    pool.proxies[3].health_status = "dead"
    check_shares(draw(strategy, pool, N), shares(pool, 0.25, 0.25, 0.3))  # 0.5 and 0.3 made to sum 1
    pool.proxies[2].health_status = "dead"
    check_shares(draw(strategy, pool, N), shares(pool, 1, 1))
    pool.proxies[3].health_status = "healthy"
    check_shares(
        draw(strategy, pool, N),
        {pool.proxies[0]: 2.5 / 7, pool.proxies[1]: 2.5 / 7, pool.proxies[3]: 2 / 7},
    )


def test_those_in_no_group_wait_until_no_group_has_a_candidate(make_pool: MakePool, draw: Any) -> None:
    pool = make_pool(3, tags=[{"a"}, set(), {"other"}])
    strategy = WeightedStrategy({"a": 1.0}, seed=4)
    assert set(draw(strategy, pool, 500)) == {pool.proxies[0]}
    pool.proxies[0].health_status = "dead"
    assert set(draw(strategy, pool, 500)) == {pool.proxies[1], pool.proxies[2]}


def test_with_several_tags_the_highest_counts(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(2, tags=[{"low", "high"}, {"low"}])
    check_shares(draw(WeightedStrategy({"low": 0.1, "high": 0.9}, seed=5), pool, N), shares(pool, 0.9, 0.1))


def test_tags_written_later_count(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(2, tags=[{"a"}, {"a"}])
    strategy = WeightedStrategy({"a": 0.75, "b": 0.25}, seed=6)
    check_shares(draw(strategy, pool, N), shares(pool, 1, 1))
    pool.proxies[1].tags = {"b"}
    check_shares(draw(strategy, pool, N), shares(pool, 3, 1))
    pool.proxies[1].tags.discard("b")
    pool.proxies[1].tags.add("a")
    check_shares(draw(strategy, pool, N), shares(pool, 1, 1))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), None])
def test_unusable_weights_fall_back_to_the_success_rate(
    weight: Any, make_pool: MakePool, draw: Any, check_shares: Any
) -> None:
    # The first has a success rate of 0.5, so 0.5 against the 1.5 of the second.
    pool = make_pool(2, total_requests=10, total_successes=5)
    weights = {pool.proxies[0].url: weight, pool.proxies[1].url: 1.5}
    if weight is None:
        del weights[pool.proxies[0].url]
    check_shares(draw(WeightedStrategy(weights, seed=7), pool, N), shares(pool, 0.5, 1.5))


def test_without_weights_the_success_rate_counts_from_a_tenth_up(
    make_pool: MakePool, draw: Any, check_shares: Any
) -> None:
    pool = make_pool(4, total_requests=[10, 10, 10, 0], total_successes=[10, 5, 0, 0])
    expected = shares(pool, 1.0, 0.5, 0.1, 0.1)
    check_shares(draw(WeightedStrategy(seed=8), pool, N), expected)
    check_shares(draw(WeightedStrategy({}, seed=8), pool, N), expected)


def test_weights_follow_results_at_once(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool, strategy = make_pool(2), WeightedStrategy(seed=9)
    check_shares(draw(strategy, pool, N), shares(pool, 1, 1))
    strategy.record_result(pool.proxies[0], True, 1.0)  # 1.0 against the floor of 0.1
    check_shares(draw(strategy, pool, N), shares(pool, 10, 1))
    pool.proxies[1].total_requests = pool.proxies[1].total_successes = 4
    check_shares(draw(strategy, pool, N), shares(pool, 1, 1))


def test_weights_follow_membership(make_pool: MakePool, make_proxy: Any, draw: Any, check_shares: Any) -> None:
    pool = make_pool(1)
    new = make_proxy(8)
    strategy = WeightedStrategy({pool.proxies[0].url: 1.0, new.url: 3.0}, seed=10)
    assert set(draw(strategy, pool, 50)) == {pool.proxies[0]}
    pool.add_proxy(new)
    check_shares(draw(strategy, pool, N), shares(pool, 1, 3))


def test_configure_replaces_the_constructors_weights_if_it_has_some(
    make_pool: MakePool, draw: Any, check_shares: Any
) -> None:
    pool = make_pool(2)
    first, second = pool.get_all_proxies()
    strategy = WeightedStrategy({first.url: 3.0, second.url: 1.0}, seed=11)
    strategy.configure(StrategyConfig(ema_alpha=0.3))
    check_shares(draw(strategy, pool, N), shares(pool, 3, 1))
    strategy.configure(StrategyConfig(weights={first.url: 1.0, second.url: 4.0}))
    check_shares(draw(strategy, pool, N), shares(pool, 1, 4))


def test_tag_keys_make_groups_in_which_other_keys_act(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    # api 23.25
    pool = make_pool(3, tags=[{"a"}, {"a"}, {"b"}])
    first, second = pool.get_all_proxies()[:2]
    strategy = WeightedStrategy({"a": 0.6, "b": 0.4, first.url: 2.0, str(second.id): 1.0}, seed=12)
    check_shares(draw(strategy, pool, N), shares(pool, 0.4, 0.2, 0.4))


@pytest.mark.parametrize("weights", [3, "a", [1.0], {"a": "heavy"}])
def test_weights_are_a_mapping_of_text_to_numbers(weights: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        WeightedStrategy(weights)


def test_it_needs_no_metadata(make_pool: MakePool) -> None:
    assert WeightedStrategy().validate_metadata(make_pool(0)) is True
