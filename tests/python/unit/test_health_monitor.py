"""The health monitor against real proxies on loopback."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from typing import Any

import pytest

from proxywhirl import HealthMonitor, HealthStatus, Proxy, ProxyPool
from proxywhirl.health.checks import CheckFailed, HttpCheck, TcpCheck
from proxywhirl.testing import ProxyFleet, ProxySpec


def pool_of(*urls: str) -> ProxyPool:
    pool = ProxyPool(name="checked")
    for url in urls:
        pool.add_proxy(url)
    return pool


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def health_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "proxywhirl-health"]


class Says:
    """A checker that answers from a table, by host."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def check(self, proxy: Proxy) -> bool:
        self.asked.append(proxy.host)
        answer = self.answers[proxy.host]
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


class TestConstruction:
    @pytest.mark.parametrize("name", ["check_interval", "failure_threshold", "timeout", "concurrency"])
    @pytest.mark.parametrize("value", [0, -1, float("nan")])
    def test_numbers_must_be_positive(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            HealthMonitor(ProxyPool(), **{name: value})

    def test_positional_arguments_and_attributes(self) -> None:
        pool = ProxyPool()
        monitor = HealthMonitor(pool, 30, 5)
        assert (monitor.pool, monitor.check_interval, monitor.failure_threshold) == (pool, 30, 5)
        assert monitor.is_running is False

    def test_a_bad_url_is_an_error_at_once(self) -> None:
        with pytest.raises(ValueError, match="http"):
            HealthMonitor(ProxyPool(), url="ftp://example.com/")

    def test_a_checker_must_check(self) -> None:
        with pytest.raises(TypeError, match="check"):
            HealthMonitor(ProxyPool(), checker=3)  # type: ignore[arg-type]

    def test_status(self) -> None:
        monitor = HealthMonitor(pool_of("http://u:s3cret@a.test:1", "http://b.test:2"))
        assert monitor.get_status() == {
            "is_running": False,
            "check_interval": 60,
            "failure_threshold": 3,
            "total_proxies": 2,
            "healthy_proxies": 0,
            "failure_counts": {},
        }


class TestChecks:
    async def test_real_proxies_of_every_kind(self) -> None:
        specs = [
            ProxySpec(name="http"),
            ProxySpec(name="socks5", scheme="socks5"),
            ProxySpec(name="socks4", scheme="socks4"),
            ProxySpec(name="login", auth=("user", "s3cret")),
            ProxySpec(name="refuse", fault="refuse"),
            ProxySpec(name="hang", fault="hang"),
            ProxySpec(name="502", fault="502"),
            ProxySpec(name="407", fault="407"),
        ]
        with ProxyFleet(specs) as fleet:
            pool = pool_of(*fleet.urls)
            monitor = HealthMonitor(pool, url=fleet.site_url("site.test", "/whoami"), timeout=5.0, remove=False)
            proxies = pool.get_all_proxies()
            found = await monitor.sweep()
            assert {spec.name: found[proxy.id] for spec, proxy in zip(specs, proxies)} == {
                "http": True,
                "socks5": True,
                "socks4": True,
                "login": True,
                "refuse": False,
                "hang": False,
                "502": False,
                "407": False,
            }
            assert [proxy.health_status for proxy in proxies[:4]] == [HealthStatus.HEALTHY] * 4
            assert [proxy.health_status for proxy in proxies[4:]] == [HealthStatus.DEGRADED] * 4
            good, bad = proxies[3], proxies[4]
            assert (good.total_checks, good.consecutive_successes, good.total_health_failures) == (1, 1, 0)
            assert good.latency_ms is not None
            assert good.last_health_error is None
            assert (bad.total_checks, bad.consecutive_successes, bad.total_health_failures) == (1, 0, 1)
            assert bad.recovery_attempt == 1
            assert bad.last_health_error is not None
            assert good.last_health_check is not None
            assert good.next_check_time is not None
            # A check is no request.
            assert good.requests_started == good.requests_active == good.total_requests == 0
            assert "s3cret" not in repr([proxy.last_health_error for proxy in proxies])

    async def test_a_page_that_is_refused_has_been_reached(self) -> None:
        with ProxyFleet(1) as fleet:
            proxy = Proxy(url=fleet.urls[0])
            assert await HttpCheck(fleet.site_url(path="/status/403")).check(proxy) is True
            assert await HttpCheck(fleet.site_url(path="/status/503")).check(proxy) is False
            assert await HttpCheck(fleet.http_url("/delay/2000"), timeout=0.2).check(proxy) is False

    async def test_a_port(self) -> None:
        with ProxyFleet([ProxySpec(), ProxySpec(fault="refuse")]) as fleet:
            assert await TcpCheck().check(Proxy(url=fleet.urls[0])) is True
            assert await TcpCheck().check(Proxy(url=fleet.urls[1])) is False
        assert await TcpCheck().check(Proxy(url="http://no-such-name.invalid:80")) is False


class TestWhatFollows:
    async def test_removal_after_failures_in_a_row(self) -> None:
        pool = pool_of("http://a:1", "http://b:2")
        checker = Says(a=True, b=False)
        removed: list[Proxy] = []
        monitor = HealthMonitor(pool, failure_threshold=3, checker=checker, removed=removed.append)
        await monitor.sweep()
        await monitor.sweep()
        assert monitor.get_status()["failure_counts"] == {"http://b:2": 2}
        checker.answers["b"] = True
        await monitor.sweep()
        assert monitor.get_status()["failure_counts"] == {}
        checker.answers["b"] = False
        for expected in (2, 2, 1):
            await monitor.sweep()
            assert len(pool) == expected
        assert [proxy.host for proxy in removed] == ["b"]
        assert monitor.get_status()["failure_counts"] == {}

    @pytest.mark.parametrize("failures", [3, 5])
    async def test_success_brings_back(self, failures: int) -> None:
        pool = pool_of("http://a:1")
        proxy = pool.get_all_proxies()[0]
        for _ in range(failures):
            proxy.record_failure("down")
        assert pool.get_healthy_proxies() == []
        await HealthMonitor(pool, checker=Says(a=True)).sweep()
        assert proxy.health_status is HealthStatus.HEALTHY
        assert pool.get_healthy_proxies() == [proxy]

    async def test_failures_make_unhealthy(self) -> None:
        pool = pool_of("http://a:1", "http://b:1")
        monitor = HealthMonitor(pool, checker=Says(a=False, b=True), remove=False)
        for _ in range(3):
            await monitor.sweep()
        assert [proxy.host for proxy in pool.get_healthy_proxies()] == ["b"]

    async def test_no_proxy_is_blamed_when_nothing_works(self, caplog: pytest.LogCaptureFixture) -> None:
        pool = pool_of(*[f"http://{name}:1" for name in "abcd"])
        checker = Says(a=False, b=False, c=False, d=False)
        monitor = HealthMonitor(pool, failure_threshold=1, checker=checker)
        await monitor.sweep()
        assert len(pool) == 4
        assert {proxy.health_status for proxy in pool} == {HealthStatus.UNKNOWN}
        assert "at fault" in caplog.text
        checker.answers["d"] = True
        await monitor.sweep()
        assert [proxy.host for proxy in pool] == ["d"]

    async def test_those_that_stay_bad_are_asked_less_often(self) -> None:
        pool = pool_of("http://a:1", "http://b:1")
        checker = Says(a=True, b=False)
        monitor = HealthMonitor(pool, failure_threshold=2, checker=checker, remove=False)
        for _ in range(10):
            await monitor.sweep()
        assert checker.asked.count("a") == 10
        assert checker.asked.count("b") == 3

    async def test_results_are_cached(self) -> None:
        pool = pool_of("http://a:1")
        proxy = pool.get_all_proxies()[0]
        checker = Says(a=True)
        monitor = HealthMonitor(pool, checker=checker, cache_ttl=300)
        assert await monitor.check(proxy)
        checker.answers["a"] = False
        assert await monitor.check(proxy)
        assert not await monitor.check(proxy, use_cache=False)
        assert not await monitor.check(proxy)
        assert proxy.total_checks == 2

    async def test_a_checker_of_any_kind(self) -> None:
        pool = pool_of("http://a:1")
        proxy = pool.get_all_proxies()[0]

        async def coroutine(proxy: Proxy) -> bool:
            return True

        def blocking(proxy: Proxy) -> bool:
            time.sleep(0.01)
            return True

        def failing(proxy: Proxy) -> bool:
            raise CheckFailed("for a reason")

        for checker in (coroutine, blocking, lambda proxy: 1):
            assert await HealthMonitor(pool, checker=checker, cache_ttl=0).check(proxy)
        for checker in (failing, Says(a=ValueError("http://u:s3cret@a:1"))):
            assert not await HealthMonitor(pool, checker=checker, cache_ttl=0, remove=False).check(proxy)
        assert "s3cret" not in str(proxy.last_health_error)
        assert "ValueError" in str(proxy.last_health_error)

    async def test_concurrency_is_bounded(self) -> None:
        pool = pool_of(*[f"http://10.0.0.{number}:1" for number in range(1, 31)])
        now = most = 0

        async def check(proxy: Proxy) -> bool:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            now -= 1
            return True

        await HealthMonitor(pool, checker=check, concurrency=7).sweep()
        assert most == 7

    async def test_callbacks_that_raise_are_contained(self, caplog: pytest.LogCaptureFixture) -> None:
        def told(*args: Any) -> None:
            raise RuntimeError("no")

        pool = pool_of("http://a:1", "http://b:1")
        found = await HealthMonitor(pool, checker=Says(a=True, b=True), told=told).sweep()
        assert len(found) == 2
        assert "callback" in caplog.text


class TestRunning:
    async def test_a_task(self) -> None:
        checker = Says(a=True)
        monitor = HealthMonitor(pool_of("http://a:1"), check_interval=0.02, checker=checker)
        await monitor.start()
        await monitor.start()
        assert monitor.is_running
        await asyncio.sleep(0.3)
        assert monitor.get_status()["uptime_seconds"] > 0.2
        await monitor.stop()
        await monitor.stop()
        asked = len(checker.asked)
        assert 3 <= asked <= 20
        assert not monitor.is_running
        await asyncio.sleep(0.1)
        assert len(checker.asked) == asked
        await monitor.start()
        await asyncio.sleep(0.05)
        await monitor.stop()
        assert len(checker.asked) > asked

    async def test_stopping_does_not_wait_for_a_check(self) -> None:
        begun = asyncio.Event()

        async def hanging(proxy: Proxy) -> bool:
            begun.set()
            await asyncio.sleep(60)
            return True

        monitor = HealthMonitor(pool_of("http://a:1"), checker=hanging)
        await monitor.start()
        await begun.wait()
        await asyncio.wait_for(monitor.stop(), 2)
        assert len(asyncio.all_tasks()) == 1

    def test_it_may_be_started_in_the_next_loop(self) -> None:
        checker = Says(a=True)
        monitor = HealthMonitor(pool_of("http://a:1"), checker=checker)

        async def run() -> None:
            await monitor.start()
            await asyncio.sleep(0.05)

        asyncio.run(run())
        assert not monitor.is_running
        asyncio.run(run())
        assert len(checker.asked) == 2

    def test_a_thread(self) -> None:
        checker = Says(a=True)
        monitor = HealthMonitor(pool_of("http://a:1"), check_interval=0.02, checker=checker)
        monitor.start_thread()
        monitor.start_thread()
        assert len(health_threads()) == 1
        wait_until(lambda: len(checker.asked) > 3)
        monitor.close()
        monitor.close()
        assert health_threads() == []
        assert not monitor.is_running

    def test_a_thread_ends_while_a_check_hangs(self) -> None:
        async def hanging(proxy: Proxy) -> bool:
            asked.append(proxy)
            await asyncio.sleep(60)
            return True

        asked: list[Proxy] = []
        monitor = HealthMonitor(pool_of("http://a:1"), checker=hanging)
        monitor.start_thread()
        wait_until(lambda: bool(asked))
        begun = time.monotonic()
        monitor.close()
        assert time.monotonic() - begun < 30, "the check hangs for a minute"
        assert health_threads() == []

    @pytest.mark.parametrize("pause", [0.0, 60.0])
    def test_dropping_it_ends_its_thread(self, pause: float) -> None:
        async def check(proxy: Proxy) -> bool:
            asked.append(proxy)
            await asyncio.sleep(pause)
            return True

        asked: list[Proxy] = []
        monitor = HealthMonitor(pool_of("http://a:1", "http://b:1"), checker=check)
        monitor.start_thread()
        wait_until(lambda: bool(asked))
        del monitor
        gc.collect()
        wait_until(lambda: health_threads() == [])

    def test_a_round_that_breaks_is_not_the_last(self, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
        checker = Says(a=True)
        monitor = HealthMonitor(pool_of("http://a:1"), check_interval=0.02, checker=checker)
        good = monitor._due
        calls = iter([True])

        def due() -> Any:
            if next(calls, False):
                raise RuntimeError("no")
            return good()

        monkeypatch.setattr(monitor, "_due", due)
        with caplog.at_level(logging.ERROR, "proxywhirl"):
            monitor.start_thread()
            wait_until(lambda: bool(checker.asked))
            monitor.close()
        assert "a round of health checks failed" in caplog.text
