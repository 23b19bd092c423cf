"""Where 0.1 had what is now in :mod:`proxywhirl.retry.metrics`."""

from __future__ import annotations

from proxywhirl.retry.metrics import CircuitBreakerEvent, HourlyAggregate, RetryAttempt, RetryMetrics, RetryOutcome

__all__ = ["CircuitBreakerEvent", "HourlyAggregate", "RetryAttempt", "RetryMetrics", "RetryOutcome"]
