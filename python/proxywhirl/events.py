"""Events: what a rotator tells those who listen.

::

    rotator = ProxyRotator(proxies=[...])

    @rotator.on("request_failure")
    def complain(event):
        print(event.proxy.url, event.error)

Callbacks run in the thread, or the task, in which something happened, with no lock held: one that takes long delays its
own request and no other. What they raise is logged and goes no further. Coroutines are run aside: as tasks of the event
loop that is running, or, where none is (the synchronous rotator), on one background thread that ends when it is idle.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from proxywhirl._fork import new_lock
from proxywhirl._redact import redact_url, scrub_text, scrub_value, shown

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

__all__ = ["EVENTS", "EventHub", "ProxyEvent", "ProxyView"]

_log = logging.getLogger("proxywhirl.events")

EVENTS = (
    "proxy_selected",
    "request_success",
    "request_failure",
    "request_complete",
    "proxy_health_check",
    "proxy_removed",
    "fetch_complete",
    "strategy_changed",
    "circuit_breaker",
    "proxy_benched",
    "proxy_rested",
    "proxy_revived",
    "panic_guard",
)
"""The names of all events; each may also be written with ``on_`` in front."""

# Coroutines of callbacks that have not come to their end. A callback that hangs must not take all memory with it.
_MOST_PENDING = 1000
# Seconds the background thread waits for more work before it ends.
_LINGER = 0.5

Callback = Callable[["ProxyEvent"], Any]


class ProxyView:
    """A proxy as an event shows it: ``url`` is without credentials, nothing can be assigned.

    Everything else is read from the proxy itself, and so is up to date rather than as it was when the event happened.

    Args:
        proxy: The proxy.
    """

    __slots__ = ("_proxy",)

    def __init__(self, proxy: Proxy) -> None:
        object.__setattr__(self, "_proxy", proxy)

    @property
    def url(self) -> str:
        """The URL without credentials."""
        proxy: Proxy = self._proxy
        return redact_url(proxy.url)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_proxy"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"the proxy of an event is a view: {name!r} cannot be set on it")

    def __eq__(self, other: object) -> bool:
        other_id = getattr(other, "id", None)
        return other_id is not None and bool(self._proxy.id == other_id)

    def __hash__(self) -> int:
        return hash(self._proxy.id)

    def __repr__(self) -> str:
        return repr(self._proxy)


@dataclass(frozen=True)
class ProxyEvent:
    """Something that happened. Nothing in it shows a credential.

    Attributes:
        name: Which of :data:`EVENTS`.
        proxy: The proxy concerned; its ``url`` is without credentials.
        success: Whether it went well, for results of requests and checks.
        error: What went wrong: the exception, or a text.
        duration_ms: How long it took, in milliseconds.
        url: The target, its credentials and secret parameters hidden.
        method: HTTP method.
        status_code: HTTP status.
        strategy: Name of the strategy that chose the proxy.
        attempt: Which attempt of the request this was, from 1.
        timestamp: When it happened, in UTC.
        metadata: Further facts: ``outcome`` and ``site`` of a request, ``from`` and ``to`` of a breaker.
    """

    name: str
    proxy: ProxyView | None = None
    success: bool | None = None
    error: BaseException | str | None = None
    duration_ms: float | None = None
    url: str | None = None
    method: str | None = None
    status_code: int | None = None
    strategy: str | None = None
    attempt: int | None = None
    timestamp: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        proxy: Any = self.proxy
        if proxy is not None and not isinstance(proxy, ProxyView):
            object.__setattr__(self, "proxy", ProxyView(proxy))
        if self.url is not None:
            object.__setattr__(self, "url", redact_url(self.url))
        if self.error is not None:
            text = str(self.error)
            clean = scrub_text(text)
            # An exception whose text gives something away cannot be handed on, only what it says otherwise.
            if clean != text:
                object.__setattr__(self, "error", clean)
        if self.metadata:
            object.__setattr__(self, "metadata", scrub_value(self.metadata))


class _Listener(NamedTuple):
    callback: Callback
    failures: list[int]
    """One number: how often it raised."""


class EventHub:
    """Who listens to what, for one rotator. Thread-safe.

    Args:
        changed: Called when the first listener came or the last one went.
        use_running_loop: Whether coroutines become tasks of the running event loop, if there is one.
    """

    def __init__(self, changed: Callable[[], None] | None = None, *, use_running_loop: bool = False) -> None:
        self._changed = changed
        self._use_running_loop = use_running_loop
        self._lock = new_lock()
        # Tuples that are replaced, never altered: telling an event needs no lock.
        self._listeners: dict[str, tuple[_Listener, ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._courier = _Courier()
        weakref.finalize(self, self._courier.stop)

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def wants(self, *names: str) -> bool:
        """Whether anybody listens to one of these."""
        return any(name in self._listeners for name in names)

    def on(self, event: str, callback: Callback) -> Callable[[], None]:
        """Call a function at every event of this name.

        Args:
            event: The name, with or without ``on_``.
            callback: Called with the :class:`ProxyEvent`; may be a coroutine function.

        Returns:
            A function that ends it; calling that twice is fine.

        Raises:
            ValueError: There is no such event.
            TypeError: The callback cannot be called.
        """
        name = checked_name(event)
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {type(callback).__name__}")
        listener = _Listener(callback, [0])
        with self._lock:
            self._listeners = {**self._listeners, name: (*self._listeners.get(name, ()), listener)}
        self._tell_change()

        def unsubscribe() -> None:
            self._remove(name, lambda known: known is listener)

        return unsubscribe

    def off(self, event: str, callback: Callback) -> bool:
        """Stop calling a function.

        Args:
            event: The name, with or without ``on_``.
            callback: The function.

        Returns:
            Whether it was called until now.

        Raises:
            ValueError: There is no such event.
        """
        return self._remove(checked_name(event), lambda known: known.callback == callback)

    def _remove(self, name: str, is_meant: Callable[[_Listener], bool]) -> bool:
        with self._lock:
            before = self._listeners.get(name, ())
            kept = tuple(listener for listener in before if not is_meant(listener))
            listeners = dict(self._listeners)
            if kept:
                listeners[name] = kept
            else:
                listeners.pop(name, None)
            self._listeners = listeners
        self._tell_change()
        return len(kept) < len(before)

    def _tell_change(self) -> None:
        if self._changed is not None:
            self._changed()

    def emit(self, name: str, **fields: Any) -> None:
        """Tell an event to those who listen; what they raise is contained.

        Args:
            name: The name, without ``on_``.
            **fields: Fields of the :class:`ProxyEvent`, which is made only if anybody listens.
        """
        listeners = self._listeners.get(name)
        if listeners is not None:
            self.send(ProxyEvent(name, **fields), listeners)

    def send(self, event: ProxyEvent, listeners: tuple[_Listener, ...]) -> None:
        """Call these listeners."""
        for listener in listeners:
            try:
                result = listener.callback(event)
                if inspect.isawaitable(result):
                    self._run_aside(result, listener, event.name)
            except Exception as error:  # noqa: BLE001 - whatever a user's function raises
                _report(listener, event.name, error)

    def _run_aside(self, work: Awaitable[Any], listener: _Listener, name: str) -> None:
        loop = _running_loop() if self._use_running_loop else None
        if loop is None:
            accepted = self._courier.submit(work, listener, name)
        else:
            accepted = len(self._tasks) < _MOST_PENDING
            if accepted:
                task = loop.create_task(_guarded(work, listener, name))
                # The loop itself holds tasks only weakly.
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if not accepted:
            if inspect.iscoroutine(work):
                work.close()
            fields = {"event": name, "pending": _MOST_PENDING}
            _log.warning("event dropped: too many callbacks are still running", extra=fields)

    def close(self) -> None:
        """End the background thread, giving what runs there half a second; listeners stay."""
        self._courier.close()


def checked_name(event: str) -> str:
    """The name of an event without its ``on_``.

    Args:
        event: The name.

    Returns:
        One of :data:`EVENTS`.

    Raises:
        ValueError: There is no such event.
    """
    name = event[3:] if isinstance(event, str) and event.startswith("on_") else event
    if name not in EVENTS:
        raise ValueError(f"Unknown event {shown(event)}: known are {', '.join(EVENTS)}")
    return name


async def _guarded(work: Awaitable[Any], listener: _Listener, name: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever a user's function raises
        _report(listener, name, error)


def _report(listener: _Listener, name: str, error: Exception) -> None:
    listener.failures[0] += 1
    # The first time in full; a callback that always raises must not fill the log of a busy scraper.
    first = listener.failures[0] == 1
    level = logging.ERROR if first else logging.DEBUG
    if _log.isEnabledFor(level):
        fields = {"event": name, "callback": _name_of(listener.callback), "failures": listener.failures[0]}
        _log.log(level, "event callback raised", exc_info=error if first else None, extra=fields)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # Told from a thread, as by the garbage collector of another one.
        return None


def _name_of(callback: Any) -> str:
    return str(getattr(callback, "__qualname__", None) or type(callback).__qualname__)


class _Courier:
    """Runs coroutines on a thread that is started for the first and ends when there are none."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._shift: _Shift | None = None

    def submit(self, work: Awaitable[Any], listener: _Listener, name: str) -> bool:
        """Run what a callback returned; whether there was room for it."""
        with self._lock:
            shift = self._shift
            # A thread is not alive, without having ended, in a child forked from the process it ran in.
            if shift is None or shift.ended or not shift.is_alive():
                shift = self._shift = _Shift(self._lock)
                shift.start()
            if len(shift.waiting) + len(shift.tasks) >= _MOST_PENDING:
                return False
            shift.waiting.append(_guarded(work, listener, name))
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
        asyncio.run(self._serve())

    async def _serve(self) -> None:
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
                    # From here on nobody hands anything over to this thread. `asyncio.run` cancels what is left.
                    self.ended = True
                    return

    def _done(self, task: asyncio.Task[None]) -> None:
        with self._lock:
            self.tasks.discard(task)
        if self._ready is not None:
            self._ready.set()


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
