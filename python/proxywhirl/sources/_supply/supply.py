"""Keeping a pool filled from lists, in the background."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl.fetchers._fetcher import ProxyFetcher
from proxywhirl.fetchers._source import Source
from proxywhirl.sources._supply.filling import RefreshRound, file_stamp
from proxywhirl.sources._supply.refresh import Report

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.models import BootstrapConfig
    from proxywhirl.sources._supply.filling import Listener

_log = logging.getLogger("proxywhirl.fetch")
_FOREVER = float("inf")
# Files are looked at this often, in seconds; one that is just being written is read once it has stopped changing.
_FILE_LOOK = 1.0
# An empty pool is filled again at most this often, in seconds.
_DRY_PAUSE = 10.0
# Seconds until the work goes on after something in it failed that is no list's fault.
_AFTER_FAULT = 30.0


class Supply:
    """Fills a pool from lists and keeps it fresh: at the first request, when a list is due, when a file changes.

    The work is done by a thread of its own with an event loop of its own, so that it is the same for both kinds of
    rotators and never holds up a loop of the user's. The first request starts the thread. It ends when nothing is left
    to do, and with :meth:`close`. It knows the pool, not the rotator, which can be collected while it works. In the
    child of a fork a new one is started.

    Args:
        pool: The pool.
        fetcher: The lists, and how they are read and checked.
        interval: Seconds until a list is read again; ``None`` leaves lists without an interval of their own at one
            reading.
        remove_dead: Whether a refresh removes proxies of lists that are dead.
        bootstrap: How to fill the pool when all lists leave it empty.
        listener: Called with what happens, in the thread.
        explain: Called with what to tell when the pool is empty.
        file_look: Seconds between two looks at a file.
    """

    def __init__(
        self,
        pool: _core.ProxyPool,
        fetcher: ProxyFetcher,
        *,
        interval: float | None = None,
        remove_dead: bool = False,
        bootstrap: BootstrapConfig | None = None,
        listener: Listener | None = None,
        explain: Callable[[str], None] | None = None,
        file_look: float = _FILE_LOOK,
    ) -> None:
        self.fetcher = fetcher
        self._pool = pool
        self._interval = interval
        self._bootstrap = bootstrap
        self._filling = RefreshRound(
            pool,
            fetcher,
            remove_dead=remove_dead,
            bootstrap=bootstrap,
            listener=listener,
            explain=explain,
            on_first=self._keep_promise,
        )
        self.roster = self._filling.roster
        self.removed = self._filling.removed
        """Ids of proxies that left, so that connections to them are closed."""
        self._file_look = file_look
        self._lock = new_lock()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._closed = False
        self._begun = False
        self._asked: concurrent.futures.Future[Report] | None = None
        self._offer: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._promised = self._offer
        self._ended_at = -_FOREVER
        self._stamps: dict[str, Any] = {}
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    # For requests.

    def begin(self) -> None:
        """Start filling the pool, unless that was done; returns at once."""
        if self._process != os.getpid():
            self._after_fork()
        if not self._begun:
            self._begin()

    def offer(self) -> concurrent.futures.Future[None] | None:
        """What is worth waiting for when the pool has nothing to offer; ``None`` when it has, or nothing is coming.

        It is done as soon as the first new proxies are in the pool, or all lists were read in vain.
        """
        self.begin()
        offer = self._offer
        if not offer.done():
            return None if len(self._pool) and self._pool.get_healthy_proxies() else offer
        if len(self._pool) or self._closed or time.monotonic() - self._ended_at < _DRY_PAUSE:
            return None
        self.refresh()
        return self._offer

    def refresh(self) -> concurrent.futures.Future[Report]:
        """Read all lists now, or take part in a reading that was asked for and has not begun."""
        if self._process != os.getpid():
            self._after_fork()
        with self._lock:
            self._begun = True
            if self._closed:
                done: concurrent.futures.Future[Report] = concurrent.futures.Future()
                done.set_exception(RuntimeError("the rotator was closed"))
                return done
            if self._asked is None:
                self._asked = concurrent.futures.Future()
                if self._offer.done():
                    self._offer = concurrent.futures.Future()
            asked = self._asked
            self._start()
        self._bell.set()
        return asked

    def close(self, wait: float = 0.0) -> None:
        """Stop, and interrupt what is under way. Closing twice is fine; :meth:`reopen` undoes it.

        Args:
            wait: Seconds to wait for the thread to end.
        """
        with self._lock:
            self._closed = True
            running, thread = self._running, self._thread
            asked, self._asked = self._asked, None
            if self._process != os.getpid():
                thread = running = None
        self._bell.set()
        _settle(self._offer)
        if asked is not None:
            _settle(asked, error=RuntimeError("the rotator was closed"))
        if running is not None:
            loop, task = running
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                _log.debug("the reading of lists had just ended")
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join(wait)

    def reopen(self) -> None:
        """Allow work again; the next request begins it anew."""
        if not self._closed:
            return
        with self._lock:
            if self._closed:
                self._closed = self._begun = False
                self._offer = concurrent.futures.Future()

    # The thread.

    def _begin(self) -> None:
        with self._lock:
            if self._begun or self._closed:
                return
            self._begun = True
            if self._bootstrap is not None and not self.fetcher.sources and len(self._pool):
                # It is for pools without proxies; should this one become empty, `offer` asks for it.
                _settle(self._offer)
                return
            if self._asked is None:
                self._asked = concurrent.futures.Future()
            self._start()

    def _after_fork(self) -> None:
        """In a child: the thread stayed with the parent, and with it whatever it was doing and the locks it held."""
        self._process = os.getpid()
        self._lock = new_lock()
        self.roster.forget_threads()
        self._thread = self._running = self._asked = None
        self._bell = threading.Event()
        self._begun = False
        if not self._offer.done():
            self._offer = concurrent.futures.Future()

    def _start(self) -> None:
        if self._thread is None:
            _working.add(self)
            self._thread = threading.Thread(target=self._main, name="proxywhirl-supply", daemon=True)
            self._thread.start()

    def _main(self) -> None:
        while True:
            try:
                if not self._step():
                    return
            except BaseException:  # noqa: BLE001  # a thread that ends here ends refreshing for good
                with self._lock:
                    asked, self._asked = self._asked, None
                    closed = self._closed
                    if closed:
                        self._thread = None
                _settle(self._promised)
                _settle(self._offer)
                if asked is not None:
                    _settle(asked, error=RuntimeError("the refresh failed; the log says why"))
                if closed:
                    return
                if threading.main_thread().is_alive():
                    _log.exception("refreshing the pool failed; it goes on in %g s", _AFTER_FAULT)
                self._bell.wait(_AFTER_FAULT)
                self._bell.clear()

    def _step(self) -> bool:
        """One look at what is due; whether there is to be another."""
        with self._lock:
            asked, self._asked = self._asked, None
            # Of this round: meanwhile the pool may run dry again, and others wait for the next.
            self._promised = self._offer
            if self._closed:
                self._thread = None
                return False
        try:
            due = self.fetcher.register.enabled() if asked is not None else self._due()
        except BaseException as error:
            if asked is not None:
                _settle(asked, error=_as_exception(error))
            raise
        if asked is not None or due:
            self._work(asked, due)
        else:
            self._filling.expire()
        with self._lock:
            if self._asked is not None:
                return True
            pause = self._pause()
            if self._closed or pause is None:
                self._thread = None
                return False
        self._bell.wait(pause)
        self._bell.clear()
        return True

    def _work(self, asked: concurrent.futures.Future[Report] | None, due: list[Source]) -> None:
        report = Report()
        failure: Exception | None = None
        try:
            asyncio.run(self._round(due, report))
        except asyncio.CancelledError:
            failure = RuntimeError("the rotator was closed")
        except BaseException as error:  # noqa: BLE001  # a parser of the user's may raise anything; refreshing goes on
            failure = _as_exception(error)
            # While the interpreter ends no thread can begin anything; that is nothing to complain about.
            if threading.main_thread().is_alive():
                _log.exception("refreshing the pool failed")
        with self._lock:
            self._ended_at = time.monotonic()
        _settle(self._promised)
        if asked is not None:
            _settle(asked, report, failure)

    def _pause(self) -> float | None:
        """Seconds until there may be something to do; ``None`` if there never will be."""
        moments = [self._due_at(source) for source in self.fetcher.register.enabled()]
        soonest = min(moments, default=_FOREVER)
        if any(source.is_file for source in self.fetcher.register.enabled()):
            soonest = min(soonest, time.monotonic() + self._file_look)
        expiry = self.roster.next_expiry()
        if expiry is not None:
            soonest = min(soonest, time.monotonic() + expiry)
        return None if soonest == _FOREVER else max(0.02, min(soonest - time.monotonic(), 3600.0))

    def _due_at(self, source: Source) -> float:
        fetcher = self.fetcher
        if source.interval is None and self._interval is None and fetcher.refresh_interval is None:
            return _FOREVER
        return fetcher.register.due_at(source, self._interval, fetcher.refresh_interval)

    def _due(self) -> list[Source]:
        now = time.monotonic()
        due = []
        for source in self.fetcher.register.enabled():
            if self._due_at(source) <= now or (source.is_file and self._has_changed(source)):
                due.append(source)
        return due

    def _has_changed(self, source: Source) -> bool:
        """Whether a file is another than the one that was read, and has been for two looks."""
        assert source.path is not None
        stamp = file_stamp(source.path)
        if stamp is None:
            return False
        before, self._stamps[source.key] = self._stamps.get(source.key), stamp
        return before == stamp != self._filling.stamps.get(source.key)

    def _keep_promise(self) -> None:
        _settle(self._promised)

    async def _round(self, due: list[Source], report: Report) -> None:
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            if self._closed:
                return
            self._running = (asyncio.get_running_loop(), task)
        try:
            await self._filling.run(due, report)
        finally:
            with self._lock:
                self._running = None


# What still works when the interpreter ends is stopped before the modules it needs are taken apart.
_working: weakref.WeakSet[Supply] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    supplies = list(_working)
    for supply in supplies:
        supply.close()
    for supply in supplies:
        supply.close(wait=1.0)


def _settle(future: concurrent.futures.Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    """End a future, unless another thread was faster, which is as good."""
    with suppress(concurrent.futures.InvalidStateError):
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _as_exception(error: BaseException) -> Exception:
    """What a caller can catch: a refresh that ends with `SystemExit` must not end the thread that waits for it."""
    if isinstance(error, Exception):
        return error
    failure = RuntimeError(f"the refresh was ended by {type(error).__name__}")
    failure.__cause__ = error
    return failure
