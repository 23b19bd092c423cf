"""Forks at every point: the child finds every lock free, no request in flight, and the whole pool usable."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from sizes import sized

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

PREAMBLE = """
import faulthandler, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
faulthandler.dump_traceback_later(150, exit=True)
from proxywhirl import *
from proxywhirl import _core

def urls(start, count):
    return [f"http://10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:80" for n in range(start, start + count)]

def in_child(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(40)
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def run(program: str) -> str:
    code = PREAMBLE + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_forks_while_threads_hammer_everything() -> None:
    assert (
        run(
            f"rounds = {sized(15, 50)}\n"
            + textwrap.dedent("""
        pool = ProxyPool(max_pool_size=10**7)
        pool.add_many(urls(0, 400), tags=["kept"])
        pool._guard_configure(max_in_flight=3, slow_start=True)
        kept = pool.get_all_proxies()
        strategies = [RoundRobinStrategy(), RandomStrategy(), WeightedStrategy(), LeastUsedStrategy(),
                      PerformanceBasedStrategy(exploration_count=2), SessionPersistenceStrategy()]
        manager = SessionManager()
        stop = threading.Event()

        def requests(number):
            held = []
            turn = number
            while not stop.is_set():
                turn += 1
                strategy = strategies[turn % len(strategies)]
                try:
                    lease = pool.lease(strategy, "http://shop.test/", session_id=f"s{turn % 20}", tags=["kept"])
                except ProxyPoolEmptyError:
                    lease = None
                if lease is not None:
                    held.append(lease)
                if len(held) > 5 or lease is None:
                    for n, lease in enumerate(held):
                        lease.finish("success" if n % 2 else "banned", elapsed_ms=1.0)
                    held.clear()
                proxy = kept[turn % len(kept)]
                proxy.record_failure()
                proxy.record_success(1.0)
                manager.create_session(f"m{turn % 50}", proxy)
                pool.explain("http://shop.test/") if turn % 200 == 0 else None

        def lists(number):
            while not stop.is_set():
                pool.load("\\n".join(urls(100_000 * number, 3_000)), allow_local=True)
                for proxy in pool.get_all_proxies():
                    if "kept" not in proxy.tags:
                        pool.remove_proxy(proxy.id)

        def checks(number):
            import socket
            closed = socket.socket(); closed.bind(("127.0.0.1", 0))
            doomed = [Proxy(url=f"http://127.0.0.{n + 1}:{closed.getsockname()[1]}") for n in range(100)]
            while not stop.is_set():
                for proxy in doomed:
                    pool.add_proxy(proxy)
                run = _core.CheckRun(doomed, record=True, level="basic", timeout=5.0)
                while run.next_batch(16) is not None:
                    pass
                for proxy in doomed:
                    pool.remove_proxy(proxy.id)

        work = [(requests, 1), (requests, 2), (requests, 3), (lists, 4), (lists, 5), (checks, 6)]
        threads = [threading.Thread(target=one, args=(number,), daemon=True) for one, number in work]
        for thread in threads:
            thread.start()

        def child():
            busy = [(p.url, p.requests_active) for p in kept if p.requests_active]
            assert not busy, busy
            unbalanced = [(p.requests_started, p.requests_completed) for p in kept
                          if p.requests_started != p.requests_completed + p.requests_active]
            assert not unbalanced, unbalanced
            # Every proxy can be taken as often as it may be used, and everything that changes a pool works.
            for strategy in strategies:
                with pool.lease(strategy, "http://news.test/", session_id="child"):
                    pass
            pool.load("\\n".join(urls(9_000_000, 2_000)), allow_local=True)
            assert pool.get_proxy_by_id(kept[0].id) is kept[0]
            for proxy in pool.get_all_proxies():
                proxy.record_failure()
                proxy.record_success(1.0)
            manager.create_session("child", kept[0])
            assert manager.get_session("child") is not None
            pool.clear_unhealthy()
            pool.explain("http://shop.test/")
            closed = Proxy(url="http://127.0.0.1:9")
            run = _core.CheckRun([closed], record=True, level="basic", timeout=5.0)
            while run.next_batch(16) is not None:
                pass
            pool.proxies.clear()
            assert len(pool) == 0

        for round in range(rounds):
            code = in_child(child)
            assert code == 0, (round, code)
        stop.set()
        for thread in threads:
            thread.join(30)
        assert all(p.requests_started == p.requests_completed + p.requests_active for p in kept)
        print("done")
        """)
        )
        == "done\n"
    )


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_requests_of_the_parent_take_no_place_in_the_child(limit: int) -> None:
    assert (
        run(f"""
        pool = ProxyPool(proxies=urls(0, 3))
        pool._guard_configure(max_in_flight={limit})
        strategy = RoundRobinStrategy()
        taken = [pool.lease(strategy, "http://a.test/") for _ in range(3 * {limit})]

        def child():
            assert [p.requests_active for p in pool] == [0, 0, 0]
            mine = [pool.lease(strategy, "http://a.test/") for _ in range(3 * {limit})]
            for lease in mine:
                lease.finish("success")
            assert [p.requests_active for p in pool] == [0, 0, 0]

        assert in_child(child) == 0
        assert [p.requests_active for p in pool] == [{limit}] * 3, "the parent's own count on"
        print("done")
        """)
        == "done\n"
    )


@pytest.mark.parametrize("outcome", ["success", "proxy_down", "banned", "target_fault", None])
def test_a_lease_taken_before_the_fork_ends_in_the_child_in_balance(outcome: str | None) -> None:
    end = "lease.release()" if outcome is None else f"lease.finish({outcome!r}, elapsed_ms=1.0)"
    assert (
        run(f"""
        pool = ProxyPool(proxies=urls(0, 1))
        pool._guard_configure(max_in_flight=1)
        lease = pool.lease(RoundRobinStrategy(), "http://a.test/")

        def child():
            {end}
            proxy = pool.proxies[0]
            assert proxy.requests_active == 0
            assert proxy.requests_started == proxy.requests_completed, (proxy.requests_started, proxy.requests_completed)

        assert in_child(child) == 0
        {end}
        assert pool.proxies[0].requests_active == 0
        print("done")
        """)
        == "done\n"
    )


def test_the_probe_of_a_resting_proxy_is_free_in_the_child() -> None:
    assert (
        run("""
        pool = ProxyPool(proxies=urls(0, 1))
        pool._guard_configure(rest_base=0.001, rest_cap=0.001, bench_base=0.001, bench_cap=0.001)
        strategy = RoundRobinStrategy()
        for outcome in ("proxy_down", "banned"):
            for _ in range(5):
                try:
                    pool.lease(strategy, "http://a.test/").finish(outcome)
                except ProxyPoolEmptyError:
                    time.sleep(0.01)
        time.sleep(0.05)
        probe = pool.lease(strategy, "http://a.test/")

        def child():
            with pool.lease(strategy, "http://a.test/") as lease:
                lease.finish("success")

        assert in_child(child) == 0
        print("done")
        """)
        == "done\n"
    )


def test_a_fork_inside_a_callback_of_the_core_does_not_wait_for_itself() -> None:
    assert (
        run("""
        pool = ProxyPool(max_pool_size=10**6)
        codes = []
        from proxywhirl import ProxyPoolEmptyError
        asked = []

        def ask():
            asked.append(1)
            # Not at the first, which is asked for with the interpreter held.
            if len(asked) == 2:
                codes.append(in_child(lambda: pool.add_proxy("http://10.1.1.1:80")))
            raise ProxyPoolEmptyError(may_free=True)

        place = pool._waiting_line().join("x", ask, None, lambda: None)
        # Adding a list works detached from the interpreter, and serves the waiting requests at its end.
        pool.load("\\n".join(urls(0, 1_000)), allow_local=True)
        assert codes == [0], codes
        print("done")
        """)
        == "done\n"
    )


def test_a_grandchild_is_as_whole_as_a_child() -> None:
    assert (
        run("""
        pool = ProxyPool(proxies=urls(0, 1))
        pool._guard_configure(max_in_flight=1)
        strategy = RoundRobinStrategy()
        held = pool.lease(strategy)

        def child():
            own = pool.lease(strategy)
            def grandchild():
                with pool.lease(strategy):
                    pass
                assert pool.proxies[0].requests_active == 0
            assert in_child(grandchild) == 0
            assert pool.proxies[0].requests_active == 1
            own.release()

        assert in_child(child) == 0
        print("done")
        """)
        == "done\n"
    )


def test_a_waiter_of_the_parent_is_not_counted_out_in_the_child() -> None:
    assert (
        run("""
        pool = ProxyPool(proxies=urls(0, 1))
        line = pool._waiting_line()

        def ask():
            raise ProxyPoolEmptyError(may_free=True)

        inherited = line.join("x", ask, None, lambda: None)

        def child():
            assert line.waiting == 0
            own = line.join("y", ask, None, lambda: None)
            assert line.waiting == 1
            inherited.leave()
            assert line.waiting == 1
            own.leave()
            assert line.waiting == 0

        assert in_child(child) == 0
        inherited.leave()
        assert line.waiting == 0
        print("done")
        """)
        == "done\n"
    )


def test_an_ambiguous_end_of_an_inherited_lease_keeps_the_balance() -> None:
    assert (
        run("""
        pool = ProxyPool(proxies=urls(0, 2))
        strategy = RoundRobinStrategy()
        held = pool.lease(strategy, "http://shop.test/")
        proxy = held.proxy

        def child():
            own = pool.lease(strategy, "http://shop.test/", exclude=[p.id for p in pool if p is not proxy])
            held.report(error=TimeoutError())
            assert proxy.requests_active == 1, proxy.requests_active
            assert proxy.requests_started == proxy.requests_completed + 1
            own.success()
            assert proxy.requests_active == 0
            assert proxy.requests_started == proxy.requests_completed

        assert in_child(child) == 0
        print("done")
        """)
        == "done\n"
    )


def test_the_metrics_of_attempts_are_free_in_the_child() -> None:
    assert (
        run("""
        rotator = ProxyRotator(proxies=urls(0, 4))
        stop = threading.Event()

        def work():
            while not stop.is_set():
                rotator.lease("http://shop.test/").success(1.0)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()

        def child():
            def count():
                return sum(row["total_attempts"] for row in rotator.retry_metrics.get_by_proxy().values())

            before = count()
            rotator.lease("http://shop.test/").success(1.0)
            assert count() == before + 1, (before, count())

        for _ in range(20):
            assert in_child(child) == 0
        stop.set()
        for thread in threads:
            thread.join(30)
        print("done")
        """)
        == "done\n"
    )
