"""Processes, copies, garbage: fork, spawn, pickle, cycles, and nothing left behind."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import sys
import threading
import weakref
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
    SessionPersistenceStrategy,
    WeightedStrategy,
)
from proxywhirl.strategies._adapter import adapt

MakePool = Callable[..., ProxyPool]


def report(pool: ProxyPool, send: Any) -> None:
    """Runs in another process: select there, and tell what happened."""
    strategy = RoundRobinStrategy()
    chosen = []
    for _ in range(4):
        proxy = strategy.select(pool)
        strategy.record_result(proxy, True, 10.0)
        chosen.append(proxy.host)
    send.send((chosen, [proxy.total_requests for proxy in pool.proxies]))
    send.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_other_processes_work_on_their_own_copy(method: str, make_pool: MakePool) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    context = multiprocessing.get_context(method)
    pool = make_pool(3)
    RoundRobinStrategy().select(pool)  # in use before the fork
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=report, args=(pool, send))
    process.start()
    send.close()
    assert receive.poll(30), "the other process hangs"
    chosen, totals = receive.recv()
    process.join(30)
    assert process.exitcode == 0
    assert chosen == ["proxy0.test", "proxy1.test", "proxy2.test", "proxy0.test"]
    assert totals == [2, 1, 1]
    assert [proxy.total_requests for proxy in pool.proxies] == [0, 0, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_threads_select_does_not_hang(make_pool: MakePool) -> None:
    pool, done = make_pool(5), threading.Event()
    strategies: list[Any] = [RoundRobinStrategy(), LeastUsedStrategy(), PerformanceBasedStrategy(exploration_count=5)]

    def work() -> None:
        while not done.is_set():
            for strategy in strategies:
                strategy.record_result(strategy.select(pool), True, 1.0)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                # The child has this thread alone. A new strategy and the lock-free ways must work; alarm() ends a hang.
                import signal

                signal.alarm(20)
                pool.proxies[0].start_request()
                RoundRobinStrategy().select(pool)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            assert status == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_keeps_what_a_proxy_knows(protocol: int, make_pool: MakePool) -> None:
    pool = make_pool(2, metadata={"k": [1]}, tags={"a"})
    pool.proxies[0].start_request()
    again = pickle.loads(pickle.dumps(pool, protocol))
    assert again == pool
    assert again.proxies[0].requests_active == 1
    assert again.get_proxy_by_id(pool.proxies[1].id) is again.proxies[1]
    assert again.filter_by_tags({"a"}) == list(again.proxies)


def test_credentials_survive_pickling() -> None:
    proxy = pickle.loads(pickle.dumps(Proxy(url="http://user:hunter2@p.test:1")))
    assert proxy.password.get_secret_value() == "hunter2"
    assert proxy.url == "http://user:hunter2@p.test:1"


def test_identity_survives_within_one_pickle(make_pool: MakePool) -> None:
    pool = make_pool(2)
    same_pool, same_proxy = pickle.loads(pickle.dumps((pool, pool.proxies[1])))
    assert same_pool.get_proxy_by_id(same_proxy.id) == same_proxy
    first, second = pickle.loads(pickle.dumps([pool.proxies[0], pool.proxies[0]]))
    assert first is second


class Marked:
    """Can be watched while it goes; most native objects' attributes can hold it."""


def test_a_cycle_from_metadata_to_the_pool_is_collected(make_pool: MakePool) -> None:
    pool, mark = make_pool(3), Marked()
    watch = weakref.ref(mark)
    for proxy in pool.proxies:
        proxy.metadata["pool"] = pool
        proxy.metadata["mark"] = mark
    del pool, proxy, mark
    gc.collect()
    assert watch() is None


def test_a_cycle_through_a_strategy_is_collected(make_pool: MakePool) -> None:
    def build() -> weakref.ref[Any]:
        class Own(Marked):
            def select(self, pool: ProxyPool) -> Proxy:
                return pool.get_all_proxies()[0]

        own: Any = Own()
        pool = make_pool(2)
        own.composite = CompositeStrategy(
            filters=[GeoTargetedStrategy(secondary_strategy=own)],
            selector=SessionPersistenceStrategy(fallback_strategy=own),
        )
        own.pool = pool
        own.composite.select(pool, type("Context", (), {"session_id": "s"})())
        return weakref.ref(own)

    watch = build()
    gc.collect()
    assert watch() is None


def test_a_cycle_through_a_context_and_a_lease_is_collected(make_pool: MakePool) -> None:
    from proxywhirl import SelectionContext

    pool, mark = make_pool(1), Marked()
    watch = weakref.ref(mark)
    context = SelectionContext(metadata={"mark": mark})
    context.metadata["self"] = context
    lease = pool.lease(RoundRobinStrategy(), context=context)
    pool.proxies[0].metadata["lease"] = lease
    pool.proxies[0].metadata["mark"] = mark
    del context, lease, mark, pool
    gc.collect()
    assert watch() is None


def test_an_unreferenced_subclass_is_freed() -> None:
    class Own(RoundRobinStrategy):
        pass

    strategy: Any = Own()
    strategy.myself = strategy
    watch = weakref.ref(strategy)
    del strategy
    gc.collect()
    assert watch() is None


def test_the_proxy_outlives_its_pool(make_pool: MakePool) -> None:
    pool = make_pool(2)
    proxy = pool.proxies[0]
    del pool
    gc.collect()
    proxy.health_status = "dead"
    proxy.tags.add("x")
    proxy.record_success(1.0)
    assert proxy.is_healthy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_thousand_pools_and_strategies_leave_nothing(make_pool: MakePool) -> None:
    makers: list[Callable[[], Any]] = [
        RoundRobinStrategy,
        RandomStrategy,
        WeightedStrategy,
        LeastUsedStrategy,
        lambda: PerformanceBasedStrategy(exploration_count=5),
        GeoTargetedStrategy,
        CostAwareStrategy,
        lambda: CompositeStrategy(filters=["geo"], selector="least-used"),
        lambda: adapt(lambda proxies: proxies[0]),
    ]

    def cycle(times: int) -> None:
        for number in range(times):
            pool = make_pool(20)
            strategy = makers[number % len(makers)]()
            for _ in range(5):
                strategy.record_result(strategy.select(pool), True, 1.0)
            pool.proxies[0].metadata["pool"] = pool
        gc.collect()

    def resident_kib() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    cycle(200)  # caches and arenas fill up
    threads, before, objects = threading.active_count(), resident_kib(), len(gc.get_objects())
    cycle(1000)
    assert threading.active_count() == threads
    assert len(gc.get_objects()) - objects < 500
    # A thousand pools of twenty proxies would be more than 10 MiB; allocators keep a little.
    assert resident_kib() - before < 4096


def test_a_million_results_do_not_grow_a_proxy() -> None:
    proxy = Proxy(url="http://p.test:1")
    for _ in range(2000):
        proxy.record_failure("error " * 10)
        proxy.record_request(True, 1.0)
        proxy.start_request()
    assert len(proxy.metadata["last_errors"]) == 10
    assert len(proxy.history) <= 101
    assert len(proxy._metadata().request_window) <= 61


def test_copies_of_strategies_go_by_reference_or_refuse() -> None:
    # A strategy has state in the core; a copy that silently shared half of it would be worse than an error.
    strategy = RoundRobinStrategy()
    try:
        made = copy.copy(strategy)
    except TypeError:
        return
    assert type(made) is RoundRobinStrategy
