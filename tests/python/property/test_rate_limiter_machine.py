"""The rate limiter against a model that counts tokens on its fingers, with a clock that the test moves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxywhirl.rate_limiting import RateLimit, RateLimiter, limiter

SECOND = 10**9
PROXIES = [f"proxy-{number}" for number in range(3)]
# A token comes after a whole number of nanoseconds, which is what the buckets count in.
limits = st.builds(
    RateLimit,
    max_requests=st.integers(1, 5),
    time_window=st.sampled_from([1.5, 3.0, 12.0]),
    burst_allowance=st.none() | st.integers(1, 6),
)


class Clock:
    now = Fraction(0)


class Tokens:
    """A bucket in exact arithmetic."""

    def __init__(self, max_requests: int, time_window: float, burst: int | None = None) -> None:
        self.rate = Fraction(max_requests) / Fraction(time_window)
        self.burst = max_requests if burst is None else burst
        self.left = Fraction(self.burst)
        self.at = Clock.now

    def _refill(self) -> None:
        self.left = min(Fraction(self.burst), self.left + (Clock.now - self.at) * self.rate)
        self.at = Clock.now

    def would_allow(self) -> bool:
        self._refill()
        return self.left >= 1

    def try_acquire(self) -> bool:
        allowed = self.would_allow()
        self.left -= allowed
        return allowed

    def wait_time(self) -> float:
        self._refill()
        return float(max(Fraction(0), (1 - self.left) / self.rate))


class Machine(RuleBasedStateMachine):
    """Two buckets per decision: the global one, and the proxy's own or that of its kind.

    The clock of the buckets runs, but their tokens take years to come back.
    """

    slower = 10.0**8

    def __init__(self) -> None:
        super().__init__()
        Clock.now = Fraction(0)

    def slowed(self, limit: RateLimit) -> RateLimit:
        return limit.model_copy(update={"time_window": limit.time_window * self.slower})

    @initialize(each=st.none() | st.tuples(st.sampled_from([0.5, 2, 4.0]), st.integers(1, 5)), shared=limits)
    def make(self, each: Any, shared: RateLimit) -> None:
        self.made: dict[str, Tokens] = {}
        self.all: Tokens | None = None
        self.each = each and (each[0] / self.slower, each[1])
        if self.each is None:
            shared = self.slowed(shared)
            self.limiter = RateLimiter(global_limit=shared)
            self.all = Tokens(shared.max_requests, shared.time_window, shared.burst_allowance)
        else:
            self.limiter = RateLimiter(*self.each)

    def buckets(self, proxy: str) -> list[Tokens]:
        if proxy not in self.made and self.each is not None:
            rate, burst = self.each
            self.made[proxy] = Tokens(1, 1 / rate, burst)
        return [bucket for bucket in (self.all, self.made.get(proxy)) if bucket is not None]

    @rule(proxy=st.sampled_from(PROXIES), limit=st.none() | limits)
    def set_limit(self, proxy: str, limit: RateLimit | None) -> None:
        limit = None if limit is None else self.slowed(limit)
        self.limiter.set_proxy_limit(proxy, limit)
        self.made.pop(proxy, None)
        if limit is not None:
            self.made[proxy] = Tokens(limit.max_requests, limit.time_window, limit.burst_allowance)

    @rule(proxy=st.sampled_from(PROXIES))
    def acquire(self, proxy: str) -> None:
        buckets = self.buckets(proxy)
        expected = all(bucket.would_allow() for bucket in buckets)
        assert self.limiter.acquire(proxy) is expected
        if expected:
            for bucket in buckets:
                bucket.try_acquire()

    @invariant()
    def looking_takes_nothing(self) -> None:
        for proxy in PROXIES:
            expected = all(bucket.would_allow() for bucket in self.buckets(proxy))
            assert self.limiter.would_allow(proxy) is expected
            assert (self.limiter.wait_time(proxy) == 0.0) is expected


class TimedMachine(Machine):
    """The same with a clock that the test moves."""

    slower = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limiter, "_clock", lambda: int(Clock.now * SECOND))

    def teardown(self) -> None:
        self.patch.undo()

    @rule(seconds=st.sampled_from(["1/8", "1/2", "1", "9"]))
    def wait(self, seconds: str) -> None:
        Clock.now += Fraction(seconds)

    @rule(proxy=st.sampled_from(PROXIES))
    def wait_out(self, proxy: str) -> None:
        """What the limiter calls the waiting time is enough, and not more than needed."""
        wait = round(self.limiter.wait_time(proxy) * SECOND)
        if wait:
            Clock.now += Fraction(wait - 1, SECOND)
            assert not self.limiter.would_allow(proxy)
            Clock.now += Fraction(1, SECOND)
        assert self.limiter.would_allow(proxy)


TestRateLimiter = Machine.TestCase
TestRateLimiter.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRateLimiterInTime = TimedMachine.TestCase
TestRateLimiterInTime.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
