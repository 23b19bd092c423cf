"""Rounds of health checks, on a thread or in a task."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import redact_url
from proxywhirl.health.checks import Checker, CheckFailed, HttpCheck, Probe, TcpCheck, probe_of

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl._core import Proxy
    from proxywhirl.health.monitor import HealthMonitor

__all__ = ["Control", "ask", "call", "probes", "run", "run_in_thread", "sweep", "tell"]

_log = logging.getLogger("proxywhirl.health")

_JITTER = 0.1
"""By how much of itself the pause between two rounds varies, so that many processes do not ask in step."""
_PANIC_FROM = 4
"""Checks in a round from which on a round without any success blames the network or the page, not the proxies."""


def probes(checker: Checker | None, url: str | None, timeout: float, tls: Any) -> list[Probe]:
    if checker is not None:
        return [probe_of(checker)]
    probes: list[Probe] = [TcpCheck(timeout).probe]
    if url is not None:
        probes.append(HttpCheck(str(url), timeout, tls).probe)
    return probes


async def ask(probes: list[Probe], proxy: Proxy) -> tuple[bool, str | None, float]:
    started = time.perf_counter()
    error: str | None = None
    try:
        for probe in probes:
            await probe(proxy)
    except CheckFailed as failed:
        error = str(failed)
    return error is None, error, (time.perf_counter() - started) * 1000.0


def tell(proxy: Proxy, passed: bool, error: str | None, ms: float, failures: int) -> None:
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


def call(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception:  # noqa: BLE001 - whatever a user's function raises
        _log.exception("a callback of the health monitor raised")


class Control:
    """Stops a running monitor from any thread, without a reference to it."""

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
        """From now on there is no loop to stop."""
        with self._lock:
            self._loop = self._event = None

    def stop(self) -> None:
        """Stop soon; checks under way are cancelled."""
        with self._lock:
            self.stopped = True
            if self._loop is not None and self._event is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._event.set)


def run_in_thread(me: weakref.ref[HealthMonitor], control: Control) -> None:
    asyncio.run(run(me, control))


async def run(me: weakref.ref[HealthMonitor], control: Control) -> None:
    # Between two checks nothing here holds the monitor, so that dropping it is enough to end this.
    over = control.enter()
    ending = asyncio.ensure_future(over.wait())
    round_: asyncio.Future[Any] = ending
    try:
        while not control.stopped:
            round_ = asyncio.ensure_future(sweep(me, control))
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


async def sweep(me: weakref.ref[HealthMonitor], control: Control) -> dict[UUID, bool]:
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
    """One round. Failures are held back until a proxy has passed: until then the network may be at fault."""

    def __init__(self, monitor: HealthMonitor, control: Control) -> None:
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
            passed, error, ms = await ask(self._probes, proxy)
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
