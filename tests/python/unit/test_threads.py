"""Many threads at once: no count is lost, nothing hangs (api 3, SC-008)."""

from __future__ import annotations

import random
import threading
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
    ProxyPoolEmptyError,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    WeightedStrategy,
)
from proxywhirl.strategies._adapter import adapt

MakePool = Callable[..., ProxyPool]


class Written:
    """A strategy in Python that counts by itself."""

    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        proxy = random.choice(pool.get_healthy_proxies())
        proxy.start_request()
        return proxy

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        proxy.complete_request(success, response_time_ms)


STRATEGIES: dict[str, Callable[[], Any]] = {
    "round-robin": RoundRobinStrategy,
    "random": RandomStrategy,
    "weighted": WeightedStrategy,
    "weighted by tag": lambda: WeightedStrategy({"a": 0.9, "b": 0.1}),
    "least-used": LeastUsedStrategy,
    "performance-based": lambda: PerformanceBasedStrategy(exploration_count=5),
    "session": SessionPersistenceStrategy,
    "geo-targeted": lambda: GeoTargetedStrategy(preferred_countries=["US"]),
    "cost-aware": CostAwareStrategy,
    "composite": lambda: CompositeStrategy(filters=["geo"], selector=PerformanceBasedStrategy(exploration_count=5)),
    "python": lambda: adapt(Written()),
    "python without results": lambda: adapt(lambda proxies: proxies[0]),
    "composite of python": lambda: CompositeStrategy(filters=[Written()], selector=Written()),
}


def together(work: Callable[[int], None], threads: int) -> None:
    """Run ``work(number)`` in so many threads at once; the first error is raised here."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(threads)

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]


def balanced(pool: ProxyPool) -> bool:
    return all(p.requests_started == p.requests_completed + p.requests_active for p in pool.proxies)


@pytest.mark.parametrize("name", STRATEGIES)
def test_100_threads_lose_no_count(name: str, make_pool: MakePool) -> None:
    pool = make_pool(10, country_code=["US", "DE"] * 5, tags=[{"a"}, {"b"}] * 5)
    strategy, rounds = STRATEGIES[name](), 50

    def work(number: int) -> None:
        for turn in range(rounds):
            proxy = strategy.select(pool, SelectionContext(session_id=f"{number % 7}"))
            # One failure in ten, never three in a row for long: the statuses move, the pool is never empty.
            strategy.record_result(proxy, (number + turn) % 10 != 0, 5.0)

    together(work, 100)
    assert balanced(pool)
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
    assert sum(proxy.requests_started for proxy in pool.proxies) == 100 * rounds
    assert sum(proxy.total_requests for proxy in pool.proxies) == 100 * rounds
    assert sum(proxy.total_failures for proxy in pool.proxies) == 10 * rounds


def test_leases_lose_no_count(make_pool: MakePool) -> None:
    pool, strategy = make_pool(10), LeastUsedStrategy()

    def work(number: int) -> None:
        for turn in range(60):
            lease = pool.lease(strategy)
            if turn % 3 == 0:
                lease.success(1.0)
            elif turn % 3 == 1:
                lease.release()
            else:
                del lease

    together(work, 50)
    assert balanced(pool)
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
    assert sum(proxy.requests_started for proxy in pool.proxies) == 50 * 20


def test_counters_of_one_proxy_add_up(make_proxy: Any) -> None:
    proxy = make_proxy()

    def work(number: int) -> None:
        for _ in range(200):
            proxy.start_request()
            proxy.complete_request(number % 2 == 0, 10.0)

    together(work, 100)
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (20_000, 20_000, 0)
    assert (proxy.total_successes, proxy.total_failures) == (10_000, 10_000)
    assert proxy.ema_response_time_ms == pytest.approx(10.0)


def test_adding_removing_and_writing_under_load(make_pool: MakePool) -> None:
    pool = make_pool(20, pool={"max_pool_size": 10_000})
    strategies: list[Any] = [maker() for maker in STRATEGIES.values()]
    done = threading.Event()

    def select(number: int) -> None:
        generator = random.Random(number)
        for _ in range(150):
            strategy = generator.choice(strategies)
            try:
                proxy = strategy.select(pool, SelectionContext(session_id=str(generator.randrange(20))))
            except ProxyPoolEmptyError:
                continue
            strategy.record_result(proxy, generator.random() < 0.8, 5.0)

    def change(number: int) -> None:
        generator = random.Random(number)
        serial = 0
        while not done.is_set():
            serial += 1
            pool.add_proxy(f"http://new{number}-{serial}.test:1")
            content = pool.get_all_proxies()
            generator.choice(content).health_status = generator.choice(["healthy", "dead", "unknown"])
            if len(content) > 30:
                pool.remove_proxy(generator.choice(content).id)
            if serial % 20 == 0:
                pool.proxies.sort(key=lambda proxy: proxy.url)
            generator.choice(content).tags = {"a"}

    changers = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in changers:
        thread.start()
    try:
        together(select, 20)
    finally:
        done.set()
        for thread in changers:
            thread.join()
    assert balanced(pool)
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
    content = pool.get_all_proxies()
    assert len({proxy.url for proxy in content}) == len(content) == pool.size


def test_swapping_parts_of_a_composite_under_load(make_pool: MakePool) -> None:
    pool = make_pool(10, country_code=["US", "DE"] * 5)
    strategy = CompositeStrategy(filters=["geo"], selector="round-robin")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            strategy.selector = LeastUsedStrategy()
            strategy.filters = [GeoTargetedStrategy(preferred_countries=["US"])]
            strategy.selector = RandomStrategy()
            strategy.filters = [CostAwareStrategy()]

    def work(number: int) -> None:
        for _ in range(200):
            strategy.record_result(strategy.select(pool), True, 1.0)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        together(work, 10)
    finally:
        done.set()
        swapper.join()
    assert balanced(pool)
    assert sum(proxy.requests_started for proxy in pool.proxies) == 2000


async def test_10000_tasks(make_pool: MakePool) -> None:
    import asyncio

    pool, strategy = make_pool(100), RoundRobinStrategy()

    async def one() -> None:
        async with pool.lease(strategy):
            await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(10_000)))
    assert {proxy.requests_started for proxy in pool.proxies} == {100}
    assert balanced(pool)
    assert sum(proxy.total_successes for proxy in pool.proxies) == 10_000


async def test_cancelled_tasks_release_their_lease(make_pool: MakePool) -> None:
    import asyncio

    pool, strategy = make_pool(3), RoundRobinStrategy()

    async def hang() -> None:
        async with pool.lease(strategy):
            await asyncio.sleep(60)

    tasks = [asyncio.ensure_future(hang()) for _ in range(30)]
    await asyncio.sleep(0)
    assert sum(proxy.requests_active for proxy in pool.proxies) == 30
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [(p.requests_started, p.requests_active, p.total_requests) for p in pool.proxies] == [(0, 0, 0)] * 3
