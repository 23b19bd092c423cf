"""Events, metrics, health and load tests as users write them; checked by mypy and pyright in strict mode, never run."""

from __future__ import annotations

from typing import Any, Optional

from typing_extensions import assert_type

from proxywhirl import AsyncProxyRotator, HealthMonitor, Proxy, ProxyEvent, ProxyPool, ProxyRotator
from proxywhirl.metrics_collector import MetricsCollector, get_metrics_collector
from proxywhirl.testing import LoadTest, LoadTestResult


def events(rotator: ProxyRotator) -> None:
    def note(event: ProxyEvent) -> None:
        assert_type(event.success, Optional[bool])
        if event.proxy is not None:
            assert_type(event.proxy.url, str)

    async def later(event: ProxyEvent) -> None:
        print(event.name)

    end = rotator.on("proxy_selected", note)
    end()
    rotator.on("request_complete", later)
    rotator.on("request_failure", lambda event: print(event.error))

    @rotator.on("proxy_removed")
    def decorated(event: ProxyEvent) -> str:
        return event.name

    assert_type(decorated(ProxyEvent("proxy_removed")), str)
    assert_type(rotator.off("proxy_selected", note), bool)


def numbers(rotator: ProxyRotator) -> None:
    assert_type(rotator.get_metrics(), dict[str, Any])
    assert_type(rotator.get_metrics(by="site"), dict[str, Any])
    assert_type(rotator.get_health_status(), dict[str, Any])
    assert_type(rotator.get_performance_profile(), dict[str, float])
    collector = MetricsCollector(max_proxies=50)
    collector.record_request("success", 0.3, "id")
    get_metrics_collector().watch(rotator)()


class Checker:
    async def check(self, proxy: Proxy) -> bool:
        return proxy.port == 8080


async def health(rotator: AsyncProxyRotator, pool: ProxyPool) -> None:
    assert_type(rotator.start_health_monitor(30, checker=Checker()), HealthMonitor)
    rotator.start_health_monitor(checker=lambda proxy: proxy.port == 8080)
    assert_type(rotator.health_monitor, Optional[HealthMonitor])
    monitor = HealthMonitor(pool, check_interval=60, failure_threshold=3)
    await monitor.start()
    assert_type(await monitor.check(pool.proxies[0]), bool)
    await monitor.stop()


async def load(rotator: ProxyRotator) -> None:
    test = LoadTest(rotator, "https://site.example", 60, requests_per_second=100, concurrent_users=50)
    assert_type(test.run(), LoadTestResult)
    result = await test.run_async()
    assert_type(result.errors, dict[str, int])
    assert_type(result.table(), str)
