"""The loop that rotates and retries, driven by hand: no clock that runs, no network."""

from __future__ import annotations

from typing import Any

import pytest

from proxywhirl import (
    Outcome,
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    RetryPolicy,
)
from proxywhirl._httpx.judge import StatusJudge
from proxywhirl._httpx.loop import Admit, Answer, Delivery, Discard, Failure, Job, Load, Renew, Send, Wait, rotate
from proxywhirl._native.enums import AMBIGUOUS
from proxywhirl.bans import BanPolicy

DOWN, AUTH, TARGET = Outcome.PROXY_DOWN, Outcome.PROXY_AUTH, Outcome.TARGET_FAULT


HARD = RetryPolicy(max_attempts=3)


class FakeLease:
    def __init__(self, name: str) -> None:
        self.id = name
        self.url = f"http://user:secret-word@{name}.test:8000"
        self.verdicts: list[Any] = []
        self.hold: float | None = None
        self.status: int | None = None

    def finish(
        self,
        outcome: Any,
        elapsed_ms: float | None = None,
        error: Any = None,
        *,
        hold: float | None = None,
        status: int | None = None,
    ) -> None:
        self.hold = hold
        self.status = status
        self._close(outcome)

    def release(self) -> None:
        self._close("released")

    def _suspect(self, elapsed_ms: float | None = None) -> None:
        assert not self.verdicts

    @staticmethod
    def _conclude(suspects: list[Any], answered_by: Any = None) -> list[Outcome]:
        """The core's rule for a request by itself: answered through another proxy, the suspects are to blame."""
        outcomes = []
        for lease, _, _, status in suspects:
            blamed = answered_by is not None and answered_by.id != lease.id
            lease.status = status
            lease._close(DOWN if blamed else TARGET)
            outcomes.append(lease.verdicts[0])
        return outcomes

    def _close(self, verdict: Any) -> None:
        assert not self.verdicts, f"second verdict {verdict} after {self.verdicts}"
        self.verdicts.append(verdict)


class FakePool:
    """Hands out proxies in order, passing over those that are excluded."""

    def __init__(self, names: str) -> None:
        self.names = list(names)
        self.leases: list[FakeLease] = []
        self.next = 0
        self.busy: set[str] = set()

    def take(self, exclude: list[Any], attempt: int, seconds: float | None) -> FakeLease | None:
        assert attempt >= len(self.leases) + 1
        for step in range(len(self.names)):
            name = self.names[(self.next + step) % len(self.names)]
            if name not in exclude and name not in self.busy:
                self.next += step + 1
                self.leases.append(FakeLease(name))
                return self.leases[-1]
        if self.busy.difference(exclude) and seconds != 0:
            return None
        raise ProxyPoolEmptyError

    @property
    def story(self) -> list[tuple[str, Any]]:
        """Who was tried, and what was said of them."""
        return [(lease.id, *lease.verdicts) for lease in self.leases]


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def forward(status: int, *, retry_after: float | None = None) -> Answer:
    return Answer(status, 10.0, object(), retry_after=retry_after)


def tunnelled(status: int) -> Answer:
    return Answer(status, 10.0, object(), tunnel=True)


def refused() -> Failure:
    return Failure(DOWN, ConnectionRefusedError("refused"), sent=False)


def timed_out() -> Failure:
    return Failure(DOWN, TimeoutError("too slow"), sent=True, timed_out=True)


def cut_off(outcome: Any = DOWN) -> Failure:
    return Failure(outcome, ConnectionResetError("reset"), sent=True)


class Run:
    """Plays replies into the loop and keeps its steps."""

    def __init__(self, names: str, replies: list[Any], method: str = "GET", **options: Any) -> None:
        self.pool = FakePool(names)
        self.clock = FakeClock()
        policy = options.pop("policy", RetryPolicy())
        self.seconds_per_attempt = options.pop("seconds_per_attempt", 0.0)
        self.steps: list[Any] = []
        self.loop = rotate(
            Job(method, "http://site.test/page?token=abc", policy, self.pool.take, **options), self.clock
        )
        self.replies = list(replies)

    def finish(self) -> Delivery:
        reply: Any = None
        while True:
            try:
                step = self.loop.send(reply)
            except StopIteration as end:
                assert not self.replies, f"left over: {self.replies}"
                delivery: Delivery = end.value
                return delivery
            self.steps.append(step)
            reply = None
            if isinstance(step, Send):
                self.clock.now += self.seconds_per_attempt
                reply = self.replies.pop(0)
            elif isinstance(step, Wait):
                self.clock.now += step.seconds
            elif isinstance(step, Load):
                reply = f"response {step.answer.status}"
            elif isinstance(step, Admit):
                reply = self.admit(step)

    def admit(self, step: Admit) -> Any:
        """Who stands in line waits for two seconds, or for nothing."""
        if step.seconds is not None and step.seconds < 2.0:
            self.clock.now += step.seconds
            return ProxyPoolEmptyError("still busy", may_free=True)
        self.clock.now += 2.0
        self.pool.busy.clear()
        return self.pool.take(list(step.exclude), step.attempt, 0.0)

    def fail(self, kind: type[BaseException]) -> Any:
        with pytest.raises(kind) as caught:
            self.finish()
        return caught.value

    @property
    def waits(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Wait)]


def test_a_good_answer_is_delivered() -> None:
    run = Run("ab", [forward(200)])
    delivery = run.finish()
    assert (delivery.outcome, delivery.attempts, delivery.answer.status) == (Outcome.SUCCESS, 1, 200)
    assert run.pool.story == [("a", Outcome.SUCCESS)]


def test_a_streamed_answer_keeps_its_lease_open() -> None:
    run = Run("ab", [forward(200)], streaming=True)
    delivery = run.finish()
    assert delivery.lease is run.pool.leases[0]
    assert run.pool.story == [("a",)]


def test_failover_goes_to_another_proxy_at_once() -> None:
    run = Run("abc", [refused(), refused(), forward(200)])
    assert run.finish().attempts == 3
    assert run.pool.story == [("a", DOWN), ("b", DOWN), ("c", Outcome.SUCCESS)]
    assert run.waits == []


def test_the_same_proxy_again_only_after_a_pause() -> None:
    run = Run("a", [refused(), refused(), forward(200)])
    run.finish()
    assert run.pool.story == [("a", DOWN), ("a", DOWN), ("a", Outcome.SUCCESS)]
    assert run.waits == [1.0, 2.0]


def test_exhausted() -> None:
    error = Run("abcd", [refused(), refused(), refused()], policy=HARD).fail(ProxyConnectionError)
    assert "failed after 3 attempts" in str(error)
    assert error.attempt_count == 3
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "secret-word" not in f"{error} {error!r} {error.to_dict()}"
    assert "abc" not in str(error).split("token=")[-1][:3]


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
def test_what_must_not_be_repeated_is_sent_once(method: str) -> None:
    run = Run("abc", [cut_off()], method)
    assert "failed after 1 attempt:" in str(run.fail(ProxyConnectionError))
    assert run.pool.story == [("a", DOWN)]


def test_what_must_not_be_repeated_moves_on_while_nothing_was_sent() -> None:
    run = Run("abc", [refused(), refused(), forward(200)], "POST")
    assert run.finish().attempts == 3


def test_repetition_on_request() -> None:
    run = Run("abc", [cut_off(), forward(200)], "POST", policy=RetryPolicy(retry_non_idempotent=True))
    assert run.finish().attempts == 2


def test_a_body_that_is_used_up_is_not_sent_again() -> None:
    run = Run("abc", [cut_off()], "PUT", replayable=False)
    run.fail(ProxyConnectionError)
    assert len(run.pool.leases) == 1


def test_a_503_to_a_post_is_the_callers() -> None:
    run = Run("abc", [forward(503)], "POST")
    delivery = run.finish()
    assert (delivery.answer.status, delivery.outcome) == (503, TARGET)
    assert run.pool.story == [("a", TARGET)]


def test_gateway_status_of_one_proxy_is_its_own_fault() -> None:
    run = Run("ab", [forward(502), forward(200)])
    run.finish()
    assert run.pool.story == [("a", DOWN), ("b", Outcome.SUCCESS)]
    assert run.waits == []
    assert [step.answer.status for step in run.steps if isinstance(step, Discard)] == [502]


@pytest.mark.parametrize("statuses", [(502, 502), (502, 503), (504, 504, 502)])
def test_the_sites_answer_through_another_proxy_convicts_all_before_it(statuses: tuple[int, ...]) -> None:
    run = Run("abcd", [*map(forward, statuses), forward(200)])
    run.finish()
    *before, last = run.pool.story
    assert before == [(name, DOWN) for name in "abc"[: len(statuses)]]
    assert last[1] is Outcome.SUCCESS
    assert run.waits == []


@pytest.mark.parametrize("reply", [lambda: forward(502), lambda: cut_off(AMBIGUOUS)])
def test_a_site_that_fails_through_five_proxies_is_given_up_at_once(reply: Any) -> None:
    run = Run("abcdefgh", [reply() for _ in range(5)])
    assert "failed after 5 attempts" in str(run.fail(ProxyConnectionError))
    assert run.pool.story == [(name, TARGET) for name in "abcde"]
    assert run.waits == []


@pytest.mark.parametrize("answer", [lambda: forward(403), lambda: forward(429), lambda: tunnelled(503)])
def test_whatever_the_site_says_is_its_answer(answer: Any) -> None:
    run = Run("ab", [cut_off(AMBIGUOUS), answer()], policy=RetryPolicy(max_attempts=2))
    try:
        run.finish()
    except ProxyConnectionError:
        assert answer().status == 503
    assert run.pool.story[0] == ("a", DOWN)


def test_a_refusal_of_credentials_is_no_answer_of_the_site() -> None:
    run = Run("ab", [cut_off(AMBIGUOUS), forward(407)], policy=RetryPolicy(max_attempts=2))
    run.fail(ProxyAuthenticationError)
    assert run.pool.story == [("a", TARGET), ("b", AUTH)]


def test_a_proxy_with_exits_is_asked_again_at_once_when_an_exit_is_refused() -> None:
    run = Run("a", [forward(403), forward(200)], is_only=lambda lease: True)
    assert run.finish().outcome is Outcome.SUCCESS
    assert run.waits == []
    assert [type(step) for step in run.steps].count(Renew) == 1


def test_exits_are_tried_as_often_as_the_policy_says() -> None:
    run = Run("a", [forward(403)] * 3, is_only=lambda lease: True)
    assert run.finish().outcome is BANNED
    assert [type(step) for step in run.steps].count(Renew) == 3, "the connection that brought the last one, too"


def test_other_proxies_come_before_another_exit() -> None:
    run = Run("ab", [forward(403), forward(200)], is_only=lambda lease: lease.id == "a")
    run.finish()
    assert [name for name, _ in run.pool.story] == ["a", "b"]


def test_a_third_proxy_with_the_same_status_is_not_blamed_either() -> None:
    run = Run("abcd", [forward(502), forward(502), forward(502)], policy=HARD)
    error = run.fail(ProxyConnectionError)
    assert run.pool.story == [("a", TARGET), ("b", TARGET), ("c", TARGET)]
    assert error.response == "response 502"


def test_the_same_proxy_twice_is_no_second_opinion() -> None:
    run = Run("a", [forward(502), forward(502), forward(502)])
    error = run.fail(ProxyConnectionError)
    assert run.pool.story == [("a", TARGET)] * 3
    assert error.response == "response 502"


def test_inside_a_tunnel_a_gateway_status_is_the_sites() -> None:
    run = Run("abc", [tunnelled(503), tunnelled(503), tunnelled(200)])
    run.finish()
    assert run.pool.story == [("a", TARGET), ("b", TARGET), ("c", Outcome.SUCCESS)]
    assert run.waits == [1.0]


def test_rate_limits_are_returned_at_the_end() -> None:
    run = Run("abc", [forward(503, retry_after=7.0)] * 3, policy=RetryPolicy(max_attempts=3))
    delivery = run.finish()
    assert (delivery.answer.status, delivery.outcome) == (503, Outcome.RATE_LIMITED)
    assert run.pool.story == [(name, Outcome.RATE_LIMITED) for name in "abc"]


def test_whom_the_site_told_when_to_come_back_may_come_back() -> None:
    # The pool holds them until then; here it is the fake, which does not.
    run = Run("ab", [forward(429, retry_after=1.0), forward(429, retry_after=1.0), forward(200)])
    assert (run.finish().outcome, run.waits) == (Outcome.SUCCESS, [])
    assert [name for name, _ in run.pool.story] == ["a", "b", "a"]
    refused = Run("ab", [forward(429), forward(429)])
    assert refused.finish().outcome is Outcome.RATE_LIMITED


def test_statuses_of_the_policy() -> None:
    run = Run("ab", [forward(404), forward(200)], policy=RetryPolicy(retry_status_codes=[404]))
    assert run.finish().attempts == 2
    assert Run("ab", [forward(502)], policy=RetryPolicy(retry_status_codes=[])).finish().answer.status == 502


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 501])
def test_other_statuses_are_returned(status: int) -> None:
    run = Run("ab", [forward(status)])
    assert run.finish().answer.status == status
    assert len(run.pool.leases) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_407_moves_on_whatever_the_method(method: str) -> None:
    run = Run("ab", [forward(407), forward(200)], method)
    run.finish()
    assert run.pool.story == [("a", AUTH), ("b", Outcome.SUCCESS)]


def test_a_407_of_the_only_proxy() -> None:
    run = Run("a", [forward(407)])
    error = run.fail(ProxyAuthenticationError)
    assert not isinstance(error, ProxyConnectionError)
    assert run.pool.story == [("a", AUTH)], "who refused the credentials is not asked again"
    assert run.waits == []


def test_who_said_407_is_not_asked_again() -> None:
    run = Run("ab", [forward(407), refused(), refused()])
    run.fail(ProxyConnectionError)
    assert run.pool.story == [("a", AUTH), ("b", DOWN), ("b", DOWN)]


def test_a_407_inside_a_tunnel_is_the_sites() -> None:
    assert Run("ab", [tunnelled(407)]).finish().answer.status == 407


def test_compatibility_with_a_401() -> None:
    run = Run("a", [tunnelled(401)], judge=StatusJudge(BanPolicy(), (401, 407)))
    assert "401" in str(run.fail(ProxyAuthenticationError))


def test_an_empty_pool() -> None:
    run = Run("", [])
    run.fail(ProxyPoolEmptyError)
    assert run.steps == []


def test_a_fault_of_the_client_ends_it() -> None:
    run = Run("ab", [Failure(Outcome.CLIENT_FAULT, ValueError("bad header"), sent=False)])
    assert str(run.fail(ValueError)) == "bad header"
    assert run.pool.story == [("a", Outcome.CLIENT_FAULT)]


def test_the_budget_covers_all_attempts() -> None:
    policy = RetryPolicy(timeout=5.0, max_attempts=10)
    run = Run("abcdefgh", [cut_off()] * 3, policy=policy, seconds_per_attempt=2.0)
    error = run.fail(ProxyConnectionError)
    assert "Request timeout" in str(error)
    assert error.error_code == "TIMEOUT"
    assert [step.time_left for step in run.steps if isinstance(step, Send)] == [5.0, 3.0, 1.0]


def test_a_pause_that_does_not_fit_the_budget_is_not_begun() -> None:
    run = Run("a", [refused()], policy=RetryPolicy(timeout=0.5))
    assert "Request timeout" in str(run.fail(ProxyConnectionError))
    assert run.waits == []


def test_an_interruption_gives_the_lease_back() -> None:
    run = Run("ab", [])
    next(run.loop)
    run.loop.close()
    assert run.pool.story == [("a", "released")]


def test_an_interruption_later_keeps_what_is_known() -> None:
    run = Run("ab", [])
    next(run.loop)
    assert isinstance(run.loop.send(forward(502)), Discard)
    assert isinstance(run.loop.send(None), Send)
    run.loop.close()
    assert run.pool.story == [("a", TARGET), ("b", "released")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("seed", range(40))
def test_every_lease_gets_exactly_one_verdict(seed: int, method: str) -> None:
    import random

    draw = random.Random(seed)
    kinds = [
        refused,
        cut_off,
        lambda: cut_off(AMBIGUOUS),
        *(lambda s=status: forward(s) for status in (200, 403, 407, 429, 502, 503, 504)),
    ]
    kinds.append(lambda: tunnelled(503))
    run = Run("abcde"[: draw.randint(1, 5)], [draw.choice(kinds)() for _ in range(10)], method)
    try:
        run.finish()
    except (ProxyConnectionError, ProxyAuthenticationError, AssertionError) as error:
        if isinstance(error, AssertionError) and "left over" not in str(error):
            raise
    assert all(len(lease.verdicts) == 1 for lease in run.pool.leases)
    assert 1 <= len(run.pool.leases) <= 10
    if method != "POST" and len(run.pool.leases) > 3:
        beyond = [lease.id for lease in run.pool.leases[3:]]
        assert len(set(beyond)) == len(beyond)
        assert not {lease.id for lease in run.pool.leases[:3]}.intersection(beyond), "only new ones"


BANNED, LIMITED = Outcome.BANNED, Outcome.RATE_LIMITED


def test_faults_of_proxies_are_passed_by_beyond_three_attempts() -> None:
    run = Run("abcdefgh", [refused()] * 6 + [forward(200)])
    assert run.finish().attempts == 7
    assert run.waits == []


@pytest.mark.parametrize("policy", [HARD, RetryPolicy(max_attempts=5)])
def test_attempts_that_were_asked_for_are_a_hard_bound(policy: RetryPolicy) -> None:
    run = Run("abcdefgh", [refused()] * policy.max_attempts, policy=policy)
    assert f"failed after {policy.max_attempts} attempts" in str(run.fail(ProxyConnectionError))


def test_ten_attempts_in_all() -> None:
    run = Run("abcdefghijkl", [refused()] * 10)
    assert "failed after 10 attempts" in str(run.fail(ProxyConnectionError))


def test_no_more_timeouts_than_attempts_of_the_policy() -> None:
    run = Run("abcdefgh", [refused(), timed_out(), timed_out(), refused(), timed_out()])
    assert "failed after 5 attempts" in str(run.fail(ProxyConnectionError))


def test_faults_of_the_site_are_not_looked_for_elsewhere_for_long() -> None:
    run = Run("abcdefgh", [tunnelled(503)] * 3)
    run.fail(ProxyConnectionError)
    assert len(run.pool.leases) == 3


def test_beyond_the_attempts_nobody_is_asked_twice() -> None:
    run = Run("abcd", [refused()] * 4)
    assert "failed after 4 attempts" in str(run.fail(ProxyConnectionError))
    assert [name for name, _ in run.pool.story] == list("abcd")


def test_a_ban_moves_on_at_once() -> None:
    run = Run("abcde", [forward(403), tunnelled(403), forward(429), forward(429, retry_after=9.0), forward(200)])
    assert run.finish().attempts == 5
    assert run.pool.story[:4] == [("a", BANNED), ("b", BANNED), ("c", LIMITED), ("d", LIMITED)]
    assert [lease.hold for lease in run.pool.leases] == [None, None, None, 9.0, None]
    assert [lease.status for lease in run.pool.leases] == [403, 403, 429, 429, 200]
    assert run.waits == []


def test_banned_everywhere_is_an_answer() -> None:
    run = Run("ab", [forward(403), forward(403)])
    delivery = run.finish()
    assert (delivery.outcome, delivery.attempts, delivery.answer.status) == (BANNED, 2, 403)
    assert run.pool.story == [("a", BANNED), ("b", BANNED)], "nobody is asked a second time"
    assert run.waits == []


def test_banned_everywhere_while_streaming() -> None:
    delivery = Run("ab", [forward(403), forward(403)], streaming=True).finish()
    assert not delivery.open, "its verdict was needed to go on looking"
    assert Run("ab", [forward(200)], streaming=True).finish().open


def test_banned_everywhere_is_raised_on_request() -> None:
    for status, replies in ((403, 2), (429, 2)):
        run = Run("ab", [forward(status)] * replies, raise_on_ban=True)
        error = run.fail(ProxyBannedError)
        assert error.response == f"response {status}"
        assert error.attempt_count == 2
        assert f"status {status}" in str(error)
        assert str(error).count("attempt") == 1


def test_a_ban_of_what_must_not_be_repeated() -> None:
    run = Run("ab", [forward(403)], "POST")
    assert run.finish().outcome is BANNED
    assert run.pool.story == [("a", BANNED)]
    Run("ab", [forward(403)], "POST", raise_on_ban=True).fail(ProxyBannedError)


def test_a_failure_that_is_a_ban() -> None:
    class Judge(StatusJudge):
        def failure(self, failure: Any) -> Outcome:
            return BANNED

    run = Run("ab", [cut_off(), cut_off()], judge=Judge(BanPolicy()), raise_on_ban=True)
    error = run.fail(ProxyBannedError)
    assert error.response is None
    assert isinstance(error.__cause__, ConnectionResetError)
    assert run.pool.story == [("a", BANNED), ("b", BANNED)]


def test_waiting_in_line() -> None:
    run = Run("a", [forward(200)], patience=5.0)
    run.pool.busy = {"a"}
    run.finish()
    assert run.steps[0] == Admit((), 1, 5.0)


def test_patience_is_for_all_attempts_together() -> None:
    run = Run("ab", [forward(403)], patience=3.0)
    run.pool.busy = {"a", "b"}
    assert isinstance(next(run.loop), Admit)
    run.clock.now += 2.0
    run.pool.busy = {"b"}
    lease = run.pool.take([], 1, 0.0)
    assert isinstance(run.loop.send(lease), Send)
    assert isinstance(run.loop.send(forward(403)), Renew)
    step = run.loop.send(None)
    assert step == Admit(("a",), 2, 1.0)
    run.loop.close()


def test_nobody_in_the_end() -> None:
    run = Run("a", [], patience=1.0)
    run.pool.busy = {"a"}
    assert "still busy" in str(run.fail(ProxyPoolEmptyError))


def test_the_budget_bounds_the_waiting() -> None:
    run = Run("a", [], policy=RetryPolicy(timeout=1.5), patience=None)
    run.pool.busy = {"a"}
    run.fail(ProxyPoolEmptyError)
    assert run.steps == [Admit((), 1, 1.5)]


def test_a_banned_answer_when_there_is_no_time_for_another() -> None:
    run = Run("ab", [forward(403)], policy=RetryPolicy(timeout=1.0), seconds_per_attempt=2.0)
    assert run.finish().outcome is BANNED


def test_without_a_proxy_only_when_there_is_none() -> None:
    def direct() -> FakeLease:
        lease = FakeLease("direct")
        lease.id = None  # type: ignore[assignment]
        return lease

    run = Run("a", [refused(), forward(200)], direct=direct, policy=RetryPolicy(max_attempts=2, base_delay=0.1))
    run.finish()
    assert run.pool.story == [("a", DOWN), ("a", Outcome.SUCCESS)]
    run = Run("a", [forward(403), forward(200)], direct=direct)
    assert run.finish().lease.id is None
    run = Run("", [forward(200)], direct=direct)
    assert run.finish().lease.id is None
    run = Run("", [refused()], direct=direct)
    run.fail(ProxyConnectionError)


def test_texts_say_it_once() -> None:
    run = Run("a", [refused()], policy=RetryPolicy(timeout=0.5))
    assert str(run.fail(ProxyConnectionError)).count("attempt") == 1
    error = Run("a", [refused()], policy=RetryPolicy(max_attempts=1)).fail(ProxyConnectionError)
    assert "failed after 1 attempt: " in str(error)
    assert "[attempt" not in str(error)
    assert error.attempt_count == 1
