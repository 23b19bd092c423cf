"""The background thread that runs coroutines of callbacks where no event loop runs."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from proxywhirl._base.fork import new_lock

if TYPE_CHECKING:
    import asyncio

    from proxywhirl.events._event import ProxyEvent

_log = logging.getLogger("proxywhirl.events")

# Coroutines of callbacks that have not come to their end. A callback that hangs must not take all memory with it.
MOST_PENDING = 1000
# Seconds the background thread waits for more work before it ends.
_LINGER = 0.5

Callback = Callable[["ProxyEvent"], Any]


class Listener(NamedTuple):
    callback: Callback
    failures: list[int]
    """One number: how often it raised."""


async def guarded(work: Awaitable[Any], listener: Listener, name: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever a user's function raises
        report(listener, name, error)


def report(listener: Listener, name: str, error: Exception) -> None:
    listener.failures[0] += 1
    # The first time in full; a callback that always raises must not fill the log of a busy scraper.
    first = listener.failures[0] == 1
    level = logging.ERROR if first else logging.DEBUG
    if _log.isEnabledFor(level):
        fields = {"event": name, "callback": _name_of(listener.callback), "failures": listener.failures[0]}
        _log.log(level, "event callback raised", exc_info=error if first else None, extra=fields)


def _name_of(callback: Any) -> str:
    return str(getattr(callback, "__qualname__", None) or type(callback).__qualname__)


class Courier:
    """Runs coroutines on a thread that is started for the first and ends when there are none."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._shift: _Shift | None = None

    def submit(self, work: Awaitable[Any], listener: Listener, name: str) -> bool:
        """Run what a callback returned; whether there was room for it."""
        with self._lock:
            shift = self._shift
            # A thread is not alive, without having ended, in a child forked from the process it ran in.
            if shift is None or shift.ended or not shift.is_alive():
                shift = self._shift = _Shift(self._lock)
                shift.start()
            if len(shift.waiting) + len(shift.tasks) >= MOST_PENDING:
                return False
            shift.waiting.append(guarded(work, listener, name))
            shift.wake()
            return True

    def stop(self) -> _Shift | None:
        """Let the thread end soon; what has not come to its end by then is cancelled."""
        with self._lock:
            shift, self._shift = self._shift, None
            if shift is not None:
                shift.stopping = True
                shift.wake()
        return shift

    def close(self) -> None:
        """As :meth:`stop`, and wait for it."""
        shift = self.stop()
        if shift is not None and shift is not threading.current_thread():
            shift.join(2 * _LINGER)


class _Shift(threading.Thread):
    """One thread of a courier, from its first coroutine to the next quiet moment."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__(name="proxywhirl-events", daemon=True)
        # All of the following is changed with the lock held.
        self._lock = lock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Event | None = None
        self.waiting: deque[Coroutine[Any, Any, None]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = False
        self.ended = False

    def wake(self) -> None:
        """Make the thread look again; to be called with the lock held."""
        if self._loop is not None and self._ready is not None and not self.ended:
            self._loop.call_soon_threadsafe(self._ready.set)

    def run(self) -> None:
        import asyncio

        asyncio.run(self._serve())

    async def _serve(self) -> None:
        import asyncio

        ready = asyncio.Event()  # on 3.9 it belongs to the loop in which it is made
        with self._lock:
            self._loop, self._ready = asyncio.get_running_loop(), ready
        while True:
            ready.clear()
            with self._lock:
                for work in self.waiting:
                    task = asyncio.ensure_future(work)
                    self.tasks.add(task)
                    task.add_done_callback(self._done)
                self.waiting.clear()
            if self.stopping:
                if self.tasks:
                    await asyncio.wait(self.tasks, timeout=_LINGER)
            elif self.tasks or await _comes_within(ready, _LINGER):
                await ready.wait()
                continue
            with self._lock:
                if self.stopping or not self.waiting:
                    # From here on nothing is handed over to this thread. `asyncio.run` cancels what is left.
                    self.ended = True
                    return

    def _done(self, task: asyncio.Task[None]) -> None:
        with self._lock:
            self.tasks.discard(task)
        if self._ready is not None:
            self._ready.set()


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    import asyncio

    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
