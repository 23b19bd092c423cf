"""The loop that rotates and retries, written once, without any I/O.

:func:`rotate` is a generator. It decides; whoever drives it carries out what it yields:

* :class:`Send`: send the request through this lease; answer with an :class:`Answer` or a :class:`Failure`.
* :class:`Wait`: let this many seconds pass.
* :class:`Discard`: an answer that nobody will see; free what it holds.
* :class:`Load`: the last answer, about to be attached to an error; answer with what the error shall carry.

It returns a :class:`Delivery`, or raises. A driver that is interrupted closes the generator: every lease still open is
then given back. What carries the bytes (httpx today) stands behind :class:`Send` and is not known here.

When is there a pause? Moving on to a proxy that this request has not tried yet is immediate: another proxy is the
remedy, waiting is not. The delays of the policy come when the same proxy must be used again, and when the site itself
was found to be at fault more than once.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Callable, NamedTuple, NoReturn, Protocol, Union

from proxywhirl._enums import Outcome
from proxywhirl.exceptions import (
    ProxyAuthenticationError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    redact_url,
)

__all__ = [
    "Answer",
    "Delivery",
    "Discard",
    "Failure",
    "Job",
    "Lease",
    "Load",
    "Policy",
    "Send",
    "Wait",
    "judge",
    "rotate",
]

REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "PUT", "TRACE"})
"""Methods that may reach the site twice without harm (RFC 9110, 9.2.2)."""

_SUCCESS = Outcome.SUCCESS
_PROXY_DOWN = Outcome.PROXY_DOWN
_PROXY_AUTH = Outcome.PROXY_AUTH
_BANNED = Outcome.BANNED
_RATE_LIMITED = Outcome.RATE_LIMITED
_TARGET_FAULT = Outcome.TARGET_FAULT
_CLIENT_FAULT = Outcome.CLIENT_FAULT

_GATEWAY_STATUSES = (502, 503, 504)
# Answers of this kind are the site's word to this client: at the end they are returned, not raised.
_RETURNED = (_RATE_LIMITED, _BANNED)


class Lease(Protocol):
    """What the loop needs of a lease; the native one offers more."""

    @property
    def id(self) -> Any: ...

    @property
    def url(self) -> str: ...

    def finish(self, outcome: Any, elapsed_ms: float | None = None, error: Any = None) -> None: ...

    def release(self) -> None: ...


class Policy(Protocol):
    """What the loop needs of :class:`proxywhirl.retry.RetryPolicy`."""

    @property
    def max_attempts(self) -> int: ...

    @property
    def retry_status_codes(self) -> Any: ...

    @property
    def timeout(self) -> float | None: ...

    @property
    def retry_non_idempotent(self) -> bool: ...

    def calculate_delay(self, attempt: int, previous_delay: float | None = None) -> float: ...


class Job:
    """One logical request, as far as the loop must know it.

    Args:
        method: The method, upper case.
        url: The target; shown in errors, redacted.
        policy: How often and when to try again.
        take: Leases a proxy that is none of the given ids; raises ``ProxyPoolEmptyError`` when there is none.
        replayable: Whether the request's body can be sent a second time.
        streaming: Whether the caller reads the body; the lease then stays open in the :class:`Delivery`.
        auth_statuses: Statuses by which a proxy refuses credentials.
    """

    __slots__ = ("auth_statuses", "method", "policy", "replayable", "streaming", "take", "url")

    def __init__(
        self,
        method: str,
        url: Any,
        policy: Policy,
        take: Callable[[list[Any]], Any],
        *,
        replayable: bool = True,
        streaming: bool = False,
        auth_statuses: tuple[int, ...] = (407,),
    ) -> None:
        self.method = method
        self.url = url
        self.policy = policy
        self.take = take
        self.replayable = replayable
        self.streaming = streaming
        self.auth_statuses = auth_statuses

    @property
    def may_repeat(self) -> bool:
        """Whether the request may reach the site twice."""
        return self.replayable and (self.method in REPEATABLE_METHODS or self.policy.retry_non_idempotent)


class Answer:
    """Headers arrived.

    Args:
        status: The status.
        elapsed_ms: Time from sending to the end of the headers.
        payload: What the driver needs to make a response of it; not looked at here.
        tunnel: Whether the answer came through a tunnel, so that the proxy cannot have made it up.
        retry_after: Whether it has a ``Retry-After``.
    """

    __slots__ = ("elapsed_ms", "payload", "retry_after", "status", "tunnel")

    def __init__(
        self, status: int, elapsed_ms: float, payload: Any, *, tunnel: bool = False, retry_after: bool = False
    ) -> None:
        self.status = status
        self.elapsed_ms = elapsed_ms
        self.payload = payload
        self.tunnel = tunnel
        self.retry_after = retry_after


class Failure:
    """No usable answer.

    Args:
        outcome: The class of the failure.
        error: What happened; becomes the cause of what is raised.
        sent: Whether some of the request can have reached anybody.
        elapsed_ms: Time from sending to the failure.
    """

    __slots__ = ("elapsed_ms", "error", "outcome", "sent")

    def __init__(self, outcome: Outcome, error: Exception, *, sent: bool, elapsed_ms: float | None = None) -> None:
        self.outcome = outcome
        self.error = error
        self.sent = sent
        self.elapsed_ms = elapsed_ms


class Send(NamedTuple):
    """Step: send the request through this lease."""

    lease: Any
    attempt: int
    time_left: float | None
    """Seconds left of the policy's total budget; ``None`` without one."""


class Wait(NamedTuple):
    """Step: let time pass."""

    seconds: float


class Discard(NamedTuple):
    """Step: free what an answer holds; another attempt follows."""

    answer: Answer


class Load(NamedTuple):
    """Step: make the response that an error is going to carry."""

    answer: Answer
    attempts: int
    outcome: Outcome
    lease: Any


class Delivery(NamedTuple):
    """What the loop returns."""

    answer: Answer
    lease: Any
    """Open if the job was streaming: whoever closes the body tells its outcome. Else closed."""
    outcome: Outcome
    attempts: int


Step = Union[Send, Wait, Discard, Load]


class _Suspect(NamedTuple):
    """A lease whose 502, 503 or 504 may be the proxy's own or the site's; the next proxy's answer will tell."""

    lease: Any
    status: int
    elapsed_ms: float


def judge(answer: Answer, auth_statuses: tuple[int, ...] = (407,)) -> Outcome:
    """Tell the class of an answer from its head.

    Args:
        answer: The answer.
        auth_statuses: Statuses by which a proxy refuses credentials.

    Returns:
        The class; for 502, 503 and 504 through a forward proxy ``PROXY_DOWN``, which a second opinion may change.
    """
    status = answer.status
    if status < 400:
        return _SUCCESS
    # Inside a tunnel a 407 is the site's own joke: the proxy has said yes long before.
    if status in auth_statuses and (status != 407 or not answer.tunnel):
        return _PROXY_AUTH
    # Ban rules, which look at 403, 429, headers and body, have their say here once there are any.
    if status == 429 or (status == 503 and answer.retry_after):
        return _RATE_LIMITED
    if status in _GATEWAY_STATUSES and not answer.tunnel:
        return _PROXY_DOWN
    return _TARGET_FAULT if status >= 500 else _SUCCESS


def rotate(job: Job, clock: Callable[[], float] = time.monotonic) -> Generator[Step, Any, Delivery]:
    """Send one request through as many proxies as it takes and the policy allows.

    Args:
        job: The request.
        clock: Monotonic seconds.

    Yields:
        Steps for the driver, see the module's text.

    Returns:
        The answer and the lease it came through.

    Raises:
        ProxyPoolEmptyError: There was no proxy to begin with.
        ProxyConnectionError: "... failed after N attempts", or "Request timeout ..." when the budget ran out.
        ProxyAuthenticationError: The last proxy left refused the credentials.
        Exception: A fault of the request itself, as the carrier reported it.
    """
    # Handed on, not delegated to: one generator less to pass through at every step.
    return _Rotation(job, clock).run()


class _Rotation:
    """The state of :func:`rotate`; one per request."""

    __slots__ = (
        "attempts",
        "clock",
        "deadline",
        "delay",
        "faults",
        "job",
        "lease",
        "pauses",
        "refused",
        "site_is_at_fault",
        "suspects",
        "tried",
    )

    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        self.job = job
        self.clock = clock
        self.deadline: float | None = None
        self.attempts = 0
        self.lease: Any = None
        self.tried: list[Any] = []
        self.refused: list[Any] = []
        self.suspects: list[_Suspect] = []
        self.faults: list[int] = []
        self.site_is_at_fault = False
        self.pauses = 0
        self.delay: float | None = None

    def run(self) -> Generator[Step, Any, Delivery]:
        job = self.job
        policy = job.policy
        if policy.timeout is not None:
            self.deadline = self.clock() + policy.timeout
        try:
            lease = self.lease = job.take(self.tried)
            while True:
                self.attempts += 1
                reply = yield Send(lease, self.attempts, self._time_left())
                held: Answer | None = None
                if isinstance(reply, Answer):
                    outcome = judge(reply, job.auth_statuses)
                    if outcome is not _PROXY_AUTH and (
                        reply.status < 400 or reply.status not in policy.retry_status_codes
                    ):
                        return self._deliver(reply, outcome)
                    outcome = self._second_opinion(reply, outcome)
                    # A 407 is said before anything is forwarded: any method may move on.
                    may_go_on = job.replayable if outcome is _PROXY_AUTH else job.may_repeat
                    is_last = self.attempts >= policy.max_attempts
                    if outcome is not _PROXY_AUTH and (not may_go_on or (is_last and outcome in _RETURNED)):
                        return self._deliver(reply, outcome)
                    last = self._record_answer(reply, outcome)
                    if is_last or not may_go_on:
                        yield from self._end(last, reply, lease, outcome)
                    held = reply
                else:
                    outcome = reply.outcome
                    last = self._after_failure(reply)
                following = yield from self._next_lease(last)
                if following is None:
                    yield from self._end(last, held, lease, outcome)
                elif held is not None:
                    yield Discard(held)
                lease = following
        finally:
            # Reached with a lease in hand only when interrupted: nothing is known about that proxy.
            if self.lease is not None:
                self.lease.release()
            self._blame_suspects()

    def _deliver(self, answer: Answer, outcome: Outcome) -> Delivery:
        lease, self.lease = self.lease, None
        if not self.job.streaming:
            lease.finish(outcome, answer.elapsed_ms)
        return Delivery(answer, lease, outcome, self.attempts)

    def _second_opinion(self, answer: Answer, outcome: Outcome) -> Outcome:
        """Compare a gateway status with what other proxies gave for this request."""
        status = answer.status
        if outcome is _PROXY_DOWN:
            mine = self.lease.id
            same = [suspect for suspect in self.suspects if suspect.status == status and suspect.lease.id != mine]
            if same or status in self.faults:
                # Two proxies tell the same story, so it is the site's.
                outcome = _TARGET_FAULT
            for suspect in same:
                self.suspects.remove(suspect)
                suspect.lease.finish(_TARGET_FAULT, suspect.elapsed_ms)
                self._count_fault(status)
        if outcome is _TARGET_FAULT:
            self._count_fault(status)
        return outcome

    def _record_answer(self, answer: Answer, outcome: Outcome) -> Exception:
        lease, self.lease = self.lease, None
        if outcome is _PROXY_DOWN:
            self.suspects.append(_Suspect(lease, answer.status, answer.elapsed_ms))
        else:
            lease.finish(outcome, answer.elapsed_ms)
        self._note(lease, outcome)
        return self._error(f"status {answer.status}", outcome, lease)

    def _after_failure(self, failure: Failure) -> Exception:
        job = self.job
        lease, self.lease = self.lease, None
        outcome = failure.outcome
        lease.finish(outcome, failure.elapsed_ms, failure.error)
        if outcome is _CLIENT_FAULT:
            raise failure.error
        self._note(lease, outcome)
        error = self._error(f"{type(failure.error).__name__}: {failure.error}", outcome, lease)
        error.__cause__ = failure.error
        may_go_on = not failure.sent or job.may_repeat
        if not may_go_on or self.attempts >= job.policy.max_attempts:
            raise error
        return error

    def _end(
        self, last: Exception, held: Answer | None, lease: Any, outcome: Outcome
    ) -> Generator[Step, Any, NoReturn]:
        if held is not None and isinstance(last, ProxyConnectionError):
            last.response = yield Load(held, self.attempts, outcome, lease)
        raise last from last.__cause__

    def _note(self, lease: Any, outcome: Outcome) -> None:
        proxy_id = lease.id
        if proxy_id not in self.tried:
            self.tried.append(proxy_id)
        if outcome is _PROXY_AUTH and proxy_id not in self.refused:
            self.refused.append(proxy_id)

    def _next_lease(self, last: Exception) -> Generator[Step, Any, Any]:
        """Take another proxy; the same again, after a pause, only when there is no other; else ``None``."""
        paused = False
        if self.site_is_at_fault:
            yield self._pause(last)
            paused = True
        self._check_budget(last)
        try:
            self.lease = self.job.take(self.tried)
        except ProxyPoolEmptyError:
            # Who refused the credentials will refuse them again.
            if len(self.refused) == len(self.tried):
                return None
            if not paused:
                yield self._pause(last)
            try:
                self.lease = self.job.take(self.refused)
            except ProxyPoolEmptyError:
                return None
        return self.lease

    def _count_fault(self, status: int) -> None:
        self.site_is_at_fault = bool(self.faults)
        self.faults.append(status)

    def _pause(self, last: Exception) -> Wait:
        self.delay = self.job.policy.calculate_delay(self.pauses, self.delay)
        self.pauses += 1
        self._check_budget(last, self.delay)
        return Wait(self.delay)

    def _time_left(self) -> float | None:
        return None if self.deadline is None else max(self.deadline - self.clock(), 0.001)

    def _check_budget(self, last: Exception, ahead: float = 0.0) -> None:
        if self.deadline is not None and self.clock() + ahead >= self.deadline:
            job = self.job
            raise ProxyConnectionError(
                f"Request timeout: {job.method} {redact_url(str(job.url))} was not answered within "
                f"{job.policy.timeout:g} s: {last}",
                retry_recommended=True,
            ) from last

    def _error(self, what: str, outcome: Outcome, lease: Any) -> Exception:
        job = self.job
        text = f"{job.method} {redact_url(str(job.url))} failed after {self.attempts} attempts: {what}"
        kind = ProxyAuthenticationError if outcome is _PROXY_AUTH else ProxyConnectionError
        return kind(text, proxy_url=lease.url, attempt_count=self.attempts)

    def _blame_suspects(self) -> None:
        for suspect in self.suspects:
            suspect.lease.finish(_PROXY_DOWN, suspect.elapsed_ms)
        self.suspects.clear()
