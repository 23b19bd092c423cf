"""A load test: requests at a steady rate, whatever becomes of them.

The pacing is open-loop. Every request has its moment from the beginning, and its latency counts from that moment, not
from when somebody was free to send it: a site that stalls for a second is seen by every request that was due in that
second (Gil Tene calls the opposite "coordinated omission").
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._redact import redact_url, shown

__all__ = ["LoadTest", "LoadTestResult"]

_REFRESH = 0.1
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
        if self.unsent:
            rows.append(("not sent", f"{self.unsent:,} (more users would be needed)"))
        if self.unfinished:
            rows.append(("unfinished", f"{self.unfinished:,}"))
        rows += [(name, f"{count:,}") for name, count in sorted(self.errors.items(), key=lambda item: -item[1])]
        width = max(len(name) for name, _ in rows)
        return "\n".join([f"Load test of {self.target_url}", *(f"  {name:<{width}}  {text}" for name, text in rows)])

    __str__ = table


class LoadTest:
    """Sends requests through a rotator at a steady rate, and tells how it went.

    ::

        test = LoadTest(rotator, "https://example.com", 60, requests_per_second=100, concurrent_users=50)
        print(test.run().table())

    It ends when the duration is over and the requests under way are done, or after ``grace_seconds`` more.

    Args:
        rotator: Of either kind.
        target_url: The page to get.
        duration_seconds: How long requests are begun.
        requests_per_second: How many fall due in each second.
        concurrent_users: Most requests under way at the same time.
        method: The method.
        options: Further arguments of each request.
        grace_seconds: How long requests under way are waited for at the end.
        progress: Whether to show a bar; by default on a terminal, if rich (extra ``cli``) is installed.

    Raises:
        ValueError: A number is not positive.
        TypeError: The rotator has no ``request``.
    """

    def __init__(
        self,
        rotator: Any,
        target_url: str,
        duration_seconds: float = 60,
        requests_per_second: float = 10,
        concurrent_users: int = 10,
        *,
        method: str = "GET",
        options: Mapping[str, Any] | None = None,
        grace_seconds: float = 30.0,
        progress: bool | None = None,
    ) -> None:
        for name, value in (
            ("duration_seconds", duration_seconds),
            ("requests_per_second", requests_per_second),
            ("concurrent_users", concurrent_users),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, not {shown(value)}")
        if not grace_seconds >= 0:
            raise ValueError(f"grace_seconds must not be negative, not {shown(grace_seconds)}")
        if int(concurrent_users) != concurrent_users:
            raise ValueError(f"concurrent_users must be a whole number, not {shown(concurrent_users)}")
        if not callable(getattr(rotator, "request", None)):
            raise TypeError(f"a load test needs a rotator, not {type(rotator).__name__}")
        self.rotator = rotator
        self.target_url = target_url
        self.duration_seconds = float(duration_seconds)
        self.requests_per_second = float(requests_per_second)
        self.concurrent_users = int(concurrent_users)
        self._method = method
        self._options = dict(options or {})
        self._grace = grace_seconds
        self._progress = progress
        self._is_async = inspect.iscoroutinefunction(rotator.request)

    def run(self) -> LoadTestResult:
        """Run it, and wait for its end.

        Returns:
            What it found.

        Raises:
            RuntimeError: The rotator is asynchronous and an event loop is running here; await :meth:`run_async`.
        """
        if self._is_async:
            return self._run_in_new_loop()
        course = _Course(self)
        workers = [
            threading.Thread(target=self._work, args=(course,), name="proxywhirl-load", daemon=True)
            for _ in range(min(self.concurrent_users, course.total))
        ]
        with self._shown(course) as show:
            course.begin()
            for worker in workers:
                worker.start()
            try:
                while any(worker.is_alive() for worker in workers) and not course.overdue():
                    course.wait(_REFRESH)
                    show()
            finally:
                # Also when interrupted: nobody begins another request.
                course.stop()
            return course.result()

    async def run_async(self) -> LoadTestResult:
        """The same without blocking the event loop; a synchronous rotator works on threads meanwhile.

        Returns:
            What it found.
        """
        if not self._is_async:
            return await asyncio.to_thread(self.run)
        course = _Course(self)
        with self._shown(course) as show:
            course.begin()
            tasks = {
                asyncio.ensure_future(self._work_async(course)) for _ in range(min(self.concurrent_users, course.total))
            }
            try:
                pending = tasks
                while pending and not course.overdue():
                    _, pending = await asyncio.wait(pending, timeout=_REFRESH)
                    show()
            finally:
                course.stop()
                result = course.result()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            return result

    def _run_in_new_loop(self) -> LoadTestResult:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run_async())
        raise RuntimeError("an event loop is running here: await run_async() instead")

    def _work(self, course: _Course) -> None:
        while True:
            due = course.next_due()
            if due is None or not course.wait_for(due):
                return
            try:
                response = self.rotator.request(self._method, self.target_url, **self._options)
            except Exception as error:  # noqa: BLE001 - it is what the test is about
                course.failed(due, error)
            else:
                course.answered(due, response)

    async def _work_async(self, course: _Course) -> None:
        while True:
            due = course.next_due()
            if due is None:
                return
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if not course.still_time():
                return
            try:
                response = await self.rotator.request(self._method, self.target_url, **self._options)
            except Exception as error:  # noqa: BLE001 - it is what the test is about
                course.failed(due, error)
            else:
                course.answered(due, response)

    @contextmanager
    def _shown(self, course: _Course) -> Iterator[Callable[[], None]]:
        bar = None if self._progress is False else _bar(self._progress is True)
        if bar is None:
            yield lambda: None
            return
        with bar:
            task = bar.add_task("load test", total=course.total, note="")

            def show() -> None:
                bar.update(task, completed=course.begun, note=course.note())

            yield show
            show()
        bar.console.print(course.result().table(), highlight=False, markup=False)


class _Course:
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

    def begin(self) -> None:
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
            seconds = max(time.perf_counter() - self._start, _REFRESH)
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
            errors=dict(self._errors),
        )


def _bar(wanted: bool) -> Any:
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
