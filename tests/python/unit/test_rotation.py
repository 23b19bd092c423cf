"""The native rotation as its drivers in Python step it; its rules are tested in Rust, by `tests/core/retry.rs`."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import random
import weakref
from typing import Any, Optional

import pytest

from proxywhirl import (
    Outcome,
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyPool,
    ProxyPoolEmptyError,
    RetryPolicy,
    RoundRobinStrategy,
)
from proxywhirl._core import StatusJudge, hold_of
from proxywhirl._httpx.rotation import Answer, Failure, error_of
from proxywhirl._native.enums import AMBIGUOUS
from proxywhirl.bans import BanPolicy
from proxywhirl.retry.policy import native_policy, rotation_of

DOWN, TARGET, SUCCESS = Outcome.PROXY_DOWN, Outcome.TARGET_FAULT, Outcome.SUCCESS
PAGE = "http://site.test/page?token=abc"


class Run:
    """Plays replies into a rotation over a pool of proxies ``a``, ``b``, ..."""

    def __init__(self, names: str, replies: list[Any], method: str = "GET", **options: Any) -> None:
        urls = [f"http://user:secret-word@{name}.test:8000" for name in names]
        self.pool = ProxyPool(proxies=urls)
        self.policy = options.pop("policy", RetryPolicy(max_attempts=3, base_delay=0.001))
        self.judge = options.pop("judge", StatusJudge(BanPolicy()))
        self.method = method
        self.replies = replies
        self.steps: list[str] = []
        self.waits: list[float] = []
        self.observed: list[tuple[str, Any, Any]] = []
        self.strategy = RoundRobinStrategy()
        self.rotation = rotation_of(self.policy, self.take, method, PAGE, **options)

    def take(self, exclude: list[Any], attempt: int, seconds: Optional[float]) -> Any:
        def observe(lease: Any, outcome: Any, elapsed_ms: Any, error: Any, status: Any) -> None:
            self.observed.append((lease.proxy.host[0], outcome, status))

        return self.pool.lease(self.strategy, PAGE, exclude=exclude, attempt=attempt, observer=observe)

    def finish(self) -> None:
        rotation = self.rotation
        step = rotation.start()
        while True:
            self.steps.append(step)
            if step == "send":
                reply = self.replies.pop(0)
                if isinstance(reply, Answer):
                    outcome = self.judge.answer(reply)
                    step = rotation.answered(outcome, reply.status, reply.elapsed_ms, reply.tunnel, reply.retry_after)
                else:
                    outcome = self.judge.failure(reply)
                    step = rotation.failed(outcome, reply.error, reply.sent, timed_out=reply.timed_out)
            elif step in ("deliver", "fail"):
                assert not self.replies
                return
            else:
                if step == "wait":
                    assert rotation.seconds is not None
                    self.waits.append(rotation.seconds)
                step = rotation.done()

    def fail(self, kind: type[BaseException], response: Any = None) -> Any:
        self.finish()
        assert self.steps[-1] == "fail"
        error = error_of(self.rotation, self.method, PAGE, self.policy, response if self.rotation.has_answer else None)
        assert isinstance(error, kind), repr(error)
        return error


def forward(status: int, *, retry_after: float | None = None) -> Answer:
    return Answer(status, 10.0, object(), retry_after=retry_after)


def refused() -> Failure:
    return Failure(DOWN, ConnectionRefusedError("refused"), sent=False)


def cut_off(outcome: Any = DOWN) -> Failure:
    return Failure(outcome, ConnectionResetError("reset"), sent=True)


def test_a_good_answer_is_delivered() -> None:
    run = Run("ab", [forward(200)])
    run.finish()
    rotation = run.rotation
    assert run.steps == ["send", "deliver"]
    assert (rotation.outcome, rotation.attempts, rotation.is_open, rotation.is_over) == (SUCCESS, 1, False, True)
    assert rotation.lease.closed
    assert run.observed == [("a", SUCCESS, 200)]


def test_a_streamed_answer_keeps_its_lease_open() -> None:
    run = Run("ab", [forward(200)], streaming=True)
    run.finish()
    lease = run.rotation.lease
    assert run.rotation.is_open
    run.rotation.close()
    assert not lease.closed, "it ends with the body"
    lease.release()


def test_the_core_blames_the_suspects_when_another_proxy_brings_the_answer() -> None:
    run = Run("ab", [forward(502), forward(200)])
    run.finish()
    assert run.steps == ["send", "discard", "send", "deliver"]
    assert run.observed == [("a", DOWN, 502), ("b", SUCCESS, 200)]


def test_suspects_without_an_answer_are_the_sites_fault() -> None:
    run = Run("ab", [cut_off(AMBIGUOUS), cut_off(AMBIGUOUS)], policy=RetryPolicy(max_attempts=2))
    run.fail(ProxyConnectionError)
    assert run.observed == [("a", TARGET, None), ("b", TARGET, None)]


def test_exhausted() -> None:
    run = Run("abcd", [refused(), refused(), refused()])
    error = run.fail(ProxyConnectionError)
    assert "failed after 3 attempts: ConnectionRefusedError: refused" in str(error)
    assert error.attempt_count == 3
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "secret-word" not in f"{error} {error!r} {error.to_dict()}"
    assert "token=abc" not in str(error)
    assert [name for name, *_ in run.observed] == ["a", "b", "c"]


def test_the_last_answer_goes_with_the_error() -> None:
    run = Run("abc", [forward(502)] * 3)
    error = run.fail(ProxyConnectionError, "the page")
    assert error.response == "the page"
    assert "status 502" in str(error)


def test_a_proxy_that_refuses_the_credentials() -> None:
    error = Run("a", [forward(407)]).fail(ProxyAuthenticationError)
    assert not isinstance(error, ProxyConnectionError)
    assert "failed after 1 attempt: status 407" in str(error)
    assert "[attempt" not in str(error)


def test_compatibility_with_a_401() -> None:
    run = Run("a", [Answer(401, 10.0, object(), tunnel=True)], judge=StatusJudge(BanPolicy(), (401, 407)))
    assert "401" in str(run.fail(ProxyAuthenticationError))


def test_bans_are_raised_on_request() -> None:
    for status, why in ((403, "refuses the proxy"), (429, "asks for a pause")):
        error = Run("ab", [forward(status)] * 2, raise_on_ban=True).fail(ProxyBannedError, "the page")
        assert (error.response, error.attempt_count) == ("the page", 2)
        assert why in str(error)
        assert f"status {status}" in str(error)
        assert str(error).count("attempt") == 1


def test_a_failure_that_is_a_ban() -> None:
    cut_off = [Failure(Outcome.BANNED, ConnectionResetError("cut off"), sent=True) for _ in "ab"]
    run = Run("ab", cut_off, raise_on_ban=True)
    error = run.fail(ProxyBannedError)
    assert error.response is None
    assert isinstance(error.__cause__, ConnectionResetError)
    assert [outcome for _, outcome, _ in run.observed] == [Outcome.BANNED] * 2


def test_a_hold_is_of_a_rate_limit_only() -> None:
    assert hold_of(Outcome.RATE_LIMITED, 7.0) == 7.0
    assert hold_of(TARGET, 7.0) is None


def test_a_fault_of_the_request_is_raised_as_it_is() -> None:
    fault = ValueError("bad header")
    run = Run("ab", [Failure(Outcome.CLIENT_FAULT, fault, sent=False)])
    assert run.fail(ValueError) is fault
    assert run.observed == [("a", Outcome.CLIENT_FAULT, None)]


def test_an_empty_pool() -> None:
    run = Run("", [])
    error = run.fail(ProxyPoolEmptyError)
    assert run.steps == ["fail"]
    assert error is run.rotation.error


def test_the_deadline() -> None:
    error = Run("a", [refused()], policy=RetryPolicy(timeout=0.5, base_delay=1.0)).fail(ProxyConnectionError)
    assert str(error).startswith("Request timeout: GET http://site.test/page")
    assert "was not answered within 0.5 s: " in str(error)
    assert error.error_code == "TIMEOUT"
    assert isinstance(error.__cause__, ProxyConnectionError)
    assert str(error).count("attempt") == 1
    late = Run("a", [], time_left=0.0).fail(ProxyConnectionError)
    assert "in time: no time was left to begin" in str(late)


def test_waiting_for_a_proxy_is_the_drivers() -> None:
    pool = ProxyPool(proxies=["http://a.test:80"])
    policy = RetryPolicy(timeout=60.0)
    rotation = rotation_of(policy, lambda exclude, attempt, seconds: None, "GET", PAGE, patience=5.0)
    assert rotation.start() == "admit"
    assert rotation.admission == ([], 1, 5.0)
    assert rotation.admitted(pool.lease(RoundRobinStrategy(), PAGE)) == "send"
    assert rotation.seconds is not None
    assert 50.0 < rotation.seconds <= 60.0
    rotation.close()
    assert rotation.lease is None
    assert pool.get_all_proxies()[0].requests_active == 0


def test_a_limit_that_refuses_is_raised() -> None:
    limit = ProxyConnectionError("Rate limit exceeded")

    def take(exclude: Any, attempt: int, seconds: Optional[float]) -> None:
        raise limit

    rotation = rotation_of(RetryPolicy(), take, "GET", PAGE)
    assert rotation.start() == "fail"
    assert error_of(rotation, "GET", PAGE, RetryPolicy()) is limit


def test_another_exception_of_the_choice_goes_through() -> None:
    def take(exclude: Any, attempt: int, seconds: Optional[float]) -> None:
        raise KeyError("a strategy of the user's")

    rotation = rotation_of(RetryPolicy(), take, "GET", PAGE)
    with pytest.raises(KeyError):
        rotation.start()
    assert rotation.is_over


def test_an_interruption_gives_the_lease_back() -> None:
    run = Run("ab", [])
    assert run.rotation.start() == "send"
    run.rotation.close()
    run.rotation.close()
    assert run.observed == [("a", None, None)]
    with pytest.raises(RuntimeError, match="is over"):
        run.rotation.done()


def test_a_rotation_dropped_gives_the_lease_back() -> None:
    run = Run("a", [])
    run.rotation.start()
    proxy = run.pool.get_all_proxies()[0]
    assert proxy.requests_active == 1
    gone = weakref.ref(run.rotation)
    del run
    gc.collect()
    assert gone() is None
    assert proxy.requests_active == 0


def test_a_driver_out_of_turn_is_told() -> None:
    run = Run("a", [])
    run.rotation.start()
    with pytest.raises(Exception, match="internal error"):
        run.rotation.done()
    run.rotation.close()


def test_without_a_proxy() -> None:
    class Direct:
        id = proxy = None
        url = ""

    run = Run("ab", [forward(403), forward(403), forward(200)], direct=Direct)
    run.finish()
    assert isinstance(run.rotation.lease, Direct)
    assert run.rotation.outcome is SUCCESS
    alone = Run("", [refused()], direct=Direct)
    assert alone.fail(ProxyConnectionError).proxy_url is None


def test_attempts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    for level, told in (("INFO", ["proxy_failed", "request_success"]), ("WARNING", ["proxy_failed"]), ("ERROR", [])):
        caplog.clear()
        with caplog.at_level(level, logger="proxywhirl.rotation"):
            Run("ab", [refused(), forward(200)]).finish()
        assert [record.event for record in caplog.records] == told  # type: ignore[attr-defined]
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="proxywhirl.rotation"):
        Run("a", [Answer(200, 6000.0, object())]).finish()
    assert [record.event for record in caplog.records] == ["proxy_slow"]  # type: ignore[attr-defined]


def test_the_same_proxy_again_only_after_the_delays_of_the_policy() -> None:
    run = Run("a", [refused(), refused(), forward(200)], policy=RetryPolicy(base_delay=0.25))
    run.finish()
    assert run.waits == [0.25, 0.5]


def test_a_delay_of_the_users_own_is_honoured() -> None:
    class Patient(RetryPolicy):
        def calculate_delay(self, attempt: int, previous_delay: Any = None, *, rng: Any = None) -> float:
            return 7.0 + attempt

    run = Run("a", [refused(), refused(), forward(200)], policy=Patient())
    run.finish()
    assert run.waits == [7.0, 8.0]


def test_a_policy_is_compiled_once_and_anew_after_a_change() -> None:
    policy = RetryPolicy(base_delay=0.25)
    first = native_policy(policy)
    assert native_policy(policy) is first
    policy.retry_status_codes.append(418)
    second = native_policy(policy)
    assert second is not first
    policy.max_attempts = 2
    assert native_policy(policy) is not second
    assert policy == RetryPolicy(base_delay=0.25, max_attempts=2, retry_status_codes=[502, 503, 504, 418])
    assert native_policy(policy.model_copy(update={"base_delay": 0.5})).delay(0, None, random.uniform) == 0.5
    for twin in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert twin == policy
        assert native_policy(twin).delay(1, None, random.uniform) == 0.5


def test_attempts_of_the_default_are_open_ended() -> None:
    replies: list[Any] = [refused() for _ in range(5)]
    run = Run("abcdef", [*replies, forward(200)], policy=RetryPolicy())
    run.finish()
    assert run.rotation.attempts == 6
    Run("abcdef", [refused() for _ in range(3)], policy=RetryPolicy(max_attempts=3)).fail(ProxyConnectionError)
