"""Round-robin (api 6.1)."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, RoundRobinStrategy, SelectionContext

MakePool = Callable[..., ProxyPool]


def take(strategy: Any, pool: ProxyPool, times: int, context: Any = None) -> list[int]:
    order = {proxy.id: place for place, proxy in enumerate(pool.proxies)}
    return [order[strategy.select(pool, context).id] for _ in range(times)]


def test_order_is_the_pools_beginning_with_the_first(make_pool: MakePool) -> None:
    assert take(RoundRobinStrategy(), make_pool(3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_the_unhealthy_are_skipped(make_pool: MakePool) -> None:
    pool = make_pool(4)
    pool.proxies[1].health_status = "dead"
    assert take(RoundRobinStrategy(), pool, 6) == [0, 2, 3, 0, 2, 3]


def test_it_goes_on_where_it_was_when_one_comes_back(make_pool: MakePool) -> None:
    pool, strategy = make_pool(4), RoundRobinStrategy()
    pool.proxies[2].health_status = "unhealthy"
    assert take(strategy, pool, 2) == [0, 1]
    pool.proxies[2].health_status = "healthy"
    assert take(strategy, pool, 4) == [2, 3, 0, 1]


def test_new_ones_come_at_the_end(make_pool: MakePool, make_proxy: Callable[..., Proxy]) -> None:
    pool, strategy = make_pool(2), RoundRobinStrategy()
    assert take(strategy, pool, 2) == [0, 1]
    pool.add_proxy(make_proxy(5))
    assert take(strategy, pool, 4) == [2, 0, 1, 2]


def test_removal_disturbs_no_other_turn(make_pool: MakePool) -> None:
    pool, strategy = make_pool(5), RoundRobinStrategy()
    hosts = [strategy.select(pool).host for _ in range(2)]
    pool.remove_proxy(pool.proxies[0].id)
    hosts += [strategy.select(pool).host for _ in range(5)]
    assert [host[5] for host in hosts] == ["0", "1", "2", "3", "4", "1", "2"]


def test_alternating_exclusions_starve_no_proxy(make_pool: MakePool) -> None:
    # B-06: a retry excludes the last one at every other call.
    pool, strategy = make_pool(3), RoundRobinStrategy()
    found: Counter[str] = Counter()
    for _ in range(500):
        first = strategy.select(pool)
        second = strategy.select(pool, SelectionContext(failed_proxy_ids=[str(first.id)]))
        assert second is not first
        found[first.host] += 1
        found[second.host] += 1
    assert max(found.values()) - min(found.values()) <= 1


@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize("times", [1, 99, 1000])
def test_counts_differ_by_one_at_most(size: int, times: int, make_pool: MakePool) -> None:
    pool = make_pool(size)
    found = Counter(take(RoundRobinStrategy(), pool, times))
    counts = [found[place] for place in range(size)]
    assert max(counts) - min(counts) <= 1


def test_counts_differ_by_one_at_most_under_100_threads(make_pool: MakePool) -> None:
    pool, strategy = make_pool(7), RoundRobinStrategy()
    barrier = threading.Barrier(100)

    def work() -> None:
        barrier.wait()
        for _ in range(100):
            strategy.select(pool)

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = [proxy.requests_started for proxy in pool.proxies]
    assert sum(counts) == 10_000
    assert max(counts) - min(counts) <= 1


def test_each_strategy_and_each_pool_has_its_own_place(make_pool: MakePool) -> None:
    pool, one, other = make_pool(3), RoundRobinStrategy(), RoundRobinStrategy()
    assert take(one, pool, 2) == [0, 1]
    assert take(other, pool, 1) == [0]
    assert take(one, pool, 1) == [2]


def test_random_exclusions_give_the_next_that_is_left(make_pool: MakePool) -> None:
    # The model: the proxy that is due. If this request excludes it, it stays due, and the request gets the first proxy
    # that is left, from where the last detour at this place ended.
    generator, pool, strategy = random.Random(7), make_pool(9), RoundRobinStrategy()
    ids = [proxy.id for proxy in pool.proxies]
    due = aside = left_at = 0
    for _ in range(500):
        excluded = set(generator.sample(range(9), generator.randrange(9)))
        if due % 9 in excluded:
            if left_at != due:
                left_at = aside = due
            expected = next(place % 9 for place in range(aside, aside + 9) if place % 9 not in excluded)
            aside = expected + 1
        else:
            expected = due % 9
            due = expected + 1
        context = SelectionContext(exclude_proxy_ids={ids[place] for place in excluded})
        assert take(strategy, pool, 1, context) == [expected]


def test_it_needs_no_metadata(make_pool: MakePool) -> None:
    assert RoundRobinStrategy().validate_metadata(make_pool(0)) is True
    assert RoundRobinStrategy().requires_metadata == set()


def test_a_proxy_that_every_other_request_excludes_keeps_its_turn(make_pool: MakePool) -> None:
    # B-06: the last proxy is excluded at every other call, which is just when a plain cursor would come to it.
    pool = make_pool(3)
    strategy = RoundRobinStrategy()
    last = pool.proxies[2]
    without = SelectionContext(failed_proxy_ids=[str(last.id)])
    chosen = [strategy.select(pool, without if call % 2 else None) for call in range(3000)]
    counts = [chosen.count(proxy) for proxy in pool.proxies]
    # It can be chosen in half of the calls, and has every third turn of the whole round: a quarter in the long run.
    assert counts[2] >= 700, counts
    assert abs(counts[0] - counts[1]) <= 2, counts
