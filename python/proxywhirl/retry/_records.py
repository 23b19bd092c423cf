"""What is remembered of attempts and of breakers: the models that the metrics hand out."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from datetime import datetime
from typing import Optional

from pydantic import ConfigDict, Field

from proxywhirl._base.utc import utc_now
from proxywhirl._native.enums import CircuitBreakerState, RetryOutcome
from proxywhirl._native.model.quiet import QuietModel


class RetryAttempt(QuietModel):
    """One attempt of one request.

    Attributes:
        request_id: The request it belongs to.
        attempt_number: Which attempt of that request, counted from 0.
        proxy_id: Id of the proxy.
        timestamp: When the attempt ended, UTC.
        outcome: How it ended.
        status_code: Status of the answer, if there was one.
        delay_before: Pause before the attempt, in seconds.
        latency: How long it took, in seconds.
        error_message: What went wrong; credentials are hidden.
    """

    model_config = ConfigDict(frozen=True)

    request_id: str
    attempt_number: int = Field(ge=0)
    proxy_id: str
    timestamp: datetime = Field(default_factory=utc_now)
    outcome: RetryOutcome
    status_code: Optional[int] = None
    delay_before: float = Field(default=0.0, ge=0.0)
    latency: float = Field(default=0.0, ge=0.0)
    error_message: Optional[str] = None


class CircuitBreakerEvent(QuietModel):
    """One change of a circuit breaker's state.

    Attributes:
        proxy_id: Id of the proxy.
        from_state: State before.
        to_state: State after.
        timestamp: When it changed, UTC.
        failure_count: Failures in the breaker's window at that moment.
    """

    model_config = ConfigDict(frozen=True)

    proxy_id: str
    from_state: CircuitBreakerState
    to_state: CircuitBreakerState
    timestamp: datetime = Field(default_factory=utc_now)
    failure_count: int = Field(default=0, ge=0)


class HourlyAggregate(QuietModel):
    """The attempts of one hour, summed up.

    Attributes:
        hour: Beginning of the hour, UTC.
        total_requests: Requests whose first attempt ended in this hour.
        total_retries: Further attempts.
        success_by_attempt: Successful attempts by their number, counted from 0.
        failure_by_reason: Failed attempts by status (``"status_503"``) or by outcome (``"timeout"``).
        avg_latency: Mean time of an attempt, in seconds.
    """

    hour: datetime
    total_requests: int = Field(default=0, ge=0)
    total_retries: int = Field(default=0, ge=0)
    success_by_attempt: dict[int, int] = Field(default_factory=dict)
    failure_by_reason: dict[str, int] = Field(default_factory=dict)
    avg_latency: float = Field(default=0.0, ge=0.0)
