"""Random (api 6.2)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable

import pytest

from proxywhirl import ProxyPool, RandomStrategy, SelectionContext

MakePool = Callable[..., ProxyPool]


@pytest.mark.parametrize("size", [1, 2, 10, 65])
def test_uniform(size: int, make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(size)
    found = draw(RandomStrategy(seed=11), pool, 20_000)
    check_shares(found, dict.fromkeys(pool.proxies, 1 / size))


def test_uniform_over_what_is_left(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    # Rejecting the excluded must not favour their neighbours.
    pool = make_pool(10)
    content = pool.get_all_proxies()
    content[3].health_status = "dead"
    context = SelectionContext(exclude_proxy_ids={proxy.id for proxy in content[:3]})
    found = draw(RandomStrategy(seed=12), pool, 20_000, context)
    check_shares(found, dict.fromkeys(content[4:], 1 / 6))


def test_uniform_when_nearly_all_are_excluded(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(1000)
    content = pool.get_all_proxies()
    context = SelectionContext(exclude_proxy_ids={proxy.id for proxy in content[2:]})
    found = draw(RandomStrategy(seed=13), pool, 4000, context)
    check_shares(found, dict.fromkeys(content[:2], 1 / 2))


def test_repeats_happen_as_often_as_they_should(make_pool: MakePool) -> None:
    # Two draws in a row are equal with chance 1/10: 2,000 of 20,000, deviation sqrt(20000 * 0.1 * 0.9) = 42.4.
    pool, strategy = make_pool(10), RandomStrategy(seed=14)
    chosen = [strategy.select(pool) for _ in range(20_001)]
    repeats = sum(a is b for a, b in zip(chosen, chosen[1:]))
    assert abs(repeats - 2000) <= 5 * 42.4


def test_without_a_seed_runs_differ(make_pool: MakePool) -> None:
    pool = make_pool(50)
    one, other = RandomStrategy(), RandomStrategy()
    # Equal by chance once in 50**20 runs.
    assert [one.select(pool) for _ in range(20)] != [other.select(pool) for _ in range(20)]


def test_rates_and_averages_do_not_matter(make_pool: MakePool, draw: Any, check_shares: Any) -> None:
    pool = make_pool(2, ema_response_time_ms=[1.0, 1000.0], total_requests=10, total_successes=[10, 0])
    check_shares(draw(RandomStrategy(seed=15), pool, 10_000), dict.fromkeys(pool.proxies, 0.5))


def test_it_needs_no_metadata(make_pool: MakePool) -> None:
    assert RandomStrategy().validate_metadata(make_pool(0)) is True


def test_counter_of_all_is_the_number_of_draws(make_pool: MakePool) -> None:
    pool, strategy = make_pool(5), RandomStrategy(seed=16)
    found = Counter(strategy.select(pool).id for _ in range(1000))
    assert {proxy.id: proxy.requests_started for proxy in pool.proxies} == dict(found)
