"""What becomes of one request, attempt by attempt, recorded in the metrics as its leases are settled."""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable

from proxywhirl._native.enums import Outcome, RetryOutcome

__all__ = ["Story"]

_SUCCESS = Outcome.SUCCESS
_CLIENT_FAULT = Outcome.CLIENT_FAULT
_WELL = RetryOutcome.SUCCESS

_numbers = itertools.count(1)


class Story:
    """The attempts of one request. Also the observer of the lease of the first, which for most is the only one.

    Args:
        note: Takes the attempts, see :data:`proxywhirl.retry.metrics.Note`.
    """

    __slots__ = ("_ended", "_note", "request")

    def __init__(self, note: Callable[[Any], None]) -> None:
        self._note = note
        self._ended = 0.0
        self.request = next(_numbers)
        """Number of the request in this process."""

    def observer(self, attempt: int) -> Any:
        """The observer for the lease of an attempt.

        Args:
            attempt: Which, from 1.
        """
        if attempt <= 1:
            return self
        # A pause counts from the end of the attempt before; one that is judged later has none known.
        delay = max(0.0, time.time() - self._ended) if self._ended else 0.0
        return _Later(self, attempt - 1, delay)

    def __call__(
        self,
        lease: Any,
        outcome: Outcome | None,
        elapsed_ms: float | None = None,
        error: Any = None,
        status: int | None = None,
    ) -> None:
        if outcome is _SUCCESS:
            # Nearly all requests end here.
            latency = 0.0 if elapsed_ms is None else elapsed_ms * 0.001
            self._note((self.request, 0, lease.proxy._key(), time.time(), _WELL, status, 0.0, latency, None))
        else:
            self.tell(0, 0.0, lease, outcome, elapsed_ms, error, status)

    def tell(
        self,
        number: int,
        delay: float,
        lease: Any,
        outcome: Outcome | None,
        elapsed_ms: float | None,
        error: Any,
        status: int | None,
    ) -> None:
        """Write an attempt down, unless it says nothing of its proxy: given back, or at fault by itself."""
        if outcome is None or outcome is _CLIENT_FAULT:
            return
        at = self._ended = time.time()
        how = _WELL if outcome is _SUCCESS else _failure_of(error)
        text = None if error is None else error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        latency = 0.0 if elapsed_ms is None else elapsed_ms * 0.001
        self._note((self.request, number, lease.proxy._key(), at, how, status, delay, latency, text))


class _Later:
    """The observer of a further attempt's lease."""

    __slots__ = ("_delay", "_number", "_story")

    def __init__(self, story: Story, number: int, delay: float) -> None:
        self._story = story
        self._number = number
        self._delay = delay

    def __call__(
        self,
        lease: Any,
        outcome: Outcome | None,
        elapsed_ms: float | None = None,
        error: Any = None,
        status: int | None = None,
    ) -> None:
        self._story.tell(self._number, self._delay, lease, outcome, elapsed_ms, error, status)


def _failure_of(error: Any) -> RetryOutcome:
    text = error if isinstance(error, str) else type(error).__name__
    lowered = text.casefold()
    return RetryOutcome.TIMEOUT if "timeout" in lowered or "timed out" in lowered else RetryOutcome.FAILURE
