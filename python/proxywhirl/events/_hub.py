"""The listeners of one rotator."""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.event_loop import loop_is_running
from proxywhirl._base.fork import new_lock
from proxywhirl.events._courier import MOST_PENDING, Callback, Courier, Listener, guarded, report
from proxywhirl.events._event import ProxyEvent, checked_name

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("proxywhirl.events")


class EventHub:
    """The listeners of one rotator, by event. Thread-safe.

    Args:
        changed: Called when the first listener came or the last one went.
        use_running_loop: Whether coroutines become tasks of the running event loop, if there is one.
    """

    def __init__(self, changed: Callable[[], None] | None = None, *, use_running_loop: bool = False) -> None:
        self._changed = changed
        self._use_running_loop = use_running_loop
        self._lock = new_lock()
        # Tuples that are replaced, never altered: telling an event needs no lock.
        self._listeners: dict[str, tuple[Listener, ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._courier = Courier()
        weakref.finalize(self, self._courier.stop)

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def wants(self, *names: str) -> bool:
        """Whether one of these events has a listener."""
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
        listener = Listener(callback, [0])
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

    def _remove(self, name: str, is_meant: Callable[[Listener], bool]) -> bool:
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
        """Hand an event to its listeners; what they raise is contained.

        Args:
            name: The name, without ``on_``.
            **fields: Fields of the :class:`ProxyEvent`, which is made only for a listener.
        """
        listeners = self._listeners.get(name)
        if listeners is not None:
            self.send(ProxyEvent(name, **fields), listeners)

    def send(self, event: ProxyEvent, listeners: tuple[Listener, ...]) -> None:
        """Call these listeners."""
        for listener in listeners:
            try:
                result = listener.callback(event)
                if inspect.isawaitable(result):
                    self._run_aside(result, listener, event.name)
            except Exception as error:  # noqa: BLE001 - whatever a user's function raises
                report(listener, event.name, error)

    def _run_aside(self, work: Awaitable[Any], listener: Listener, name: str) -> None:
        loop = _running_loop() if self._use_running_loop else None
        if loop is None:
            accepted = self._courier.submit(work, listener, name)
        else:
            accepted = len(self._tasks) < MOST_PENDING
            if accepted:
                task = loop.create_task(guarded(work, listener, name))
                # The loop itself holds tasks only weakly.
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if not accepted:
            if inspect.iscoroutine(work):
                work.close()
            fields = {"event": name, "pending": MOST_PENDING}
            _log.warning("event dropped: too many callbacks are still running", extra=fields)

    def close(self) -> None:
        """End the background thread, giving what runs there half a second; listeners stay."""
        self._courier.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    # None in a thread without a loop, as that of the garbage collector.
    if not loop_is_running():
        return None
    import asyncio

    return asyncio.get_running_loop()
