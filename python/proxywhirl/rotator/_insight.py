"""What a rotator tells of itself: events, metrics, the profile, its health."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from proxywhirl import _log_events
from proxywhirl._base.event_loop import loop_is_running
from proxywhirl._redact import shown
from proxywhirl.rotator._profile import Profile

if TYPE_CHECKING:
    from datetime import datetime

    from proxywhirl import _core
    from proxywhirl._native.explain import Explanation
    from proxywhirl._selection import Chooser
    from proxywhirl._watch import Watch
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.events import ProxyEvent
    from proxywhirl.health.checks import Checker
    from proxywhirl.health.monitor import HealthMonitor

__all__ = ["InsightPart"]

F = TypeVar("F", bound=Callable[..., Any])

# Reasons of explain(), the graver first, and what a proxy counts as for them. What the strategy passes over is healthy.
_KINDS = {
    "expired": "expired",
    "unhealthy": "unhealthy",
    "resting": "resting",
    "breaker_open": "resting",
    "at_capacity": "busy",
    "no_tokens": "busy",
}
_WORDS = {
    "unhealthy": "unhealthy",
    "resting": "resting after failures",
    "busy": "busy",
    "expired": "expired",
    "benched": "benched at a site",
}
_HEALTHY_SHARE = 0.8
_SLOW_ON_AVERAGE_MS = 200.0


class InsightPart:
    """The part of a rotator that others look into and listen to."""

    _chooser: Chooser
    _transport: Any
    _watch: Watch
    config: ProxyConfiguration

    # Whether health checks and coroutines of callbacks belong into the running event loop.
    _in_loop = False

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        raise NotImplementedError

    def explain(self, url: str | None = None) -> Explanation:
        """Which proxies may be chosen now."""
        raise NotImplementedError

    def _init_insight(self, *, enable_metrics: bool = False, enable_profiling: bool = False) -> None:
        from proxywhirl._watch import Watch

        metrics = None
        if enable_metrics:
            from proxywhirl._metrics import Metrics

            metrics = Metrics()
        profile = Profile() if enable_profiling else None
        self._watch = Watch(metrics, profile, use_running_loop=self._in_loop)
        self._watch.attach(self._chooser)
        self._monitor: HealthMonitor | None = None

    def _profile_connections(self) -> None:
        """Let the transport, which is made later, sum up what connecting takes."""
        self._transport._carrier.profile = self._watch.profile

    # Events.

    @overload
    def on(self, event: str) -> Callable[[F], F]: ...

    @overload
    def on(self, event: str, callback: Callable[[ProxyEvent], Any]) -> Callable[[], None]: ...

    def on(self, event: str, callback: Callable[[ProxyEvent], Any] | None = None) -> Any:
        """Call a function at every event of a kind; also a decorator, without the second argument.

        The function runs where the event happens and should not take long. A coroutine function is run aside: in the
        running event loop if the rotator is asynchronous, else on a background thread. What it raises is logged.

        Args:
            event: One of :data:`proxywhirl.events.EVENTS`, with or without ``on_`` in front.
            callback: Called with a :class:`ProxyEvent`.

        Returns:
            A function that ends it; as a decorator, the function itself.

        Raises:
            ValueError: There is no such event.
            TypeError: The callback cannot be called.
        """
        if callback is not None:
            return self._watch.events.on(event, callback)
        from proxywhirl.events import checked_name

        name = checked_name(event)

        def decorate(function: F) -> F:
            self._watch.events.on(name, function)
            return function

        return decorate

    def off(self, event: str, callback: Callable[[ProxyEvent], Any]) -> bool:
        """Stop calling a function.

        Args:
            event: The event.
            callback: The function.

        Returns:
            Whether it was called until now.

        Raises:
            ValueError: There is no such event.
        """
        return self._watch.events.off(event, callback)

    def _emit(self, event: str, **fields: Any) -> None:
        """Tell an event from another part of the rotator."""
        self._watch.events.emit(event, **fields)

    def _tell_strategy(self, before: Any, after: Any) -> None:
        names = (_log_events.name_of(before), _log_events.name_of(after))
        _log_events.strategy_changed(*names)
        facts = {"from": names[0], "to": names[1], "version": self._chooser.version}
        self._watch.events.emit("strategy_changed", strategy=names[1], metadata=facts)

    def _tell_added(self, count: int) -> None:
        _log_events.pool_changed("proxy_added", count, size=len(self.pool))
        if self._watch.metrics is not None:
            self._watch.metrics.record_change(added=count)

    def _tell_removed(self, proxies: Iterable[_core.Proxy], count: int) -> None:
        _log_events.pool_changed("proxy_removed", count, size=len(self.pool))
        if self._watch.metrics is not None:
            self._watch.metrics.record_change(removed=count)
        for proxy in proxies:
            self._watch.events.emit("proxy_removed", proxy=proxy)

    def _wants_removals(self) -> bool:
        return self._watch.events.wants("proxy_removed")

    # Numbers.

    def get_metrics(self, by: str | None = None) -> dict[str, Any]:
        """What was counted since the rotator was made, with ``enable_metrics=True``; otherwise everything is zero.

        An attempt through one proxy counts as one request. Latencies are those of the successful attempts, in
        milliseconds; the quantiles are at most 1 % off. Attempts given back without a verdict, and those that failed by
        their own fault, do not count.

        Args:
            by: ``proxy``, ``site`` or ``outcome``: the same counts apart, by id of the proxy, by site, by outcome.

        Returns:
            ``total_requests``, ``successes``, ``failures``, ``success_rate`` (0 to 1), ``avg_latency_ms``,
            ``p50_latency_ms``, ``p95_latency_ms``, ``p99_latency_ms``, ``requests_per_second`` (over the last minute),
            ``active_proxies`` (that can be chosen now), ``unhealthy_proxies`` (out of service), ``outcomes`` (by name),
            ``health_checks``, ``failed_health_checks``, ``proxies_added``, ``proxies_removed``. With ``by``, a
            dictionary of such counts.

        Raises:
            ValueError: ``by`` is something else.
        """
        metrics = self._watch.metrics
        if by is not None:
            if by not in ("proxy", "site", "outcome"):
                raise ValueError(f"by must be 'proxy', 'site' or 'outcome', not {shown(by)}")
            return {} if metrics is None else metrics.groups(by)
        if metrics is None:
            return {name: {} if name == "outcomes" else 0.0 if name in _FRACTIONS else 0 for name in _METRICS}
        usable, others = self._usable_and_others()
        return {**metrics.totals(), "active_proxies": usable, "unhealthy_proxies": others}

    def get_performance_profile(self) -> dict[str, float]:
        """How long things take on average, with ``enable_profiling=True``; otherwise everything is zero.

        Returns:
            In milliseconds: ``proxy_selection_avg_ms``, ``connection_establish_avg_ms`` (to the proxy, its handshake
            included), ``request_avg_ms`` (an attempt), ``validation_avg_ms`` (a health check), ``storage_save_avg_ms``.
        """
        profile = self._watch.profile
        return Profile.nothing() if profile is None else profile.averages()

    def get_health_status(self) -> dict[str, Any]:
        """How the pool as a whole is doing, at this moment.

        Each proxy counts once: as usable, or under the first of the reasons against it.

        Returns:
            ``status`` (``healthy`` with four fifths of the proxies in service, ``unhealthy`` with none, else
            ``degraded``; in service are those that can be chosen and those that are only busy), ``pool_size``,
            ``healthy_proxies`` (can be chosen now), ``resting_proxies`` (out of service for a time after failures, or
            with an open breaker), ``busy_proxies`` (at capacity or out of tokens), ``expired_proxies``,
            ``unhealthy_proxies`` (unhealthy or dead, without a time of rest), ``benched_proxies`` (banned at one site
            or more, counted besides: elsewhere they may be chosen), ``overall_success_rate`` (0 to 1),
            ``average_response_time_ms`` (mean over the proxies that have one), ``last_health_check`` (ISO 8601, or
            ``None``), ``warnings``.
        """
        counts = self._standing_counts()
        averages: list[float] = []
        last: datetime | None = None
        for proxy in self.pool.get_all_proxies():
            average = proxy.average_response_time_ms
            if average is not None:
                averages.append(average)
            checked = proxy.last_health_check
            if checked is not None and (last is None or checked > last):
                last = checked
        size = sum(counts.values())
        benched = len({proxy.id for proxy, _, kind, _, _ in self.pool._standings() if kind == "banned"})
        average = sum(averages) / len(averages) if averages else 0.0
        in_service = counts["healthy"] + counts["busy"]
        if in_service == 0:
            status = "unhealthy"
        else:
            status = "healthy" if in_service >= _HEALTHY_SHARE * size else "degraded"
        warnings = []
        if not size:
            warnings.append("the pool has no proxies")
        for name, count in [*counts.items(), ("benched", benched)]:
            if name != "healthy" and count:
                warnings.append(f"{count} {'proxy is' if count == 1 else 'proxies are'} {_WORDS[name]}")
        if average > _SLOW_ON_AVERAGE_MS:
            warnings.append(f"the average response time is {average:.0f} ms, above {_SLOW_ON_AVERAGE_MS:.0f} ms")
        return {
            "status": status,
            "pool_size": size,
            **{f"{name}_proxies": count for name, count in counts.items()},
            "benched_proxies": benched,
            "overall_success_rate": self.pool.overall_success_rate,
            "average_response_time_ms": average,
            "last_health_check": None if last is None else last.isoformat(),
            "warnings": warnings,
        }

    def _standing_counts(self) -> dict[str, int]:
        """How many proxies can be chosen now, and how many are out for which kind of reason; their sum is the pool."""
        counts = dict.fromkeys(("healthy", "unhealthy", "resting", "busy", "expired"), 0)
        for verdict in self.explain():
            counts[next((kind for reason, kind in _KINDS.items() if reason in verdict.reasons), "healthy")] += 1
        return counts

    def _usable_and_others(self) -> tuple[int, int]:
        counts = self._standing_counts()
        return counts["healthy"], counts["unhealthy"] + counts["resting"] + counts["expired"]

    # Active health.

    @property
    def health_monitor(self) -> HealthMonitor | None:
        """The monitor, if :meth:`start_health_monitor` was called."""
        return self._monitor

    def start_health_monitor(
        self,
        check_interval: float | None = None,
        failure_threshold: int = 3,
        *,
        checker: Checker | None = None,
        url: str | None = None,
        timeout: float | None = None,
        concurrency: int = 50,
        remove: bool = False,
    ) -> HealthMonitor:
        """Check all proxies at intervals, in the background, until the rotator is closed or collected.

        A synchronous rotator checks on a thread of its own; an asynchronous one in a task of the running event loop,
        or, where none is running, on a thread. Requests never wait for it. Starting it again replaces its settings.

        Args:
            check_interval: Seconds between two rounds; ``config.health_check_interval_seconds`` by default.
            failure_threshold: With ``remove``, failed checks in a row after which a proxy is removed.
            checker: What checks instead: an object with ``check(proxy)``, or a function, asynchronous or not.
            url: The page fetched through each proxy; ``config.health_check_url`` by default.
            timeout: Seconds for one check; ``config.health_check_timeout`` by default.
            concurrency: Checks under way at the same time.
            remove: Whether proxies that keep failing are removed; otherwise they are asked less and less often.

        Returns:
            The monitor.

        Raises:
            ValueError: A number is not positive, or the URL is not one.
            TypeError: The checker cannot check.
        """
        from proxywhirl.health.monitor import HealthMonitor

        config = self.config
        watch = self._watch

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
            self.pool,
            config.health_check_interval_seconds if check_interval is None else check_interval,
            failure_threshold,
            checker=checker,
            url=str(config.health_check_url) if url is None else url,
            timeout=config.health_check_timeout if timeout is None else timeout,
            concurrency=concurrency,
            cache_ttl=config.health_cache_ttl,
            remove=remove,
            told=told,
            removed=removed,
            tls=_tls_of(self._transport._carrier),
        )
        self.stop_health_monitor()
        self._monitor = monitor
        if self._in_loop and loop_is_running():
            monitor.start_task()
        else:
            monitor.start_thread()
        return monitor

    def stop_health_monitor(self) -> None:
        """Stop checking; nothing happens if nothing is checked."""
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.close()

    def _close_insight(self) -> None:
        self.stop_health_monitor()
        self._watch.close()

    async def _aclose_insight(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            await monitor.stop()
        self._watch.close()


# What get_metrics returns; all of it, so that a dashboard finds the same names with and without metrics.
_METRICS = (
    "total_requests",
    "successes",
    "failures",
    "success_rate",
    "avg_latency_ms",
    "p50_latency_ms",
    "p95_latency_ms",
    "p99_latency_ms",
    "outcomes",
    "requests_per_second",
    "health_checks",
    "failed_health_checks",
    "proxies_added",
    "proxies_removed",
    "active_proxies",
    "unhealthy_proxies",
)
_FRACTIONS = frozenset(name for name in _METRICS if name.endswith(("_ms", "_rate", "_second")))


def _tls_of(carrier: Any) -> Any:
    # The contexts that requests use: a check must trust whom they trust.
    own = getattr(carrier, "_tls", None)
    return carrier.routes._tls if own is None else own
