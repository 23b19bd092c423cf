"""Sentences of the pages under docs/ that a change could quietly make untrue."""

from __future__ import annotations

import copy
import pickle
import re
import threading
from pathlib import Path

import pytest

from proxywhirl import (
    HealthStatus,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyRotator,
    RandomStrategy,
    RoundRobinStrategy,
    StrategyMetadataError,
    WeightedStrategy,
    _core,
)

DOCS = Path(__file__).parents[3] / "docs"


def test_ports_of_urls_without_one() -> None:
    schemes = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080}
    assert {scheme: Proxy(url=f"{scheme}://p.test").port for scheme in schemes} == schemes


@pytest.mark.parametrize(
    "url", ["http://2130706433:80", "http://:word@p.test:80", "http://p.test\r\n:80", "http://p q:80"]
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Invalid proxy URL"):
        Proxy(url=url)


def test_capacity_of_pools() -> None:
    pool = ProxyPool(proxies=[f"http://p.test:{1000 + number}" for number in range(100)])
    with pytest.raises(ValueError, match="maximum capacity"):
        pool.add_proxy("http://p.test:80")
    with ProxyRotator(proxies=[f"http://p.test:{1000 + number}" for number in range(101)]) as rotator:
        assert len(rotator.pool) == 101


def test_a_new_proxy_may_be_chosen_and_failures_end_that() -> None:
    proxy = Proxy(url="http://p.test:80")
    pool = ProxyPool(proxies=[proxy])
    assert proxy.health_status == HealthStatus.UNKNOWN
    assert not proxy.is_healthy
    assert pool.get_healthy_proxies() == [proxy]
    states: list[str] = []
    for _ in range(5):
        proxy.record_failure("refused")
        states.append(proxy.health_status.value)
    assert states == ["degraded", "degraded", "unhealthy", "unhealthy", "dead"]
    assert pool.get_healthy_proxies() == []
    proxy.record_success(10.0)
    assert pool.get_healthy_proxies() == [proxy]


def test_a_start_is_counted_and_a_dropped_lease_takes_it_back() -> None:
    pool = ProxyPool(proxies=["http://p.test:80"])
    strategy = RoundRobinStrategy()
    proxy = strategy.select(pool)
    assert (proxy.requests_started, proxy.requests_active) == (1, 1)
    strategy.record_result(proxy, True, 1.0)
    lease = pool.lease(strategy)
    assert proxy.requests_active == 1
    del lease
    assert (proxy.requests_started, proxy.requests_active) == (1, 0)


def test_a_second_verdict() -> None:
    lease = ProxyPool(proxies=["http://p.test:80"]).lease(RoundRobinStrategy())
    lease.success()
    with pytest.raises(RuntimeError):
        lease.success()


def test_failures_are_no_samples_of_the_average() -> None:
    proxy = Proxy(url="http://p.test:80")
    proxy.record_success(100.0)
    proxy.start_request()
    proxy.complete_request(success=False, response_time_ms=1.0)
    assert proxy.ema_response_time_ms == 100.0


def test_performance_based_by_hand() -> None:
    pool = ProxyPool(proxies=["http://p.test:80"])
    with pytest.raises(StrategyMetadataError):
        PerformanceBasedStrategy().select(pool)
    assert PerformanceBasedStrategy(exploration_count=5).select(pool) in pool


def test_weights_by_tag_are_for_groups() -> None:
    pool = ProxyPool(
        proxies=[Proxy(url="http://a.test:1", tags={"few"})]
        + [Proxy(url=f"http://b.test:{port}", tags={"many"}) for port in range(1, 9)]
        + [Proxy(url="http://c.test:1")]
    )
    strategy = WeightedStrategy({"few": 0.8, "many": 0.2}, seed=1)
    found = [strategy.select(pool).host for _ in range(2000)]
    # Binomial: 1600 expected, deviation 18; more than five deviations off once in 1.7 million, and the run is seeded.
    assert abs(found.count("a.test") - 1600) < 90
    assert "c.test" not in found


def test_what_dumps_hold() -> None:
    proxy = Proxy(url="http://user:secret@p.test:80")
    assert "secret" not in proxy.model_dump_json()
    with pytest.raises(ValueError, match="masked"):
        Proxy.model_validate_json(proxy.model_dump_json())
    for dump in (proxy.model_dump(), proxy.model_dump(mode="json", reveal=True)):
        password = Proxy.model_validate(dump).password
        assert password is not None
        assert password.get_secret_value() == "secret"


def test_what_is_pickled() -> None:
    pool = ProxyPool(proxies=["http://p.test:80"])
    twin = pickle.loads(pickle.dumps(pool))
    assert twin.id == pool.id
    assert twin.proxies[0].id == pool.proxies[0].id
    assert copy.deepcopy(pool).proxies[0] is not pool.proxies[0]
    with pytest.raises(TypeError):
        pickle.dumps(RandomStrategy())


def test_no_threads_without_need() -> None:
    before = threading.active_count()
    with ProxyRotator(proxies=["http://p.test:80"]):
        assert threading.active_count() == before


def test_members_equal_and_format_as_their_values() -> None:
    assert HealthStatus.DEAD == "dead"
    assert f"{HealthStatus.DEAD}" == "dead"


def test_the_page_of_strategies_has_a_row_for_each() -> None:
    classes = _core.builtin_strategy_classes()
    rows = re.findall(r"^\| `([\w-]+)` \|", (DOCS / "strategies.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(set(classes.values()))
    assert {classes[name] for name in rows} == set(classes.values())
