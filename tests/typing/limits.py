"""Limits, breakers and credentials as users write them; checked by mypy and pyright in strict mode, never run."""

from __future__ import annotations

from collections import deque
from typing import Any, Optional

from typing_extensions import assert_type

from proxywhirl import (
    AsyncCircuitBreaker,
    AsyncProxyRotator,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerState,
    CredentialRotator,
    Proxy,
    ProxyRotator,
    RateLimiter,
    RetryAttempt,
    RetryExecutor,
    RetryMetrics,
)
from proxywhirl.rate_limiting import AsyncRateLimiter, RateLimit


def credentials() -> dict[str, str]:
    return {"username": "user", "password": "secret"}


async def credentials_later() -> dict[str, str]:
    return credentials()


def rotators() -> None:
    ProxyRotator(["http://a.test:1"], rate_limiter=RateLimiter(requests_per_second=10, burst_size=20))
    ProxyRotator([], None, None, None, RateLimiter(global_limit=RateLimit(max_requests=5, time_window=1.0)), True)
    ProxyRotator(circuit_breaker=CircuitBreaker(failure_threshold=5, timeout=60, success_threshold=2))
    AsyncProxyRotator(circuit_breaker=CircuitBreakerConfig(), rate_limiter=AsyncRateLimiter(5))
    AsyncProxyRotator(credential_rotator=CredentialRotator(refresh_callback=credentials, refresh_interval=60))
    AsyncProxyRotator(credential_rotator=CredentialRotator(credentials_later))


def breakers(rotator: ProxyRotator, proxy: Proxy) -> None:
    assert_type(rotator.circuit_breakers[str(proxy.id)], CircuitBreaker)
    rotator.circuit_breakers[str(proxy.id)] = CircuitBreaker(proxy.id)
    assert_type(rotator.get_circuit_breaker_states(), dict[str, CircuitBreaker])
    rotator.reset_circuit_breaker(proxy.id)
    made = CircuitBreaker.create_with_storage(str(proxy.id), "breakers.json", failure_threshold=3)
    assert_type(made, CircuitBreaker)
    assert_type(made.state, CircuitBreakerState)
    assert_type(made.should_attempt_request(), bool)
    made.save_state({})


async def breakers_later() -> None:
    breaker = AsyncCircuitBreaker.create("p", CircuitBreakerConfig())
    assert_type(breaker, AsyncCircuitBreaker)
    assert_type(await breaker.should_attempt_request(), bool)
    assert_type(await breaker.load_state("breakers.json"), bool)


def retries(rotator: ProxyRotator, proxy: Proxy) -> None:
    assert_type(rotator.get_retry_metrics(), RetryMetrics)
    assert_type(rotator.retry_metrics.current_attempts, deque[RetryAttempt])
    assert_type(rotator.retry_metrics.get_by_proxy(hours=1), dict[str, dict[str, Any]])
    assert_type(rotator.retry_executor, RetryExecutor)
    assert_type(rotator.retry_executor.execute_with_retry(lambda: 5, proxy, "GET", "http://t.test"), int)
    assert_type(rotator.retry_executor.select_retry_proxy([proxy], proxy), Optional[Proxy])
    assert_type(rotator.get_queue_stats(), dict[str, Any])
    assert_type(rotator.clear_queue(), int)


async def limiter() -> None:
    found = AsyncRateLimiter(global_limit=RateLimit(max_requests=5, time_window=1.0))
    assert_type(await found.acquire("p"), bool)
    assert_type(RateLimiter(5).check_limit("p"), bool)
