"""How often a request is tried, how long to wait in between, and what became of it all."""

from __future__ import annotations

from proxywhirl._native.enums import BackoffStrategy, RetryOutcome
from proxywhirl.exceptions import NonRetryableError, RetryableError
from proxywhirl.retry.executor import RetryExecutor
from proxywhirl.retry.metrics import CircuitBreakerEvent, HourlyAggregate, RetryAttempt, RetryMetrics
from proxywhirl.retry.policy import RetryPolicy

__all__ = [
    "BackoffStrategy",
    "CircuitBreakerEvent",
    "HourlyAggregate",
    "NonRetryableError",
    "RetryAttempt",
    "RetryExecutor",
    "RetryMetrics",
    "RetryOutcome",
    "RetryPolicy",
    "RetryableError",
]
