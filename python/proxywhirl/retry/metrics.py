"""What became of attempts: the latest one by one, older ones by the hour.

The rotators note every attempt here, so noting is one append to a deque. Summing up waits until a summary is read, or
until a batch has come together; it then visits each attempt once. There is no timer and no thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Callable, Optional, Union

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import CircuitBreakerState, RetryOutcome
from proxywhirl._redact import scrub_text
from proxywhirl.retry._records import CircuitBreakerEvent, HourlyAggregate, RetryAttempt
from proxywhirl.retry._story import Story

__all__ = ["CircuitBreakerEvent", "HourlyAggregate", "RetryAttempt", "RetryMetrics", "RetryOutcome"]

_HOUR = 3600
_BATCH = 1024
_MOST_EVENTS = 1000
# Proxies counted one by one in an hour; a list of a million public proxies must not fill the memory.
_MOST_PROXIES = 10_000

_SUCCESS = RetryOutcome.SUCCESS


Note = tuple[Union[str, int], int, str, float, RetryOutcome, Optional[int], float, float, Optional[str]]
"""An attempt as the rotators write it down: request, number, proxy id, seconds since the epoch, outcome, status, pause
before and time taken in seconds, error. A plain tuple, for one with names costs three times as much to make."""

_Entry = Union[RetryAttempt, Note]


class _Hour:
    """Sums of one hour."""

    __slots__ = ("by_proxy", "failures", "latency", "requests", "retries", "successes")

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0
        self.latency = 0.0
        self.successes: dict[int, int] = {}
        self.failures: dict[str, int] = {}
        self.by_proxy: dict[str, list[float]] = {}

    @property
    def attempts(self) -> int:
        return self.requests + self.retries

    def begin(self, proxy_id: str) -> list[float]:
        """Attempts, successes and seconds of a proxy that is new here; of none, once there are too many."""
        counts: list[float] = [0, 0, 0.0]
        if len(self.by_proxy) < _MOST_PROXIES:
            self.by_proxy[proxy_id] = counts
        return counts

    def add_first_successes(self, count: int, latency: float) -> None:
        if count:
            self.requests += count
            self.latency += latency
            self.successes[0] = self.successes.get(0, 0) + count

    def add(self, number: int, outcome: RetryOutcome, status: int | None, latency: float) -> None:
        if number:
            self.retries += 1
        else:
            self.requests += 1
        self.latency += latency
        if outcome is _SUCCESS:
            self.successes[number] = self.successes.get(number, 0) + 1
        else:
            reason = outcome.value if status is None else f"status_{status}"
            self.failures[reason] = self.failures.get(reason, 0) + 1

    def shown(self, start: int) -> HourlyAggregate:
        return HourlyAggregate(
            hour=datetime.fromtimestamp(start, timezone.utc),
            total_requests=self.requests,
            total_retries=self.retries,
            success_by_attempt=dict(sorted(self.successes.items())),
            failure_by_reason=dict(sorted(self.failures.items())),
            avg_latency=self.latency / self.attempts if self.attempts else 0.0,
        )


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
        self._lock = new_lock()
        # Written by all threads without a lock: appending to a deque is one step. Its bound only matters when the
        # settling thread has died on the way, in a fork for instance.
        self._pending: deque[_Entry] = deque(maxlen=64 * _BATCH)
        self._recent: deque[_Entry] = deque(maxlen=max_current_attempts)
        self._hours: dict[int, _Hour] = {}
        self._events: deque[CircuitBreakerEvent] = deque(maxlen=_MOST_EVENTS)

    def __repr__(self) -> str:
        return (
            f"<RetryMetrics attempts={len(self._recent) + len(self._pending)} retention_hours={self.retention_hours}>"
        )

    # Writing.

    def record_attempt(self, attempt: RetryAttempt) -> None:
        """Write down an attempt.

        Args:
            attempt: The attempt.
        """
        self.note(attempt)

    def note(self, entry: _Entry) -> None:
        """Write down an attempt, as cheaply as possible; see :data:`Note`."""
        self._pending.append(entry)
        if len(self._pending) >= _BATCH:
            self._settle_if_free()

    def story(self) -> Story:
        """The recorder of the attempts of a request that begins now."""
        pending = self._pending
        if len(pending) >= _BATCH:
            self._settle_if_free()
        return Story(pending.append)

    def _settle_if_free(self) -> None:
        # Another thread settles already: nothing waits here.
        if self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

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
        event = CircuitBreakerEvent(
            proxy_id=str(proxy.id),
            from_state=facts["from"],
            to_state=facts["to"],
            timestamp=datetime.fromtimestamp(self._clock(), timezone.utc),
            failure_count=facts["failures"],
        )
        self.record_circuit_breaker_event(event)

    def aggregate_hourly(self) -> None:
        """Sum up what has not been summed up, and forget what is older than ``retention_hours``.

        Calling it is never needed: reading does the same.
        """
        with self._lock:
            self._settle()

    # Reading.

    @property
    def current_attempts(self) -> deque[RetryAttempt]:
        """The latest attempts, oldest first: a copy."""
        with self._lock:
            self._settle()
            made = deque(map(_shown, self._recent), maxlen=self._recent.maxlen)
            self._recent.clear()
            self._recent.extend(made)
        return made

    @property
    def max_current_attempts(self) -> int:
        """How many of the latest attempts are kept one by one."""
        return self._recent.maxlen or 0

    @property
    def hourly_aggregates(self) -> dict[datetime, HourlyAggregate]:
        """The sums by the beginning of the hour, oldest first: a copy."""
        shown = (hour.shown(start) for start, hour in self._kept(self.retention_hours))
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
        for _, hour in self._kept(self.retention_hours):
            retries += hour.retries
            for number, count in hour.successes.items():
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
                "total_requests": hour.requests,
                "total_retries": hour.retries,
                # A request whose first attempt fell into the hour before may succeed in this one.
                "success_rate": min(1.0, sum(hour.successes.values()) / hour.requests) if hour.requests else 0.0,
                "avg_latency": hour.latency / hour.attempts if hour.attempts else 0.0,
            }
            for start, hour in self._kept(hours)
        ]

    def get_by_proxy(self, hours: int = 24) -> dict[str, dict[str, Any]]:
        """What happened to each proxy, 10,000 proxies an hour at most.

        Args:
            hours: How far back, at most ``retention_hours``.

        Returns:
            By proxy id: ``proxy_id``, ``total_attempts``, ``success_count``, ``failure_count``, ``avg_latency`` (s per
            attempt), ``circuit_breaker_opens``.
        """
        sums: dict[str, list[float]] = {}
        kept = self._kept(hours)
        for _, hour in kept:
            for proxy_id, counts in hour.by_proxy.items():
                total = sums.setdefault(proxy_id, [0, 0, 0.0])
                for index, count in enumerate(counts):
                    total[index] += count
        opens: dict[str, int] = {}
        since = self._since(hours)
        for event in self._events.copy():
            if event.to_state is CircuitBreakerState.OPEN and event.timestamp.timestamp() >= since:
                opens[event.proxy_id] = opens.get(event.proxy_id, 0) + 1
        return {
            proxy_id: _proxy_row(proxy_id, sums.get(proxy_id, [0, 0, 0.0]), opens.get(proxy_id, 0))
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
        wanted: dict[str, list[float]] = {proxy_id: [] for proxy_id in proxy_ids}
        with self._lock:
            self._settle()
            for entry in reversed(self._recent):
                _, _, proxy_id, _, outcome, _, _, latency, _ = entry if isinstance(entry, tuple) else _noted(entry)
                if outcome is _SUCCESS:
                    found = wanted.get(proxy_id)
                    if found is not None and len(found) < last:
                        found.append(latency)
        return {proxy_id: sum(found) / len(found) for proxy_id, found in wanted.items() if found}

    # All below is called with the lock held, but for `_kept` and `_since`.

    def _since(self, hours: int) -> float:
        """Beginning of the first hour that counts, in seconds since the epoch."""
        return (self._clock() // _HOUR - min(hours, self.retention_hours)) * _HOUR

    def _kept(self, hours: int) -> list[tuple[int, _Hour]]:
        since = self._since(hours)
        with self._lock:
            self._settle()
            return sorted((start, _copied(hour)) for start, hour in self._hours.items() if start >= since)

    def _settle(self) -> None:
        # Written out flat: this is most of what the metrics cost a request.
        pop = self._pending.popleft
        remember = self._recent.append
        hour = _Hour()
        counted = hour.by_proxy
        begin = end = 0.0
        # Of nearly all requests the first attempt succeeds; those are only counted on the way.
        well = 0
        latencies = 0.0
        while True:
            try:
                entry = pop()
            except IndexError:
                break
            note = entry if isinstance(entry, tuple) else _noted(entry)
            _, number, proxy_id, at, outcome, status, _, latency, _ = note
            if not begin <= at < end:
                hour.add_first_successes(well, latencies)
                well, latencies = 0, 0.0
                begin = at // _HOUR * _HOUR
                end = begin + _HOUR
                hour = self._hours.setdefault(int(begin), _Hour())
                counted = hour.by_proxy
            counts = counted.get(proxy_id)
            if counts is None:
                counts = hour.begin(proxy_id)
            counts[0] += 1
            counts[2] += latency
            if outcome is _SUCCESS and not number:
                counts[1] += 1
                well += 1
                latencies += latency
            else:
                counts[1] += outcome is _SUCCESS
                hour.add(number, outcome, status, latency)
            remember(entry)
        hour.add_first_successes(well, latencies)
        first, last = self._since(self.retention_hours), self._clock() + _HOUR
        # What lies ahead was written before the clock was set back; kept, it would never leave.
        for start in [start for start in self._hours if not first <= start <= last]:
            del self._hours[start]


def _shown(entry: _Entry) -> RetryAttempt:
    if isinstance(entry, RetryAttempt):
        return entry
    request, number, proxy_id, at, outcome, status, delay, latency, error = entry
    return RetryAttempt(
        request_id=str(request),
        attempt_number=number,
        proxy_id=proxy_id,
        timestamp=datetime.fromtimestamp(at, timezone.utc),
        outcome=outcome,
        status_code=status,
        delay_before=delay,
        latency=latency,
        error_message=None if error is None else scrub_text(error),
    )


def _noted(attempt: RetryAttempt) -> Note:
    moment = attempt.timestamp
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (
        attempt.request_id,
        attempt.attempt_number,
        attempt.proxy_id,
        moment.timestamp(),
        attempt.outcome,
        attempt.status_code,
        attempt.delay_before,
        attempt.latency,
        attempt.error_message,
    )


def _copied(hour: _Hour) -> _Hour:
    made = _Hour()
    made.requests, made.retries = hour.requests, hour.retries
    made.latency = hour.latency
    made.successes, made.failures = hour.successes.copy(), hour.failures.copy()
    made.by_proxy = {proxy_id: counts.copy() for proxy_id, counts in hour.by_proxy.items()}
    return made


def _proxy_row(proxy_id: str, counts: list[float], opens: int) -> dict[str, Any]:
    attempts, successes, seconds = counts
    return {
        "proxy_id": proxy_id,
        "total_attempts": int(attempts),
        "success_count": int(successes),
        "failure_count": int(attempts - successes),
        "avg_latency": seconds / attempts if attempts else 0.0,
        "circuit_breaker_opens": opens,
    }
