"""How often a request is tried, how long to wait in between, and what became of it all."""

from __future__ import annotations

from proxywhirl._base.exports import names_in, on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl._native.enums import BackoffStrategy as BackoffStrategy
    from proxywhirl._native.enums import RetryOutcome as RetryOutcome
    from proxywhirl.exceptions import NonRetryableError as NonRetryableError
    from proxywhirl.exceptions import RetryableError as RetryableError
    from proxywhirl.retry.executor import RetryExecutor as RetryExecutor
    from proxywhirl.retry.metrics import CircuitBreakerEvent as CircuitBreakerEvent
    from proxywhirl.retry.metrics import HourlyAggregate as HourlyAggregate
    from proxywhirl.retry.metrics import RetryAttempt as RetryAttempt
    from proxywhirl.retry.metrics import RetryMetrics as RetryMetrics
    from proxywhirl.retry.policy import RetryPolicy as RetryPolicy

_HOMES = {
    "proxywhirl._native.enums": "BackoffStrategy RetryOutcome",
    "proxywhirl.exceptions": "NonRetryableError RetryableError",
    "proxywhirl.retry.executor": "RetryExecutor",
    "proxywhirl.retry._records": "CircuitBreakerEvent HourlyAggregate RetryAttempt",
    "proxywhirl.retry.metrics": "RetryMetrics",
    "proxywhirl.retry.policy": "RetryPolicy",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
__all__ = names_in(_HOMES)
