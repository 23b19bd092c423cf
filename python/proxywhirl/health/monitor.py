"""Asks all proxies of a pool again and again."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import weakref
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import HealthStatus
from proxywhirl._redact import redact_url, shown
from proxywhirl.health.checks import Checker, CheckFailed, HttpCheck, Probe, TcpCheck, probe_of

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl._core import Proxy, ProxyPool

__all__ = ["HealthMonitor"]

_log = logging.getLogger("proxywhirl.health")

_JITTER = 0.1
"""By how much of itself the pause between two rounds varies, so that many processes do not ask in step."""
_PANIC_FROM = 4
"""Checks in a round from which on a round without any success blames the network or the page, not the proxies."""
_MOST_DOUBLINGS = 4
"""A proxy that keeps failing is asked less and less often, at least every 16th round."""

Told = Callable[["Proxy", bool, "str | None", float], None]


class HealthMonitor:
    """Checks the proxies of a pool at intervals; takes the bad ones out and gets those back in that have recovered.

    It runs as a task (:meth:`start`) or on a thread of its own (:meth:`start_thread`), never in the way of a request,
    and ends with :meth:`stop`, :meth:`close`, or when it is collected. Its methods may be called from any thread.

    A check that succeeds brings back a proxy that was unhealthy, dead or resting; one that fails counts as a failure of
    the proxy. In a round of four checks or more in which not one succeeds, nobody is blamed: then it is the network, or
    the page that is asked for.

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
        told: Told | None = None,
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
        self._probes = _probes(checker, url, timeout, tls)
        self._told = told
        self._removed = removed
        self._lock = new_lock()
        self._failures: dict[UUID, int] = {}
        self._control: _Control | None = None
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
            control.task = loop.create_task(_run(weakref.ref(self), control))

    def start_thread(self) -> None:
        """Check on a thread of its own from now on; nothing happens if it does already."""
        control = self._begin()
        if control is not None:
            control.thread = threading.Thread(
                target=_run_in_thread, args=(weakref.ref(self), control), name="proxywhirl-health", daemon=True
            )
            control.thread.start()

    def _begin(self) -> _Control | None:
        with self._lock:
            if self.is_running:
                return None
            self.is_running = True
            self._started_at = time.monotonic()
            control = self._control = _Control()
            # Whoever drops a monitor has stopped it.
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

    def _end(self) -> _Control | None:
        with self._lock:
            control, self._control = self._control, None
            self.is_running = False
            self._started_at = None
        if control is not None:
            self._finalizer.detach()
            control.stop()
        return control

    def _ended(self, control: _Control) -> None:
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
        passed, error, ms = await _ask(self._probes, proxy)
        self._apply(proxy, passed, error, ms)
        return passed

    async def sweep(self) -> dict[UUID, bool]:
        """Check every proxy that is due, once.

        Returns:
            By id, whether it passed.
        """
        return await _sweep(weakref.ref(self), _Control())

    def _due(self) -> list[Proxy]:
        proxies = self.pool.get_all_proxies()
        here = {proxy.id for proxy in proxies}
        now = datetime.now(timezone.utc)
        with self._lock:
            self._failures = {key: count for key, count in self._failures.items() if key in here}
            # Only those who have failed too often are ever passed over.
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
            _tell(proxy, passed, error, ms, failures)
        if self._told is not None:
            _call(self._told, proxy, passed, error, ms)
        if self.remove and failures >= self.failure_threshold:
            self._take_out(proxy)

    def _take_out(self, proxy: Proxy) -> None:
        self.pool.remove_proxy(proxy.id)
        with self._lock:
            self._failures.pop(proxy.id, None)
        fields = {"event": "proxy_removed", "proxy_id": str(proxy.id), "proxy_url": redact_url(proxy.url)}
        _log.warning("proxy removed after failed checks", extra=fields)
        if self._removed is not None:
            _call(self._removed, proxy)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<HealthMonitor of {len(self.pool)} proxies, every {self.check_interval:g} s, {state}>"


def _probes(checker: Checker | None, url: str | None, timeout: float, tls: Any) -> list[Probe]:
    if checker is not None:
        return [probe_of(checker)]
    probes: list[Probe] = [TcpCheck(timeout).probe]
    if url is not None:
        probes.append(HttpCheck(str(url), timeout, tls).probe)
    return probes


async def _ask(probes: list[Probe], proxy: Proxy) -> tuple[bool, str | None, float]:
    started = time.perf_counter()
    error: str | None = None
    try:
        for probe in probes:
            await probe(proxy)
    except CheckFailed as failed:
        error = str(failed)
    return error is None, error, (time.perf_counter() - started) * 1000.0


def _tell(proxy: Proxy, passed: bool, error: str | None, ms: float, failures: int) -> None:
    fields = {
        "event": "proxy_health_check",
        "proxy_id": str(proxy.id),
        "proxy_url": redact_url(proxy.url),
        "success": passed,
        "duration_ms": round(ms, 3),
    }
    if passed:
        _log.info("proxy works", extra=fields)
    else:
        _log.warning("proxy failed its check", extra={**fields, "error": error, "failures": failures})


def _call(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception:  # noqa: BLE001 - whatever a user's function raises
        _log.exception("a callback of the health monitor raised")


class _Control:
    """How a running monitor is told to stop, from whichever thread, without knowing it."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self.stopped = False
        self.task: asyncio.Task[None] | None = None
        self.thread: threading.Thread | None = None

    def enter(self) -> asyncio.Event:
        """Be reachable in the running loop; the event says that it is time to stop."""
        event = asyncio.Event()
        with self._lock:
            self._loop, self._event = asyncio.get_running_loop(), event
            if self.stopped:
                event.set()
        return event

    def leave(self) -> None:
        """From now on there is nobody to be told."""
        with self._lock:
            self._loop = self._event = None

    def stop(self) -> None:
        """Stop soon; checks under way are cancelled."""
        with self._lock:
            self.stopped = True
            if self._loop is not None and self._event is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._event.set)


def _run_in_thread(me: weakref.ref[HealthMonitor], control: _Control) -> None:
    asyncio.run(_run(me, control))


async def _run(me: weakref.ref[HealthMonitor], control: _Control) -> None:
    # Between two checks nothing here holds the monitor, so that dropping it is enough to end this.
    over = control.enter()
    ending = asyncio.ensure_future(over.wait())
    round_: asyncio.Future[Any] = ending
    try:
        while not control.stopped:
            round_ = asyncio.ensure_future(_sweep(me, control))
            await asyncio.wait([round_, ending], return_when=asyncio.FIRST_COMPLETED)
            if not round_.done():
                round_.cancel()
                await asyncio.wait([round_])
            elif not round_.cancelled() and round_.exception() is not None:
                # Whatever it was, the next round may do better.
                _log.error("a round of health checks failed", exc_info=round_.exception())
            monitor = me()
            if monitor is None:
                return
            pause = monitor.check_interval * random.uniform(1 - _JITTER, 1 + _JITTER)
            del monitor
            await asyncio.wait([ending], timeout=pause)
    finally:
        control.leave()
        control.stopped = True
        ending.cancel()
        round_.cancel()
        monitor = me()
        if monitor is not None:
            monitor._ended(control)


async def _sweep(me: weakref.ref[HealthMonitor], control: _Control) -> dict[UUID, bool]:
    monitor = me()
    if monitor is None:
        return {}
    proxies = monitor._due()
    workers = min(monitor._concurrency, len(proxies))
    round_ = _Round(monitor, control)
    del monitor
    waiting = iter(proxies)
    tasks = [asyncio.ensure_future(round_.work(waiting)) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    round_.end()
    return round_.results


class _Round:
    """One round. Failures are held back until somebody has passed: until then they may be nobody's fault."""

    def __init__(self, monitor: HealthMonitor, control: _Control) -> None:
        self._me = weakref.ref(monitor)
        self._control = control
        self._probes = monitor._probes
        self._held: list[tuple[Proxy, str | None, float]] = []
        self._any_passed = False
        self.results: dict[UUID, bool] = {}

    async def work(self, proxies: Iterator[Proxy]) -> None:
        for proxy in proxies:
            if self._control.stopped:
                return
            passed, error, ms = await _ask(self._probes, proxy)
            monitor = self._me()
            if monitor is None:
                return
            self.results[proxy.id] = passed
            if passed and not self._any_passed:
                self._any_passed = True
                self._release(monitor)
            if passed or self._any_passed:
                monitor._apply(proxy, passed, error, ms)
            else:
                self._held.append((proxy, error, ms))
            del monitor

    def end(self) -> None:
        """Decide about those that are still held back."""
        monitor = self._me()
        if monitor is None or not self._held:
            return
        if len(self._held) >= _PANIC_FROM:
            _log.warning(
                "not one health check passed: the network or the page is taken to be at fault",
                extra={"event": "panic_guard", "checks": len(self._held)},
            )
        else:
            self._release(monitor)

    def _release(self, monitor: HealthMonitor) -> None:
        held, self._held = self._held, []
        for proxy, error, ms in held:
            monitor._apply(proxy, False, error, ms)
