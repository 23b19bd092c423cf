"""Metrics for Prometheus."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from proxywhirl import metrics_collector
from proxywhirl._core import Proxy, ProxyPool
from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.events import EventHub
from proxywhirl.metrics_collector import MetricsCollector

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def collector() -> MetricsCollector:
    return MetricsCollector(prometheus_client.CollectorRegistry())


@pytest.fixture
def own_registry() -> Iterator[Any]:
    metrics_collector.reset_metrics_collector()
    yield prometheus_client.REGISTRY
    metrics_collector.reset_metrics_collector()


def value(collector: MetricsCollector, name: str, **labels: str) -> float | None:
    return collector.registry.get_sample_value(name, labels)


def test_requests(collector: MetricsCollector) -> None:
    collector.record_request("success", 0.3, "p1")
    collector.record_request("success", 3.0, "p1")
    collector.record_request("failure", None, "p1")
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id="p1") == 2
    assert value(collector, "proxywhirl_requests_total", status="failure", proxy_id="p1") == 1
    name = "proxywhirl_request_duration_seconds"
    assert value(collector, f"{name}_count", proxy_id="p1") == 2
    assert value(collector, f"{name}_sum", proxy_id="p1") == pytest.approx(3.3)
    bounds = ["0.1", "0.5", "1.0", "2.0", "5.0", "10.0", "30.0", "60.0", "120.0", "+Inf"]
    assert [value(collector, f"{name}_bucket", proxy_id="p1", le=le) for le in bounds] == [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_bytes_and_money(collector: MetricsCollector) -> None:
    collector.record_traffic(100, 5000, 0.5, "p1")
    assert value(collector, "proxywhirl_cost_per_page") == 0
    collector.record_traffic(100, 5000, 0.25, "p1", is_page=True)
    collector.record_traffic(100, 5000, 0.25, "p2", is_page=True)
    assert value(collector, "proxywhirl_bytes_total", direction="sent", proxy_id="p1") == 200
    assert value(collector, "proxywhirl_bytes_total", direction="received", proxy_id="p1") == 10_000
    assert value(collector, "proxywhirl_spent_total", proxy_id="p1") == 0.75
    assert value(collector, "proxywhirl_cost_per_page") == 0.5
    collector.clear_proxy_metrics("p1")
    assert value(collector, "proxywhirl_spent_total", proxy_id="p1") is None
    assert value(collector, "proxywhirl_bytes_total", direction="sent", proxy_id="p1") is None


def test_gauges(collector: MetricsCollector) -> None:
    collector.update_proxy_health("p1", True)
    collector.update_proxy_health("p2", False)
    collector.update_active_proxies(7)
    assert value(collector, "proxywhirl_proxy_health_status", proxy_id="p1") == 1
    assert value(collector, "proxywhirl_proxy_health_status", proxy_id="p2") == 0
    assert value(collector, "proxywhirl_active_proxies") == 7


@pytest.mark.parametrize(
    ("state", "number"),
    [("closed", 0), ("open", 1), ("half-open", 2), ("half_open", 2), (CircuitBreakerState.HALF_OPEN, 2)],
)
def test_breakers(collector: MetricsCollector, state: Any, number: int) -> None:
    collector.update_circuit_breaker_state("p1", state)
    assert value(collector, "proxywhirl_circuit_breaker_state", proxy_id="p1") == number


def test_bad_input(collector: MetricsCollector) -> None:
    with pytest.raises(ValueError, match="half-open"):
        collector.update_circuit_breaker_state("p1", "ajar")
    with pytest.raises(ValueError, match="max_proxies"):
        MetricsCollector(prometheus_client.CollectorRegistry(), max_proxies=0)


def test_labels_are_bounded() -> None:
    collector = MetricsCollector(prometheus_client.CollectorRegistry(), max_proxies=3)
    for number in range(1000):
        collector.record_request("success", 0.1, f"p{number}")
        collector.update_proxy_health(f"p{number}", True)
    shown = {
        sample.labels["proxy_id"]
        for family in collector.registry.collect()
        for sample in family.samples
        if "proxy_id" in sample.labels
    }
    assert shown == {"p0", "p1", "p2", "other"}
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id="other") == 997
    collector.clear_proxy_metrics("p1")
    collector.clear_proxy_metrics("p1")
    collector.clear_proxy_metrics("unknown")
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id="p1") is None
    assert value(collector, "proxywhirl_proxy_health_status", proxy_id="p1") is None
    collector.record_request("success", 0.1, "new")
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id="new") == 1


def test_collectors_of_one_registry_share() -> None:
    registry = prometheus_client.CollectorRegistry()
    MetricsCollector(registry).record_request("success", 0.1, "p")
    second = MetricsCollector(registry)
    second.record_request("success", 0.1, "p")
    assert value(second, "proxywhirl_requests_total", status="success", proxy_id="p") == 2


def test_functions_of_the_module(own_registry: Any) -> None:
    collector = metrics_collector.get_metrics_collector()
    assert metrics_collector.get_metrics_collector() is collector
    assert collector.registry is own_registry
    metrics_collector.record_request("success", 0.1, "p")
    metrics_collector.update_proxy_health("p", True)
    metrics_collector.update_active_proxies(2)
    metrics_collector.update_circuit_breaker_state("p", "open")
    assert value(collector, "proxywhirl_circuit_breaker_state", proxy_id="p") == 1
    assert value(collector, "proxywhirl_active_proxies") == 2
    metrics_collector.clear_proxy_metrics("p")
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id="p") is None
    metrics_collector.reset_metrics_collector()
    assert own_registry.get_sample_value("proxywhirl_active_proxies") is None
    assert metrics_collector.get_metrics_collector() is not collector


class Rotator:
    def __init__(self, hub: EventHub, pool: ProxyPool) -> None:
        self.on = hub.on
        self.pool = pool


def test_watching_a_rotator(collector: MetricsCollector) -> None:
    hub = EventHub()
    pool = ProxyPool()
    pool.add_proxy("http://10.0.0.1:1")
    proxy: Proxy = pool.get_all_proxies()[0]
    rotator = Rotator(hub, pool)
    end = collector.watch(rotator)
    hub.emit("request_complete", proxy=proxy, duration_ms=250.0, metadata={"outcome": "banned"})
    label = str(proxy.id)
    assert value(collector, "proxywhirl_requests_total", status="banned", proxy_id=label) == 1
    assert value(collector, "proxywhirl_request_duration_seconds_sum", proxy_id=label) == 0.25
    assert value(collector, "proxywhirl_active_proxies") == 1
    hub.emit("circuit_breaker", proxy=proxy, metadata={"from": "closed", "to": "open"})
    assert value(collector, "proxywhirl_circuit_breaker_state", proxy_id=label) == 1
    for event, fields, shown in (
        ("proxy_rested", {}, 0),
        ("proxy_revived", {}, 1),
        ("proxy_health_check", {"success": False}, 0),
    ):
        hub.emit(event, proxy=proxy, **fields)
        assert value(collector, "proxywhirl_proxy_health_status", proxy_id=label) == shown
    hub.emit("proxy_removed", proxy=proxy)
    assert value(collector, "proxywhirl_proxy_health_status", proxy_id=label) is None
    end()
    assert not hub


def test_a_real_rotator(collector: MetricsCollector) -> None:
    from proxywhirl import ProxyRotator

    rotator = ProxyRotator(["http://10.0.0.1:1"])
    collector.watch(rotator)
    rotator.lease("https://shop.test/").success(200.0)
    rotator.lease("https://shop.test/").report(status=403)
    label = str(rotator.pool.get_all_proxies()[0].id)
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id=label) == 1
    assert value(collector, "proxywhirl_requests_total", status="banned", proxy_id=label) == 1
    assert value(collector, "proxywhirl_request_duration_seconds_count", proxy_id=label) == 2
    assert value(collector, "proxywhirl_active_proxies") == 1
    rotator.remove_proxy(label)
    assert value(collector, "proxywhirl_requests_total", status="success", proxy_id=label) is None


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from proxywhirl.metrics_collector import MetricsCollector\n"
        "try: MetricsCollector()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "proxywhirl-rs[metrics]" in done.stdout
