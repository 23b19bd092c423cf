"""What a rotator reports of itself: events, metrics, the profile, its health."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.event_loop import loop_is_running
from proxywhirl._native.redact import shown
from proxywhirl.events import log as _log_events
from proxywhirl.rotator._profile import Profile

if TYPE_CHECKING:
    from datetime import datetime

    from proxywhirl import _core
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl._native.explain import Explanation
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.health.monitor import HealthMonitor

# Reasons of explain(), the graver first, and what a proxy counts as for them. What the strategy passes over is healthy.
_KINDS = {
    "expired": "expired",
    "unhealthy": "unhealthy",
    "resting": "resting",
    "breaker_open": "resting",
    "at_capacity": "busy",
    "no_tokens": "busy",
    "over_budget": "unpaid",
}
_WORDS = {
    "unhealthy": "unhealthy",
    "resting": "resting after failures",
    "busy": "busy",
    "expired": "expired",
    "unpaid": "over the budget",
    "benched": "benched at a site",
}
_HEALTHY_SHARE = 0.8
_SLOW_ON_AVERAGE_MS = 200.0
# What get_metrics returns; all of it, so that a dashboard finds the same names with and without metrics.
_METRICS = (
    *("total_requests", "successes", "failures", "success_rate"),
    *("avg_latency_ms", "p50_latency_ms", "p95_latency_ms", "p99_latency_ms"),
    *("outcomes", "requests_per_second", "health_checks", "failed_health_checks"),
    *("proxies_added", "proxies_removed", "active_proxies", "unhealthy_proxies"),
    *("bytes_sent", "bytes_received", "spent", "cost_per_page"),
)
_FRACTIONS = frozenset(name for name in _METRICS if name.endswith(("_ms", "_rate", "_second", "spent")))


class Insight:
    """What happens in one rotator, for listeners, counters and the log. It does not hold the rotator."""

    def __init__(
        self, chooser: Chooser, config: ProxyConfiguration, *, metrics: bool, profiling: bool, in_loop: bool
    ) -> None:
        from proxywhirl.rotator._watch import Watch

        counters = None
        if metrics:
            from proxywhirl.rotator._metrics import Metrics

            counters = Metrics()
        self._chooser = chooser
        self._config = config
        self._in_loop = in_loop
        self.watch = Watch(counters, Profile() if profiling else None, use_running_loop=in_loop)
        """The receiver of attempts."""
        self.watch.attach(chooser)
        self.monitor: HealthMonitor | None = None
        """The health checks in the background, if there are any."""

    def on(self, event: str, callback: Callable[..., Any] | None) -> Any:
        """Call a function at every event of a kind; without one, a decorator that does it."""
        events = self.watch.events
        if callback is not None:
            return events.on(event, callback)
        from proxywhirl.events import checked_name

        name = checked_name(event)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            events.on(name, function)
            return function

        return decorate

    # What happened.

    def strategy_changed(self, before: Any, after: Any) -> None:
        """Tell that the strategy was swapped."""
        names = (_log_events.name_of(before), _log_events.name_of(after))
        _log_events.strategy_changed(*names)
        facts = {"from": names[0], "to": names[1], "version": self._chooser.version}
        self.watch.events.emit("strategy_changed", strategy=names[1], metadata=facts)

    def added(self, count: int) -> None:
        """Tell that so many proxies were added."""
        _log_events.pool_changed("proxy_added", count, size=len(self._chooser.pool))
        if self.watch.metrics is not None:
            self.watch.metrics.record_change(added=count)

    @property
    def wants_removals(self) -> bool:
        """Whether it matters which proxies are removed, and not only how many."""
        return self.watch.events.wants("proxy_removed")

    def removed(self, proxies: Iterable[_core.Proxy], count: int | None = None) -> None:
        """Tell that proxies were removed."""
        proxies = list(proxies)
        count = len(proxies) if count is None else count
        _log_events.pool_changed("proxy_removed", count, size=len(self._chooser.pool))
        if self.watch.metrics is not None:
            self.watch.metrics.record_change(removed=count)
        for proxy in proxies:
            self.watch.events.emit("proxy_removed", proxy=proxy)

    def read(self, **facts: Any) -> None:
        """Tell that a list was read."""
        self.watch.events.emit("fetch_complete", **facts)

    # Numbers.

    def metrics(self, by: str | None, explain: Callable[[], Explanation]) -> dict[str, Any]:
        """See :meth:`ProxyRotatorBase.get_metrics`."""
        metrics = self.watch.metrics
        if by is not None:
            if by not in ("proxy", "site", "outcome"):
                raise ValueError(f"by must be 'proxy', 'site' or 'outcome', not {shown(by)}")
            return {} if metrics is None else metrics.groups(by)
        if metrics is None:
            zeros: dict[str, Any] = {
                name: {} if name == "outcomes" else 0.0 if name in _FRACTIONS else 0 for name in _METRICS
            }
            return {**zeros, "cost_per_page": None}
        counts = _counted(explain())
        others = counts["unhealthy"] + counts["resting"] + counts["expired"]
        return {**metrics.totals(), "active_proxies": counts["healthy"], "unhealthy_proxies": others}

    def profile(self) -> dict[str, float]:
        """See :meth:`ProxyRotatorBase.get_performance_profile`."""
        return (self.watch.profile or Profile()).averages()

    def health(self, verdicts: Explanation) -> dict[str, Any]:
        """See :meth:`ProxyRotatorBase.get_health_status`."""
        pool = self._chooser.pool
        counts = _counted(verdicts)
        averages: list[float] = []
        last: datetime | None = None
        for proxy in pool.get_all_proxies():
            average = proxy.average_response_time_ms
            if average is not None:
                averages.append(average)
            checked = proxy.last_health_check
            if checked is not None and (last is None or checked > last):
                last = checked
        size = sum(counts.values())
        benched = len({proxy.id for proxy, _, kind, _, _ in pool._standings() if kind == "banned"})
        average = sum(averages) / len(averages) if averages else 0.0
        warnings = []
        if not size:
            warnings.append("the pool has no proxies")
        for name, count in [*counts.items(), ("benched", benched)]:
            if name != "healthy" and count:
                warnings.append(f"{count} {'proxy is' if count == 1 else 'proxies are'} {_WORDS[name]}")
        if average > _SLOW_ON_AVERAGE_MS:
            warnings.append(f"the average response time is {average:.0f} ms, above {_SLOW_ON_AVERAGE_MS:.0f} ms")
        return {
            "status": status_of(counts["healthy"] + counts["busy"], size),
            "pool_size": size,
            **{f"{name}_proxies": count for name, count in counts.items()},
            "benched_proxies": benched,
            "overall_success_rate": pool.overall_success_rate,
            "average_response_time_ms": average,
            "last_health_check": None if last is None else last.isoformat(),
            "warnings": warnings,
        }

    # Active health.

    def start_monitor(
        self,
        check_interval: float | None,
        failure_threshold: int,
        *,
        url: str | None,
        timeout: float | None,
        **options: Any,
    ) -> HealthMonitor:
        """See :meth:`ProxyRotatorBase.start_health_monitor`; the options are those of the monitor."""
        from proxywhirl.health.monitor import HealthMonitor

        config = self._config
        watch = self.watch

        def told(proxy: _core.Proxy, passed: bool, error: str | None, ms: float) -> None:
            if watch.metrics is not None:
                watch.metrics.record_check(passed)
            if watch.profile is not None:
                watch.profile.add("validation", ms)
            watch.events.emit("proxy_health_check", proxy=proxy, success=passed, error=error, duration_ms=ms)

        def removed(proxy: _core.Proxy) -> None:
            if watch.metrics is not None:
                watch.metrics.record_change(removed=1)
            watch.events.emit("proxy_removed", proxy=proxy, metadata={"reason": "failed health checks"})

        # Neither function holds the rotator, nor does the monitor: it ends when the rotator is collected.
        monitor = HealthMonitor(
            self._chooser.pool,
            config.health_check_interval_seconds if check_interval is None else check_interval,
            failure_threshold,
            url=str(config.health_check_url) if url is None else url,
            timeout=config.health_check_timeout if timeout is None else timeout,
            cache_ttl=config.health_cache_ttl,
            told=told,
            removed=removed,
            **options,
        )
        self.stop_monitor()
        self.monitor = monitor
        if self._in_loop and loop_is_running():
            monitor.start_task()
        else:
            monitor.start_thread()
        return monitor

    def stop_monitor(self) -> None:
        """Stop checking; nothing happens if nothing is checked."""
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            monitor.close()

    def close(self) -> None:
        """End what runs in the background."""
        self.stop_monitor()
        self.watch.close()

    async def aclose(self) -> None:
        """As :meth:`close`, without blocking the loop."""
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            await monitor.stop()
        self.watch.close()


def status_of(good: int, size: int) -> str:
    """How a pool is, of whose proxies so many are good."""
    if good == 0:
        return "unhealthy"
    return "healthy" if good >= _HEALTHY_SHARE * size else "degraded"


def _counted(verdicts: Explanation) -> dict[str, int]:
    """How many proxies can be chosen now, and how many are out for which kind of reason; their sum is the pool."""
    counts = dict.fromkeys(("healthy", "unhealthy", "resting", "busy", "expired", "unpaid"), 0)
    for verdict in verdicts:
        counts[next((kind for reason, kind in _KINDS.items() if reason in verdict.reasons), "healthy")] += 1
    return counts
