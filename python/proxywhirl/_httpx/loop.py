"""The loop that rotates and retries, written once, without any I/O.

:func:`rotate` is a generator. It decides; whoever drives it carries out what it yields:

* :class:`Admit`: stand in line for a proxy; answer with a lease, or with the ``ProxyPoolEmptyError`` that ended it.
* :class:`Send`: send the request through this lease; answer with an :class:`Answer` or a :class:`Failure`.
* :class:`Wait`: let this many seconds pass.
* :class:`Discard`: an answer that nobody will see; free what it holds.
* :class:`Renew`: close the connections of a proxy, so that the next request through it leaves by another exit.
* :class:`Load`: the last answer, about to be attached to an error; answer with what the error shall carry.

It returns a :class:`Delivery`, or raises. A driver that is interrupted closes the generator: every lease still open is
then given back. What carries the bytes (httpx today) stands behind :class:`Send` and is not known here.

How often is a request tried? ``max_attempts`` of the policy is a hard bound where it was set. Left at its default it
bounds what may be the site's doing, and the timeouts; proxies that refuse, or are refused, are passed by until a good
one is found: each once, ten attempts in all.

Many a failure may be the site's as well as the proxy's: a refused CONNECT, a reset inside a tunnel, a 502 through a
forward proxy. Such an attempt is a suspect until the request is over, and the core decides by what came of the others:
answered through another proxy, the suspects are to blame; failed through several, the site is. Up to five proxies are
asked, since some that are broken may come one after another.

A proxy that stands for many exits (a gateway), or the only one, is asked again over a new connection when a site
refuses it: another exit answers.

When is there a pause? Moving on to a proxy that this request has not tried yet is immediate: another proxy is the
remedy, waiting is not. The delays of the policy come when the same proxy must be used again, and when the site itself
was found to be at fault more than once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import Any, Callable, NamedTuple, NoReturn, Optional, Protocol, Union

from proxywhirl._httpx.judge import StatusJudge, Verdict
from proxywhirl._native.enums import AMBIGUOUS, Outcome
from proxywhirl.bans import BanPolicy
from proxywhirl.events import log as _log_events
from proxywhirl.exceptions import (
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyWhirlError,
    redact_url,
)

__all__ = [
    "Admit",
    "Answer",
    "Delivery",
    "Discard",
    "Failure",
    "Job",
    "Judge",
    "Lease",
    "Load",
    "Policy",
    "Renew",
    "Send",
    "Wait",
    "hold_of",
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

MOST_ATTEMPTS = 10
"""Attempts in all, where the policy leaves their number open."""

# So many proxies failed alike, and the site must be at fault, even if each of them may be broken.
_BEYOND_DOUBT = 5
# Answers of this kind are the site's word to this client: at the end they are returned, not raised.
_RETURNED = (_RATE_LIMITED, _BANNED)
# Another proxy is the remedy, whatever the policy says of the status.
_MOVES_ON = (_PROXY_AUTH, _RATE_LIMITED, _BANNED)
_ABOUT_THE_PROXY = (_PROXY_DOWN, _PROXY_AUTH, _RATE_LIMITED, _BANNED, AMBIGUOUS)
# The exit, or the connection, is no good; what is kept open through the proxy goes.
_SPENT = (_PROXY_DOWN, _PROXY_AUTH, _RATE_LIMITED, _BANNED)
_PLAIN = StatusJudge(BanPolicy())


class Lease(Protocol):
    """What the loop needs of a lease; the native one offers more."""

    @property
    def id(self) -> Any: ...

    @property
    def url(self) -> str: ...

    def finish(
        self,
        outcome: Any,
        elapsed_ms: float | None = None,
        error: Any = None,
        *,
        hold: float | None = None,
        status: int | None = None,
    ) -> None: ...

    def release(self) -> None: ...

    def _suspect(self, elapsed_ms: float | None = None) -> None: ...


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


class Judge(Protocol):
    """What the loop needs of :class:`proxywhirl._httpx.judge.StatusJudge`."""

    def answer(self, answer: Any) -> Verdict: ...

    def failure(self, failure: Any) -> Verdict: ...


def _has_exits(lease: Any) -> bool:
    return bool(getattr(getattr(lease, "proxy", None), "rotating", False))


class Job:
    """One logical request, as far as the loop must know it.

    Args:
        method: The method, upper case.
        url: The target; shown in errors, redacted.
        policy: How often and when to try again.
        take: Called with the ids of proxies not to take, the number of the attempt, and how many seconds the request
            may wait (``None`` for any). Returns a lease, or ``None`` when it is worth standing in line; raises
            ``ProxyPoolEmptyError`` when it is not.
        replayable: Whether the request's body can be sent a second time.
        streaming: Whether the caller reads the body; the lease then stays open in the :class:`Delivery`.
        judge: Tells the class of answers and failures.
        raise_on_ban: Whether a final answer that is a ban or a rate limit is raised instead of returned.
        patience: Seconds that may be spent in line over all attempts; ``None`` for any.
        direct: Makes the lease of a request without a proxy, for when no proxy is to be had; ``None`` forbids it.
        deadline: When everything must be over, by the loop's clock; by default what the policy's ``timeout`` makes of
            the moment at which the loop begins. A request with redirects is one request, and has one deadline.
        is_only: Tells whether the proxy of a lease is the only one, so that it may be a gateway without saying so.
    """

    __slots__ = (
        "deadline",
        "direct",
        "is_only",
        "judge",
        "method",
        "patience",
        "policy",
        "raise_on_ban",
        "replayable",
        "streaming",
        "take",
        "url",
    )

    def __init__(
        self,
        method: str,
        url: Any,
        policy: Policy,
        take: Callable[[list[Any], int, Union[float, None]], Any],
        *,
        replayable: bool = True,
        streaming: bool = False,
        judge: Judge = _PLAIN,
        raise_on_ban: bool = False,
        patience: float | None = 0.0,
        direct: Callable[[], Any] | None = None,
        deadline: float | None = None,
        is_only: Callable[[Any], bool] = lambda lease: False,
    ) -> None:
        self.deadline = deadline
        self.method = method
        self.url = url
        self.policy = policy
        self.take = take
        self.replayable = replayable
        self.streaming = streaming
        self.judge = judge
        self.raise_on_ban = raise_on_ban
        self.patience = patience
        self.direct = direct
        self.is_only = is_only

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
        retry_after: Seconds for which it asks to be left alone; ``None`` if it does not say.
    """

    __slots__ = ("elapsed_ms", "payload", "retry_after", "status", "tunnel")

    def __init__(
        self, status: int, elapsed_ms: float, payload: Any, *, tunnel: bool = False, retry_after: float | None = None
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
        timed_out: Whether it was time that ran out.
        retry_after: Seconds for which the proxy asks to be left alone; ``None`` if it does not say.
    """

    __slots__ = ("elapsed_ms", "error", "outcome", "retry_after", "sent", "timed_out")

    def __init__(
        self,
        outcome: Verdict,
        error: Exception,
        *,
        sent: bool,
        elapsed_ms: float | None = None,
        timed_out: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.outcome = outcome
        self.error = error
        self.sent = sent
        self.elapsed_ms = elapsed_ms
        self.timed_out = timed_out
        self.retry_after = retry_after


class Admit(NamedTuple):
    """Step: stand in line for a proxy."""

    exclude: tuple[Any, ...]
    """Ids of proxies not to take."""
    attempt: int
    seconds: float | None
    """How long at most; ``None`` for any."""


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


class Renew(NamedTuple):
    """Step: close the connections of a lease's proxy, those under way at their end."""

    lease: Any


class Load(NamedTuple):
    """Step: make the response that an error is going to carry."""

    answer: Answer
    attempts: int
    outcome: Verdict
    lease: Any


class Delivery(NamedTuple):
    """What the loop returns."""

    answer: Answer
    lease: Any
    outcome: Verdict
    attempts: int
    open: bool = False
    """Whether the lease is still open, as when the job was streaming: whoever closes the body tells its outcome."""


Step = Union[Admit, Send, Wait, Discard, Renew, Load]


class _Suspect(NamedTuple):
    """An attempt that failed by the proxy's fault or the site's, as the core takes it."""

    lease: Any
    elapsed_ms: Optional[float]  # noqa: UP045 - evaluated on 3.9
    error: Any
    status: Optional[int]  # noqa: UP045


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
        ProxyBannedError: The last answer was a ban or a rate limit, and the job wants that raised.
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
        "exits",
        "faults",
        "job",
        "lease",
        "open_ended",
        "pauses",
        "put_off",
        "refused",
        "site_is_at_fault",
        "spent",
        "suspects",
        "tried",
        "waited",
    )

    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        self.job = job
        self.clock = clock
        self.deadline: float | None = job.deadline
        self.attempts = 0
        self.spent = 0
        self.lease: Any = None
        self.tried: list[Any] = []
        self.refused: list[Any] = []
        self.put_off: list[Any] = []
        self.exits: list[Any] = []
        self.suspects: list[_Suspect] = []
        self.faults = 0
        self.site_is_at_fault = False
        self.pauses = 0
        self.delay: float | None = None
        self.waited = 0.0
        fields: Any = getattr(job.policy, "model_fields_set", None)
        self.open_ended = fields is not None and "max_attempts" not in fields

    def run(self) -> Generator[Step, Any, Delivery]:
        job = self.job
        policy = job.policy
        if self.deadline is None and policy.timeout is not None:
            self.deadline = self.clock() + policy.timeout
        try:
            lease = yield from self._first_lease()
            self._check_budget(None)
            while True:
                self.attempts += 1
                reply = yield Send(lease, self.attempts, self._time_left())
                held: Answer | None = None
                if isinstance(reply, Answer):
                    outcome = job.judge.answer(reply)
                    moves_on = outcome in _MOVES_ON
                    if outcome is not AMBIGUOUS and outcome is not _PROXY_AUTH:
                        self._conclude(lease)
                    if not moves_on:
                        if reply.status < 400 or reply.status not in policy.retry_status_codes:
                            return self._deliver(reply, outcome)
                        self._count_fault(outcome, tunnel=reply.tunnel)
                    # A 407 is said before anything is forwarded: any method may move on.
                    may_go_on = job.replayable if outcome is _PROXY_AUTH else job.may_repeat
                    tries_again = may_go_on and self._has_attempts_left(outcome)
                    if not tries_again and outcome is not _PROXY_AUTH:
                        returned = outcome in _RETURNED
                        if (returned and not job.raise_on_ban) or (not returned and not may_go_on):
                            if returned:
                                yield Renew(lease)
                            return self._deliver(reply, outcome)
                    last = self._record_answer(reply, outcome)
                    if outcome in _SPENT:
                        yield Renew(lease)
                    if not tries_again:
                        yield from self._end(last, reply, lease, outcome)
                    held = reply
                else:
                    outcome = job.judge.failure(reply)
                    last = self._after_failure(reply, outcome)
                    if outcome in _SPENT:
                        yield Renew(lease)
                try:
                    following = yield from self._next_lease(last)
                except ProxyConnectionError:
                    # No time for another: what the site said is still an answer.
                    if held is None or outcome not in _RETURNED:
                        raise
                    following = None
                if following is None:
                    if held is not None and outcome in _RETURNED and not job.raise_on_ban:
                        return Delivery(held, lease, outcome, self.attempts)
                    yield from self._end(last, held, lease, outcome)
                elif held is not None:
                    yield Discard(held)
                lease = following
        finally:
            # Reached with a lease in hand only when interrupted: nothing is known about that proxy.
            if self.lease is not None:
                self.lease.release()
            self._conclude(None)

    def _deliver(self, answer: Answer, outcome: Verdict) -> Delivery:
        lease, self.lease = self.lease, None
        streaming = self.job.streaming
        if outcome is AMBIGUOUS and not streaming:
            outcome = self._conclude_with(_Suspect(lease, answer.elapsed_ms, None, answer.status))
        elif not streaming:
            lease.finish(outcome, answer.elapsed_ms, hold=hold_of(answer, outcome), status=answer.status)
        if outcome is _SUCCESS:
            job = self.job
            _log_events.request_succeeded(lease, job.method, job.url, answer.status, answer.elapsed_ms, self.attempts)
        else:
            self._tell_failure(lease, outcome, answer.elapsed_ms, status=answer.status)
        return Delivery(answer, lease, outcome, self.attempts, streaming)

    def _tell_failure(
        self,
        lease: Any,
        outcome: Verdict,
        elapsed_ms: float | None,
        *,
        error: Exception | None = None,
        status: int | None = None,
    ) -> None:
        job = self.job
        _log_events.request_failed(
            lease, job.method, job.url, outcome, elapsed_ms, self.attempts, error=error, status=status
        )

    def _has_attempts_left(self, outcome: Verdict, *, timed_out: bool = False) -> bool:
        """Count what this attempt has cost, and tell whether there may be another."""
        most = self.job.policy.max_attempts
        about_the_proxy = outcome in _ABOUT_THE_PROXY
        if timed_out or not about_the_proxy:
            self.spent += 1
        if self.attempts < most:
            return True
        return (
            self.open_ended
            and about_the_proxy
            and self.spent < most
            and self.faults < _BEYOND_DOUBT
            and self.attempts < MOST_ATTEMPTS
        )

    def _count_fault(self, outcome: Verdict, *, tunnel: bool) -> None:
        """Count what may be the site's fault, for how often to ask and when to pause."""
        if outcome is AMBIGUOUS:
            # Another proxy is the remedy, as long as there is one.
            self.faults += 1
        elif outcome is _TARGET_FAULT:
            self.faults += 1
            # Two proxies that fail at random say the same often enough; three seldom do.
            self.site_is_at_fault = self.faults > (1 if tunnel else 2)

    def _suspect(self, suspect: _Suspect) -> None:
        # Of a request without a proxy nothing is recorded.
        if suspect.lease.id is not None:
            suspect.lease._suspect(suspect.elapsed_ms)
            self.suspects.append(suspect)

    def _conclude(self, answered_by: Any) -> list[Outcome]:
        """Have the core decide what the suspects were, now that the site has answered or the request is over."""
        suspects, self.suspects = self.suspects, []
        if not suspects:
            return []
        # A request that went without a proxy at last says nothing about proxies.
        answered = answered_by if getattr(answered_by, "id", None) is not None else None
        outcomes: list[Outcome] = type(suspects[0].lease)._conclude(suspects, answered)
        return outcomes

    def _conclude_with(self, suspect: _Suspect) -> Outcome:
        """The same for a request that ends with a suspect; what that one was."""
        self._suspect(suspect)
        outcomes = self._conclude(None)
        return outcomes[-1] if outcomes else _TARGET_FAULT

    def _record_answer(self, answer: Answer, outcome: Verdict) -> Exception:
        lease, self.lease = self.lease, None
        status = answer.status
        hold = hold_of(answer, outcome)
        if outcome is AMBIGUOUS:
            self._suspect(_Suspect(lease, answer.elapsed_ms, None, status))
        else:
            lease.finish(outcome, answer.elapsed_ms, hold=hold, status=status)
        self._tell_failure(lease, outcome, answer.elapsed_ms, status=status)
        self._note(lease, outcome, may_return=hold is not None)
        why = f"status {status}"
        if outcome is _BANNED:
            why = f"the site refuses the proxy (status {status})"
        elif outcome is _RATE_LIMITED:
            why = f"the site asks for a pause (status {status})"
        return self._error(why, outcome, lease)

    def _after_failure(self, failure: Failure, outcome: Verdict) -> Exception:
        job = self.job
        lease, self.lease = self.lease, None
        hold = failure.retry_after if outcome is _RATE_LIMITED else None
        if outcome is AMBIGUOUS:
            self._suspect(_Suspect(lease, failure.elapsed_ms, failure.error, None))
            self._count_fault(outcome, tunnel=True)
        else:
            lease.finish(outcome, failure.elapsed_ms, failure.error, hold=hold)
        if outcome is _CLIENT_FAULT:
            raise failure.error
        self._tell_failure(lease, outcome, failure.elapsed_ms, error=failure.error)
        self._note(lease, outcome, may_return=hold is not None)
        error = self._error(f"{type(failure.error).__name__}: {failure.error}", outcome, lease)
        error.__cause__ = failure.error
        self._check_budget(error)
        may_go_on = not failure.sent or job.may_repeat
        if not may_go_on or not self._has_attempts_left(outcome, timed_out=failure.timed_out):
            raise error
        return error

    def _end(
        self, last: Exception, held: Answer | None, lease: Any, outcome: Verdict
    ) -> Generator[Step, Any, NoReturn]:
        if held is not None and isinstance(last, ProxyConnectionError):
            last.response = yield Load(held, self.attempts, outcome, lease)
        raise last from last.__cause__

    def _note(self, lease: Any, outcome: Verdict, *, may_return: bool = False) -> None:
        proxy_id = lease.id
        # A request without a proxy has none to be passed over.
        if proxy_id is None:
            return
        if proxy_id not in self.tried:
            self.tried.append(proxy_id)
        is_exit = outcome in _RETURNED and (_has_exits(lease) or (not may_return and self.job.is_only(lease)))
        if is_exit:
            if proxy_id not in self.exits:
                self.exits.append(proxy_id)
        elif proxy_id in self.exits:
            self.exits.remove(proxy_id)
        elif outcome in _MOVES_ON and proxy_id not in self.refused and proxy_id not in self.put_off:
            # Whom the site has told when to come back is not refused for good.
            (self.put_off if may_return else self.refused).append(proxy_id)

    def _first_lease(self) -> Generator[Step, Any, Any]:
        try:
            return (yield from self._take(self.tried, self._patience()))
        except ProxyPoolEmptyError:
            lease = self._direct()
            if lease is None:
                raise
            return lease

    def _next_lease(self, last: Exception) -> Generator[Step, Any, Any]:
        """Take another proxy; the same again, after a pause, only when there is no other; else ``None``."""
        paused = False
        if self.site_is_at_fault:
            yield self._pause(last)
            paused = True
        self._check_budget(last)
        # Who refused the credentials, or is refused by the site, will be no better in a moment. And beyond the attempts
        # that the policy names only new ones are worth another, and those that the site has named a time for.
        again = len(self.refused) + len(self.put_off) < len(self.tried) and self.attempts < self.job.policy.max_attempts
        try:
            return (yield from self._take(self.tried, 0.0 if again or self.put_off else self._patience()))
        except ProxyPoolEmptyError:
            if self.exits and self.attempts < self.job.policy.max_attempts:
                # By a new connection another exit answers, which nothing is known of.
                others = [proxy_id for proxy_id in self.tried if proxy_id not in self.exits]
                with contextlib.suppress(ProxyPoolEmptyError):
                    return (yield from self._take(others, 0.0))
            # Benched by now, or not worth another attempt.
            self.refused += self.exits
            self.exits = []
            again = again and len(self.refused) + len(self.put_off) < len(self.tried)
            if not again and not self.put_off:
                return self._direct()
        exclude = self.refused
        if not again:
            exclude = [proxy_id for proxy_id in self.tried if proxy_id not in self.put_off]
        elif not paused:
            yield self._pause(last)
        self.put_off = []
        try:
            return (yield from self._take(exclude, self._patience()))
        except ProxyPoolEmptyError:
            return self._direct()

    def _take(self, exclude: list[Any], seconds: float | None) -> Generator[Step, Any, Any]:
        attempt = self.attempts + 1
        lease = self.job.take(exclude, attempt, seconds)
        if lease is None:
            began = self.clock()
            lease = yield Admit(tuple(exclude), attempt, seconds)
            self.waited += self.clock() - began
            if isinstance(lease, ProxyPoolEmptyError):
                raise lease
        self.lease = lease
        return lease

    def _direct(self) -> Any:
        # Once: after that there is nothing left to try.
        direct, self.job.direct = self.job.direct, None
        if direct is not None:
            self.lease = direct()
            return self.lease
        return None

    def _patience(self) -> float | None:
        """Seconds that may still be spent in line."""
        left = self.job.patience
        if left is not None:
            left = max(left - self.waited, 0.0)
        if self.deadline is not None:
            budget = max(self.deadline - self.clock(), 0.0)
            left = budget if left is None else min(left, budget)
        return left

    def _pause(self, last: Exception) -> Wait:
        self.delay = self.job.policy.calculate_delay(self.pauses, self.delay)
        self.pauses += 1
        self._check_budget(last, self.delay)
        return Wait(self.delay)

    def _time_left(self) -> float | None:
        return None if self.deadline is None else max(self.deadline - self.clock(), 0.001)

    def _check_budget(self, last: Exception | None, ahead: float = 0.0) -> None:
        if self.deadline is not None and self.clock() + ahead >= self.deadline:
            job = self.job
            limit = job.policy.timeout
            within = "in time" if limit is None else f"within {limit:g} s"
            why = "no time was left to begin" if last is None else getattr(last, "message", None) or str(last)
            raise ProxyConnectionError(
                f"Request timeout: {job.method} {redact_url(str(job.url))} was not answered {within}: {why}",
                retry_recommended=True,
                attempt_count=self.attempts,
            ) from last

    def _error(self, what: str, outcome: Verdict, lease: Any) -> Exception:
        job = self.job
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        text = f"{job.method} {redact_url(str(job.url))} failed after {attempts}: {what}"
        kind: type[ProxyWhirlError] = ProxyConnectionError
        if outcome is _PROXY_AUTH:
            kind = ProxyAuthenticationError
        elif outcome in _RETURNED and job.raise_on_ban:
            kind = ProxyBannedError
        return kind(text, proxy_url=lease.url or None, attempt_count=self.attempts)


def hold_of(answer: Answer, outcome: Verdict) -> float | None:
    """For how many seconds an answer asks the proxy to stay away.

    Args:
        answer: The answer.
        outcome: Its class; only a rate limit is held.
    """
    return answer.retry_after if outcome is _RATE_LIMITED else None
