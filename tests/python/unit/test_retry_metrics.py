"""What the metrics of retries count: each attempt once, in its hour, within bounds."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

import proxywhirl
from proxywhirl import Outcome, ProxyPool, RoundRobinStrategy
from proxywhirl.retry import (
    CircuitBreakerEvent,
    HourlyAggregate,
    RetryAttempt,
    RetryMetrics,
    RetryOutcome,
)
from proxywhirl.retry import metrics as module

NOON = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)


def attempt(number: int = 0, at: datetime = NOON, **fields: Any) -> RetryAttempt:
    given: dict[str, Any] = {"request_id": "r", "proxy_id": "p", "outcome": RetryOutcome.SUCCESS, **fields}
    return RetryAttempt(attempt_number=number, timestamp=at, **given)


def metrics(**options: Any) -> RetryMetrics:
    return RetryMetrics(clock=lambda: NOON.timestamp() + 1800, **options)


def test_names_can_be_imported_from_where_they_were() -> None:
    from proxywhirl.retry.executor import RetryExecutor
    from proxywhirl.retry.metrics import CircuitBreakerEvent as Event
    from proxywhirl.retry.policy import RetryPolicy

    assert RetryExecutor is proxywhirl.RetryExecutor
    assert Event is proxywhirl.CircuitBreakerEvent
    assert RetryPolicy is proxywhirl.RetryPolicy
    assert proxywhirl.HourlyAggregate is HourlyAggregate
    # And in 0.1.
    from proxywhirl import circuit_breaker_async, retry_executor, retry_metrics, retry_policy

    assert circuit_breaker_async.AsyncCircuitBreaker is proxywhirl.AsyncCircuitBreaker
    assert retry_executor.RetryExecutor is RetryExecutor
    assert retry_metrics.RetryMetrics is RetryMetrics
    assert retry_policy.RetryPolicy is RetryPolicy
    assert proxywhirl.RetryAttempt is RetryAttempt
    assert proxywhirl.RetryMetrics is RetryMetrics


@pytest.mark.parametrize("field", ["attempt_number", "delay_before", "latency"])
def test_an_attempt_has_no_negative_numbers(field: str) -> None:
    with pytest.raises(ValidationError):
        RetryAttempt(**{"request_id": "r", "attempt_number": 0, "proxy_id": "p", "outcome": "success", field: -1})


@pytest.mark.parametrize("bounds", [{"retention_hours": 0}, {"max_current_attempts": 0}])
def test_bounds_must_be_positive(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        RetryMetrics(**bounds)


def test_aggregating_again_counts_nothing_twice() -> None:
    found = metrics()
    found.record_attempt(attempt(latency=0.5))
    for _ in range(5):
        found.aggregate_hourly()
    assert found.hourly_aggregates == {
        NOON: HourlyAggregate(hour=NOON, total_requests=1, success_by_attempt={0: 1}, avg_latency=0.5)
    }


def test_summary_and_reasons() -> None:
    found = metrics()
    found.record_attempt(attempt(0, outcome=RetryOutcome.TIMEOUT, latency=2.0))
    found.record_attempt(attempt(1, outcome=RetryOutcome.FAILURE, status_code=503))
    found.record_attempt(attempt(2, latency=1.0))
    assert found.get_summary() == {
        "total_retries": 2,
        "success_by_attempt": {2: 1},
        "circuit_breaker_events_count": 0,
        "retention_hours": 24,
    }
    (hour,) = found.hourly_aggregates.values()
    assert hour.failure_by_reason == {"status_503": 1, "timeout": 1}
    assert hour.avg_latency == pytest.approx(1.0)
    assert found.get_timeseries() == [
        {"timestamp": NOON, "total_requests": 1, "total_retries": 2, "success_rate": 1.0, "avg_latency": 1.0}
    ]


def test_by_proxy_counts_what_has_left_the_list() -> None:
    found = metrics(max_current_attempts=2)
    for _ in range(5):
        found.record_attempt(attempt(latency=0.25))
    found.record_attempt(attempt(proxy_id="q", outcome="failure"))
    found.record_circuit_breaker_event(
        CircuitBreakerEvent(proxy_id="q", from_state="closed", to_state="open", timestamp=NOON, failure_count=5)
    )
    found.record_circuit_breaker_event(
        CircuitBreakerEvent(proxy_id="q", from_state="open", to_state="half_open", timestamp=NOON)
    )
    assert [kept.proxy_id for kept in found.current_attempts] == ["p", "q"]
    rows = found.get_by_proxy()
    assert rows["p"] == {
        "proxy_id": "p",
        "total_attempts": 5,
        "success_count": 5,
        "failure_count": 0,
        "avg_latency": 0.25,
        "circuit_breaker_opens": 0,
    }
    assert (rows["q"]["failure_count"], rows["q"]["circuit_breaker_opens"]) == (1, 1)


def test_hours_are_kept_apart_and_forgotten() -> None:
    found = metrics(retention_hours=2)
    for hours in (0, 1, 2, 3, -5):
        found.record_attempt(attempt(at=NOON - timedelta(hours=hours)))
    # Three hours ago is too old; five ahead is what a clock that was set back leaves behind.
    assert list(found.hourly_aggregates) == [NOON - timedelta(hours=2), NOON - timedelta(hours=1), NOON]
    assert [row["timestamp"] for row in found.get_timeseries(hours=1)] == [NOON - timedelta(hours=1), NOON]
    assert found.get_by_proxy(hours=0)["p"]["total_attempts"] == 1


def test_proxies_of_an_hour_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PROXIES", 3)
    found = metrics()
    for number in range(10):
        found.record_attempt(attempt(proxy_id=str(number)))
    assert len(found.get_by_proxy()) == 3
    assert found.get_timeseries()[0]["total_requests"] == 10


def test_errors_are_kept_without_credentials() -> None:
    found = RetryMetrics()
    found.note(("r", 0, "p", time.time(), RetryOutcome.FAILURE, None, 0.0, 0.1, "no http://user:secret@host.test"))
    (kept,) = found.current_attempts
    assert kept.error_message is not None
    assert "secret" not in str(kept)


def test_a_log_tells_the_attempts_of_a_request() -> None:
    found = RetryMetrics()
    pool = ProxyPool(proxies=["http://host.test:1"])
    strategy = RoundRobinStrategy()
    log = found.book.begin()

    def lease(attempt: int) -> Any:
        return pool.lease(strategy, "http://site.test/", log=log, attempt=attempt)

    lease(1).finish(Outcome.PROXY_DOWN, 20.0, httpx.ReadTimeout("slow"))
    lease(2).finish(Outcome.RATE_LIMITED, None, None, status=429, hold=0.0)
    lease(3).release()
    lease(4).finish(Outcome.CLIENT_FAULT, 1.0, "mine")
    pool.lease(strategy, log=found.book.begin()).success(30.0)
    first, second, other = found.current_attempts
    assert [kept.attempt_number for kept in (first, second, other)] == [0, 1, 0]
    assert [kept.outcome.value for kept in (first, second, other)] == ["timeout", "failure", "success"]
    assert (first.latency, first.error_message, second.status_code) == (0.02, "ReadTimeout: slow", 429)
    assert {first.request_id} == {second.request_id} != {other.request_id}
    assert {first.proxy_id, second.proxy_id, other.proxy_id} == {str(pool.proxies[0].id)}
    assert first.delay_before == 0.0
    assert second.delay_before >= 0.0


def test_breaker_events_are_bounded() -> None:
    found = metrics()
    event = CircuitBreakerEvent(proxy_id="q", from_state="closed", to_state="open")
    for _ in range(1005):
        found.record_circuit_breaker_event(event)
    assert len(found.circuit_breaker_events) == 1000


def test_threads_lose_nothing() -> None:
    found = RetryMetrics(max_current_attempts=100)
    rounds = 3000

    def work() -> None:
        for number in range(rounds):
            found.note(("r", number % 2, "p", time.time(), RetryOutcome.SUCCESS, 200, 0.0, 0.1, None))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        found.get_summary()
    for thread in threads:
        thread.join()
    rows = found.get_by_proxy()
    assert rows["p"]["total_attempts"] == 4 * rounds
    assert found.get_summary()["total_retries"] == 2 * rounds
    assert len(found.current_attempts) == 100


def test_latencies_of_successes_only() -> None:
    found = metrics()
    for seconds in (9.0, 1.0, 3.0):
        found.record_attempt(attempt(latency=seconds))
    found.record_attempt(attempt(latency=100.0, outcome="timeout"))
    assert found.mean_latencies(["p", "q"], last=2) == {"p": 2.0}
