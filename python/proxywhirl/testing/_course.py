"""The course of one load test, counted."""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import redact_url

if TYPE_CHECKING:
    from proxywhirl.testing._load_test import LoadTest

REFRESH = 0.1
"""Seconds between two looks at how far a test is."""
# Seconds after the end in which a request that fell due before it may still be begun: threads do not wake to the dot.
_SLACK = 0.05


@dataclass(frozen=True)
class LoadTestResult:
    """What a load test found. Latencies are milliseconds from the moment a request was due to its end.

    Attributes:
        target_url: The page, credentials hidden.
        total_requests: Requests that came to an end, well or badly.
        successes: Those with a status below 400.
        failures: The others.
        success_rate: Share of successes, 0 to 1; 0.0 if nothing was sent.
        requests_per_second: Requests that came to an end, per second.
        target_rate: Requests per second that were asked for.
        duration_seconds: How long it took, from the first request's moment to the last one's end.
        avg_latency_ms: Mean.
        min_latency_ms: The quickest.
        p50_latency_ms: Half of them took at most this long.
        p95_latency_ms: 95 % did.
        p99_latency_ms: 99 % did.
        max_latency_ms: The slowest.
        attempts: Attempts through proxies that the answered requests took.
        unsent: Requests whose moment passed without a free user, until time was up.
        unfinished: Requests given up on because they were still under way long after the end.
        bytes_sent: Bytes that all attempts sent, those of failures included.
        bytes_received: Bytes that they received.
        spent: What they cost.
        cost_per_page: What was spent for each success; ``None`` without one.
        errors: Failures by class: the exception's name, or ``HTTP`` and the status.
    """

    target_url: str
    total_requests: int
    successes: int
    failures: int
    success_rate: float
    requests_per_second: float
    target_rate: float
    duration_seconds: float
    avg_latency_ms: float
    min_latency_ms: float
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    max_latency_ms: float
    attempts: int = 0
    unsent: int = 0
    unfinished: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    spent: float = 0.0
    cost_per_page: float | None = None
    errors: dict[str, int] = field(default_factory=dict)

    def table(self) -> str:
        """The result as a text of several lines, for people."""
        rows = [
            ("requests", f"{self.total_requests:,} in {self.duration_seconds:.1f} s"),
            ("rate", f"{self.requests_per_second:,.1f}/s of {self.target_rate:,.1f}/s"),
            ("success", f"{100 * self.success_rate:.2f} %"),
            ("attempts", f"{self.attempts:,}"),
            ("latency mean", f"{self.avg_latency_ms:,.1f} ms"),
            ("latency p50", f"{self.p50_latency_ms:,.1f} ms"),
            ("latency p95", f"{self.p95_latency_ms:,.1f} ms"),
            ("latency p99", f"{self.p99_latency_ms:,.1f} ms"),
            ("latency max", f"{self.max_latency_ms:,.1f} ms"),
        ]
        if self.bytes_received or self.bytes_sent:
            rows.append(("bytes", f"{self.bytes_sent:,} sent, {self.bytes_received:,} received"))
        if self.spent:
            rows.append(("spent", f"{self.spent:,.6g}"))
            each = "no page came" if self.cost_per_page is None else f"{self.cost_per_page:,.6g}"
            rows.append(("cost per page", each))
        if self.unsent:
            rows.append(("not sent", f"{self.unsent:,} (more users would be needed)"))
        if self.unfinished:
            rows.append(("unfinished", f"{self.unfinished:,}"))
        rows += [(name, f"{count:,}") for name, count in sorted(self.errors.items(), key=lambda item: -item[1])]
        width = max(len(name) for name, _ in rows)
        return "\n".join([f"Load test of {self.target_url}", *(f"  {name:<{width}}  {text}" for name, text in rows)])

    __str__ = table


class Course:
    """One run: what is due when, and what came of it. Thread-safe."""

    def __init__(self, test: LoadTest) -> None:
        self._test = test
        self._interval = 1.0 / test.requests_per_second
        self.total = max(1, math.ceil(test.duration_seconds * test.requests_per_second - 1e-9))
        self._lock = new_lock()
        self._over = threading.Event()
        self._start = self._last_end = time.perf_counter()
        self._next = 0
        self.begun = 0
        self._latencies = array("d")
        self._successes = 0
        self._attempts = 0
        self._errors: Counter[str] = Counter()
        self._final: LoadTestResult | None = None
        self._before = self._bill()

    def _bill(self) -> tuple[int, int, float]:
        """Bytes and money of the rotator so far; zeros where it does not count them."""
        rotator = self._test.rotator
        sent, received = getattr(rotator, "bytes_sent", 0), getattr(rotator, "bytes_received", 0)
        return sent, received, getattr(rotator, "spent", 0.0)

    def begin(self) -> None:
        self._before = self._bill()
        self._start = self._last_end = time.perf_counter()

    def stop(self) -> None:
        self._over.set()

    def next_due(self) -> float | None:
        """The moment of the next request; ``None`` when there is none left."""
        with self._lock:
            index = self._next
            if index >= self.total or self._over.is_set():
                return None
            self._next += 1
            return self._start + index * self._interval

    def still_time(self) -> bool:
        """Whether a request may still be begun; it then counts as begun."""
        with self._lock:
            if self._over.is_set() or time.perf_counter() >= self._start + self._test.duration_seconds + _SLACK:
                return False
            self.begun += 1
            return True

    def wait_for(self, due: float) -> bool:
        """Wait for a moment; whether a request may be begun then."""
        ahead = due - time.perf_counter()
        if ahead > 0:
            self._over.wait(ahead)
        return self.still_time()

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    def overdue(self) -> bool:
        return time.perf_counter() > self._start + self._test.duration_seconds + self._test._grace

    def answered(self, due: float, response: Any) -> None:
        facts = getattr(response, "extensions", {}).get("proxywhirl") or {}
        status = response.status_code
        self._ended(due, None if status < 400 else f"HTTP {status}", int(facts.get("attempts", 1)))

    def failed(self, due: float, error: Exception) -> None:
        self._ended(due, type(error).__name__, int(getattr(error, "attempt_count", None) or 0))

    def _ended(self, due: float, error: str | None, attempts: int) -> None:
        now = time.perf_counter()
        with self._lock:
            if self._final is not None:
                return
            self._latencies.append((now - due) * 1000.0)
            self._last_end = max(self._last_end, now)
            self._attempts += attempts
            if error is None:
                self._successes += 1
            else:
                self._errors[error] += 1

    def note(self) -> str:
        with self._lock:
            done = len(self._latencies)
            seconds = max(time.perf_counter() - self._start, REFRESH)
            return f"{done / seconds:,.0f}/s  {self._successes:,} ok  {done - self._successes:,} failed"

    def result(self) -> LoadTestResult:
        """What was found; from now on nothing is added to it."""
        with self._lock:
            if self._final is None:
                self._final = self._sum_up()
            return self._final

    def _sum_up(self) -> LoadTestResult:
        latencies = sorted(self._latencies)
        done = len(latencies)
        test = self._test
        # A run at full rate lasts as long as was asked for, although its last request ends a little earlier.
        seconds = max(self._last_end - self._start, min(test.duration_seconds, self.total * self._interval), 1e-9)

        def quantile(share: float) -> float:
            # The nearest rank: a latency that was measured, not one in between.
            return latencies[max(0, math.ceil(share * done) - 1)] if done else 0.0

        sent, received, spent = (after - before for after, before in zip(self._bill(), self._before))

        return LoadTestResult(
            target_url=redact_url(test.target_url),
            total_requests=done,
            successes=self._successes,
            failures=done - self._successes,
            success_rate=self._successes / done if done else 0.0,
            requests_per_second=done / seconds,
            target_rate=test.requests_per_second,
            duration_seconds=seconds,
            avg_latency_ms=math.fsum(latencies) / done if done else 0.0,
            min_latency_ms=quantile(0.0),
            p50_latency_ms=quantile(0.5),
            p95_latency_ms=quantile(0.95),
            p99_latency_ms=quantile(0.99),
            max_latency_ms=quantile(1.0),
            attempts=self._attempts,
            unsent=self.total - self.begun,
            unfinished=self.begun - done,
            bytes_sent=int(sent),
            bytes_received=int(received),
            spent=spent,
            cost_per_page=spent / self._successes if self._successes else None,
            errors=dict(self._errors),
        )


def progress_bar(wanted: bool) -> Any:
    """A progress bar on the terminal; ``None`` where there is none, or no rich."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        if wanted:
            raise ImportError("progress=True needs an extra: pip install 'proxywhirl-rs[cli]'") from None
        return None
    console = Console(stderr=True)
    if not (console.is_terminal or wanted):
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
