"""How often a request is tried, how long to wait in between, and what became of it all."""

from __future__ import annotations

from proxywhirl._base.exports import on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
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

_HOMES = {
    "proxywhirl._native.enums": "BackoffStrategy RetryOutcome",
    "proxywhirl.exceptions": "NonRetryableError RetryableError",
    "proxywhirl.retry.executor": "RetryExecutor",
    "proxywhirl.retry._records": "CircuitBreakerEvent HourlyAggregate RetryAttempt",
    "proxywhirl.retry.metrics": "RetryMetrics",
    "proxywhirl.retry.policy": "RetryPolicy",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
