"""Where 0.1 had what is now in :mod:`proxywhirl.circuit_breaker.async_`."""

from __future__ import annotations

from proxywhirl.circuit_breaker.async_ import AsyncCircuitBreaker, CircuitBreakerState

__all__ = ["AsyncCircuitBreaker", "CircuitBreakerState"]
