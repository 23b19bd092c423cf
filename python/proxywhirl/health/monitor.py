"""Asks all proxies of a pool again and again."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import HealthStatus
from proxywhirl._native.redact import redact_url, shown
from proxywhirl.health._rounds import Control, ask, call, probes, run, run_in_thread, sweep, tell
from proxywhirl.health.checks import Checker

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl._core import Proxy, ProxyPool

__all__ = ["HealthMonitor"]

_log = logging.getLogger("proxywhirl.health")

_MOST_DOUBLINGS = 4
"""A proxy that keeps failing is asked less and less often, at least every 16th round."""

CheckListener = Callable[["Proxy", bool, "str | None", float], None]


class HealthMonitor:
    """Checks the proxies of a pool at intervals; takes the bad ones out and gets those back in that have recovered.

    It runs as a task (:meth:`start`) or on a thread of its own (:meth:`start_thread`), never in the way of a request,
    and ends with :meth:`stop`, :meth:`close`, or when it is collected. Its methods may be called from any thread.

    A check that succeeds brings back a proxy that was unhealthy, dead or resting; one that fails counts as a failure of
    the proxy. In a round of four checks or more in which not one succeeds, no proxy is blamed: then the network or the
    page is at fault.

    Args:
        pool: The proxies.
        check_interval: Seconds from the end of a round to the next, varied by a tenth.
        failure_threshold: Failed checks in a row after which a proxy is removed.
        checker: What checks: an object with ``check(proxy)``, or a function; either may be asynchronous. By default the
            port is connected to, and ``url`` is fetched through the proxy if there is one.
        url: A page to fetch through each proxy; ``None`` only connects to the port.
        timeout: Seconds for one check.
        concurrency: Checks under way at the same time, at least 1.
        cache_ttl: Seconds for which :meth:`check` answers with the last result.
        remove: Whether proxies are removed at all. Those that stay are asked less and less often.
        told: Called after each check with the proxy, whether it passed, the error, and the milliseconds.
        removed: Called with each proxy that was removed.
        tls: The contexts of a rotator's transport, for a page behind certificates that it trusts.

    Raises:
        ValueError: A number is not positive, or the URL is not one.
        TypeError: The checker cannot check.
    """

    def __init__(
        self,
        pool: ProxyPool,
        check_interval: float = 60,
        failure_threshold: int = 3,
        *,
        checker: Checker | None = None,
        url: str | None = None,
        timeout: float = 10.0,
        concurrency: int = 50,
        cache_ttl: float = 300.0,
        remove: bool = True,
        told: CheckListener | None = None,
        removed: Callable[[Proxy], None] | None = None,
        tls: Any = None,
    ) -> None:
        for name, value in (
            ("check_interval", check_interval),
            ("failure_threshold", failure_threshold),
            ("timeout", timeout),
            ("concurrency", concurrency),
        ):
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {shown(value)}")
        if not cache_ttl >= 0:
            raise ValueError(f"cache_ttl must not be negative, not {shown(cache_ttl)}")
        self.pool = pool
        self.check_interval = check_interval
        self.failure_threshold = failure_threshold
        self.is_running = False
        self.cache_ttl = cache_ttl
        self.remove = remove
        self._concurrency = int(concurrency)
        self._probes = probes(checker, url, timeout, tls)
        self._told = told
        self._removed = removed
        self._lock = new_lock()
        self._failures: dict[UUID, int] = {}
        self._control: Control | None = None
        self._finalizer: Any = None
        self._started_at: float | None = None

    # Beginning and end.

    async def start(self) -> None:
        """Check as a task of the running event loop from now on; nothing happens if it does already."""
        self.start_task()

    def start_task(self) -> None:
        """As :meth:`start`.

        Raises:
            RuntimeError: No event loop is running.
        """
        loop = asyncio.get_running_loop()
        control = self._begin()
        if control is not None:
            control.task = loop.create_task(run(weakref.ref(self), control))

    def start_thread(self) -> None:
        """Check on a thread of its own from now on; nothing happens if it does already."""
        control = self._begin()
        if control is not None:
            control.thread = threading.Thread(
                target=run_in_thread, args=(weakref.ref(self), control), name="proxywhirl-health", daemon=True
            )
            control.thread.start()

    def _begin(self) -> Control | None:
        with self._lock:
            if self.is_running:
                return None
            self.is_running = True
            self._started_at = time.monotonic()
            control = self._control = Control()
            # Dropping the last reference to a monitor stops it.
            self._finalizer = weakref.finalize(self, control.stop)
        return control

    async def stop(self) -> None:
        """Stop checking, and wait for it; nothing happens if it does not check."""
        control = self._end()
        if control is None:
            return
        task, thread = control.task, control.thread
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            if task is not asyncio.current_task():
                await asyncio.wait([task])
        elif thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, thread.join, 5.0)

    def close(self) -> None:
        """Stop checking, from code that is not asynchronous; a thread is waited for, a task ends in its loop."""
        control = self._end()
        if control is not None and control.thread is not None and control.thread is not threading.current_thread():
            control.thread.join(5.0)

    def _end(self) -> Control | None:
        with self._lock:
            control, self._control = self._control, None
            self.is_running = False
            self._started_at = None
        if control is not None:
            self._finalizer.detach()
            control.stop()
        return control

    def _ended(self, control: Control) -> None:
        """A run came to its end, be it that its event loop did."""
        with self._lock:
            if self._control is control:
                self._control = None
                self.is_running = False
                self._started_at = None

    def get_status(self) -> dict[str, Any]:
        """How it stands.

        Returns:
            ``is_running``, ``check_interval``, ``failure_threshold``, ``total_proxies``, ``healthy_proxies`` (known to
            work), ``failure_counts`` (failed checks in a row, by URL without credentials), and while it runs
            ``uptime_seconds``.
        """
        counts: dict[str, int] = {}
        with self._lock:
            failures = dict(self._failures)
            started = self._started_at
        for proxy_id, count in failures.items():
            proxy = self.pool.get_proxy_by_id(proxy_id)
            if proxy is not None:
                url = redact_url(proxy.url)
                counts[url] = max(count, counts.get(url, 0))
        status = {
            "is_running": self.is_running,
            "check_interval": self.check_interval,
            "failure_threshold": self.failure_threshold,
            "total_proxies": len(self.pool),
            "healthy_proxies": self.pool.healthy_count,
            "failure_counts": counts,
        }
        if self.is_running and started is not None:
            status["uptime_seconds"] = time.monotonic() - started
        return status

    # Checking.

    async def check(self, proxy: Proxy, *, use_cache: bool = True) -> bool:
        """Whether a proxy works.

        Args:
            proxy: The proxy.
            use_cache: Whether a result younger than ``cache_ttl`` will do.

        Returns:
            Whether it passed.
        """
        last = proxy.last_health_check
        if use_cache and last is not None and datetime.now(timezone.utc) - last < timedelta(seconds=self.cache_ttl):
            return proxy.last_health_error is None
        passed, error, ms = await ask(self._probes, proxy)
        self._apply(proxy, passed, error, ms)
        return passed

    async def sweep(self) -> dict[UUID, bool]:
        """Check every proxy that is due, once.

        Returns:
            By id, whether it passed.
        """
        return await sweep(weakref.ref(self), Control())

    def _due(self) -> list[Proxy]:
        proxies = self.pool.get_all_proxies()
        here = {proxy.id for proxy in proxies}
        now = datetime.now(timezone.utc)
        with self._lock:
            self._failures = {key: count for key, count in self._failures.items() if key in here}
            # Only proxies that have failed too often are ever passed over.
            often = {key for key, count in self._failures.items() if count > self.failure_threshold}
        return [
            proxy
            for proxy in proxies
            if proxy.id not in often or proxy.next_check_time is None or proxy.next_check_time <= now
        ]

    def _apply(self, proxy: Proxy, passed: bool, error: str | None, ms: float) -> None:
        """Write down a result, and do what follows from it."""
        now = datetime.now(timezone.utc)
        with self._lock:
            failures = 0 if passed else self._failures.get(proxy.id, 0) + 1
            if passed:
                self._failures.pop(proxy.id, None)
            else:
                self._failures[proxy.id] = failures
        proxy.last_health_check = now
        proxy.last_health_error = error
        proxy.total_checks += 1
        proxy.recovery_attempt = failures
        rounds = 1 << min(max(failures - self.failure_threshold, 0), _MOST_DOUBLINGS)
        proxy.next_check_time = now + timedelta(seconds=self.check_interval * rounds)
        status = proxy.health_status
        if passed:
            proxy.consecutive_successes += 1
            proxy.latency_ms = ms
            if status is HealthStatus.UNKNOWN:
                proxy.health_status = HealthStatus.HEALTHY
            elif status is not HealthStatus.HEALTHY:
                proxy.record_success(ms)
        else:
            proxy.consecutive_successes = 0
            proxy.total_health_failures += 1
            if status is not HealthStatus.DEAD:
                proxy.record_failure(error)
        if _log.isEnabledFor(logging.INFO):
            tell(proxy, passed, error, ms, failures)
        if self._told is not None:
            call(self._told, proxy, passed, error, ms)
        if self.remove and failures >= self.failure_threshold:
            self._take_out(proxy)

    def _take_out(self, proxy: Proxy) -> None:
        self.pool.remove_proxy(proxy.id)
        with self._lock:
            self._failures.pop(proxy.id, None)
        fields = {"event": "proxy_removed", "proxy_id": str(proxy.id), "proxy_url": redact_url(proxy.url)}
        _log.warning("proxy removed after failed checks", extra=fields)
        if self._removed is not None:
            call(self._removed, proxy)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<HealthMonitor of {len(self.pool)} proxies, every {self.check_interval:g} s, {state}>"
