"""Least used (api 6.4)."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from proxywhirl import LeastUsedStrategy, ProxyPool

MakePool = Callable[..., ProxyPool]


def test_the_smallest_count_wins(make_pool: MakePool) -> None:
    pool = make_pool(3, requests_started=[5, 2, 7], requests_completed=[5, 2, 7])
    strategy = LeastUsedStrategy()
    assert [strategy.select(pool) for _ in range(3)] == [pool.proxies[1]] * 3
    assert [proxy.requests_started for proxy in pool.proxies] == [5, 5, 7]


def test_filling_up_from_below(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3, requests_started=[4, 1, 2]), LeastUsedStrategy()
    for _ in range(5):
        strategy.select(pool)
    assert [proxy.requests_started for proxy in pool.proxies] == [4, 4, 4]
    for _ in range(3):
        strategy.select(pool)
    assert [proxy.requests_started for proxy in pool.proxies] == [5, 5, 5]


@pytest.mark.parametrize(
    "fields",
    [
        {"requests_started": [3, 1, 2]},
        {"requests_completed": [3, 1, 2]},
        {"requests_active": [3, 1, 2]},
        {"requests_started": [0, 1, 0], "requests_completed": [2, 0, 0], "requests_active": [1, 0, 2]},
    ],
)
def test_the_key_is_the_larger_of_started_and_completed_plus_active(
    fields: dict[str, list[int]], make_pool: MakePool
) -> None:
    # C-09: max(started, completed + active) is 3, 1, 2 in every row.
    pool = make_pool(3, **fields)
    assert LeastUsedStrategy().select(pool) is pool.proxies[1]


def test_ties_go_to_the_lowest_id(make_pool: MakePool) -> None:
    pool, strategy = make_pool(20), LeastUsedStrategy()
    expected = sorted(pool.get_all_proxies(), key=lambda proxy: str(proxy.id))
    assert [strategy.select(pool) for _ in range(20)] == expected
    assert [strategy.select(pool) for _ in range(20)] == expected


def test_random_ties(make_pool: MakePool) -> None:
    # Each of ten is first with chance 1/10: 300 of 3,000, deviation sqrt(3000 * 0.1 * 0.9) = 16.4.
    pool, strategy = make_pool(10), LeastUsedStrategy(tie_breaker="random", seed=3)
    first = dict.fromkeys(pool.proxies, 0)
    for _ in range(3000):
        first[strategy.select(pool)] += 1
        for _ in range(9):
            strategy.select(pool)
    assert all(abs(count - 300) <= 5 * 16.4 for count in first.values())
    assert {proxy.requests_started for proxy in pool.proxies} == {3000}


def test_an_unknown_tie_breaker_is_refused() -> None:
    with pytest.raises(ValueError, match="tie_breaker"):
        LeastUsedStrategy(tie_breaker="oldest")  # type: ignore[arg-type]


def test_direct_writes_are_honoured(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3), LeastUsedStrategy()
    for _ in range(6):
        strategy.select(pool)
    pool.proxies[2].requests_started = 0
    pool.proxies[2].requests_active = 0
    assert strategy.select(pool) is pool.proxies[2]
    pool.proxies[0].requests_completed = 50
    pool.proxies[1].requests_active = 40
    assert {strategy.select(pool) for _ in range(30)} == {pool.proxies[2]}


def test_starts_made_elsewhere_count(make_pool: MakePool) -> None:
    pool, strategy = make_pool(2), LeastUsedStrategy()
    for _ in range(10):
        pool.proxies[0].start_request()
    assert {strategy.select(pool) for _ in range(9)} == {pool.proxies[1]}


def test_windows_that_ran_out_begin_anew(make_pool: MakePool) -> None:
    pool = make_pool(3, requests_started=[100, 3, 5])
    old = pool.proxies[0]
    old.window_start = old.created_at.replace(year=2001)
    assert LeastUsedStrategy().select(pool) is old
    assert old.requests_started == 1
    assert old.window_start is not None
    assert old.window_start.year > 2001


def test_a_proxy_that_was_away_catches_up(make_pool: MakePool) -> None:
    pool, strategy = make_pool(3), LeastUsedStrategy()
    pool.proxies[0].health_status = "dead"
    for _ in range(10):
        strategy.select(pool)
    pool.proxies[0].health_status = "healthy"
    assert {strategy.select(pool) for _ in range(5)} == {pool.proxies[0]}


def test_100_threads_share_exactly(make_pool: MakePool) -> None:
    pool, strategy, barrier = make_pool(100), LeastUsedStrategy(), threading.Barrier(100)

    def work() -> None:
        barrier.wait()
        for _ in range(100):
            strategy.select(pool)

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [proxy.requests_started for proxy in pool.proxies] == [100] * 100


def test_threads_that_also_complete_share_exactly(make_pool: MakePool) -> None:
    pool, strategy = make_pool(10), LeastUsedStrategy()

    def work() -> None:
        for _ in range(200):
            strategy.record_result(strategy.select(pool), True, 1.0)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [proxy.requests_started for proxy in pool.proxies] == [400] * 10
    assert [proxy.requests_completed for proxy in pool.proxies] == [400] * 10


def test_it_needs_no_metadata(make_pool: MakePool) -> None:
    assert LeastUsedStrategy().validate_metadata(make_pool(2)) is True


def test_it_follows_a_model_of_ten_lines(make_pool: MakePool) -> None:
    import random

    generator, pool, strategy = random.Random(4), make_pool(8), LeastUsedStrategy()
    in_flight: list[Any] = []
    for _ in range(2000):
        if in_flight and generator.random() < 0.45:
            in_flight.pop(generator.randrange(len(in_flight))).complete_request(True, 1.0)
            continue
        expected = min(
            pool.proxies,
            key=lambda p: (max(p.requests_started, p.requests_completed + p.requests_active), str(p.id)),
        )
        chosen = strategy.select(pool)
        assert chosen is expected
        in_flight.append(chosen)
