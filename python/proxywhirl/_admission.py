"""Waiting until a proxy is admissible: first come, first served, up to a deadline, with threads and with tasks.

One :class:`Admission` serves a pool, whoever uses it. A request that found nobody, or that comes while others wait,
takes its place in line. Whenever something may have become admissible (a lease ended, a proxy was added, a benching ran
out) one thread *serves*: it goes through the line in order, takes the leases, and hands them over. Those who want the
same are one group: when its first is refused, so would the others be, and they are passed over until the next time. So
a request never overtakes another that wants the same, and one that can be served is not held up by one that cannot.

No thread waits for another's serving. Who finds somebody serving leaves a note, and the one who serves looks again
before going: a lease may end anywhere, even in the garbage collector in the middle of serving.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Hashable
from typing import Any, Callable, Optional

from proxywhirl.exceptions import ProxyPoolEmptyError

__all__ = ["Admission", "Wish", "admission_of"]

# A group that only time can help is tried anew at most this often, in seconds, whatever else happens in between: the
# end of a request helps those who wait for capacity, not those who are banned everywhere.
_TIMED_AGAIN = 0.05
# The clocks of the core and of this module are read one after the other; a wait ends a little late rather than early.
_MARGIN = 0.001
# Seconds after which a serving that was interrupted between two steps is given up.
_GRACE = 1.0

Ask = Callable[[], Any]


class Wish:
    """What a request waits for.

    Args:
        key: Equal for requests that want the same.
        ask: Takes a lease now; raises ``ProxyPoolEmptyError`` when nobody is admissible. May be called in any thread.
        seconds: How long to wait at most; ``None`` means as long as it makes sense.
    """

    __slots__ = ("ask", "key", "seconds")

    def __init__(self, key: Hashable, ask: Ask, seconds: float | None) -> None:
        self.key = key
        self.ask = ask
        self.seconds = seconds


class _Waiter:
    """One place in line. Whoever takes the claim decides how it ends: the one who serves, or the one who waits."""

    __slots__ = ("_claim", "ask", "deadline", "due", "error", "gone", "key", "lease", "ticket", "wake")

    def __init__(self, wish: Wish, wake: Callable[[], None]) -> None:
        self.key = wish.key
        self.ask = wish.ask
        self.deadline = math.inf if wish.seconds is None else time.monotonic() + wish.seconds
        self.due = math.inf
        """When to look again unasked: for the first of its group only."""
        self.wake = wake
        """Ends its sleep; may be called from any thread."""
        self.lease: Any = None
        self.error: BaseException | None = None
        self.gone = False
        self.ticket = 0
        self._claim = threading.Lock()

    def claim(self) -> bool:
        return self._claim.acquire(blocking=False)

    @property
    def settled(self) -> bool:
        return self.lease is not None or self.error is not None

    def sleep(self) -> float | None:
        """Seconds until it must look again by itself; ``None`` for never."""
        until = min(self.deadline, self.due)
        # Never nothing: whoever serves at this very moment gets time to say what comes next.
        return None if until == math.inf else max(_MARGIN, until - time.monotonic())


class _Group:
    """Waiters that want the same, in order."""

    __slots__ = ("due", "line", "may_free", "not_before")

    def __init__(self) -> None:
        self.line: deque[_Waiter] = deque()
        self.not_before = 0.0
        # What the last refusal said.
        self.may_free = True
        self.due = math.inf

    def first(self) -> _Waiter | None:
        line = self.line
        while line and line[0].gone:
            line.popleft()
        return line[0] if line else None


class Admission:
    """The line in front of one pool. Thread-safe.

    Args:
        pool: The pool; only weakly referred to.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = weakref.ref(pool)
        self._groups: dict[Hashable, _Group] = {}
        self._arriving: deque[_Waiter] = deque()
        self._leaving: deque[_Waiter] = deque()
        self._serving = threading.Lock()
        self._note = False
        self._tickets = itertools.count(1)
        # By identity. Its operations are atomic, so that it needs no lock: see look().
        self._here: dict[int, _Waiter] = {}
        me = weakref.ref(self)

        def wake() -> None:
            admission = me()
            if admission is not None:
                admission.look()

        pool._set_waker(wake)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._here)

    def useless(self, error: ProxyPoolEmptyError, deadline: float) -> bool:
        """Whether waiting cannot help: nothing under way can free a proxy, and no moment is known before the deadline.

        Args:
            error: Why nobody was admissible.
            deadline: By the monotonic clock, in seconds.
        """
        if error.may_free:
            return False
        return error.retry_after is None or time.monotonic() + error.retry_after > deadline

    def now(self, ask: Ask, seconds: float | None) -> Any:
        """Take a lease without waiting, if nobody stands in line.

        Args:
            ask: Takes it.
            seconds: How long the request would wait.

        Returns:
            The lease; ``None`` if it is worth standing in line.

        Raises:
            ProxyPoolEmptyError: Nobody is admissible, and waiting is useless.
        """
        if self._here:
            return None
        try:
            return ask()
        except ProxyPoolEmptyError as error:
            deadline = math.inf if seconds is None else time.monotonic() + seconds
            if seconds == 0 or self.useless(error, deadline):
                raise
            return None

    def wait(self, wish: Wish) -> Any:
        """Stand in line, blocking.

        Args:
            wish: What for.

        Returns:
            A lease.

        Raises:
            ProxyPoolEmptyError: Time is up, or waiting has become useless.
        """
        alarm = threading.Event()
        waiter = _Waiter(wish, alarm.set)
        self._join(waiter)
        try:
            while not waiter.settled:
                alarm.wait(waiter.sleep())
                alarm.clear()
                if self._finish(waiter):
                    break
        except BaseException:
            self._abandon(waiter)
            raise
        return self._result(waiter)

    async def wait_async(self, wish: Wish) -> Any:
        """As :meth:`wait`, without blocking the event loop, on asyncio or trio. Cancellation leaves the line."""
        import anyio

        call = _caller()
        alarm = anyio.Event()

        def wake() -> None:
            call(alarm.set)

        waiter = _Waiter(wish, wake)
        self._join(waiter)
        try:
            while not waiter.settled:
                with anyio.move_on_after(waiter.sleep()):
                    await alarm.wait()
                # A new one first, so that no ring is lost. The closure rings whichever is current.
                alarm = anyio.Event()
                if self._finish(waiter):
                    break
        except BaseException:
            self._abandon(waiter)
            raise
        return self._result(waiter)

    def look(self) -> None:
        """Serve those in line; if somebody is at it, they will look again. Never blocks, and may be called anywhere."""
        self._note = True
        # The note is read again after the lock is released: whoever left it found the lock taken before that.
        while self._note and self._serving.acquire(blocking=False):
            try:
                self._note = False
                self._serve()
            finally:
                self._serving.release()

    def forget(self) -> None:
        """In the child of a fork: the threads that stood in line, or served, are not here."""
        waiting = len(self._here)
        self._groups = {}
        self._arriving = deque()
        self._leaving = deque()
        self._here = {}
        self._serving = threading.Lock()
        self._note = False
        self._count(-waiting)

    def dismiss(self, error_for: Callable[[Ask], BaseException | None]) -> int:
        """Send some away who wait.

        Args:
            error_for: Called with what each one asks; returns what to raise there, or ``None`` for those who stay.

        Returns:
            How many were sent away.
        """
        sent = 0
        for waiter in list(self._here.values()):
            error = error_for(waiter.ask)
            # Who is being served this very moment is no longer waiting.
            if error is not None and waiter.claim():
                self._leave(waiter)
                waiter.error = error
                waiter.wake()
                sent += 1
        if sent:
            self.look()
        return sent

    def _join(self, waiter: _Waiter) -> None:
        waiter.ticket = next(self._tickets)
        self._here[id(waiter)] = waiter
        self._count(1)
        self._arriving.append(waiter)
        self.look()

    def _finish(self, waiter: _Waiter) -> bool:
        """After a sleep: look once more, and end the wait if its time is up."""
        if waiter.settled:
            return True
        now = time.monotonic()
        if now < min(waiter.deadline, waiter.due):
            return False
        self.look()
        if waiter.settled:
            return True
        if now < waiter.deadline:
            return False
        if not waiter.claim() and now < waiter.deadline + _GRACE:
            # It is being served this very moment.
            return waiter.settled
        self._leave(waiter)
        try:
            # For a report that is up to date.
            waiter.lease = waiter.ask()
        except BaseException as error:  # noqa: BLE001 - raised by the one who waits
            waiter.error = error
        self.look()
        return True

    def _abandon(self, waiter: _Waiter) -> None:
        """Leave the line because the waiting was interrupted."""
        if waiter.claim():
            self._leave(waiter)
            self.look()
            return
        # It has been served already, or is being served: what it was given goes to the next.
        until = time.monotonic() + _GRACE
        while not waiter.settled and time.monotonic() < until:
            time.sleep(0)
        lease, waiter.lease = waiter.lease, None
        if lease is not None:
            lease.release()
            self.look()

    def _leave(self, waiter: _Waiter) -> None:
        waiter.gone = True
        if self._here.pop(id(waiter), None) is not None:
            self._count(-1)
        self._leaving.append(waiter)

    @staticmethod
    def _result(waiter: _Waiter) -> Any:
        if waiter.error is not None:
            try:
                raise waiter.error
            finally:
                # The traceback refers to this frame, and the frame to the exception.
                waiter.error = None
                del waiter
        return waiter.lease

    def _count(self, change: int) -> None:
        pool = self._pool()
        if pool is not None:
            pool._add_waiters(change)

    def _serve(self) -> None:
        """Go through the line once. Only with the lock held."""
        groups = self._groups
        now = time.monotonic()
        while self._leaving:
            # Those who left are dropped when they reach the front; a group of none but them goes at once.
            key = self._leaving.popleft().key
            group = groups.get(key)
            if group is not None:
                self._tidy(key, group)
        while self._arriving:
            waiter = self._arriving.popleft()
            if waiter.gone:
                continue
            group = groups.get(waiter.key)
            if group is None:
                group = groups[waiter.key] = _Group()
            elif not group.may_free and group.due > waiter.deadline and self._admit(waiter, group):
                # What the first of the group can wait for, this one cannot.
                continue
            group.line.append(waiter)
        order = []
        for key, group in list(groups.items()):
            first = group.first()
            if first is None:
                del groups[key]
            elif now >= group.not_before:
                order.append((first.ticket, id(group), key, group))
            else:
                self._remind(first, group.not_before)
        heapq.heapify(order)
        while order:
            _, _, key, group = order[0]
            head = group.first()
            if head is None:
                groups.pop(key, None)
                heapq.heappop(order)
            elif self._admit(head, group):
                if head is group.first():
                    group.line.popleft()
                following = group.first()
                if following is None:
                    groups.pop(key, None)
                    heapq.heappop(order)
                else:
                    heapq.heapreplace(order, (following.ticket, id(group), key, group))
            else:
                heapq.heappop(order)

    def _tidy(self, key: Hashable, group: _Group) -> None:
        line = group.line
        first = group.first()
        if first is None:
            self._groups.pop(key, None)
            return
        # Behind a first one who waits long, those who left must not pile up.
        if len(line) > 32 and sum(waiter.gone for waiter in line) * 2 > len(line):
            group.line = deque(waiter for waiter in line if not waiter.gone)
        if first.due == math.inf:
            # The one who kept the time has left: the next is told in this very pass.
            group.not_before = 0.0

    @staticmethod
    def _remind(waiter: _Waiter, due: float) -> None:
        """Tell a waiter when to look by itself, if it does not look before anyway."""
        if due >= waiter.deadline:
            due = math.inf
        if due < waiter.due - _MARGIN:
            waiter.due = due
            waiter.wake()
        elif waiter.due <= time.monotonic():
            # It is awake, or will be at once.
            waiter.due = due

    def _admit(self, waiter: _Waiter, group: _Group) -> bool:
        """Try for a lease on behalf of a waiter.

        Returns:
            Whether the waiter is out of the line.
        """
        lease: Any = None
        failed: BaseException | None = None
        try:
            lease = waiter.ask()
        except ProxyPoolEmptyError as error:
            now = time.monotonic()
            group.may_free = error.may_free
            group.due = math.inf if error.retry_after is None else now + error.retry_after + _MARGIN
            if not self.useless(error, waiter.deadline):
                group.not_before = 0.0 if error.may_free else min(group.due, now + _TIMED_AGAIN)
                self._remind(waiter, group.due)
                return False
            failed = error
        except BaseException as error:  # noqa: BLE001 - belongs to the one who waits
            failed = error
        if not waiter.claim():
            # Gone in the meantime.
            if lease is not None:
                lease.release()
            return True
        if self._here.pop(id(waiter), None) is not None:
            self._count(-1)
        waiter.gone = True
        # One of the two, and last: from here on the waiter may be running.
        if failed is not None:
            waiter.error = failed
        else:
            waiter.lease = lease
        waiter.wake()
        return True


_making = threading.Lock()
_admissions: weakref.WeakKeyDictionary[Any, Admission] = weakref.WeakKeyDictionary()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    for admission in list(_admissions.values()):
        admission.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def admission_of(pool: Any) -> Admission:
    """The line in front of a pool: one, however many use the pool.

    Args:
        pool: The pool.
    """
    with _making:
        found = _admissions.get(pool)
        if found is None:
            found = _admissions[pool] = Admission(pool)
        return found


def _caller() -> Callable[[Callable[[], None]], None]:
    """What runs a function in the event loop of this task, called from any thread."""
    try:
        import asyncio

        loop: Optional[asyncio.AbstractEventLoop] = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if loop is not None:
        here = loop
        thread = threading.get_ident()

        def in_asyncio(function: Callable[[], None]) -> None:
            if threading.get_ident() == thread:
                function()
                return
            # A loop that is closed has closed the task that waited, too.
            with contextlib.suppress(RuntimeError):
                here.call_soon_threadsafe(function)

        return in_asyncio
    trio = sys.modules["trio"]
    token = trio.lowlevel.current_trio_token()

    def in_trio(function: Callable[[], None]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(function)

    return in_trio
