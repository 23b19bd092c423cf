"""What a rotator counts when asked to: attempts by proxy, by site and by outcome, with real quantiles.

The memory is bounded whatever comes: a histogram has a fixed number of buckets, and beyond :data:`MOST_GROUPS` proxies
or sites the one that was idle longest is added to a group called ``other``.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import Outcome
from proxywhirl._redact import shown

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["MOST_GROUPS", "OTHER", "WINDOW", "Metrics", "Tally"]

MOST_GROUPS = 1000
"""Proxies, and sites, that are counted apart."""
OTHER = "other"
"""Where the rest is counted."""
WINDOW = 60
"""Seconds over which the rate of requests is taken."""

_SUCCESS = Outcome.SUCCESS


class Tally:
    """Attempts of one kind. Not thread-safe by itself."""

    __slots__ = ("latency", "outcomes", "requests", "successes")

    def __init__(self) -> None:
        self.requests = 0
        self.successes = 0
        self.outcomes: dict[str, int] = {}
        self.latency = _core.LatencyHistogram()

    def record(self, outcome: Outcome, elapsed_ms: float | None) -> None:
        """Count one attempt; its latency only if it succeeded, so that a quick refusal does not look fast."""
        self.requests += 1
        value = outcome.value
        self.outcomes[value] = self.outcomes.get(value, 0) + 1
        if outcome is _SUCCESS:
            self.successes += 1
            if elapsed_ms is not None:
                self.latency.record(elapsed_ms)

    def move(self, before: Outcome, after: Outcome, count: int) -> None:
        """Count attempts as what they turned out to be; neither outcome is a success."""
        moved = min(count, self.outcomes.get(before.value, 0))
        self.outcomes[before.value] = self.outcomes.get(before.value, 0) - moved
        self.outcomes[after.value] = self.outcomes.get(after.value, 0) + moved

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        self.requests += other.requests
        self.successes += other.successes
        for value, count in other.outcomes.items():
            self.outcomes[value] = self.outcomes.get(value, 0) + count
        self.latency.merge(other.latency)

    def report(self) -> dict[str, Any]:
        """The counts, and the latencies of the successful attempts in milliseconds."""
        latency = self.latency
        return {
            "total_requests": self.requests,
            "successes": self.successes,
            "failures": self.requests - self.successes,
            "success_rate": self.successes / self.requests if self.requests else 0.0,
            "avg_latency_ms": latency.mean or 0.0,
            "p50_latency_ms": latency.quantile(0.5) or 0.0,
            "p95_latency_ms": latency.quantile(0.95) or 0.0,
            "p99_latency_ms": latency.quantile(0.99) or 0.0,
            "outcomes": dict(self.outcomes),
        }


class _Groups:
    """Tallies by key, the least recently used beyond the bound added up in one."""

    __slots__ = ("_most", "other", "tallies")

    def __init__(self, most: int) -> None:
        self._most = most
        self.tallies: OrderedDict[Hashable, Tally] = OrderedDict()
        self.other: Tally | None = None

    def record(self, key: Hashable, outcome: Outcome, elapsed_ms: float | None) -> None:
        tally = self.tallies.get(key)
        if tally is None:
            if len(self.tallies) >= self._most:
                self._fold(self.tallies.popitem(last=False)[1])
            tally = self.tallies[key] = Tally()
        else:
            self.tallies.move_to_end(key)
        tally.record(outcome, elapsed_ms)

    def _fold(self, tally: Tally) -> None:
        if self.other is None:
            self.other = Tally()
        self.other.merge(tally)

    def report(self, name_of: Callable[[Any], str]) -> dict[str, dict[str, Any]]:
        found = {
            name_of(key): {**tally.report(), "outcomes": dict(tally.outcomes)} for key, tally in self.tallies.items()
        }
        if self.other is not None:
            found[OTHER] = {**self.other.report(), "outcomes": dict(self.other.outcomes)}
        return found


class _Rate:
    """Events per second over the last :data:`WINDOW` seconds, in buckets of one second."""

    __slots__ = ("_counts", "_first", "_seconds")

    def __init__(self) -> None:
        self._counts = [0] * WINDOW
        self._seconds = [-1] * WINDOW
        self._first: float | None = None

    def add(self, now: float) -> None:
        if self._first is None:
            self._first = now
        second = int(now)
        slot = second % WINDOW
        if self._seconds[slot] != second:
            self._seconds[slot] = second
            self._counts[slot] = 0
        self._counts[slot] += 1

    def per_second(self, now: float) -> float:
        if self._first is None:
            return 0.0
        oldest = int(now) - WINDOW
        total = sum(count for second, count in zip(self._seconds, self._counts) if oldest < second <= int(now))
        # Less than a second of traffic says little about a second; it is taken for one.
        return total / min(max(now - self._first, 1.0), float(WINDOW))


class Metrics:
    """The counts of one rotator. Thread-safe.

    Args:
        clock: Monotonic seconds.
        most_groups: Proxies, and sites, that are counted apart.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_groups: int = MOST_GROUPS) -> None:
        self._clock = clock
        self._lock = new_lock()
        self._total = Tally()
        self._proxies = _Groups(most_groups)
        self._sites = _Groups(most_groups)
        self._outcomes = _Groups(len(Outcome))
        self._rate = _Rate()
        self._checks = 0
        self._failed_checks = 0
        self._added = 0
        self._removed = 0

    def record(self, proxy_id: Hashable, site: str | None, outcome: Outcome, elapsed_ms: float | None) -> None:
        """Count one attempt.

        Args:
            proxy_id: Id of the proxy.
            site: Key of the site.
            outcome: How it ended.
            elapsed_ms: How long it took, in milliseconds.
        """
        with self._lock:
            self._total.record(outcome, elapsed_ms)
            self._proxies.record(proxy_id, outcome, elapsed_ms)
            if site is not None:
                self._sites.record(site, outcome, elapsed_ms)
            self._outcomes.record(outcome.value, outcome, elapsed_ms)
            self._rate.add(self._clock())

    def move(self, proxy_id: Hashable, site: str, before: Outcome, after: Outcome, count: int) -> None:
        """Count attempts as what they turned out to be.

        Args:
            proxy_id: Id of the proxy.
            site: Key of the site.
            before: What they were counted as; no success.
            after: What they are; no success either.
            count: How many.
        """
        with self._lock:
            self._total.move(before, after, count)
            for groups, key in ((self._proxies, proxy_id), (self._sites, site)):
                tally = groups.tallies.get(key) or groups.other
                if tally is not None:
                    tally.move(before, after, count)
            was = self._outcomes.tallies.get(before.value)
            if was is not None:
                moved = min(count, was.requests)
                was.requests -= moved
                was.outcomes[before.value] -= moved
                for _ in range(moved):
                    self._outcomes.record(after.value, after, None)

    def record_check(self, passed: bool) -> None:
        """Count a health check."""
        with self._lock:
            self._checks += 1
            self._failed_checks += not passed

    def record_change(self, *, added: int = 0, removed: int = 0) -> None:
        """Count proxies that came and went."""
        with self._lock:
            self._added += added
            self._removed += removed

    def totals(self) -> dict[str, Any]:
        """Everything together."""
        with self._lock:
            return {
                **self._total.report(),
                "requests_per_second": self._rate.per_second(self._clock()),
                "health_checks": self._checks,
                "failed_health_checks": self._failed_checks,
                "proxies_added": self._added,
                "proxies_removed": self._removed,
            }

    def groups(self, by: str) -> dict[str, dict[str, Any]]:
        """The counts apart.

        Args:
            by: ``proxy``, ``site`` or ``outcome``.

        Returns:
            The counts by id of the proxy, key of the site, or value of the outcome.

        Raises:
            ValueError: It is none of these.
        """
        table = {"proxy": self._proxies, "site": self._sites, "outcome": self._outcomes}.get(by)
        if table is None:
            raise ValueError(f"by must be 'proxy', 'site' or 'outcome', not {shown(by)}")
        with self._lock:
            return table.report(str)
