"""``rotator.attempts()``: the rotation of one request for any client, one attempt at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._core import ReportJudge, is_tunnelled
from proxywhirl._httpx.clients import Fault, is_error, read
from proxywhirl._httpx.judge import Judged
from proxywhirl._httpx.rotation import NO_LEASE, error_of
from proxywhirl._httpx.selection import LeaseAcquirer
from proxywhirl._native.enums import AMBIGUOUS, Outcome
from proxywhirl.rotator._attempt import Attempt

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl._httpx.selection import Selection

# Failures after which nothing of the request can have reached the site.
_UNSENT = frozenset({Fault.PROXY, Fault.LOGIN, Fault.RULESET, Fault.UNREACHED, Fault.CONNECT})


class _Loop:
    """What both loops share: everything but the waiting.

    ``prepare`` does what has to be done before a request, until a deadline by ``time.monotonic``; ``patience`` are the
    seconds to wait for a proxy.
    """

    def __init__(
        self,
        transport: Any,
        prepare: Callable[[float | None], Any],
        url: str,
        method: str,
        selection: Selection,
        patience: float,
    ) -> None:
        self._prepare = prepare
        self._method = method.upper()
        self._url = url
        self._policy = transport.retry_policy if selection.retry_policy is None else selection.retry_policy
        self._judge = transport.report_judge_of(selection.ban_policy) or ReportJudge()
        self._raise_on_ban = transport.raise_on_ban if selection.raise_on_ban is None else selection.raise_on_ban
        self._patience = patience
        self._chooser = transport.chooser
        self._selection = selection
        self._rotation: _core._Rotation | None = None
        self._step = ""
        # Number of the attempt without an outcome; 0 for none. Not the attempt: the two would keep each other alive.
        self._open = 0
        self._answer: Any = None
        # Whether connections through the proxy of the last attempt have to be closed.
        self.renews = False
        # The last exception of a client that a block was left with. Where no further attempt can be had it is raised
        # after all: it stands for the answer that a rotator would return.
        self._left_with: BaseException | None = None

    def stay_on(self, proxy_id: Any) -> None:
        """Begin with this proxy, as the next hop of a redirect does. Has to be called before the first attempt."""
        self._selection.proxy_id = proxy_id

    def _start(self, deadline: float | None) -> None:
        from proxywhirl.retry._unset import rotation_of

        # Only now: the time runs from its making.
        time_left = None if deadline is None else deadline - time.monotonic()
        self._taking = LeaseAcquirer(
            self._chooser, self._url, self._selection, method=self._method, time_left=time_left
        )
        self._rotation = rotation = rotation_of(
            self._policy,
            _later,
            self._method,
            self._url,
            raise_on_ban=self._raise_on_ban,
            patience=self._patience,
            time_left=time_left,
        )
        self._step = rotation.start()

    def _deadline(self) -> float | None:
        timeout = self._policy.timeout
        return None if timeout is None else time.monotonic() + timeout

    def _check_told(self) -> None:
        number = self._open
        if number:
            self.close()
            raise RuntimeError(
                f"attempt {number} has no outcome: put what uses it into `with attempt:`, or call attempt.report()"
            )

    def _advance(self, rotation: _core._Rotation) -> Attempt | str:
        """Go on to the next attempt, or to where the caller has to wait: in "line", for a "pause", or to the "end"."""
        while True:
            step = self._step
            if step == "send":
                return self._attempt(rotation)
            if step == "deliver":
                self._end()
                return "end"
            if step == "fail":
                error = self._error(rotation)
                self.close()
                raise error from error.__cause__
            if step == "wait":
                return "pause"
            if step != "admit":
                self._step = rotation.done()
            elif not self._take_now(rotation):
                return "line"

    @contextmanager
    def _admission(self, rotation: _core._Rotation) -> Iterator[None]:
        """Tell the rotation that there is no lease; whatever else is raised ends the loop."""
        try:
            yield
        except NO_LEASE as error:
            self._step = rotation.admitted(error)
        except BaseException:
            self.close()
            raise

    def _take_now(self, rotation: _core._Rotation) -> bool:
        """Take a lease without waiting; whether the step is done."""
        with self._admission(rotation):
            lease = self._taking(*rotation.admission)
            if lease is None:
                return False
            self._step = rotation.admitted(lease)
        return True

    def _attempt(self, rotation: _core._Rotation) -> Attempt:
        self._answer = self._left_with = None
        self.renews = False
        self._open = rotation.attempts
        return Attempt(self, rotation.lease, rotation.attempts, rotation.seconds)

    def _error(self, rotation: _core._Rotation) -> BaseException:
        response = self._answer if rotation.has_answer else None
        return error_of(rotation, self._method, self._url, self._policy, response)

    def _end(self) -> None:
        error, self._left_with = self._left_with, None
        if error is not None:
            raise error

    @property
    def goes_on(self) -> bool:
        """Whether another attempt is called for: not after a final answer, nor where the loop raises next.

        A client with a queue of its own puts the request there first, and asks for the attempt when its turn comes.
        """
        return not self._open and self._step not in ("deliver", "fail")

    def is_open(self, attempt: Attempt) -> bool:
        return self._open == attempt.number

    def is_delivered(self, attempt: Attempt) -> bool:
        rotation = self._rotation
        return self._step == "deliver" and rotation is not None and rotation.attempts == attempt.number

    def outcome_of(self, answer: Any, headers: Any, body: Any) -> Outcome:
        """What a report of this answer would count; nothing is counted."""
        outcome = self._judge(self._url, answer, headers, body, None).outcome
        if outcome is None:
            return Outcome.CLIENT_FAULT
        return outcome if isinstance(outcome, Outcome) else Outcome.TARGET_FAULT

    def report(
        self, attempt: Attempt, answer: Any, headers: Any, body: Any, error: BaseException | None, elapsed_ms: Any
    ) -> Outcome:
        if self._open != attempt.number or self._rotation is None:
            raise RuntimeError("this attempt has ended: its outcome has been reported already")
        judged = self._judge(self._url, answer, headers, body, error)
        cause = error if error is not None else answer if is_error(answer) else None
        outcome = Outcome.CLIENT_FAULT if judged.outcome is None else judged.outcome
        return self._tell(judged._replace(outcome=outcome), answer, cause, elapsed_ms)

    def leave(self, attempt: Attempt, error: BaseException | None) -> bool:
        """Leave the block of an attempt; whether the exception is dealt with."""
        rotation = self._rotation
        if rotation is None:
            return False
        if self._open != attempt.number:
            # What raise_for_status() raises after a report, for instance.
            if error is None or not self._goes_on(rotation):
                return False
            if self._is_of_a_client(error):
                self._left_with = error
                return True
            self.close()
            return False
        if error is None:
            self._open = 0
            self._step = rotation.answered(Outcome.SUCCESS, None)
            return False
        judged = self._judge(self._url, None, None, None, error)
        if judged.outcome is None or not all(map(self._is_of_a_client, _leaves(error))):
            self.close()
            return False
        self._tell(judged, None, error, None)
        if not self._goes_on(rotation):
            return False
        self._left_with = error
        return True

    def _goes_on(self, rotation: _core._Rotation) -> bool:
        """Whether another attempt follows, or an error of the loop's own."""
        return self._step not in ("", "deliver") and rotation.failure != "request"

    def _is_of_a_client(self, error: BaseException) -> bool:
        return self._judge(self._url, None, None, None, error).outcome is not None

    def release(self, attempt: Attempt) -> None:
        if self._open == attempt.number:
            self.close()

    def close(self) -> None:
        """End the loop where it stands. The proxy of an attempt that has no outcome is released."""
        self._open = 0
        self._step = "deliver"
        if self._rotation is not None:
            self._rotation.close()

    def _tell(self, judged: Judged, answer: Any, error: BaseException | None, elapsed_ms: float | None) -> Outcome:
        rotation = self._rotation
        assert rotation is not None
        try:
            if judged.status is not None:
                carried = getattr(error, "response", None) if error is not None else answer
                self._answer = None if isinstance(carried, int) else carried
                tunnel = is_tunnelled(self._url)
                step = rotation.answered(judged.outcome, judged.status, elapsed_ms, tunnel, judged.hold)
            else:
                assert error is not None, "a judgement is of an answer or of an exception"
                step = rotation.failed(
                    judged.outcome,
                    error,
                    read(error).fault not in _UNSENT,
                    elapsed_ms,
                    any("timeout" in cls.__name__.casefold() for cls in type(error).__mro__),
                    judged.hold,
                )
            # Connections are the caller's to close, and so is an answer that does not stand.
            while step in ("renew", "discard"):
                self.renews = self.renews or step == "renew"
                step = rotation.done()
        except BaseException:
            # A report that is refused leaves the attempt as it was; one that fails on the way ends the loop.
            if rotation.is_over:
                self.close()
            raise
        self._open = 0
        self._step = step
        return Outcome.TARGET_FAULT if judged.outcome is AMBIGUOUS else judged.outcome  # type: ignore[return-value]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, groups in it included; of any other exception itself."""
    inside = getattr(error, "exceptions", None)
    if not (isinstance(inside, tuple) and inside and all(isinstance(one, BaseException) for one in inside)):
        yield error
        return
    for one in inside:
        yield from _leaves(one)


def _later(exclude: Any, attempt: int, seconds: float | None) -> None:
    """Take no lease yet: the loop takes it when it is asked for the next attempt, if it ever is."""


class Attempts(_Loop):
    """The attempts of one request; made by :meth:`ProxyRotator.attempts`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        self._check_told()
        if self._rotation is None:
            deadline = self._deadline()
            self._prepare(deadline)
            self._start(deadline)
        rotation = self._rotation
        assert rotation is not None
        while not isinstance(found := self._advance(rotation), Attempt):
            if found == "end":
                raise StopIteration
            if found == "line":
                with self._admission(rotation):
                    self._step = rotation.admitted(self._taking.wait(*rotation.admission))
            else:
                time.sleep(rotation.seconds or 0.0)
                self._step = rotation.done()
        return found


class AsyncAttempts(_Loop):
    """The attempts of one request; made by :meth:`AsyncProxyRotator.attempts`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Attempt:
        self._check_told()
        if self._rotation is None:
            deadline = self._deadline()
            await self._prepare(deadline)
            self._start(deadline)
        rotation = self._rotation
        assert rotation is not None
        while not isinstance(found := self._advance(rotation), Attempt):
            if found == "end":
                raise StopAsyncIteration
            if found == "line":
                with self._admission(rotation):
                    self._step = rotation.admitted(await self._taking.wait_async(*rotation.admission))
            else:
                import anyio

                await anyio.sleep(rotation.seconds or 0.0)
                self._step = rotation.done()
        return found
