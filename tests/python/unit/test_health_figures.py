"""The figures of a rotator's health: what can be chosen now, and what is out for which reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator, RateLimiter

URLS = [f"http://192.0.2.{number}:8080" for number in range(1, 6)]
COUNTED = ("healthy", "unhealthy", "resting", "busy", "expired")


def figures(rotator: Any) -> dict[str, int]:
    """The counts that are not zero; together they are the pool, and those that can be chosen are as explained."""
    status = rotator.get_health_status()
    counts = {name: status[f"{name}_proxies"] for name in COUNTED}
    assert sum(counts.values()) == status["pool_size"] == len(rotator.pool)
    assert counts["healthy"] == len(rotator.explain().eligible)
    return {name: count for name, count in counts.items() if count}


def rest(rotator: ProxyRotator) -> None:
    others = [proxy.id for proxy in rotator.pool.proxies[1:]]
    while rotator.pool.get_healthy_proxies()[0] is rotator.pool.proxies[0]:
        rotator.lease(exclude=others).failure()


def test_a_fresh_pool_is_healthy() -> None:
    for kind in (ProxyRotator, AsyncProxyRotator):
        rotator = kind(URLS)
        assert figures(rotator) == {"healthy": 5}
        assert rotator.get_health_status()["status"] == "healthy"
        assert rotator.get_health_status()["warnings"] == []


def test_a_proxy_at_rest_is_not_usable_and_not_called_unhealthy() -> None:
    rotator = ProxyRotator(URLS)
    rest(rotator)
    assert figures(rotator) == {"healthy": 4, "resting": 1}
    status = rotator.get_health_status()
    assert status["status"] == "healthy"
    assert status["warnings"] == ["1 proxy is resting after failures"]
    rotator.pool.proxies[0].record_success(1.0)
    assert figures(rotator) == {"healthy": 5}


def test_one_failure_leaves_a_proxy_usable() -> None:
    rotator = ProxyRotator(URLS)
    rotator.pool.proxies[0].record_failure()
    assert rotator.pool.proxies[0].health_status == "degraded"
    assert figures(rotator) == {"healthy": 5}


def test_benched_at_a_site_is_usable_elsewhere_and_counted_apart() -> None:
    rotator = ProxyRotator(URLS)
    rotator.lease("http://shop.test/").banned()
    rotator.lease("http://shop.test/").banned()
    assert figures(rotator) == {"healthy": 5}
    status = rotator.get_health_status()
    assert status["benched_proxies"] == 2
    assert status["warnings"] == ["2 proxies are benched at a site"]
    rotator.lease("http://news.test/", exclude=[proxy.id for proxy in rotator.pool.proxies[:4]]).banned()
    assert rotator.get_health_status()["benched_proxies"] == 3


def test_busy_proxies_are_in_service() -> None:
    rotator = ProxyRotator(URLS, max_in_flight=1)
    leases = [rotator.lease() for _ in range(5)]
    assert figures(rotator) == {"busy": 5}
    assert rotator.get_health_status()["status"] == "healthy"
    assert rotator.get_health_status()["warnings"] == ["5 proxies are busy"]
    for lease in leases:
        lease.release()
    assert figures(rotator) == {"healthy": 5}


def test_out_of_tokens_is_busy() -> None:
    rotator = ProxyRotator(URLS, rate_limiter=RateLimiter(requests_per_second=0.001, burst_size=1))
    rotator.lease().success(1.0)
    assert figures(rotator) == {"healthy": 4, "busy": 1}


def test_an_open_breaker_rests() -> None:
    rotator = ProxyRotator(URLS)
    breaker = rotator.circuit_breakers[str(rotator.pool.proxies[1].id)]
    for _ in range(breaker.failure_threshold):
        breaker.record_failure()
    assert figures(rotator) == {"healthy": 4, "resting": 1}
    breaker.reset()
    assert figures(rotator) == {"healthy": 5}


def test_expired_unhealthy_and_dead() -> None:
    rotator = ProxyRotator(URLS)
    first, second, third, *_ = rotator.pool
    first.expires_at = first.created_at - timedelta(hours=1)
    second.health_status = "unhealthy"
    third.health_status = "dead"
    assert figures(rotator) == {"healthy": 2, "unhealthy": 2, "expired": 1}
    assert rotator.get_health_status()["warnings"] == ["2 proxies are unhealthy", "1 proxy is expired"]
    stats = rotator.get_pool_stats()
    assert (stats["healthy_proxies"], stats["unhealthy_proxies"], stats["dead_proxies"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("out", "status"), [(0, "healthy"), (1, "healthy"), (2, "degraded"), (4, "degraded"), (5, "unhealthy")]
)
def test_status_by_the_share_in_service(out: int, status: str) -> None:
    rotator = ProxyRotator(URLS)
    for proxy in rotator.pool.proxies[:out]:
        proxy.health_status = "dead"
    assert rotator.get_health_status()["status"] == status


def test_metrics_count_alike() -> None:
    rotator = ProxyRotator(URLS, enable_metrics=True)
    rest(rotator)
    rotator.pool.proxies[1].health_status = "dead"
    metrics = rotator.get_metrics()
    assert (metrics["active_proxies"], metrics["unhealthy_proxies"]) == (3, 2)
