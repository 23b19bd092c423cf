"""How users write code against the package; checked by mypy and pyright in strict mode, never run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Optional
from uuid import UUID

import httpx
from pydantic import BaseModel, SecretStr
from typing_extensions import assert_type

from proxywhirl import (
    GITHUB_MONOSANS_HTTP,
    RECOMMENDED_SOURCES,
    AsyncProxyRotator,
    AsyncRotatingTransport,
    BootstrapConfig,
    CompositeStrategy,
    CostAwareStrategy,
    Gateway,
    GeoLocation,
    GeoTargetedStrategy,
    HealthStatus,
    Lease,
    LeastUsedStrategy,
    Outcome,
    PerformanceBasedStrategy,
    Proxy,
    ProxyConfiguration,
    ProxyConnectionError,
    ProxyFetcher,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    ProxySource,
    ProxyWhirlError,
    RandomStrategy,
    RetryPolicy,
    RotatingTransport,
    RotationStrategy,
    RoundRobinStrategy,
    SelectionContext,
    Session,
    SessionManager,
    SessionNotFoundError,
    SessionPersistenceStrategy,
    StrategyConfig,
    StrategyRegistry,
    WeightedStrategy,
    parse_proxy_url,
)
from proxywhirl.rotator import Attempt
from proxywhirl.testing import Flap, LogNormal, ProxyFleet, ProxySpec


def proxies() -> None:
    proxy = Proxy(url="http://proxy.example:8080", username="u", password=SecretStr("p"), tags={"eu"})
    assert_type(proxy.id, UUID)
    assert_type(proxy.url, str)
    assert_type(proxy.username, Optional[SecretStr])
    assert_type(proxy.health_status, HealthStatus)
    assert_type(proxy.ema_response_time_ms, Optional[float])
    assert_type(proxy.created_at, datetime)
    assert_type(proxy.tags, set[str])
    assert_type(proxy.geo_location, Optional[GeoLocation])
    assert_type(proxy.success_rate, float)
    # The documented writes, enums as text included.
    proxy.health_status = HealthStatus.UNHEALTHY
    proxy.health_status = "healthy"
    proxy.source = ProxySource.FETCHED
    proxy.tags = {"a", "b"}
    proxy.country_code = "DE"
    proxy.start_request()
    proxy.complete_request(success=True, response_time_ms=12.5)
    assert_type(proxy.model_dump(mode="json"), dict[str, Any])
    assert_type(proxy.model_dump_json(), str)
    assert_type(Proxy.model_validate({"url": "http://proxy.example:8080"}), Proxy)
    assert_type(proxy.model_copy(update={"region": "Bavaria"}), Proxy)
    assert_type(parse_proxy_url("http://proxy.example:8080"), dict[str, Any])


def pools(pool: ProxyPool, proxy: Proxy) -> None:
    pool.add_proxy(proxy)
    pool.add_proxy("socks5://proxy.example:1080")
    report = pool.add_many(["http://a.example:1"], on_error="skip", source=ProxySource.FILE, tags=["list"])
    assert_type(report.added, int)
    assert_type(report.errors, list[tuple[int, str, str]])
    assert_type(pool.get_proxy_by_id(proxy.id), Optional[Proxy])
    assert_type(pool.get_healthy_proxies(), list[Proxy])
    assert_type(len(pool), int)
    for member in pool:
        assert_type(member, Proxy)
    assert_type(proxy in pool, bool)
    assert_type(pool.proxies[0], Proxy)
    pool.proxies.append(proxy)
    pool.remove_proxy(proxy.id)


class Record(BaseModel):
    """Native classes as fields of the user's own models."""

    proxy: Proxy
    pool: Optional[ProxyPool] = None
    context: Optional[SelectionContext] = None


def strategies(pool: ProxyPool) -> None:
    every: list[RotationStrategy] = [
        RoundRobinStrategy(),
        RandomStrategy(seed=1),
        WeightedStrategy({"source:user": 0.8, "source:fetched": 0.2}, seed=1),
        LeastUsedStrategy(tie_breaker="random"),
        PerformanceBasedStrategy(alpha=0.3, exploration_count=3),
        SessionPersistenceStrategy(timeout_seconds=600, fallback_strategy=LeastUsedStrategy()),
        GeoTargetedStrategy(preferred_countries=["US"], fallback_strategy="round-robin"),
        CostAwareStrategy(max_cost_per_request=0.5),
        CompositeStrategy(filters=[GeoTargetedStrategy()], selector=PerformanceBasedStrategy()),
        CompositeStrategy.from_config({"filters": ["geo-targeted"], "selector": "random"}),
    ]
    context = SelectionContext(session_id="s", target_country="DE", exclude_proxy_ids=[UUID(int=0)])
    for strategy in every:
        proxy = strategy.select(pool, context)
        assert_type(proxy, Proxy)
        strategy.record_result(proxy, success=True, response_time_ms=10.0)
    configured = PerformanceBasedStrategy()
    configured.configure(StrategyConfig(ema_alpha=0.2))
    assert_type(configured.validate_metadata(pool), bool)


class Mine:
    """A strategy without a base class."""

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        return pool.get_healthy_proxies()[0]

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """Nothing."""


class Inherits(RotationStrategy):
    """A strategy that only chooses."""

    def select_proxy(self, pool: list[Proxy]) -> Proxy:
        return pool[-1]


def custom() -> None:
    mine: RotationStrategy = Mine()
    StrategyRegistry().register_strategy("mine", Mine)
    choose: Callable[[ProxyPool], Proxy] = lambda pool: pool.get_healthy_proxies()[0]  # noqa: E731
    for strategy in (mine, Mine, Inherits(), "mine", choose, {"name": "random", "seed": 3}):
        ProxyRotator(proxies=["http://proxy.example:8080"], strategy=strategy)


def rotators() -> None:
    config = ProxyConfiguration(pool_connections=10)
    with ProxyRotator(
        ["http://proxy.example:8080", {"url": "http://b.example:1", "country_code": "US"}],
        "least-used",
        config,
        RetryPolicy(max_attempts=2),
    ) as rotator:
        assert_type(rotator, ProxyRotator)
        assert_type(rotator.get("https://site.example", params={"q": 1}, country="US", tags=["fast"]), httpx.Response)
        assert_type(rotator.request("POST", "https://site.example", json={}), httpx.Response)
        assert_type(rotator.add_proxies(["http://c.example:1"]), int)
        with rotator.stream("GET", "https://site.example") as response:
            assert_type(response, httpx.Response)
        with rotator.session("user-1", timeout_seconds=60) as session:
            assert_type(session.proxy, Optional[Proxy])
            assert_type(session.get("https://site.example"), httpx.Response)
        for attempt in rotator.attempts("https://site.example", retry_policy=RetryPolicy(max_attempts=5)):
            with attempt:
                assert_type(attempt.proxy, Proxy)
                assert_type(attempt.report(403), Outcome)
        with rotator.lease("https://site.example", exclude=[UUID(int=0)]) as lease:
            assert_type(lease, Lease)
            assert_type(lease.report(status=200, elapsed_ms=3.0), Outcome)
        rotator.set_strategy("weighted", weights={"eu": 1.0})
        assert_type(rotator.get_pool_stats(), dict[str, Any])
        try:
            rotator.get_session("missing")
        except SessionNotFoundError as error:
            assert_type(error.to_dict(), dict[str, Any])
        except (ProxyPoolEmptyError, ProxyConnectionError) as error:
            base: ProxyWhirlError = error
            assert_type(base.retry_recommended, bool)


async def asynchronous() -> None:
    async with AsyncProxyRotator(proxies=["http://proxy.example:8080"], strategy=RandomStrategy) as rotator:
        assert_type(rotator, AsyncProxyRotator)
        assert_type(await rotator.get("https://site.example", session_id="s"), httpx.Response)
        await rotator.add_proxy("http://b.example:1")
        async for attempt in rotator.attempts("https://site.example", method="HEAD", raise_on_ban=True):
            async with attempt:
                assert_type(attempt, Attempt)
        async with rotator.lease("https://site.example") as lease:
            assert_type(lease, Lease)
        lease = await rotator.lease()
        lease.success()
        async with rotator.stream("GET", "https://site.example") as response:
            assert_type(response, httpx.Response)


def transports(pool: ProxyPool) -> None:
    httpx.Client(transport=RotatingTransport(pool, strategy="random"))
    httpx.AsyncClient(transport=AsyncRotatingTransport(["http://proxy.example:8080"]))


def leases(pool: ProxyPool) -> None:
    with pool.lease(RoundRobinStrategy(), country="DE", tags={"fast"}) as lease:
        assert_type(lease.proxy, Proxy)
        assert_type(lease.url, str)
        assert_type(lease.requests_proxies, dict[str, str])
        lease.banned(cooldown=60.0)


def sessions(manager: SessionManager, proxy: Proxy) -> None:
    assert_type(manager.create_session("id", proxy, timeout_seconds=60), Session)
    assert_type(manager.create_session(proxy, 60), str)
    assert_type(manager.get_session("id"), Optional[Session])


def fleets() -> None:
    specs = [ProxySpec(latency=LogNormal(20.0), flap=Flap(3, 1)), ProxySpec.fast(auth=("u", "p"))]
    with ProxyFleet(specs, seed=7) as fleet:
        assert_type(fleet, ProxyFleet)
        assert_type(fleet.urls, list[str])
        fleet[0].fail("reset")
        assert_type(fleet.counters(), dict[str, dict[str, Any]])


def supplied() -> None:
    gateway = Gateway("http://user-{country}-{session}:secret@gw.example:7777", size=5, ttl=60, countries=["de"])
    assert_type(gateway.mint(2), list[Proxy])
    Gateway.preset("oxylabs", user="me", password="secret", city=["berlin", "bonn"])
    lists = ProxyFetcher(["https://lists.example/http.txt", {"url": "mine.csv", "priority": 1}], allow_local=True)
    with ProxyRotator(
        proxies=[gateway, "http://proxy.example:8080"],
        auto_fetch_sources=lists,
        refresh_interval=3600,
        remove_dead_on_refresh=True,
        bootstrap=BootstrapConfig(sample_size=3),
    ) as rotator:
        refresh = rotator.refresh_proxies()
        assert_type(refresh[0], Proxy)
        assert_type(refresh.added, list[Proxy])
        assert_type(refresh.errors, dict[str, str])
    ProxyRotator(auto_fetch_sources=[GITHUB_MONOSANS_HTTP, *RECOMMENDED_SOURCES])


async def fetched(fetcher: ProxyFetcher, rotator: ProxyRotator) -> None:
    assert_type(await fetcher.fetch(), list[Proxy])
    assert_type(await fetcher.fetch_all(validate=False), list[dict[str, Any]])
    for proxy in await rotator.refresh_proxies():
        assert_type(proxy, Proxy)
