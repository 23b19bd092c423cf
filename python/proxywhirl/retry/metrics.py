"""What became of attempts: the latest one by one, older ones by the hour.

The core counts: a lease writes its attempt down when it is settled. This is what reads the counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from proxywhirl import _core
from proxywhirl._base.exports import on_first_use
from proxywhirl._base.utc import aware
from proxywhirl._native.enums import CircuitBreakerState, RetryOutcome
from proxywhirl._native.redact import scrub_text

if TYPE_CHECKING:
    from proxywhirl.retry._records import CircuitBreakerEvent, HourlyAggregate, RetryAttempt

__all__ = ["CircuitBreakerEvent", "HourlyAggregate", "RetryAttempt", "RetryMetrics", "RetryOutcome"]

# Pydantic comes along with these, which counting does without.
__getattr__, __dir__ = on_first_use(
    __name__, {"proxywhirl.retry._records": "CircuitBreakerEvent HourlyAggregate RetryAttempt"}
)

_HOUR = 3600
_MOST_EVENTS = 1000
# Proxies counted one by one in an hour; a list of a million public proxies must not fill the memory.
_MOST_PROXIES = 10_000

Note = tuple[Union[str, int], int, str, float, RetryOutcome, Optional[int], float, float, Optional[str]]
"""An attempt as it is written down: request, number, proxy id, seconds since the epoch, outcome, status, pause before
it and time taken in seconds, error."""


class RetryMetrics:
    """Attempts, retries and breaker changes; thread-safe, bounded.

    Every attempt is counted once, in the hour it ended in. Reading gives copies.

    Args:
        retention_hours: How many hours are kept, at least 1.
        max_current_attempts: How many of the latest attempts are kept one by one, at least 1.
        clock: Seconds since the epoch; for tests.

    Raises:
        ValueError: A bound is below 1.
    """

    def __init__(
        self,
        retention_hours: int = 24,
        max_current_attempts: int = 10_000,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (("retention_hours", retention_hours), ("max_current_attempts", max_current_attempts)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self.retention_hours = retention_hours
        """How many hours are kept."""
        self._clock = clock
        self._max_current_attempts = max_current_attempts
        self.book = _core.AttemptBook(retention_hours, max_current_attempts, _MOST_PROXIES)
        """Where attempts are counted."""
        self._events: deque[CircuitBreakerEvent] = deque(maxlen=_MOST_EVENTS)

    def __repr__(self) -> str:
        return f"<RetryMetrics attempts={len(self.book)} retention_hours={self.retention_hours}>"

    # Writing.

    def record_attempt(self, attempt: RetryAttempt) -> None:
        """Write down an attempt.

        Args:
            attempt: The attempt.
        """
        self.note(
            (
                attempt.request_id,
                attempt.attempt_number,
                attempt.proxy_id,
                aware(attempt.timestamp).timestamp(),
                attempt.outcome,
                attempt.status_code,
                attempt.delay_before,
                attempt.latency,
                attempt.error_message,
            )
        )

    def note(self, entry: Note) -> None:
        """Write down an attempt, see :data:`Note`."""
        self.book.record(entry)

    def record_circuit_breaker_event(self, event: CircuitBreakerEvent) -> None:
        """Write down that a breaker changed its state.

        Args:
            event: The change.
        """
        self._events.append(event)

    def take_notice(self, name: str, proxy: Any, facts: Mapping[str, Any]) -> None:
        """Write down what a pool noticed, if it is about a breaker.

        Args:
            name: Name of the notice.
            proxy: The proxy concerned.
            facts: For ``"breaker"``: ``from``, ``to`` and ``failures``.
        """
        if name != "breaker" or proxy is None:
            return
        from proxywhirl.retry._records import CircuitBreakerEvent

        event = CircuitBreakerEvent(
            proxy_id=str(proxy.id),
            from_state=facts["from"],
            to_state=facts["to"],
            timestamp=datetime.fromtimestamp(self._clock(), timezone.utc),
            failure_count=facts["failures"],
        )
        self.record_circuit_breaker_event(event)

    def aggregate_hourly(self) -> None:
        """Forget what is older than ``retention_hours``.

        Calling it is never needed: reading does the same.
        """
        self._forget_old()

    # Reading.

    @property
    def current_attempts(self) -> deque[RetryAttempt]:
        """The latest attempts, oldest first: a copy."""
        return deque(map(_shown, self.book.recent()), maxlen=self._max_current_attempts)

    @property
    def max_current_attempts(self) -> int:
        """How many of the latest attempts are kept one by one."""
        return self._max_current_attempts

    @property
    def hourly_aggregates(self) -> dict[datetime, HourlyAggregate]:
        """The sums by the beginning of the hour, oldest first: a copy."""
        shown = map(_shown_hour, self._kept(self.retention_hours))
        return {aggregate.hour: aggregate for aggregate in shown}

    @property
    def circuit_breaker_events(self) -> list[CircuitBreakerEvent]:
        """The latest changes of breakers, oldest first, 1,000 at most: a copy."""
        return list(self._events)

    def get_summary(self) -> dict[str, Any]:
        """What happened within ``retention_hours``.

        Returns:
            ``total_retries`` (attempts after the first of a request), ``success_by_attempt`` (successes by the number
            of the attempt, from 0), ``circuit_breaker_events_count``, ``retention_hours``.
        """
        retries = 0
        successes: dict[int, int] = {}
        for _, _, more, _, by_number, _ in self._kept(self.retention_hours):
            retries += more
            for number, count in by_number.items():
                successes[number] = successes.get(number, 0) + count
        return {
            "total_retries": retries,
            "success_by_attempt": dict(sorted(successes.items())),
            "circuit_breaker_events_count": len(self._events),
            "retention_hours": self.retention_hours,
        }

    def get_timeseries(self, hours: int = 24) -> list[dict[str, Any]]:
        """The course of things, hour by hour.

        Args:
            hours: How far back, at most ``retention_hours``.

        Returns:
            For each hour with attempts, oldest first: ``timestamp`` (beginning of the hour, UTC), ``total_requests``,
            ``total_retries``, ``success_rate`` (successes among requests, 0 to 1), ``avg_latency`` (s per attempt).
        """
        return [
            {
                "timestamp": datetime.fromtimestamp(start, timezone.utc),
                "total_requests": requests,
                "total_retries": retries,
                # A request whose first attempt fell into the hour before may succeed in this one.
                "success_rate": min(1.0, sum(successes.values()) / requests) if requests else 0.0,
                "avg_latency": seconds / (requests + retries) if requests + retries else 0.0,
            }
            for start, requests, retries, seconds, successes, _ in self._kept(hours)
        ]

    def get_by_proxy(self, hours: int = 24) -> dict[str, dict[str, Any]]:
        """What happened to each proxy, 10,000 proxies an hour at most.

        Args:
            hours: How far back, at most ``retention_hours``.

        Returns:
            By proxy id: ``proxy_id``, ``total_attempts``, ``success_count``, ``failure_count``, ``avg_latency`` (s per
            attempt), ``circuit_breaker_opens``.
        """
        self._forget_old()
        since = self._since(hours)
        sums = self.book.by_proxy(since)
        opens: dict[str, int] = {}
        for event in self._events.copy():
            if event.to_state is CircuitBreakerState.OPEN and event.timestamp.timestamp() >= since:
                opens[event.proxy_id] = opens.get(event.proxy_id, 0) + 1
        return {
            proxy_id: _proxy_row(proxy_id, sums.get(proxy_id, (0, 0, 0.0)), opens.get(proxy_id, 0))
            for proxy_id in {**sums, **opens}
        }

    def mean_latencies(self, proxy_ids: Iterable[str], last: int = 100) -> dict[str, float]:
        """Mean time of the latest successful attempts of some proxies.

        Args:
            proxy_ids: The proxies.
            last: How many attempts of each are looked at.

        Returns:
            Seconds by proxy id; proxies without a success among the attempts that are kept are missing.
        """
        return self.book.mean_latencies(list(proxy_ids), last)

    def _since(self, hours: int) -> float:
        """Beginning of the first hour that counts, in seconds since the epoch."""
        return (self._clock() // _HOUR - min(hours, self.retention_hours)) * _HOUR

    def _kept(self, hours: int) -> list[_Hour]:
        self._forget_old()
        return self.book.hours(self._since(hours))

    def _forget_old(self) -> None:
        # What lies ahead was written before the clock was set back; kept, it would never leave.
        self.book.keep_between(self._since(self.retention_hours), self._clock() + _HOUR)


_Hour = tuple[int, int, int, float, "dict[int, int]", "dict[str, int]"]


def _shown(entry: tuple[str, int, str, float, str, int | None, float, float, str | None]) -> RetryAttempt:
    from proxywhirl.retry._records import RetryAttempt

    request, number, proxy_id, at, outcome, status, delay, latency, error = entry
    return RetryAttempt(
        request_id=request,
        attempt_number=number,
        proxy_id=proxy_id,
        timestamp=datetime.fromtimestamp(at, timezone.utc),
        outcome=RetryOutcome(outcome),
        status_code=status,
        delay_before=delay,
        latency=latency,
        error_message=None if error is None else scrub_text(error),
    )


def _shown_hour(hour: _Hour) -> HourlyAggregate:
    from proxywhirl.retry._records import HourlyAggregate

    start, requests, retries, seconds, successes, failures = hour
    attempts = requests + retries
    return HourlyAggregate(
        hour=datetime.fromtimestamp(start, timezone.utc),
        total_requests=requests,
        total_retries=retries,
        success_by_attempt=successes,
        failure_by_reason=failures,
        avg_latency=seconds / attempts if attempts else 0.0,
    )


def _proxy_row(proxy_id: str, counts: tuple[int, int, float], opens: int) -> dict[str, Any]:
    attempts, successes, seconds = counts
    return {
        "proxy_id": proxy_id,
        "total_attempts": attempts,
        "success_count": successes,
        "failure_count": attempts - successes,
        "avg_latency": seconds / attempts if attempts else 0.0,
        "circuit_breaker_opens": opens,
    }
