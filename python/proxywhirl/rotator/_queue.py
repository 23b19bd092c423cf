"""The line of requests that wait for a proxy: how many may stand in it, and sending them away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl.exceptions import ProxyConnectionError, RequestQueueFullError

if TYPE_CHECKING:
    from proxywhirl import _core

Ask = Callable[[], Any]


class RequestQueue:
    """Places for requests that wait; thread-safe.

    It bounds the line and counts it. The order, and how requests wait, is a matter of ``_core.WaitingLine``.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        """Number of places."""
        self._lock = new_lock()
        self._places: set[Ask] = set()

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def place(self, ask: Ask) -> Iterator[None]:
        """Take a place for the length of a ``with`` block. Raises ``RequestQueueFullError`` (there is none left)."""
        with self._lock:
            if len(self._places) >= self.max_size:
                raise RequestQueueFullError(
                    f"Request queue is full: {self.max_size} requests are waiting already", queue_size=self.max_size
                )
            self._places.add(ask)
        try:
            yield
        finally:
            with self._lock:
                self._places.discard(ask)

    def clear(self, line: _core.WaitingLine) -> int:
        """Dismiss all waiting requests."""
        with self._lock:
            leaving = self._places.copy()

        def error_for(ask: Ask) -> BaseException | None:
            if ask not in leaving:
                return None
            return ProxyConnectionError("The request was waiting for its turn when the queue was cleared")

        return line.dismiss(error_for)

    def stats(self) -> dict[str, Any]:
        """As :meth:`ProxyRotatorBase.get_queue_stats` shows it."""
        size = len(self)
        return {
            "enabled": True,
            "size": size,
            "max_size": self.max_size,
            "is_full": size >= self.max_size,
            "is_empty": size == 0,
        }
