"""What a rotator counts when asked to: attempts by proxy, by site and by outcome, with real quantiles.

The core counts attempts as their leases are settled. The memory is bounded: beyond :data:`MOST_GROUPS` proxies or sites
the least recently used one is added to a group called ``other``.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Callable

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import Outcome

MOST_GROUPS = 1000
"""Proxies, and sites, that are counted apart."""
OTHER = "other"
"""Where the rest is counted."""


class Metrics:
    """The counts of one rotator. Thread-safe.

    Args:
        clock: Monotonic seconds; the core's own by default.
        most_groups: Proxies, and sites, that are counted apart.
    """

    def __init__(self, clock: Callable[[], float] | None = None, most_groups: int = MOST_GROUPS) -> None:
        self._clock = clock
        self.attempts = _core.AttemptMetrics(most_groups)
        """Where attempts are counted."""
        self._lock = new_lock()
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
        self.attempts.record(proxy_id, site, outcome, elapsed_ms, self._now())

    def move(self, proxy_id: Hashable, site: str, before: Outcome, after: Outcome, count: int) -> None:
        """Count attempts as what they turned out to be."""
        self.attempts.move_between(proxy_id, site, before, after, count)

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
        counts, rate = self.attempts.totals(self._now())
        with self._lock:
            return {
                **counts,
                "requests_per_second": rate,
                "health_checks": self._checks,
                "failed_health_checks": self._failed_checks,
                "proxies_added": self._added,
                "proxies_removed": self._removed,
            }

    def groups(self, by: str) -> dict[str, dict[str, Any]]:
        """The counts apart. Raises ``ValueError`` (it is none of these)."""
        counts, other = self.attempts.groups(by)
        if other is not None:
            counts[OTHER] = other
        return counts

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()
