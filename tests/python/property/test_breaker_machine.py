"""The circuit breaker against a plain model: any sequence of calls, with time that stands still or is always over."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxywhirl import CircuitBreakerState
from proxywhirl._core import CircuitBreaker

CLOSED, OPEN, HALF_OPEN = CircuitBreakerState.CLOSED, CircuitBreakerState.OPEN, CircuitBreakerState.HALF_OPEN
NEVER = 1e6
AT_ONCE = 1e-9


@dataclass
class Model:
    """What the documentation says, in the obvious way."""

    failure_threshold: int
    success_threshold: int
    failure_rate: float
    over: bool
    """Whether an open breaker, and a request on trial, are over their time by the next call."""
    state: CircuitBreakerState = CLOSED
    failures: int = 0
    successes: int = 0
    won: int = 0
    probing: bool = False

    def record_failure(self) -> None:
        self.failures += 1
        enough = self.failures >= self.failure_threshold
        share = self.failures >= self.failure_rate * (self.failures + self.successes)
        if self.state is HALF_OPEN or (self.state is CLOSED and enough and share):
            self.state, self.won, self.probing = OPEN, 0, False

    def record_success(self) -> None:
        if self.state is CLOSED:
            self.successes += 1
        elif self.state is HALF_OPEN:
            self.won += 1
            self.probing = False
            if self.won >= self.success_threshold:
                self.reset()

    def reset(self) -> None:
        self.state, self.failures, self.successes, self.won, self.probing = CLOSED, 0, 0, 0, False

    def would_allow(self) -> bool:
        return self.state is CLOSED or self.over or (self.state is HALF_OPEN and not self.probing)

    def should_attempt_request(self) -> bool:
        allowed = self.would_allow()
        if allowed and self.state is not CLOSED:
            self.state, self.probing = HALF_OPEN, True
        return allowed


class BreakerMachine(RuleBasedStateMachine):
    @initialize(
        failure_threshold=st.integers(1, 6),
        success_threshold=st.integers(1, 3),
        failure_rate=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        over=st.booleans(),
    )
    def begin(self, failure_threshold: int, success_threshold: int, failure_rate: float, over: bool) -> None:
        self.model = Model(failure_threshold, success_threshold, failure_rate, over)
        self.breaker = CircuitBreaker(
            "one",
            failure_threshold=failure_threshold,
            success_threshold=success_threshold,
            failure_rate=failure_rate,
            window_duration=NEVER,
            timeout=AT_ONCE if over else NEVER,
        )

    @rule(times=st.integers(1, 4))
    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.record_failure()
            self.model.record_failure()

    @rule(times=st.integers(1, 8))
    def succeed(self, times: int) -> None:
        for _ in range(times):
            self.breaker.record_success()
            self.model.record_success()

    @rule()
    def attempt(self) -> None:
        assert self.breaker.should_attempt_request() is self.model.should_attempt_request()

    @rule()
    def start_over(self) -> None:
        self.breaker.reset()
        self.model.reset()

    @invariant()
    def says_the_same(self) -> None:
        breaker, model = self.breaker, self.model
        assert breaker.state is model.state
        assert breaker.failure_count == len(breaker.failure_window) == model.failures
        assert breaker.would_allow() is model.would_allow()
        assert (breaker.next_test_time is not None) is (model.state is OPEN)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
