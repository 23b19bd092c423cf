"""Where money shows: explain(), health, statistics, events and Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from counting_relay import CountingRelay

from proxywhirl import AsyncProxyRotator, Proxy, ProxyPoolEmptyError, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

ENGINES = ("native", "httpx")
KINDS = ("sync", "async")


def make(kind: str, **options: Any) -> Any:
    return (ProxyRotator if kind == "sync" else AsyncProxyRotator)(**options)


@pytest.mark.parametrize("kind", KINDS)
def test_explain_says_what_the_budget_has_no_room_for(kind: str) -> None:
    cheap = Proxy(url="http://10.0.0.1:1", cost_per_request=0.1)
    dear = Proxy(url="http://10.0.0.2:1", cost_per_request=5.0)
    by_bytes = Proxy(url="http://10.0.0.3:1", cost_per_gb=1.0)
    free = Proxy(url="http://10.0.0.4:1")
    rotator = make(kind, proxies=[cheap, dear, by_bytes, free], budget=1.0)

    def over() -> list[Proxy]:
        return [verdict.proxy for verdict in rotator.explain() if "over_budget" in verdict.reasons]

    def statuses() -> tuple[int, int, str]:
        health = rotator.get_health_status()
        return health["healthy_proxies"], health["unpaid_proxies"], health["status"]

    assert over() == [dear]
    rotator.spent = 0.95
    assert over() == [cheap, dear]
    assert statuses() == (2, 2, "degraded")
    rotator.spent = 1.0
    assert over() == [cheap, dear, by_bytes]
    assert "3 over the budget" in rotator.explain().summary()
    assert "3 proxies are over the budget" in rotator.get_health_status()["warnings"]
    rotator.budget = None
    assert over() == []
    assert statuses() == (4, 0, "healthy")


def test_what_is_under_way_takes_its_room() -> None:
    with ProxyRotator(proxies=[Proxy(url="http://10.0.0.1:1", cost_per_request=0.6)], budget=1.0) as rotator:
        assert rotator.explain()[0].eligible
        lease = rotator.lease("http://shop.test/")
        assert rotator.explain()[0].reasons == ["over_budget"]
        assert rotator.explain()[0].until is None
        lease.release()
        assert rotator.explain()[0].eligible


@pytest.mark.parametrize("engine", ENGINES)
def test_statistics_have_bytes_and_money(engine: str) -> None:
    with ProxyFleet(2) as fleet:
        proxies = [Proxy(url=url, cost_per_request=0.25) for url in fleet.urls]
        with ProxyRotator(proxies=proxies, engine=engine) as rotator:
            before = rotator.get_pool_stats()
            assert [before[name] for name in ("bytes_sent", "bytes_received", "spent")] == [0, 0, 0.0]
            assert before["cost_per_page"] is None
            for _ in range(4):
                rotator.get(fleet.site_url("shop.test", "/bytes/1000"))
            for stats in (rotator.get_pool_stats(), rotator.get_statistics()):
                assert stats["spent"] == rotator.spent == 1.0
                assert stats["cost_per_page"] == 0.25
                assert (stats["bytes_sent"], stats["bytes_received"]) == (rotator.bytes_sent, rotator.bytes_received)
                assert stats["bytes_received"] > 4000


def prometheus(rotator: Any) -> Any:
    client = pytest.importorskip("prometheus_client")
    from proxywhirl.metrics_collector import MetricsCollector

    registry = client.CollectorRegistry()
    MetricsCollector(registry).watch(rotator)

    def read(name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    return read


def test_prometheus_counts_what_is_given_back() -> None:
    proxy = Proxy(url="http://10.0.0.1:1", cost_per_request=0.5)
    with ProxyRotator(proxies=[proxy]) as rotator:
        seen: list[Any] = []
        rotator.on("request_released", seen.append)
        read = prometheus(rotator)
        rotator.lease("http://shop.test/").release()
        lease = rotator.lease("http://shop.test/")
        lease._count(10, 200)
        lease.release()
        assert read("proxywhirl_bytes_total", direction="sent") == 10
        assert read("proxywhirl_bytes_total", direction="received") == 200
        assert read("proxywhirl_spent_total") == 0.5
        assert read("proxywhirl_requests_total") == 0
        facts = {"site": "shop.test", "bytes_sent": 10, "bytes_received": 200, "spent": 0.5}
        assert [event.metadata for event in seen] == [
            {**facts, "bytes_sent": 0, "bytes_received": 0, "spent": 0.0},
            facts,
        ]


@pytest.mark.parametrize("engine", ENGINES)
async def test_prometheus_counts_the_bytes_of_cancelled_requests(engine: str) -> None:
    with ProxyFleet([ProxySpec(name="slow", latency=60_000)]) as fleet, CountingRelay(fleet.urls[0]) as relay:
        once = RetryPolicy(max_attempts=1)
        async with AsyncProxyRotator(proxies=[relay.url], engine=engine, retry_policy=once) as rotator:
            read = prometheus(rotator)
            task = asyncio.ensure_future(rotator.get(fleet.site_url("shop.test", "/whoami")))
            # Until it is on the wire.
            await asyncio.get_running_loop().run_in_executor(None, relay.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            counted = relay.settled()
            assert read("proxywhirl_bytes_total", direction="sent") == counted[0] == rotator.bytes_sent
            assert read("proxywhirl_bytes_total", direction="received") == counted[1]
            assert read("proxywhirl_requests_total") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_tells_of_the_budget(kind: str) -> None:
    paid = [Proxy(url=f"http://10.0.0.{n}:1", cost_per_request=2.0) for n in (1, 2)]
    free = Proxy(url="http://10.0.0.3:1")
    rotator = make(kind, proxies=[*paid, free], budget=1.0)
    free.health_status = "dead"

    async def lease() -> None:
        taken = rotator.lease("http://shop.test/")
        if kind == "async":
            await taken

    with pytest.raises(ProxyPoolEmptyError) as caught:
        asyncio.run(lease())
    assert caught.value.reasons == {"unhealthy": 1, "over_budget": 2}
    assert "2 over the budget" in str(caught.value)
