"""The texts that callers match on, each raised by the operation that it belongs to, with its class and code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import pydantic
import pytest

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    Proxy,
    ProxyAuthenticationError,
    ProxyConfiguration,
    ProxyConnectionError,
    ProxyFetchError,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    ProxyValidationError,
    RateLimiter,
    RetryPolicy,
    RoundRobinStrategy,
    SessionPersistenceStrategy,
    StrategyConfig,
    StrategyRegistry,
    create_proxy_from_url,
    parse_proxy_url,
)
from proxywhirl.exceptions import ProxyErrorCode as Code
from proxywhirl.fetchers import PlainTextParser
from proxywhirl.models import HealthMonitor
from proxywhirl.rate_limiting import RateLimit
from proxywhirl.testing import ProxyFleet, ProxySpec

URL = "http://192.0.2.1:8080"
OTHER = "http://192.0.2.2:8080"


class Half:
    """Selects, and does not hear of results."""

    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        return pool.proxies[0]


def rotator_of_one(**options: Any) -> ProxyRotator:
    return ProxyRotator([URL], **options)


def dead() -> None:
    rotator = rotator_of_one()
    rotator.pool.proxies[0].health_status = "dead"
    rotator.lease()


def dead_by_hand() -> None:
    RoundRobinStrategy().select(ProxyPool(proxies=[Proxy(url=URL, health_status="dead")]))


def breakers_open() -> None:
    rotator = rotator_of_one()
    breaker = rotator.circuit_breakers[str(rotator.pool.proxies[0].id)]
    for _ in range(breaker.failure_threshold):
        breaker.record_failure()
    rotator.get("http://shop.test/")


def over_the_limit() -> None:
    rotator = rotator_of_one(rate_limiter=RateLimiter(global_limit=RateLimit(max_requests=1, time_window=3600)))
    rotator.lease().success(1.0)
    rotator.lease()


def one_too_many() -> None:
    pool = ProxyPool(max_pool_size=1)
    pool.add_proxy(URL)
    pool.add_proxy(OTHER)


def too_dear() -> None:
    CostAwareStrategy(max_cost_per_request=0.1).select(ProxyPool(proxies=[Proxy(url=URL, cost_per_request=1.0)]))


def session_without_id() -> None:
    SessionPersistenceStrategy().select(ProxyPool(proxies=[Proxy(url=URL)]))


def invalid(**fields: Any) -> Callable[[], Any]:
    return lambda: Proxy(**fields)


Raised = tuple[str, Callable[[], Any], type[Exception], Any]
EMPTY, CONNECTION, INVALID = ProxyPoolEmptyError, ProxyConnectionError, pydantic.ValidationError

TEXTS: list[Raised] = [
    ("No healthy proxies available", dead, EMPTY, Code.PROXY_POOL_EMPTY),
    ("No healthy proxies", dead_by_hand, EMPTY, Code.PROXY_POOL_EMPTY),
    ("503 Service Temporarily Unavailable", breakers_open, EMPTY, Code.PROXY_POOL_EMPTY),
    ("auto-bootstrap is disabled", lambda: ProxyRotator().get("http://shop.test/"), EMPTY, Code.PROXY_POOL_EMPTY),
    ("Rate limit exceeded", over_the_limit, CONNECTION, Code.PROXY_CONNECTION_FAILED),
    ("No circuit breaker found", lambda: rotator_of_one().reset_circuit_breaker("unknown"), KeyError, None),
    ("not enabled", lambda: rotator_of_one().clear_queue(), RuntimeError, None),
    ("Unknown strategy", lambda: rotator_of_one(strategy="nope"), ValueError, None),
    ("Unknown strategy", lambda: rotator_of_one().set_strategy("nope"), ValueError, None),
    (
        "Unknown strategy",
        lambda: RoundRobinStrategy().configure(StrategyConfig(fallback_strategy="nope")),
        ValueError,
        None,
    ),
    ("Unknown strategy name", lambda: CompositeStrategy.from_config({"selector": "nope"}), ValueError, None),
    ("Unknown strategy name", lambda: CompositeStrategy.from_config({"filters": ["nope"]}), ValueError, None),
    ("Strategy 'x' not found", lambda: StrategyRegistry().get_strategy("x"), KeyError, None),
    ("Strategy 'x' not found", lambda: StrategyRegistry().unregister_strategy("x"), KeyError, None),
    ("missing required methods", lambda: StrategyRegistry().register_strategy("half", Half), TypeError, None),
    ("missing required methods", lambda: rotator_of_one(strategy=5), TypeError, None),
    ("requires SelectionContext with session_id", session_without_id, ValueError, None),
    ("at least one filter or a selector", CompositeStrategy, ValueError, None),
    ("maximum capacity", one_too_many, ValueError, None),
    ("cost <= ", too_dear, EMPTY, Code.PROXY_POOL_EMPTY),
    ("Invalid proxy URL", lambda: create_proxy_from_url("nonsense"), ValueError, None),
    ("Invalid proxy URL", lambda: parse_proxy_url("nonsense"), ValueError, None),
    (
        "Invalid proxy URL",
        lambda: rotator_of_one().add_proxy("ftp://192.0.2.1:1"),
        ProxyValidationError,
        Code.PROXY_VALIDATION_FAILED,
    ),
    ("URL must have a scheme", invalid(url="192.0.2.1:80"), INVALID, None),
    ("Port must be between 1 and 65535", invalid(url="http://192.0.2.1:70000"), INVALID, None),
    ("Port must be between 1 and 65535", invalid(url="http://192.0.2.1:0"), INVALID, None),
    ("Both username and password must be provided together", invalid(url=URL, username="a"), INVALID, None),
    ("Both username and password must be provided together", invalid(url=URL, password="a"), INVALID, None),
    ("Localhost addresses not allowed", invalid(url="http://localhost:80", source="fetched"), INVALID, None),
    ("Private/internal IP addresses not allowed", invalid(url="http://10.0.0.1:80", source="api"), INVALID, None),
    ("Value must be positive", lambda: ProxyConfiguration(timeout=0), INVALID, None),
    ("Value must be positive", lambda: ProxyConfiguration(max_retries=-1), INVALID, None),
    ("Value must be positive", lambda: ProxyConfiguration(pool_connections=0), INVALID, None),
    ("Value must be positive", lambda: ProxyConfiguration(pool_size=0), INVALID, None),
    ("Value must be positive", lambda: ProxyConfiguration(timeout=float("nan")), INVALID, None),
    ("storage_path required", lambda: ProxyConfiguration(storage_backend="file"), INVALID, None),
    ("storage_path required", lambda: rotator_of_one(storage_backend="sqlite"), ValueError, None),
    ("check_interval must be positive", lambda: HealthMonitor(ProxyPool(), check_interval=0), ValueError, None),
    ("failure_threshold must be positive", lambda: HealthMonitor(ProxyPool(), failure_threshold=0), ValueError, None),
    (
        "Invalid IP:PORT",
        lambda: PlainTextParser(skip_invalid=False).parse("999.1.1.1:80"),
        ProxyFetchError,
        Code.PROXY_FETCH_FAILED,
    ),
    (
        "Invalid IP:PORT",
        lambda: PlainTextParser(skip_invalid=False).parse("1.1.1.1:99999"),
        ProxyFetchError,
        Code.PROXY_FETCH_FAILED,
    ),
]


@pytest.mark.parametrize(("text", "operate", "kind", "code"), TEXTS)
def test_a_text_of_an_operation(text: str, operate: Callable[[], Any], kind: type[Exception], code: Any) -> None:
    with pytest.raises(kind) as found:
        operate()
    assert text in str(found.value)
    assert getattr(found.value, "error_code", None) == code


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [ProxySpec.dead(name="dead"), ProxySpec.hanging(name="hang"), ProxySpec(name="good")]
    with ProxyFleet([*specs, ProxySpec(name="login", auth=("user", "word"))]) as running:
        yield running


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_failed_after_so_many_attempts(fleet: ProxyFleet, attempts: int) -> None:
    policy = RetryPolicy(max_attempts=attempts, base_delay=0.001)
    with ProxyRotator([fleet["dead"].url], retry_policy=policy) as rotator:
        with pytest.raises(ProxyConnectionError, match=f"failed after {attempts} attempt") as found:
            rotator.get(fleet.site_url("shop.test", "/whoami"))
    assert found.value.error_code == Code.PROXY_CONNECTION_FAILED
    assert found.value.retry_recommended


def test_request_timeout(fleet: ProxyFleet) -> None:
    with ProxyRotator([fleet["hang"].url], retry_policy=RetryPolicy(timeout=0.2)) as rotator:
        with pytest.raises(ProxyConnectionError, match="Request timeout") as found:
            rotator.get(fleet.site_url("shop.test", "/whoami"))
    assert found.value.error_code == Code.TIMEOUT


def test_401_where_it_means_the_proxy(fleet: ProxyFleet) -> None:
    page = fleet.site_url("shop.test", "/status/401")
    with ProxyRotator([fleet["good"].url], compat="0.3") as rotator:
        with pytest.raises(ProxyAuthenticationError, match="401") as found:
            rotator.get(page)
        assert found.value.error_code == Code.PROXY_AUTH_FAILED
    with ProxyRotator([fleet["good"].url]) as rotator:
        assert rotator.get(page).status_code == 401


def test_407(fleet: ProxyFleet) -> None:
    with ProxyRotator([fleet["login"].bare_url]) as rotator:
        with pytest.raises(ProxyAuthenticationError, match="407") as found:
            rotator.get(fleet.site_url("shop.test", "/whoami"))
    assert found.value.error_code == Code.PROXY_AUTH_FAILED
