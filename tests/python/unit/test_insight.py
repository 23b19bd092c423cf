"""What a rotator reports of itself: events, metrics, profile, health."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import threading
import time
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, HealthStatus, Outcome, ProxyPoolEmptyError, ProxyRotator, ResilienceConfig
from proxywhirl.testing import ProxyFleet, ProxySpec


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def running() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name="a", auth=("user", "s3cret")), ProxySpec(name="b")]) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: ProxyFleet) -> ProxyFleet:
    return running


def page(fleet: ProxyFleet, path: str = "/whoami") -> str:
    return fleet.site_url("shop.test", path)


class TestSubscribing:
    def test_as_a_function_and_as_a_decorator(self) -> None:
        rotator, seen = ProxyRotator(), []
        end = rotator.on("strategy_changed", seen.append)

        @rotator.on("on_strategy_changed")
        def note(event: Any) -> None:
            seen.append(event)

        rotator.set_strategy("random")
        assert len(seen) == 2
        end()
        assert rotator.off("strategy_changed", note) is True
        assert rotator.off("strategy_changed", note) is False
        rotator.set_strategy("round-robin")
        assert len(seen) == 2

    def test_bad_input(self) -> None:
        rotator = ProxyRotator()
        with pytest.raises(ValueError, match="Unknown event 'nonsense': known are proxy_selected"):
            rotator.on("nonsense", print)
        with pytest.raises(ValueError, match="Unknown event"):
            rotator.on("nonsense")
        with pytest.raises(TypeError, match="callable"):
            rotator.on("proxy_selected", 3)  # type: ignore[call-overload]

    def test_without_a_listener_nothing_watches(self) -> None:
        rotator = ProxyRotator()
        assert rotator._chooser.watch is None
        end = rotator.on("request_success", print)
        assert rotator._chooser.watch is rotator._insight.watch
        end()
        assert rotator._chooser.watch is None

    def test_coming_and_going_in_many_threads(self) -> None:
        rotator = ProxyRotator()

        def work() -> None:
            for _ in range(300):
                rotator.on("request_success", print)()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rotator._chooser.watch is None
        rotator.on("request_success", print)
        assert rotator._chooser.watch is rotator._insight.watch


class TestEventsOfTheRotator:
    def test_strategy_changed(self) -> None:
        rotator, seen = ProxyRotator(), []
        rotator.on("strategy_changed", seen.append)
        rotator.strategy = "least-used"
        assert seen[0].strategy == "LeastUsedStrategy"
        assert seen[0].metadata == {"from": "RoundRobinStrategy", "to": "LeastUsedStrategy", "version": 1}

    def test_proxy_removed(self) -> None:
        rotator, seen = ProxyRotator(["http://u:s3cret@a:1", "http://b:2", "http://c:3"]), []
        rotator.on("proxy_removed", seen.append)
        first, second, _ = rotator.pool.get_all_proxies()
        rotator.remove_proxy(first.id)
        rotator.remove_proxy(first.id)
        second.health_status = HealthStatus.DEAD
        assert rotator.clear_unhealthy_proxies() == 1
        assert [event.proxy.url for event in seen] == ["http://a:1", "http://b:2"]

    def test_proxy_removed_by_the_pool_itself(self) -> None:
        rotator, seen = ProxyRotator(["http://a:1", "http://b:1"]), []
        rotator.pool.auto_remove_dead = True
        rotator.on("proxy_removed", seen.append)
        proxy = rotator.pool.get_all_proxies()[0]
        for _ in range(4):
            proxy.record_failure("refused")
        proxy.health_status = HealthStatus.HEALTHY
        assert proxy.consecutive_failures == 4
        lease = rotator.lease(exclude=[rotator.pool.get_all_proxies()[1].id])
        lease.failure("refused")
        assert proxy not in rotator.pool
        assert [event.proxy.id for event in seen] == [proxy.id]
        assert seen[0].metadata["reason"] == "dead"

    async def test_proxy_removed_async(self) -> None:
        rotator, seen = AsyncProxyRotator(["http://a:1"]), []
        rotator.on("proxy_removed", seen.append)
        await rotator.remove_proxy(rotator.pool.get_all_proxies()[0].id)
        assert len(seen) == 1


class TestEventsOfRequests:
    def test_a_request_that_succeeds(self, fleet: ProxyFleet) -> None:
        seen: list[Any] = []
        with ProxyRotator(fleet.urls) as rotator:
            for name in ("proxy_selected", "request_success", "request_failure", "request_complete"):
                rotator.on(name, seen.append)
            rotator.get(page(fleet))
            assert [event.name for event in seen] == ["proxy_selected", "request_success", "request_complete"]
            chosen, _, complete = seen
            assert chosen.strategy == "RoundRobinStrategy"
            assert chosen.success is None
            assert (complete.success, complete.error, complete.status_code) == (True, None, 200)
            assert (complete.method, complete.url, complete.attempt) == ("GET", page(fleet), 1)
            assert complete.duration_ms > 0
            assert complete.metadata["outcome"] == "success"
            assert complete.proxy == rotator.pool.get_all_proxies()[0]
        assert "s3cret" not in repr(seen)

    def test_a_request_that_fails_over(self) -> None:
        with ProxyFleet([ProxySpec(fault="refuse"), ProxySpec()]) as fleet, ProxyRotator(fleet.urls) as rotator:
            seen: list[Any] = []
            rotator.on("request_complete", seen.append)
            rotator.get(page(fleet))
            assert [(event.attempt, event.success) for event in seen] == [(1, False), (2, True)]
            assert isinstance(seen[0].error, Exception)
            assert seen[0].metadata["outcome"] == "proxy_down"

    def test_leases_of_other_clients(self, fleet: ProxyFleet) -> None:
        seen: list[Any] = []
        rotator = ProxyRotator(fleet.urls)
        rotator.on("request_complete", seen.append)
        rotator.lease("https://shop.test/").success(12.0)
        rotator.lease("https://shop.test/").failure("no")
        rotator.lease("https://shop.test/").release()
        rotator.lease("https://shop.test/").report(status=403)
        assert [event.metadata["outcome"] for event in seen] == ["success", "proxy_down", "banned"]
        assert seen[0].duration_ms == 12.0
        assert str(seen[2].error) == "banned (status 403)"

    def test_only_used_proxies_were_selected(self) -> None:
        from proxywhirl import RateLimiter
        from proxywhirl.rate_limiting import RateLimit

        seen: list[Any] = []
        limiter = RateLimiter()
        rotator = ProxyRotator(["http://a:1", "http://b:1"], rate_limiter=limiter)
        first, second = rotator.pool.get_all_proxies()
        limiter.set_proxy_limit(str(first.id), RateLimit(max_requests=1, time_window=3600))
        rotator.on("proxy_selected", seen.append)
        for _ in range(3):
            rotator.lease("https://shop.test/").release()
        assert [event.proxy.id for event in seen] == [first.id, second.id, second.id]

    def test_a_callback_that_raises_harms_no_other(self, fleet: ProxyFleet) -> None:
        def broken(event: Any) -> None:
            raise RuntimeError("no")

        with ProxyRotator(fleet.urls) as rotator:
            for name in ("proxy_selected", "request_complete"):
                rotator.on(name, broken)
            assert rotator.get(page(fleet)).status_code == 200
            assert sum(proxy.requests_active for proxy in rotator.pool) == 0

    def test_a_callback_that_hangs_delays_only_its_own_request(self, fleet: ProxyFleet) -> None:
        go = threading.Event()
        first = threading.Event()

        def hang_once(event: Any) -> None:
            if not first.is_set():
                first.set()
                go.wait(20)

        with ProxyRotator(fleet.urls) as rotator:
            rotator.on("request_complete", hang_once)
            stuck = threading.Thread(target=rotator.get, args=(page(fleet),))
            stuck.start()
            first.wait(10)
            try:
                assert rotator.get(page(fleet)).status_code == 200
                rotator.add_proxy("http://10.0.0.9:1")
                rotator.set_strategy("random")
            finally:
                go.set()
                stuck.join()

    async def test_coroutines_run_in_the_loop(self, fleet: ProxyFleet) -> None:
        seen: list[Any] = []

        async def note(event: Any) -> None:
            await asyncio.sleep(0)
            seen.append((event.name, threading.current_thread()))

        async with AsyncProxyRotator(fleet.urls) as rotator:
            rotator.on("request_complete", note)
            await rotator.get(page(fleet))
            await asyncio.sleep(0.05)
        assert seen == [("request_complete", threading.main_thread())]

    def test_coroutines_of_a_synchronous_rotator(self, fleet: ProxyFleet) -> None:
        seen: list[Any] = []

        async def note(event: Any) -> None:
            seen.append(threading.current_thread().name)

        with ProxyRotator(fleet.urls) as rotator:
            rotator.on("request_complete", note)
            rotator.get(page(fleet))
            wait_until(lambda: bool(seen))
        assert seen == ["proxywhirl-events"]
        assert "proxywhirl-events" not in [thread.name for thread in threading.enumerate()]

    def test_a_rotator_that_its_callback_holds_is_collected(self, fleet: ProxyFleet) -> None:
        def listen(rotator: ProxyRotator) -> None:
            rotator.on("request_complete", lambda event: rotator.pool)

        rotator = ProxyRotator(fleet.urls, enable_metrics=True, enable_profiling=True)
        listen(rotator)
        rotator.get(page(fleet))
        gone = weakref.ref(rotator)
        del rotator
        gc.collect()
        assert gone() is None


class TestNotices:
    def test_bans_rests_and_returns(self, caplog: pytest.LogCaptureFixture) -> None:
        rotator, seen = ProxyRotator(["http://u:s3cret@a:1", "http://b:1"]), []
        for name in ("proxy_benched", "proxy_rested", "proxy_revived"):
            rotator.on(name, seen.append)
        with caplog.at_level(logging.INFO, "proxywhirl"):
            rotator.lease("https://shop.test/").banned(60.0)
            rotator.lease("https://shop.test/").failure("refused")
        benched, rested = seen
        assert (benched.name, benched.proxy.url) == ("proxy_benched", "http://a:1")
        assert benched.metadata["site"] == "shop.test"
        assert benched.metadata["seconds"] == pytest.approx(60.0)
        assert (rested.name, rested.proxy.url) == ("proxy_rested", "http://b:1")
        assert rested.metadata["seconds"] > 0
        rotator.pool.get_all_proxies()[1].record_success(10.0)
        rotator.lease("https://other.test/").release()  # the next request delivers the notices
        assert [event.name for event in seen] == ["proxy_benched", "proxy_rested", "proxy_revived"]
        reported = {record.__dict__.get("event"): record.levelname for record in caplog.records}
        assert (reported["proxy_benched"], reported["proxy_rested"]) == ("INFO", "WARNING")
        assert "s3cret" not in repr([vars(record) for record in caplog.records])

    def test_a_breaker_that_opens(self, caplog: pytest.LogCaptureFixture) -> None:
        rotator, seen = ProxyRotator(["http://a:1"]), []
        rotator.on("circuit_breaker", seen.append)
        proxy = rotator.pool.get_all_proxies()[0]
        breaker = rotator.pool._breaker_of(proxy.id)
        with caplog.at_level(logging.WARNING, "proxywhirl"):
            for _ in range(5):
                breaker.record_failure()
            with pytest.raises(ProxyPoolEmptyError, match="503"):
                rotator.lease()
        assert [(event.metadata["from"], event.metadata["to"]) for event in seen] == [("closed", "open")]
        assert seen[0].proxy == proxy
        assert "circuit breaker opened" in caplog.text

    def test_the_panic_guard(self) -> None:
        rotator, seen = ProxyRotator([f"http://10.0.0.{number}:1" for number in range(8)]), []
        rotator.on("panic_guard", seen.append)
        for _ in range(16):
            rotator.lease("https://shop.test/").failure("refused")
        assert len(seen) == 1
        assert seen[0].proxy is None


class TestHealthStatus:
    def test_an_empty_pool(self) -> None:
        assert ProxyRotator().get_health_status() == {
            "status": "unhealthy",
            "pool_size": 0,
            "healthy_proxies": 0,
            "unhealthy_proxies": 0,
            "resting_proxies": 0,
            "busy_proxies": 0,
            "expired_proxies": 0,
            "unpaid_proxies": 0,
            "benched_proxies": 0,
            "overall_success_rate": 0.0,
            "average_response_time_ms": 0.0,
            "last_health_check": None,
            "warnings": ["the pool has no proxies"],
        }

    @pytest.mark.parametrize(
        ("dead", "status"), [(0, "healthy"), (3, "healthy"), (4, "degraded"), (14, "degraded"), (15, "unhealthy")]
    )
    def test_of_fifteen(self, dead: int, status: str) -> None:
        rotator = ProxyRotator([f"http://10.0.0.{number}:1" for number in range(15)])
        for proxy in rotator.pool.get_all_proxies()[:dead]:
            proxy.health_status = HealthStatus.DEAD
        found = rotator.get_health_status()
        assert (found["status"], found["healthy_proxies"], found["unhealthy_proxies"]) == (status, 15 - dead, dead)
        assert found["warnings"] == ([f"{dead} proxies are unhealthy"] if dead else [])

    def test_slow_ones_are_warned_of(self) -> None:
        rotator = ProxyRotator(["http://a:1", "http://b:1", "http://c:1"])
        first, second, _ = rotator.pool.get_all_proxies()
        first.record_success(200.0)
        second.record_success(400.0)
        found = rotator.get_health_status()
        assert found["average_response_time_ms"] == 300.0
        assert found["overall_success_rate"] == 1.0
        assert found["warnings"] == ["the average response time is 300 ms, above 200 ms"]
        json.dumps(found)


class TestDisabled:
    def test_zeros(self) -> None:
        rotator = ProxyRotator(["http://a:1"])
        metrics = rotator.get_metrics()
        assert {name: value for name, value in metrics.items() if value} == {}
        assert {"p50_latency_ms", "requests_per_second", "active_proxies"} <= set(metrics)
        assert rotator.get_metrics(by="proxy") == {}
        assert rotator.get_performance_profile() == {
            "proxy_selection_avg_ms": 0.0,
            "connection_establish_avg_ms": 0.0,
            "request_avg_ms": 0.0,
            "validation_avg_ms": 0.0,
            "storage_save_avg_ms": 0.0,
        }
        with pytest.raises(ValueError, match="'proxy', 'site' or 'outcome'"):
            rotator.get_metrics(by="colour")


class TestMetrics:
    def test_counts(self, fleet: ProxyFleet) -> None:
        rotator = ProxyRotator(fleet.urls, enable_metrics=True)
        for number in range(1, 101):
            rotator.lease("https://a.shop.test/").success(float(number))
        rotator.lease("https://other.test/").banned()
        rotator.lease("https://other.test/").release()
        found = rotator.get_metrics()
        assert (found["total_requests"], found["successes"], found["failures"]) == (101, 100, 1)
        assert found["success_rate"] == 100 / 101
        assert found["avg_latency_ms"] == pytest.approx(50.5, rel=0.01)
        assert found["p50_latency_ms"] == pytest.approx(50, rel=0.03)
        assert found["p95_latency_ms"] == pytest.approx(95, rel=0.03)
        assert found["p99_latency_ms"] == pytest.approx(99, rel=0.03)
        assert found["outcomes"] == {"success": 100, "banned": 1}
        assert 0 < found["requests_per_second"] <= 101
        assert (found["active_proxies"], found["unhealthy_proxies"]) == (2, 0)
        by_proxy = rotator.get_metrics(by="proxy")
        assert set(by_proxy) == {str(proxy.id) for proxy in rotator.pool}
        assert sum(counts["total_requests"] for counts in by_proxy.values()) == 101
        by_outcome = rotator.get_metrics(by="outcome")
        assert {name: counts["total_requests"] for name, counts in by_outcome.items()} == {"success": 100, "banned": 1}
        json.dumps([found, by_proxy, by_outcome])

    def test_sites(self, fleet: ProxyFleet) -> None:
        rotator = ProxyRotator(fleet.urls, enable_metrics=True)
        for target in ("https://a.shop.test/", "https://b.shop.test/", "https://other.test/"):
            rotator.lease(target).success(1.0)
        found = rotator.get_metrics(by="site")
        assert {site: counts["total_requests"] for site, counts in found.items()} == {"shop.test": 2, "other.test": 1}

    def test_each_proxy_keeps_its_history(self) -> None:
        rotator = ProxyRotator(["http://a:1"], enable_metrics=True)
        rotator.lease("https://shop.test/").success(7.0)
        rotator.lease("https://shop.test/").report(status=429)
        rotator.lease("https://other.test/").failure("refused")
        proxy = rotator.pool.get_all_proxies()[0]
        assert [entry["success"] for entry in proxy.history] == [True, False]
        assert proxy.history[0]["duration_ms"] == 7.0
        assert (proxy.total_requests, proxy.total_successes, proxy.total_failures) == (3, 1, 1)
        without = ProxyRotator(["http://a:1"])
        without.lease("https://shop.test/").success(7.0)
        assert without.pool.get_all_proxies()[0].history == []

    def test_threads(self, fleet: ProxyFleet) -> None:
        rotator = ProxyRotator(fleet.urls, enable_metrics=True)

        def work() -> None:
            for _ in range(200):
                rotator.lease("https://shop.test/").success(1.0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rotator.get_metrics()["total_requests"] == 1600

    async def test_async_requests(self, fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(fleet.urls, enable_metrics=True) as rotator:
            await asyncio.gather(*[rotator.get(page(fleet)) for _ in range(10)])
            found = rotator.get_metrics()
        assert found["total_requests"] == 10
        assert found["p99_latency_ms"] >= found["p50_latency_ms"] > 0


class TestAtLength:
    def test_counts_add_up_and_memory_is_flat(self) -> None:
        rotator = ProxyRotator(
            [f"http://10.0.0.{number}:1" for number in range(20)], enable_metrics=True, enable_profiling=True
        )
        reported: Counter[str] = Counter()
        rotator.on("request_complete", lambda event: reported.update([event.metadata["outcome"]]))
        draw = random.Random(7)
        sites = [f"https://shop-{number}.test/" for number in range(50)]

        def work(leases: int) -> None:
            for _ in range(leases):
                try:
                    lease = rotator.lease(draw.choice(sites))
                except ProxyPoolEmptyError:
                    continue
                luck = draw.random()
                if luck < 0.9:
                    lease.success(draw.uniform(1.0, 500.0))
                elif luck < 0.94:
                    lease.failure("refused")
                elif luck < 0.97:
                    lease.report(status=500)
                else:
                    lease.release()

        work(3000)
        tracemalloc.start()
        try:
            work(1000)
            before = tracemalloc.get_traced_memory()[0]
            work(3000)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        # The retry metrics keep each attempt for a while, up to a bound that is not reached here: about 300 bytes each.
        assert grown < 3000 * 600
        found = rotator.get_metrics()
        assert found["outcomes"] == dict(reported)
        assert found["total_requests"] == sum(reported.values())
        for by in ("proxy", "site", "outcome"):
            counts = rotator.get_metrics(by=by).values()
            assert sum(count["total_requests"] for count in counts) == found["total_requests"]
        assert sum(proxy.requests_active for proxy in rotator.pool) == 0


class TestBoundedMetrics:
    def test_groups(self) -> None:
        from proxywhirl.rotator._metrics import OTHER, Metrics

        metrics = Metrics(most_groups=10)
        for number in range(500):
            metrics.record(number, f"site-{number}", Outcome.SUCCESS, 5.0)
        for by in ("proxy", "site"):
            groups = metrics.groups(by)
            assert len(groups) == 11
            assert groups[OTHER]["total_requests"] == 490
            assert groups[OTHER]["p50_latency_ms"] == pytest.approx(5.0, rel=0.02)
        assert metrics.totals()["total_requests"] == 500

    def test_the_rate_follows_a_window(self) -> None:
        from proxywhirl.rotator._metrics import Metrics

        now = 1000.0
        metrics = Metrics(clock=lambda: now)
        assert metrics.totals()["requests_per_second"] == 0.0
        for _ in range(100):
            now += 0.1
            metrics.record("p", None, Outcome.SUCCESS, 1.0)
        assert metrics.totals()["requests_per_second"] == pytest.approx(10, rel=0.05)
        now += 50
        # In steps of a second: that of the first ten requests is just leaving the window.
        assert 90 / 60 <= metrics.totals()["requests_per_second"] <= 100 / 59
        now += 60
        assert metrics.totals()["requests_per_second"] == 0.0
        now -= 100  # a clock that jumps back
        metrics.record("p", None, Outcome.SUCCESS, 1.0)
        assert metrics.totals()["requests_per_second"] >= 0.0


class TestProfile:
    def test_real_numbers(self, fleet: ProxyFleet) -> None:
        with ProxyRotator(fleet.urls, enable_profiling=True) as rotator:
            for _ in range(4):
                rotator.get(page(fleet, "/delay/20"))
            found = rotator.get_performance_profile()
        assert 0 < found["proxy_selection_avg_ms"] < found["request_avg_ms"]
        assert found["request_avg_ms"] >= 20
        assert found["storage_save_avg_ms"] == 0.0


class TestHealthMonitor:
    def test_on_a_thread(self) -> None:
        with ProxyFleet([ProxySpec(), ProxySpec(fault="refuse")]) as fleet:
            rotator, seen = ProxyRotator(fleet.urls, enable_profiling=True), []
            rotator.on("proxy_health_check", seen.append)
            monitor = rotator.start_health_monitor(0.05, url=page(fleet), timeout=2)
            assert rotator.health_monitor is monitor
            wait_until(lambda: len(seen) >= 4)
            rotator.close()
            assert not monitor.is_running
            assert rotator.health_monitor is None
            good = [event for event in seen if event.success]
            bad = [event for event in seen if not event.success]
            assert {event.proxy.url for event in good} == {fleet.urls[0]}
            assert {event.proxy.url for event in bad} == {fleet.urls[1]}
            assert bad[0].error
            assert good[0].duration_ms > 0
            assert rotator.get_performance_profile()["validation_avg_ms"] > 0
            assert rotator.get_health_status()["last_health_check"] is not None

    def test_it_brings_back_recovered_proxies(self) -> None:
        with ProxyFleet(2) as fleet:
            resilience = ResilienceConfig(rest_base=600.0, rest_cap=600.0)
            with ProxyRotator(fleet.urls, resilience=resilience) as rotator:
                revived: list[Any] = []
                rotator.on("proxy_revived", revived.append)
                fleet[0].fail()
                for _ in range(4):
                    assert rotator.get(page(fleet)).json()["proxy"] == fleet[1].name
                fleet[0].heal()
                assert {rotator.get(page(fleet)).json()["proxy"] for _ in range(4)} == {fleet[1].name}
                rotator.start_health_monitor(0.05, url=page(fleet), timeout=2)
                proxy = rotator.pool.get_all_proxies()[0]
                wait_until(lambda: proxy.health_status is HealthStatus.HEALTHY)
                assert {rotator.get(page(fleet)).json()["proxy"] for _ in range(4)} == {fleet[0].name, fleet[1].name}
                wait_until(lambda: bool(revived))
                assert revived[0].proxy == proxy

    async def test_as_a_task(self) -> None:
        with ProxyFleet(1) as fleet:
            async with AsyncProxyRotator(fleet.urls) as rotator:
                done = asyncio.Event()
                rotator.on("proxy_health_check", lambda event: done.set())
                rotator.start_health_monitor(10, url=page(fleet))
                await asyncio.wait_for(done.wait(), 5)
                assert "proxywhirl-health" not in [thread.name for thread in threading.enumerate()]
            assert len(asyncio.all_tasks()) == 1

    def test_dropping_the_rotator_ends_it(self) -> None:
        rotator = ProxyRotator(["http://127.0.0.1:9"])
        rotator.start_health_monitor(0.05, checker=lambda proxy: True)
        rotator.on("proxy_health_check", lambda event: None)
        proxy = rotator.pool.get_all_proxies()[0]
        wait_until(lambda: proxy.total_checks > 0)
        del rotator
        gc.collect()
        wait_until(lambda: "proxywhirl-health" not in [thread.name for thread in threading.enumerate()])

    def test_starting_again_replaces_it(self) -> None:
        rotator = ProxyRotator(["http://127.0.0.1:9"])
        first = rotator.start_health_monitor(60, checker=lambda proxy: True)
        second = rotator.start_health_monitor(30, checker=lambda proxy: True)
        assert (first.is_running, second.is_running) == (False, True)
        with pytest.raises(ValueError, match="positive"):
            rotator.start_health_monitor(0)
        assert second.is_running
        rotator.stop_health_monitor()
        rotator.stop_health_monitor()
        assert not second.is_running

    def test_nothing_starts_by_itself(self) -> None:
        before = threading.active_count()
        ProxyRotator(["http://127.0.0.1:9"], enable_profiling=True)
        assert threading.active_count() == before


class TestLogging:
    def test_changes_of_the_pool(self, caplog: pytest.LogCaptureFixture) -> None:
        rotator = ProxyRotator()
        with caplog.at_level(logging.INFO, "proxywhirl"):
            rotator.add_proxy("http://u:s3cret@a:1")
            rotator.add_proxy("http://u:s3cret@a:1")
            rotator.add_proxies(["http://b:1", "http://c:1"])
            rotator.remove_proxy(rotator.pool.get_all_proxies()[0].id)
        facts = [(record.levelname, record.__dict__["event"], record.__dict__["proxies"]) for record in caplog.records]
        assert facts == [("INFO", "proxy_added", 1), ("INFO", "proxy_added", 2), ("INFO", "proxy_removed", 1)]

    def test_choices(self, caplog: pytest.LogCaptureFixture) -> None:
        rotator = ProxyRotator(["http://u:s3cret@a:1"])
        with caplog.at_level(logging.DEBUG, "proxywhirl"):
            rotator.lease().release()
        record = next(record for record in caplog.records if record.__dict__.get("event") == "proxy_selected")
        assert (record.levelname, record.__dict__["strategy"]) == ("DEBUG", "RoundRobinStrategy")
        assert record.__dict__["proxy_url"] == "http://a:1"

    def test_requests(self, caplog: pytest.LogCaptureFixture) -> None:
        specs = [ProxySpec(fault="refuse", auth=("user", "s3cret")), ProxySpec(auth=("user", "s3cret"))]
        with ProxyFleet(specs) as fleet, ProxyRotator(fleet.urls) as rotator:
            with caplog.at_level(logging.INFO, "proxywhirl"):
                rotator.get("http://me:s3cret@shop.test/whoami?token=s3cret")
        reported = [record.__dict__ for record in caplog.records if record.__dict__.get("attempt")]
        assert [(facts["levelname"], facts["event"], facts["attempt"]) for facts in reported] == [
            ("WARNING", "proxy_failed", 1),
            ("INFO", "request_success", 2),
        ]
        failed, succeeded = reported
        assert failed["outcome"] == "proxy_down"
        assert "ConnectError" in failed["error"]
        assert (succeeded["method"], succeeded["status_code"]) == ("GET", 200)
        assert succeeded["duration_ms"] > 0
        assert succeeded["proxy_url"].startswith("http://127.0.0.1:")
        assert "s3cret" not in repr([vars(record) for record in caplog.records])

    def test_slow_answers(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxywhirl.events.log.SLOW_MS", 20.0)
        with ProxyFleet(1) as fleet, ProxyRotator(fleet.urls) as rotator:
            with caplog.at_level(logging.WARNING, "proxywhirl"):
                rotator.get(page(fleet, "/delay/50"))
                rotator.get(page(fleet))
        assert [(record.levelname, record.__dict__["event"]) for record in caplog.records] == [
            ("WARNING", "proxy_slow")
        ]
        assert caplog.records[0].__dict__["duration_ms"] >= 50

    def test_nothing_is_put_into_words_when_the_level_is_off(
        self, fleet: ProxyFleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*args: Any) -> None:
            raise AssertionError("a log was put into words")

        monkeypatch.setattr("proxywhirl.events.log._of_attempt", never)
        monkeypatch.setattr("proxywhirl.events.log.redact_url", never)
        with ProxyRotator(fleet.urls) as rotator:
            assert rotator.get(page(fleet)).status_code == 200

    def test_an_empty_pool_is_critical_but_not_at_every_request(self, caplog: pytest.LogCaptureFixture) -> None:
        rotator = ProxyRotator()
        with caplog.at_level(logging.INFO, "proxywhirl"):
            for _ in range(3):
                with pytest.raises(ProxyPoolEmptyError):
                    rotator.lease()
        assert [(record.levelname, record.__dict__["event"]) for record in caplog.records] == [
            ("CRITICAL", "pool_empty")
        ]

    def test_no_handler_is_touched(self) -> None:
        before = (list(logging.getLogger().handlers), list(logging.getLogger("proxywhirl").handlers))
        rotator = ProxyRotator(["http://a:1"], enable_profiling=True)
        rotator.on("request_complete", print)
        rotator.close()
        assert (list(logging.getLogger().handlers), list(logging.getLogger("proxywhirl").handlers)) == before
