"""Per-proxy measurements that a strategy of one's own can keep, apart from the proxies' own counters."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from proxywhirl._base.fork import new_lock
from proxywhirl._base.utc import utc_now
from proxywhirl._core import moving_average
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from collections.abc import Callable


def _check_alpha(alpha: float) -> float:
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"ema_alpha must be between 0 and 1, not {shown(alpha)}")
    return alpha


@dataclass
class ProxyMetrics:
    """What a strategy has seen of one proxy.

    Attributes:
        ema_response_time_ms: Moving average of the response time in milliseconds; ``None`` before the first.
        total_requests: Requests in the current window.
        total_successes: Those that succeeded.
        total_failures: Those that failed.
        last_response_time_ms: The last measured response time in milliseconds.
        window_start: When the current window began (UTC); ``None`` before the first request.
    """

    ema_response_time_ms: float | None = None
    total_requests: int = 0
    total_successes: int = 0
    total_failures: int = 0
    last_response_time_ms: float | None = None
    window_start: datetime | None = None

    @property
    def success_rate(self) -> float:
        """Share of the requests that succeeded, 0.0 to 1.0; 0.0 when there were none."""
        if self.total_requests <= 0:
            return 0.0
        return min(1.0, max(0.0, self.total_successes / self.total_requests))

    def update_ema(self, response_time_ms: float, alpha: float) -> None:
        """Take one measurement into the average.

        Args:
            response_time_ms: The measurement in milliseconds.
            alpha: Weight of the new value, 0 to 1.
        """
        self.last_response_time_ms = response_time_ms
        self.ema_response_time_ms = moving_average(self.ema_response_time_ms, response_time_ms, alpha)


class StrategyState:
    """Metrics by proxy id, for one strategy. Every method may be called from any thread.

    Counts cover one window: the first result after the window has run out begins a new one at zero. The average
    lives on. When more proxies are known than ``max_proxies``, the least recently updated one is forgotten.

    Args:
        ema_alpha: Weight of a new response time in the average, 0 to 1.
        window_duration_seconds: Length of the counting window in seconds, more than 0.
        max_proxies: How many proxies are remembered, at least 1.
        clock: Tells the time; replace it to test without waiting.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        ema_alpha: float = 0.2,
        window_duration_seconds: int = 3600,
        *,
        max_proxies: int = 100_000,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if window_duration_seconds <= 0:
            raise ValueError(f"window_duration_seconds must be positive, not {shown(window_duration_seconds)}")
        if max_proxies < 1:
            raise ValueError(f"max_proxies must be positive, not {shown(max_proxies)}")
        self.ema_alpha = _check_alpha(ema_alpha)
        self.window_duration_seconds = window_duration_seconds
        self.max_proxies = max_proxies
        self._clock = clock
        self._lock = new_lock()
        self._metrics: OrderedDict[UUID, ProxyMetrics] = OrderedDict()

    def get_metrics(self, proxy_id: UUID | str) -> ProxyMetrics:
        """The metrics of a proxy, made when it is new.

        Args:
            proxy_id: The proxy's id.

        Returns:
            The stored object itself, not a copy.
        """
        with self._lock:
            return self._touch(_key(proxy_id))

    def record_success(self, proxy_id: UUID | str, response_time_ms: float) -> None:
        """Count a success and take its response time into the average.

        Args:
            proxy_id: The proxy's id.
            response_time_ms: How long it took, in milliseconds.
        """
        with self._lock:
            metrics = self._count(_key(proxy_id))
            metrics.total_successes += 1
            metrics.update_ema(response_time_ms, self.ema_alpha)

    def record_failure(self, proxy_id: UUID | str) -> None:
        """Count a failure; the average stays as it is.

        Args:
            proxy_id: The proxy's id.
        """
        with self._lock:
            self._count(_key(proxy_id)).total_failures += 1

    def get_ema_response_time(self, proxy_id: UUID | str) -> float | None:
        """The average response time in milliseconds, ``None`` when there is none yet."""
        with self._lock:
            metrics = self._metrics.get(_key(proxy_id))
            return None if metrics is None else metrics.ema_response_time_ms

    def get_success_rate(self, proxy_id: UUID | str) -> float:
        """Share of successes, 0.0 to 1.0; 0.0 for a proxy that is not known."""
        with self._lock:
            metrics = self._metrics.get(_key(proxy_id))
            return 0.0 if metrics is None else metrics.success_rate

    def get_request_count(self, proxy_id: UUID | str) -> int:
        """Requests counted in the current window; 0 for a proxy that is not known."""
        with self._lock:
            metrics = self._metrics.get(_key(proxy_id))
            return 0 if metrics is None else metrics.total_requests

    def reset_metrics(self, proxy_id: UUID | str) -> None:
        """Forget one proxy; nothing happens when it is not known."""
        with self._lock:
            self._metrics.pop(_key(proxy_id), None)

    def clear_all(self) -> None:
        """Forget every proxy."""
        with self._lock:
            self._metrics.clear()

    def _touch(self, key: UUID) -> ProxyMetrics:
        metrics = self._metrics.get(key)
        if metrics is not None:
            self._metrics.move_to_end(key)
            return metrics
        while len(self._metrics) >= self.max_proxies:
            self._metrics.popitem(last=False)
        metrics = self._metrics[key] = ProxyMetrics()
        return metrics

    def _count(self, key: UUID) -> ProxyMetrics:
        metrics = self._touch(key)
        now = self._clock()
        start = metrics.window_start
        if start is None:
            metrics.window_start = now
        elif now - start >= timedelta(seconds=self.window_duration_seconds):
            metrics.window_start = now
            metrics.total_requests = metrics.total_successes = metrics.total_failures = 0
        metrics.total_requests += 1
        return metrics


def _key(proxy_id: UUID | str) -> UUID:
    return proxy_id if isinstance(proxy_id, UUID) else UUID(proxy_id)
