"""The documented snippets about events, metrics and load tests (api 0.1), imports included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from proxywhirl.testing import ProxyFleet


def test_sn22_events(fleet: ProxyFleet, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    from proxywhirl import ProxyEvent, ProxyRotator

    def on_proxy_selected(event: ProxyEvent) -> None:
        print(f"Selected proxy: {event.proxy.url}")

    def on_request_failed(event: ProxyEvent) -> None:
        print(f"Request failed: {event.error}")

    bad = "http://user:s3cret@127.0.0.1:9"
    rotator = ProxyRotator(proxies=[bad, *fleet.urls])
    rotator.on("proxy_selected", on_proxy_selected)
    rotator.on("request_failure", on_request_failed)
    assert rotator.get(target).status_code == 200
    rotator.close()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Selected proxy: http://127.0.0.1:9"
    assert printed[1].startswith("Request failed: ")
    assert printed[2] == f"Selected proxy: {fleet.urls[0]}"
    assert len(printed) == 3
    assert "s3cret" not in "".join(printed)


def test_sn23_one_callback_for_both_ends(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator

    lines: list[str] = []

    def on_request(event):  # type: ignore[no-untyped-def]
        if event.success:
            lines.append(f"ok {event.proxy.url} {event.duration_ms:.1f}")
        else:
            lines.append(f"failed {event.proxy.url}")

    rotator = ProxyRotator(proxies=fleet.urls)
    rotator.on("request_complete", on_request)
    for _ in range(3):
        rotator.get(target)
    rotator.close()
    assert [line.split()[:2] for line in lines] == [["ok", url] for url in fleet.urls]
    assert all(float(line.split()[2]) > 0 for line in lines)


def test_sn24_health_profile_and_metrics(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator

    rotator = ProxyRotator(proxies=fleet.urls, enable_profiling=True, enable_metrics=True)
    for _ in range(6):
        rotator.get(target)

    health = rotator.get_health_status()
    assert health["status"] == "healthy"
    assert (health["pool_size"], health["healthy_proxies"], health["unhealthy_proxies"]) == (3, 3, 0)
    assert health["overall_success_rate"] == 1.0
    assert health["average_response_time_ms"] > 0
    assert health["last_health_check"] is None
    assert health["warnings"] == []

    profile = rotator.get_performance_profile()
    assert profile["proxy_selection_avg_ms"] > 0
    assert profile["connection_establish_avg_ms"] > 0
    assert profile["request_avg_ms"] >= profile["connection_establish_avg_ms"] / 2
    assert (profile["validation_avg_ms"], profile["storage_save_avg_ms"]) == (0.0, 0.0)

    metrics = rotator.get_metrics()
    assert metrics["total_requests"] == 6
    assert metrics["success_rate"] == 1.0
    assert 0 < metrics["p50_latency_ms"] <= metrics["p95_latency_ms"] <= metrics["p99_latency_ms"]
    assert metrics["avg_latency_ms"] > 0
    assert metrics["requests_per_second"] > 0
    assert (metrics["active_proxies"], metrics["unhealthy_proxies"]) == (3, 0)
    rotator.close()


def test_sn28_load_test(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.testing import LoadTest

    rotator = ProxyRotator(proxies=fleet.urls)
    load_test = LoadTest(
        rotator=rotator,
        target_url=target,
        duration_seconds=1,  # the documented 60 are for people with time
        requests_per_second=100,
        concurrent_users=50,
    )
    results = load_test.run()
    assert results.avg_latency_ms > 0
    assert results.success_rate == 1.0
    assert results.requests_per_second == pytest.approx(100, rel=0.1)
    assert results.total_requests == 100
    rotator.close()
