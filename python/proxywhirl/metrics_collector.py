"""Metrics for Prometheus (extra ``metrics``).

::

    from prometheus_client import start_http_server
    from proxywhirl.metrics_collector import get_metrics_collector

    start_http_server(9000)
    get_metrics_collector().watch(rotator)

The label ``proxy_id`` has a bounded number of values, whatever comes and goes: proxies beyond the bound share the value
``other``.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from proxywhirl.events import ProxyEvent

__all__ = [
    "MetricsCollector",
    "clear_proxy_metrics",
    "get_metrics_collector",
    "record_request",
    "reset_metrics_collector",
    "update_active_proxies",
    "update_circuit_breaker_state",
    "update_proxy_health",
]

OTHER = "other"
"""The label of proxies beyond the bound."""
_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120)
_STATES = {"closed": 0, "open": 1, "half-open": 2}
# Seconds between two counts of the proxies that can be chosen, which looks at all of them.
_COUNT_AGAIN = 5.0


def _client() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise ImportError("metrics for Prometheus need an extra: pip install 'proxywhirl-rs[metrics]'") from error
    return prometheus_client


class _Families:
    """The metrics of one registry. A registry refuses a second set, so that collectors of one share it."""

    def __init__(self, registry: Any) -> None:
        client = _client()
        of_proxy = ("proxy_id",)
        self.requests = client.Counter(
            "proxywhirl_requests_total", "Attempts by result and proxy", ("status", "proxy_id"), registry=registry
        )
        self.durations = client.Histogram(
            "proxywhirl_request_duration_seconds", "Duration of attempts", of_proxy, registry=registry, buckets=_BUCKETS
        )
        self.health = client.Gauge(
            "proxywhirl_proxy_health_status", "Whether the proxy works: 1 or 0", of_proxy, registry=registry
        )
        self.active = client.Gauge("proxywhirl_active_proxies", "Proxies that can be chosen", registry=registry)
        self.breaker = client.Gauge(
            "proxywhirl_circuit_breaker_state", "0 closed, 1 open, 2 half-open", of_proxy, registry=registry
        )
        self.bytes = client.Counter(
            "proxywhirl_bytes_total", "Bytes by direction and proxy", ("direction", "proxy_id"), registry=registry
        )
        self.spent = client.Counter("proxywhirl_spent_total", "What attempts have cost", of_proxy, registry=registry)
        self.page_cost = client.Gauge(
            "proxywhirl_cost_per_page", "What was spent for each page delivered", registry=registry
        )
        self.pages = 0
        self.money = 0.0
        self.lock = new_lock()
        self.known: set[str] = set()
        self.statuses: set[str] = set()

    def all(self) -> tuple[Any, ...]:
        own = (self.requests, self.durations, self.health, self.active, self.breaker)
        return (*own, self.bytes, self.spent, self.page_cost)


_families: weakref.WeakKeyDictionary[Any, _Families] = weakref.WeakKeyDictionary()
_lock = new_lock()
_collector: MetricsCollector | None = None


class MetricsCollector:
    """Counts requests, and shows the state of proxies, in a Prometheus registry. Thread-safe.

    Args:
        registry: Where the metrics are registered; by default the client's own. Collectors of one registry share them.
        max_proxies: How many proxies have a label of their own, at least 1.

    Raises:
        ImportError: prometheus-client is not installed.
        ValueError: ``max_proxies`` is less than 1.
    """

    def __init__(self, registry: Any = None, *, max_proxies: int = 200) -> None:
        if max_proxies < 1:
            raise ValueError(f"max_proxies must be at least 1, not {shown(max_proxies)}")
        self.registry = _client().REGISTRY if registry is None else registry
        self.max_proxies = max_proxies
        with _lock:
            found = _families.get(self.registry)
            if found is None:
                found = _families[self.registry] = _Families(self.registry)
        self._families = found

    def record_request(self, status: str, duration: float | None, proxy_id: Any) -> None:
        """Count a request.

        Args:
            status: How it ended, as ``success`` or ``failure``.
            duration: How long it took, in seconds, if that is known.
            proxy_id: The proxy.
        """
        label = self._label(proxy_id)
        with self._families.lock:
            self._families.statuses.add(str(status))
        self._families.requests.labels(str(status), label).inc()
        if duration is not None:
            self._families.durations.labels(label).observe(max(duration, 0.0))

    def record_traffic(self, sent: int, received: int, spent: float, proxy_id: Any, *, is_page: bool = False) -> None:
        """Count the bytes of an attempt, and what it cost.

        Args:
            sent: Bytes sent.
            received: Bytes received.
            spent: What it cost.
            proxy_id: The proxy.
            is_page: Whether it has delivered a page.
        """
        label = self._label(proxy_id)
        families = self._families
        families.bytes.labels("sent", label).inc(max(sent, 0))
        families.bytes.labels("received", label).inc(max(received, 0))
        families.spent.labels(label).inc(max(spent, 0.0))
        with families.lock:
            families.pages += is_page
            families.money += max(spent, 0.0)
            if families.pages:
                families.page_cost.set(families.money / families.pages)

    def update_proxy_health(self, proxy_id: Any, is_healthy: bool) -> None:
        """Show whether a proxy works."""
        self._families.health.labels(self._label(proxy_id)).set(1 if is_healthy else 0)

    def update_active_proxies(self, count: int) -> None:
        """Show how many proxies can be chosen."""
        self._families.active.set(count)

    def update_circuit_breaker_state(self, proxy_id: Any, state: Any) -> None:
        """Show the state of a circuit breaker.

        Args:
            proxy_id: The proxy.
            state: ``closed``, ``open`` or ``half-open``, or a ``CircuitBreakerState``.

        Raises:
            ValueError: It is none of these.
        """
        value = str(getattr(state, "value", state)).replace("_", "-")
        if value not in _STATES:
            raise ValueError(f"unknown state {shown(state)}: use one of {', '.join(_STATES)}")
        self._families.breaker.labels(self._label(proxy_id)).set(_STATES[value])

    def clear_proxy_metrics(self, proxy_id: Any) -> None:
        """Forget a proxy; its label is free for another."""
        label = str(proxy_id)
        families = self._families
        with families.lock:
            if label not in families.known:
                return
            families.known.discard(label)
            statuses = list(families.statuses)
        for status in statuses:
            _remove(families.requests, status, label)
        for direction in ("sent", "received"):
            _remove(families.bytes, direction, label)
        for family in (families.durations, families.health, families.breaker, families.spent):
            _remove(family, label)

    def _label(self, proxy_id: Any) -> str:
        label = str(proxy_id)
        families = self._families
        if label in families.known:
            return label
        with families.lock:
            if label not in families.known and len(families.known) >= self.max_proxies:
                return OTHER
            families.known.add(label)
            return label

    def watch(self, rotator: Any) -> Callable[[], None]:
        """Follow the events of a rotator. Attempts are counted by outcome: ``success``, ``proxy_down``, ``banned``, ...

        Args:
            rotator: The rotator, of either kind. It is not kept alive.

        Returns:
            A function that ends it.
        """
        of_rotator = weakref.ref(rotator)
        next_count = 0.0

        def moved(event: ProxyEvent, proxy_id: Any) -> None:
            facts = event.metadata
            self.record_traffic(
                facts.get("bytes_sent", 0),
                facts.get("bytes_received", 0),
                facts.get("spent", 0.0),
                proxy_id,
                is_page=bool(event.success),
            )

        def completed(event: ProxyEvent, proxy_id: Any) -> None:
            nonlocal next_count
            seconds = None if event.duration_ms is None else event.duration_ms / 1000.0
            self.record_request(str(event.metadata.get("outcome", "unknown")), seconds, proxy_id)
            moved(event, proxy_id)
            now = time.monotonic()
            if now >= next_count:
                next_count = now + _COUNT_AGAIN
                found = of_rotator()
                if found is not None:
                    self.update_active_proxies(len(found.pool.get_healthy_proxies()))

        updates: dict[str, Callable[[ProxyEvent, Any], None]] = {
            "request_complete": completed,
            # What was given back counts as no attempt; its bytes are paid all the same.
            "request_released": moved,
            "proxy_health_check": lambda event, proxy_id: self.update_proxy_health(proxy_id, bool(event.success)),
            "proxy_rested": lambda _, proxy_id: self.update_proxy_health(proxy_id, False),
            "proxy_revived": lambda _, proxy_id: self.update_proxy_health(proxy_id, True),
            "circuit_breaker": lambda event, proxy_id: self.update_circuit_breaker_state(
                proxy_id, event.metadata["to"]
            ),
            "proxy_removed": lambda _, proxy_id: self.clear_proxy_metrics(proxy_id),
        }

        def update(event: ProxyEvent) -> None:
            if event.proxy is not None:
                updates[event.name](event, event.proxy.id)

        ends = [rotator.on(name, update) for name in updates]

        def end() -> None:
            for unsubscribe in ends:
                unsubscribe()

        return end


def _remove(family: Any, *labels: str) -> None:
    try:
        family.remove(*labels)
    except KeyError:
        # Older clients complain about a combination that never occurred.
        return


def get_metrics_collector() -> MetricsCollector:
    """The collector that the functions of this module use, made when first asked for, in the client's own registry."""
    global _collector
    if _collector is None:
        made = MetricsCollector()
        with _lock:
            if _collector is None:
                _collector = made
    return _collector


def reset_metrics_collector() -> None:
    """Forget that collector and everything it counted."""
    global _collector
    with _lock:
        collector, _collector = _collector, None
        if collector is not None and _families.pop(collector.registry, None) is not None:
            for family in collector._families.all():
                collector.registry.unregister(family)


def record_request(status: str, duration: float | None, proxy_id: Any) -> None:
    """As :meth:`MetricsCollector.record_request`."""
    get_metrics_collector().record_request(status, duration, proxy_id)


def update_proxy_health(proxy_id: Any, is_healthy: bool) -> None:
    """As :meth:`MetricsCollector.update_proxy_health`."""
    get_metrics_collector().update_proxy_health(proxy_id, is_healthy)


def update_active_proxies(count: int) -> None:
    """As :meth:`MetricsCollector.update_active_proxies`."""
    get_metrics_collector().update_active_proxies(count)


def update_circuit_breaker_state(proxy_id: Any, state: Any) -> None:
    """As :meth:`MetricsCollector.update_circuit_breaker_state`."""
    get_metrics_collector().update_circuit_breaker_state(proxy_id, state)


def clear_proxy_metrics(proxy_id: Any) -> None:
    """As :meth:`MetricsCollector.clear_proxy_metrics`."""
    get_metrics_collector().clear_proxy_metrics(proxy_id)
