"""What one attempt may take, in time and in bytes.

httpcore bounds each read and each write by itself, so a peer that sends one byte now and then keeps a request for ever.
An allowance travels through httpcore in the place of those timeouts and comes out at the streams, which ask it before
every operation. It bounds

* the attempt as a whole, by what is left of the deadline,
* the head of the answer, interim answers (1xx) included,
* a body that is read whole, by a pace: twice the read timeout, and one second more for each :data:`SLOWEST` bytes.
  Apache bounds slow clients in the same way (``RequestReadTimeout`` with ``MinRate``,
  https://httpd.apache.org/docs/current/mod/mod_reqtimeout.html).

A body that is left to the caller has no pace: an event stream may be silent for long, and the reader may take its time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from proxywhirl._httpx.library import core

SLOWEST = 500.0
"""Bytes per second that a body read whole must bring on average, once its grace is over."""
LONGEST_BODY = 3600.0
"""Most seconds for a body that is read whole, whatever its pace."""
MOST_HEAD = 256 * 1024
"""Most bytes of the head of an answer, interim answers included."""

_HEAD, _BODY, _STREAM = range(3)
# An interim answer may come just before the read timeout, and the final one just as long after it.
_GRACE = 2.0
# A socket takes zero for "do not wait".
_LEAST = 0.001


class Allowance:
    """The bounds of one attempt; handed to httpcore as each of its timeouts.

    Args:
        timeouts: Seconds for one ``connect``, ``read`` and ``write``; a missing one, or ``None``, does not bound.
        deadline: When the attempt must be over, by ``time.monotonic``; ``None`` for never.
        lease: Counts the bytes, those before TLS; a lease without a proxy has no bill.
    """

    __slots__ = (
        "_connect",
        "_count",
        "_deadline",
        "_last",
        "_phase",
        "_read",
        "_received",
        "_until",
        "_write",
    )

    def __init__(self, timeouts: Mapping[str, float | None], deadline: float | None = None, lease: Any = None) -> None:
        self._connect = timeouts.get("connect")
        self._read = timeouts.get("read")
        self._write = timeouts.get("write")
        self._deadline = deadline
        self._phase = _HEAD
        self._until: float | None = None
        self._last = 0.0
        self._received = 0
        self._count = None if lease is None or lease.proxy is None else lease._count

    def timeouts(self) -> dict[str, Any]:
        """The ``timeout`` extension of a request to httpcore."""
        return {"connect": self, "read": self, "write": self}

    def restart(self) -> None:
        """Begin anew, for the same request over another connection."""
        self._phase = _HEAD
        self._until = None
        self._received = 0

    def connecting(self) -> float | None:
        """Seconds for opening a connection: the name, TCP and the handshakes of one step together.

        Raises ``ConnectTimeout`` (none are left).
        """
        left = self._least(self._connect)
        if left is not None and left <= 0.0:
            raise core().ConnectTimeout("no time left to connect")
        return left

    def writing(self) -> float | None:
        """Seconds for the next write. Raises ``WriteTimeout`` (none are left)."""
        left = self._least(self._write)
        if left is not None and left <= 0.0:
            raise core().WriteTimeout("no time left to send the request")
        return left

    def reading(self) -> float | None:
        """Seconds for the next read. Raises ``ReadTimeout`` (none are left)."""
        left = self._least(self._read)
        if self._phase is not _STREAM:
            now = time.monotonic()
            until = self._until
            if until is None and self._read is not None:
                # The clock of the head starts with the first wait for it, after the request has been sent.
                until = self._until = now + _GRACE * self._read
            if until is not None:
                if until <= now:
                    raise core().ReadTimeout(self._why())
                if left is None or until - now < left:
                    left = max(until - now, _LEAST)
        if left is not None and left <= 0.0:
            raise core().ReadTimeout(self._why())
        return left

    def timed_out(self, error: Exception) -> Exception:
        """The error of a read that took too long: says which bound it was, where it was not that of one read."""
        deadline, until = self._deadline, self._until
        now = time.monotonic()
        if (deadline is None or now < deadline) and (until is None or now < until or self._phase is _STREAM):
            return error
        expired: Exception = core().ReadTimeout(self._why())
        return expired

    def received(self, count: int) -> None:
        """Count what a read has brought. Raises ``RemoteProtocolError`` (the head of the answer is too large)."""
        self.moved(0, count)
        if self._phase is _HEAD:
            self._received += count
            if self._received > MOST_HEAD:
                raise core().RemoteProtocolError(f"the head of the answer has more than {MOST_HEAD} bytes")

    def moved(self, sent: int, received: int) -> None:
        """Count bytes for the bill."""
        if self._count is not None:
            self._count(sent, received)

    def begin_body(self, *, whole: bool) -> None:
        """Go on to the body."""
        if not whole:
            self._phase = _STREAM
            return
        self._phase = _BODY
        now = time.monotonic()
        self._last = now + LONGEST_BODY
        self._until = self._last if self._read is None else min(now + _GRACE * self._read, self._last)

    def took(self, count: int) -> None:
        """Lengthen the time for a body read whole by what arrived of it."""
        if self._until is not None:
            self._until = min(self._until + count / SLOWEST, self._last)

    def _least(self, own: float | None) -> float | None:
        deadline = self._deadline
        if deadline is None:
            return own
        left = deadline - time.monotonic()
        return left if own is None or left < own else own

    def _why(self) -> str:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "no time left for the rest of the answer"
        if self._phase is _HEAD:
            return "the head of the answer did not come to its end in time"
        return f"the body came at less than {SLOWEST:g} bytes per second"

    def __repr__(self) -> str:
        # httpcore prints it in its debug log.
        return f"<allowance connect={self._connect} read={self._read} write={self._write}>"
