"""The watchers of every lease of a rotator: events, metrics, the profile.

A rotator has a :class:`Watch` from the beginning, but its chooser sees it only while it has something to serve;
otherwise leases are taken and settled without a trace of it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import Outcome
from proxywhirl.events import EventHub
from proxywhirl.events import log as _log_events

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rotator._metrics import Metrics
    from proxywhirl.rotator._profile import Profile

__all__ = ["Attempt", "Watch"]

_SUCCESS = Outcome.SUCCESS
_TARGET_FAULT = Outcome.TARGET_FAULT
_CLIENT_FAULT = Outcome.CLIENT_FAULT
_LIVENESS_IS_BAD = (Outcome.PROXY_DOWN, Outcome.PROXY_AUTH)

NoticeTap = Callable[[str, Any, "dict[str, Any]"], None]


class Watch:
    """What one rotator tells about its leases."""

    def __init__(
        self,
        metrics: Metrics | None = None,
        profile: Profile | None = None,
        *,
        use_running_loop: bool = False,
    ) -> None:
        me = weakref.ref(self)

        def changed() -> None:
            watch = me()
            if watch is not None:
                watch.install()

        # Only a weak reference each way: a rotator is collected without the help of the garbage collector.
        self.events = EventHub(changed, use_running_loop=use_running_loop)
        self.metrics = metrics
        self.profile = profile
        self._notice_taps: tuple[NoticeTap, ...] = ()
        self._chooser: Callable[[], Any] = lambda: None
        self._lock = new_lock()

    def attach(self, chooser: Any) -> None:
        """Watch the leases of a chooser, and what its pool notices."""
        self._chooser = weakref.ref(chooser)
        me = weakref.ref(self)

        def notice(name: str, proxy: Any, facts: dict[str, Any]) -> None:
            _log_events.tell_notice(name, proxy, facts)
            watch = me()
            if watch is not None:
                watch.notice(name, proxy, facts)

        set_notice = getattr(chooser.pool, "_set_notice", None)
        if set_notice is not None:
            set_notice(notice)
        self.install()

    def install(self) -> None:
        """Be seen by the chooser if, and only if, there is a listener, metrics or a profile."""
        # The lock is held from the check to the change: of two threads at once, the later check counts.
        with self._lock:
            chooser = self._chooser()
            if chooser is not None:
                wanted = self.profile is not None or bool(self.events)
                chooser.watch = self if wanted else None

    def tap_notices(self, tap: NoticeTap) -> None:
        """Call a function with whatever the core notices."""
        self._notice_taps = (*self._notice_taps, tap)

    def attempt(self, strategy: str, url: str | None, method: str | None, attempt: int) -> Attempt:
        """The observer of a lease that is about to be taken."""
        return Attempt(self, strategy, url, method, attempt)

    def taken(
        self,
        lease: _core.Lease,
        strategy: str,
        url: str | None,
        method: str | None,
        attempt: int,
        elapsed_ms: float,
        tell: bool,
    ) -> None:
        """A lease was taken."""
        if self.profile is not None:
            self.profile.add("proxy_selection", elapsed_ms)
        if tell:
            self.chosen(lease, strategy, url, method, attempt, elapsed_ms)

    def chosen(
        self,
        lease: _core.Lease,
        strategy: str,
        url: str | None,
        method: str | None,
        attempt: int,
        elapsed_ms: float | None = None,
    ) -> None:
        """Tell that a proxy is about to be used; arguments as above."""
        self.events.emit(
            "proxy_selected",
            proxy=lease.proxy,
            url=url,
            method=method,
            strategy=strategy,
            attempt=attempt,
            duration_ms=elapsed_ms,
        )

    def settled(
        self,
        attempt: Attempt,
        lease: _core.Lease,
        outcome: Outcome,
        elapsed_ms: float | None,
        error: Any,
        status: int | None,
    ) -> None:
        """Tell how a lease ended."""
        # Like a lease given back, a fault of the request itself says nothing about proxy or site.
        if outcome is not _CLIENT_FAULT and self.profile is not None and elapsed_ms is not None:
            self.profile.add("request", elapsed_ms)
        events = self.events
        if outcome in _LIVENESS_IS_BAD and events.wants("proxy_removed"):
            self._tell_if_given_up(lease.proxy)
        result = "request_success" if outcome is _SUCCESS else "request_failure"
        if not events.wants(result, "request_complete"):
            return
        success = outcome is _SUCCESS
        if error is None and not success:
            error = outcome.value.replace("_", " ") + (f" (status {status})" if status is not None else "")
        fields: dict[str, Any] = {
            "proxy": lease.proxy,
            "success": success,
            "error": error,
            "duration_ms": elapsed_ms,
            "url": attempt.url,
            "method": attempt.method,
            "status_code": status,
            "strategy": attempt.strategy,
            "attempt": attempt.number,
            "metadata": {"outcome": outcome.value, **_bill(lease)},
        }
        events.emit(result, **fields)
        events.emit("request_complete", **fields)

    def given_back(self, attempt: Attempt, lease: _core.Lease, elapsed_ms: float | None) -> None:
        """Tell that a lease ended without a verdict."""
        if self.events.wants("request_released"):
            self.events.emit(
                "request_released",
                proxy=lease.proxy,
                duration_ms=elapsed_ms,
                url=attempt.url,
                method=attempt.method,
                strategy=attempt.strategy,
                attempt=attempt.number,
                metadata=_bill(lease),
            )

    def _tell_if_given_up(self, proxy: _core.Proxy) -> None:
        """Tell that the pool has removed a dead proxy by itself, as `auto_remove_dead` has it do."""
        chooser = self._chooser()
        pool = None if chooser is None else chooser.pool
        # Exactly the failure that did it: others may be under way through the same proxy.
        if (
            pool is not None
            and pool.auto_remove_dead
            and proxy.consecutive_failures == pool.dead_proxy_threshold
            and proxy not in pool
        ):
            self.events.emit("proxy_removed", proxy=proxy, metadata={"reason": "dead"})

    def notice(self, name: str, proxy: Any, facts: dict[str, Any]) -> None:
        """Tell what the core noticed."""
        if name == "blamed":
            self._blamed(proxy, facts)
        for tap in self._notice_taps:
            tap(name, proxy, facts)
        event = _log_events.event_of_notice(name)
        if event is not None and self.events.wants(event):
            plain = {key: getattr(value, "value", value) for key, value in facts.items()}
            self.events.emit(event, proxy=proxy, metadata=plain)

    def _blamed(self, proxy: Any, facts: dict[str, Any]) -> None:
        """Count attempts as the proxy's failures that were counted as the site's."""
        if self.metrics is not None:
            self.metrics.move(proxy.id, facts["site"], _TARGET_FAULT, Outcome.PROXY_DOWN, facts["results"])
            for _ in range(facts["results"]):
                proxy._note_request(False, 0.0)
        if self.events.wants("proxy_removed"):
            self._tell_if_given_up(proxy)

    def close(self) -> None:
        """End what runs in the background."""
        self.events.close()


class Attempt:
    """One lease, as its observer knows it; called once when it has been settled."""

    __slots__ = ("_watch", "method", "number", "strategy", "url")

    def __init__(self, watch: Watch, strategy: str, url: str | None, method: str | None, number: int) -> None:
        self._watch = watch
        self.strategy = strategy
        self.url = url
        self.method = method
        self.number = number

    def __call__(
        self,
        lease: _core.Lease,
        outcome: Outcome | None,
        elapsed_ms: float | None,
        error: Any = None,
        status: int | None = None,
    ) -> None:
        # Given back without a verdict: as if it had never been taken, but for the bytes that it has moved.
        if outcome is None:
            self._watch.given_back(self, lease, elapsed_ms)
        else:
            self._watch.settled(self, lease, outcome, elapsed_ms, error, status)


def _bill(lease: _core.Lease) -> dict[str, Any]:
    """What an attempt has moved and cost, and where."""
    return {
        "site": lease.site,
        "bytes_sent": lease.bytes_sent,
        "bytes_received": lease.bytes_received,
        "spent": lease.spent,
    }
