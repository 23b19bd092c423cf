"""The documented snippets (api 0.1), imports included; only addresses are those of the local fleet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from proxywhirl.testing import ProxyFleet


def test_sn01_performance_based_on_a_cold_pool(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.strategies import PerformanceBasedStrategy

    rotator = ProxyRotator(strategy=PerformanceBasedStrategy(alpha=0.25))
    rotator.add_proxies(fleet.urls[:2])
    response = rotator.request("GET", target)
    assert response.status_code == 200
    assert response.json()["proxy"] in {fleet.proxies[0].name, fleet.proxies[1].name}
    rotator.close()


def test_sn02_sticky_session(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.strategies import SessionStrategy

    strategy = SessionStrategy(timeout_seconds=1800)
    with ProxyRotator(proxies=fleet.urls, strategy=strategy) as rotator, rotator.session("user-session-123") as s:
        first = s.request("GET", target)
        second = s.request("GET", target)
    assert first.json()["proxy"] == second.json()["proxy"]


def test_sn03_geo_targeted(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import Proxy, ProxyRotator
    from proxywhirl.strategies import GeoTargetedStrategy

    strategy = GeoTargetedStrategy(preferred_countries=["US", "CA"], fallback_strategy="round-robin")
    rotator = ProxyRotator(strategy=strategy)
    countries = ["DE", "CA", "GB"]
    rotator.add_proxies([Proxy(url=url, country_code=code) for url, code in zip(fleet.urls, countries)])
    assert {rotator.request("GET", target).json()["proxy"] for _ in range(4)} == {fleet.proxies[1].name}
    rotator.close()


def test_sn04_composite(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import Proxy, ProxyRotator
    from proxywhirl.strategies import CompositeStrategy, GeoTargetedStrategy, PerformanceBasedStrategy

    strategy = CompositeStrategy(
        filters=[GeoTargetedStrategy(preferred_countries=["US"])], selector=PerformanceBasedStrategy(alpha=0.3)
    )
    rotator = ProxyRotator(strategy=strategy)
    countries = ["US", "DE", "US"]
    rotator.add_proxies([Proxy(url=url, country_code=code) for url, code in zip(fleet.urls, countries)])
    seen = {rotator.request("GET", target).json()["proxy"] for _ in range(30)}
    assert seen == {fleet.proxies[0].name, fleet.proxies[2].name}
    rotator.close()


def test_sn05_alphas() -> None:
    from proxywhirl.strategies import PerformanceBasedStrategy

    PerformanceBasedStrategy(alpha=0.5)
    PerformanceBasedStrategy(alpha=0.1)


def test_sn06_configuration_of_a_strategy(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.config import StrategyConfig
    from proxywhirl.strategies import LeastUsedStrategy

    config = StrategyConfig(strategy_name="least-used", window_duration_seconds=7200)
    rotator = ProxyRotator(strategy=LeastUsedStrategy(), config=config)
    rotator.add_proxies(fleet.urls)
    seen = [rotator.get(target).json()["proxy"] for _ in range(6)]
    assert sorted(seen) == sorted([proxy.name for proxy in fleet.proxies] * 2)
    assert rotator.strategy.config is config
    rotator.close()


def test_sn07_swapping(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.strategies import PerformanceBasedStrategy, RoundRobinStrategy

    rotator = ProxyRotator(strategy=RoundRobinStrategy())
    rotator.add_proxies(fleet.urls)
    assert rotator.get(target).status_code == 200
    rotator.set_strategy(PerformanceBasedStrategy())
    assert rotator.get(target).status_code == 200
    assert type(rotator.strategy) is PerformanceBasedStrategy
    rotator.close()


def test_sn08_a_strategy_of_the_plans_shape(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.models import Proxy, ProxyMetadata, ProxyPool
    from proxywhirl.strategies import RotationStrategy

    class MyCustomStrategy:
        @property
        def requires_metadata(self) -> set[str]:
            return {"ema_response_time_ms"}

        def validate_requirements(self, pool: ProxyPool, metadata: dict[UUID, ProxyMetadata]) -> bool:
            return any(metadata[proxy.id].ema_response_time_ms is not None for proxy in pool.proxies)

        def select(self, pool: ProxyPool, metadata: dict[UUID, ProxyMetadata], context: Any = None) -> Proxy:
            def speed(proxy: Proxy) -> float:
                return metadata[proxy.id].ema_response_time_ms or 0.0

            return min(pool.get_healthy_proxies(), key=speed)

        def record_result(self, proxy: Proxy, metadata: ProxyMetadata, success: bool, response_time_ms: float) -> None:
            metadata.record_completion(success, response_time_ms)

    rotator = ProxyRotator(proxies=fleet.urls)
    rotator.register_strategy("my-custom", MyCustomStrategy)
    rotator.set_strategy("my-custom")
    for _ in range(9):  # from the first request on
        assert rotator.request("GET", target).status_code == 200
    assert type(rotator.strategy) is MyCustomStrategy
    assert isinstance(rotator.strategy, RotationStrategy)
    assert sum(proxy.requests_completed for proxy in rotator.pool.proxies) == 9
    assert sum(proxy.requests_started for proxy in rotator.pool.proxies) == 9
    rotator.close()


def test_sn09_pool_and_strategy_alone() -> None:
    from proxywhirl import PerformanceBasedStrategy, Proxy, ProxyPool, StrategyConfig

    pool = ProxyPool(name="production")
    pool.add_proxy(Proxy(url="http://proxy1.example.com:8080"))
    pool.add_proxy(Proxy(url="http://proxy2.example.com:8080"))
    strategy = PerformanceBasedStrategy()
    strategy.configure(StrategyConfig(ema_alpha=0.2))
    proxy = strategy.select(pool, context=None)
    strategy.record_result(proxy, success=True, response_time_ms=150.0)
    assert proxy.ema_response_time_ms == 150.0
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (1, 1, 0)


def test_sn10_strings_without_a_port() -> None:
    from proxywhirl import ProxyRotator

    rotator = ProxyRotator(proxies=["http://proxy1.com", "http://proxy2.com"])
    assert [(proxy.host, proxy.port) for proxy in rotator.pool.proxies] == [("proxy1.com", 80), ("proxy2.com", 80)]
    rotator.close()


def test_sn10_get(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator

    rotator = ProxyRotator(proxies=fleet.urls)
    seen = [rotator.get(target).json()["proxy"] for _ in range(6)]
    assert sorted(seen) == sorted([proxy.name for proxy in fleet.proxies] * 2)
    rotator.close()


async def test_sn11_async(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import AsyncProxyRotator

    rotator = AsyncProxyRotator(proxies=fleet.urls)
    response = await rotator.get(target)
    assert response.status_code == 200
    await rotator.aclose()


def test_sn12_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_STRATEGY", "least-used")
    monkeypatch.setenv("PROXYWHIRL_TIMEOUT", "17")
    monkeypatch.setenv("PROXYWHIRL_POOL_SIZE", "50")
    from proxywhirl import LeastUsedStrategy, ProxyRotator

    rotator = ProxyRotator()
    assert isinstance(rotator.strategy, LeastUsedStrategy)
    assert rotator.config.timeout == 17
    assert rotator.pool.max_pool_size == 50
    rotator.close()


def test_sn13_yaml(fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    from proxywhirl import ProxyRotator, RandomStrategy

    path = tmp_path / "proxywhirl.yaml"
    listed = "\n".join(f"  - url: {url}\n    username: user\n    password: pass" for url in fleet.urls)
    path.write_text(f"strategy: random\ntimeout: 30\npool_size: 50\nproxies:\n{listed}\n", encoding="utf-8")
    rotator = ProxyRotator.from_config(path)
    assert isinstance(rotator.strategy, RandomStrategy)
    assert rotator.config.timeout == 30
    assert rotator.pool.size == 3
    assert rotator.pool.proxies[0].username is not None
    assert rotator.get(target).status_code == 200
    rotator.close()
    again = ProxyRotator(config=str(path))
    assert again.pool.size == 3
    again.close()


def test_sn14_a_strategy_that_inherits(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.models import Proxy
    from proxywhirl.strategies import RotationStrategy

    class LastStrategy(RotationStrategy):
        def select_proxy(self, pool: list[Proxy]) -> Proxy:
            return pool[-1]

    rotator = ProxyRotator(proxies=fleet.urls, strategy=LastStrategy())
    for _ in range(3):
        assert rotator.get(target).json()["proxy"] == fleet.proxies[-1].name
    assert rotator.strategy.__class__.__name__ == "LastStrategy"
    assert rotator.pool.proxies[-1].requests_completed == 3
    rotator.close()


def test_sn16_persistence(fleet: ProxyFleet, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxywhirl import ProxyRotator

    monkeypatch.chdir(tmp_path)
    rotator = ProxyRotator(
        proxies=fleet.urls,
        storage_backend="file",
        storage_path="./data/proxies.json",
        auto_save_interval=300,
        atomic_writes=True,
    )
    assert rotator.get(target).status_code == 200
    rotator.save()
    loaded = ProxyRotator.from_file("./data/proxies.json")
    assert [proxy.url for proxy in loaded.pool.proxies] == fleet.urls
    assert loaded.pool.total_requests == rotator.pool.total_requests == 1
    assert loaded.get(target).status_code == 200
    rotator.close()
    loaded.close()


def test_sn20_configuration() -> None:
    from proxywhirl import ProxyConfiguration, ProxyRotator

    config = ProxyConfiguration(
        pool_connections=100, pool_max_keepalive=200, keepalive_timeout=300, max_concurrent_requests=1000
    )
    rotator = ProxyRotator(config=config)
    assert rotator.config is config
    rotator.close()


def test_sn21_a_large_file(tmp_path: Path) -> None:
    import json

    from proxywhirl import ProxyPool

    path = tmp_path / "large_pool.json"
    proxies = [{"url": f"http://proxy{n}.example.com:8080", "health_status": "UNKNOWN"} for n in range(2000)]
    path.write_text(json.dumps({"version": "1.0", "pool_name": "large", "proxies": proxies, "config": {}}))
    pool = ProxyPool.from_file(str(path), lazy=True)
    assert pool.size == 2000
    assert pool.select_next().host == "proxy0.example.com"
    assert pool.select_next().host == "proxy1.example.com"


def test_sn25_a_rate_throttles(fleet: ProxyFleet, target: str) -> None:
    import time

    from proxywhirl import ProxyRotator, RateLimiter

    limiter = RateLimiter(requests_per_second=10, burst_size=20)
    rotator = ProxyRotator(proxies=fleet.urls, rate_limiter=limiter)
    began = time.monotonic()
    statuses = [rotator.get(target).status_code for _ in range(100)]
    # Three proxies: sixty at once, the other forty at thirty a second.
    assert time.monotonic() - began > 1.2
    assert statuses == [200] * 100
    rotator.close()


def test_sn26_credentials_that_change(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import CredentialRotator, ProxyRotator

    def fetch_new_credentials() -> dict[str, str]:
        return {"username": "new_user", "password": "new_pass"}

    credentials = CredentialRotator(refresh_callback=fetch_new_credentials, refresh_interval=3600)
    rotator = ProxyRotator(proxies=fleet.urls, credential_rotator=credentials)
    assert rotator.get(target).status_code == 200
    for proxy in rotator.pool.proxies:
        assert proxy.username is not None
        assert proxy.username.get_secret_value() == "new_user"
    rotator.close()


def test_sn27_a_breaker_as_pattern(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import CircuitBreaker, ProxyRotator

    breaker = CircuitBreaker(failure_threshold=5, timeout=60, success_threshold=2)
    rotator = ProxyRotator(proxies=fleet.urls, circuit_breaker=breaker)
    assert rotator.get(target).status_code == 200
    for made in rotator.circuit_breakers.values():
        assert (made.failure_threshold, made.timeout, made.success_threshold) == (5, 60, 2)
    rotator.close()


def test_sn29_registry_and_from_config(fleet: ProxyFleet, target: str) -> None:
    from proxywhirl import ComposedStrategy, CompositeStrategy, Proxy, ProxyPool, ProxyRotator, StrategyRegistry

    class FirstStrategy:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            return pool.get_healthy_proxies()[0]

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            proxy.complete_request(success, response_time_ms)

    registry = StrategyRegistry()
    registry.register_strategy("first", FirstStrategy)
    assert registry.get_strategy("first") is FirstStrategy
    for cls in (CompositeStrategy, ComposedStrategy):
        made = cls.from_config({"filters": ["geo-targeted"], "selector": "least-used"})
        assert isinstance(made, CompositeStrategy)
    for name in ("first", "round-robin", "random", "weighted", "least-used", "performance-based", "geo-targeted"):
        with ProxyRotator(proxies=fleet.urls, strategy=name) as rotator:
            assert rotator.get(target).status_code == 200


def test_sn30_dynamic_timeout() -> None:
    from proxywhirl import Proxy
    from proxywhirl.utils import calculate_timeout

    proxy = Proxy(url="http://proxy1.example.com:8080")
    assert calculate_timeout(proxy) == 30
    proxy.average_response_time_ms = 1000.0
    assert calculate_timeout(proxy) == pytest.approx(5.0)


def test_weights_of_sn18() -> None:
    # The proxies of SN-18 come from sources; its strategy stands on its own.
    from proxywhirl import Proxy, ProxyPool, WeightedStrategy

    strategy = WeightedStrategy(weights={"source:user": 0.8, "source:fetched": 0.2})
    pool = ProxyPool(
        proxies=[
            Proxy(url="http://proxy1.example.com:8080", tags={"source:user"}),
            Proxy(url="http://proxy2.example.com:8080", tags={"source:fetched"}),
        ]
    )
    assert {strategy.select(pool) for _ in range(200)} == set(pool.proxies)


async def test_sn15_fetching(lists: dict[str, str]) -> None:
    from proxywhirl.fetchers import ProxyFetcher, RenderMode

    fetcher = ProxyFetcher(
        sources=[
            lists["plain"],
            {"url": lists["scripted"], "render_mode": RenderMode.JAVASCRIPT},
            {"url": lists["json"], "render_mode": RenderMode.STATIC},
        ],
        refresh_interval=3600,
        validate_before_add=True,
        validator=Approves(),
    )
    proxies = await fetcher.fetch()
    # Without a browser the source that needs one is skipped with a warning.
    rendered = {"1.1.1.3"} if find_spec("playwright") and which("chromium") else set[str]()
    assert {proxy.host for proxy in proxies} == {"1.1.1.1", "1.1.1.2"} | rendered


def test_sn18_own_and_fetched_proxies(fleet: ProxyFleet, target: str, lists: dict[str, str]) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.strategies import WeightedStrategy

    rotator = ProxyRotator(
        user_proxies=fleet.urls[:1],
        auto_fetch_sources=[lists["fleet"]],
        strategy=WeightedStrategy(weights={"source:user": 0.8, "source:fetched": 0.2}),
        allow_local=True,  # what a list names must be public, and the test's proxies are not
    )
    rotator.get(target)
    assert len(rotator.refresh_proxies()) == 2
    seen = [rotator.get(target).json()["proxy"] for _ in range(200)]
    # 200 draws at 0.8: five standard deviations of 5.7 on each side.
    assert 131 <= seen.count(fleet.proxies[0].name) <= 189
    rotator.close()


async def test_sn19_refreshing(lists: dict[str, str]) -> None:
    from proxywhirl import ProxyRotator
    from proxywhirl.fetchers import ProxyFetcher

    rotator = ProxyRotator(
        auto_fetch_sources=ProxyFetcher([lists["plain"], lists["json"]], validator=Approves()),
        refresh_interval=3600,
        remove_dead_on_refresh=True,
    )
    await rotator.refresh_proxies()
    assert {proxy.host for proxy in rotator.pool} == {"1.1.1.1", "1.1.1.2"}
    rotator.close()


class Approves:
    """A check that likes every proxy: the lists name addresses that must not be contacted."""

    async def validate_batch(self, proxies: list[Any], progress_callback: Any = None) -> list[Any]:
        del progress_callback
        return proxies
