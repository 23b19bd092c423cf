"""How long the stages of a request, and the work around it, take on average."""

from __future__ import annotations

from proxywhirl._base.fork import new_lock

STAGES = ("proxy_selection", "connection_establish", "request", "validation", "storage_save")
"""What is measured."""


class Profile:
    """Sums of durations per stage; thread-safe, and of a fixed size."""

    __slots__ = ("_counts", "_lock", "_sums")

    def __init__(self) -> None:
        self._lock = new_lock()
        self._counts = dict.fromkeys(STAGES, 0)
        self._sums = dict.fromkeys(STAGES, 0.0)

    def add(self, stage: str, ms: float) -> None:
        """Count one duration.

        Args:
            stage: One of :data:`STAGES`.
            ms: How long it took, in milliseconds.

        Raises:
            KeyError: There is no such stage.
        """
        with self._lock:
            self._counts[stage] += 1
            self._sums[stage] += ms

    def averages(self) -> dict[str, float]:
        """``<stage>_avg_ms`` for every stage, in milliseconds; 0.0 for one that never happened."""
        with self._lock:
            return {f"{stage}_avg_ms": self._sums[stage] / max(self._counts[stage], 1) for stage in STAGES}
