"""Circuit breakers: a proxy that keeps failing is left alone for a while, then tried by one request at a time."""

from __future__ import annotations

from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.circuit_breaker.async_ import AsyncCircuitBreaker
from proxywhirl.circuit_breaker.base import CircuitBreakerBase
from proxywhirl.circuit_breaker.sync import CircuitBreaker

__all__ = ["AsyncCircuitBreaker", "CircuitBreaker", "CircuitBreakerBase", "CircuitBreakerState"]
