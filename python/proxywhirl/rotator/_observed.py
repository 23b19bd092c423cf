"""What users ask a rotator about itself: the documentation, and calls of what has the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from proxywhirl.rotator._chosen import ChosenFace

if TYPE_CHECKING:
    from proxywhirl.events import ProxyEvent
    from proxywhirl.health.checks import Checker
    from proxywhirl.health.monitor import HealthMonitor

F = TypeVar("F", bound=Callable[..., Any])


class ObservedFace(ChosenFace):
    """Events, numbers and health of a rotator; without state or rules of its own."""

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
        return self._insight.on(event, callback)

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
        return self._insight.watch.events.off(event, callback)

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
            ``health_checks``, ``failed_health_checks``, ``proxies_added``, ``proxies_removed``, ``bytes_sent``,
            ``bytes_received``, ``spent`` (on all attempts, also those given back), ``cost_per_page`` (``spent`` for
            each success; ``None`` without one). With ``by``, a dictionary of such counts; by outcome without bytes and
            money.

        Raises:
            ValueError: ``by`` is something else.
        """
        return self._insight.metrics(by, self.explain)

    def get_performance_profile(self) -> dict[str, float]:
        """How long things take on average, with ``enable_profiling=True``; otherwise everything is zero.

        Returns:
            In milliseconds: ``proxy_selection_avg_ms``, ``connection_establish_avg_ms`` (to the proxy, its handshake
            included), ``request_avg_ms`` (an attempt), ``validation_avg_ms`` (a health check), ``storage_save_avg_ms``.
        """
        return self._insight.profile()

    def get_health_status(self) -> dict[str, Any]:
        """How the pool as a whole is doing, at this moment.

        Each proxy counts once: as usable, or under the first of the reasons against it.

        Returns:
            ``status`` (``healthy`` with four fifths of the proxies in service, ``unhealthy`` with none, else
            ``degraded``; in service are those that can be chosen and those that are only busy), ``pool_size``,
            ``healthy_proxies`` (can be chosen now), ``resting_proxies`` (out of service for a time after failures, or
            with an open breaker), ``busy_proxies`` (at capacity or out of tokens), ``unpaid_proxies`` (the budget has
            no room for them), ``expired_proxies``,
            ``unhealthy_proxies`` (unhealthy or dead, without a time of rest), ``benched_proxies`` (banned at one site
            or more, counted besides: elsewhere they may be chosen), ``overall_success_rate`` (0 to 1),
            ``average_response_time_ms`` (mean over the proxies that have one), ``last_health_check`` (ISO 8601, or
            ``None``), ``warnings``.
        """
        return self._insight.health(self.explain())

    @property
    def health_monitor(self) -> HealthMonitor | None:
        """The monitor, if :meth:`start_health_monitor` was called."""
        return self._insight.monitor

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
        return self._insight.start_monitor(
            check_interval,
            failure_threshold,
            checker=checker,
            url=url,
            timeout=timeout,
            concurrency=concurrency,
            remove=remove,
            # A check must trust the authorities that requests trust.
            tls=self._transport.carrier.tls,
        )

    def stop_health_monitor(self) -> None:
        """Stop checking; nothing happens if nothing is checked."""
        self._insight.stop_monitor()

    # Numbers.

    def get_pool_stats(self) -> dict[str, Any]:
        """Counts of proxies and requests.

        Returns:
            ``total_proxies``, ``healthy_proxies`` (healthy, unknown and degraded), ``unhealthy_proxies``,
            ``dead_proxies``, ``total_requests``, ``total_successes``, ``total_failures``, ``average_success_rate``
            (mean over the proxies with requests, 0 to 1), ``bytes_sent``, ``bytes_received``, ``spent``,
            ``cost_per_page`` (what was spent for each success; ``None`` before the first). All by the counters of the
            proxies that are in the pool, those of earlier runs included.
        """
        return self.pool._stats()

    def get_statistics(self) -> dict[str, Any]:
        """As :meth:`get_pool_stats`, and ``source_breakdown``: proxies by source."""
        return {**self.get_pool_stats(), "source_breakdown": self.pool.get_source_breakdown()}
