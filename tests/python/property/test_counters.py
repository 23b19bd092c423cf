"""Counters and averages against plain arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxywhirl import Proxy, ProxyPool, RoundRobinStrategy

milliseconds = st.floats(0.0, 1e6, allow_nan=False)
alphas = st.floats(0.0, 1.0, allow_nan=False)
events = st.lists(
    st.one_of(
        st.just(("start",)),
        st.tuples(st.just("complete"), st.booleans(), milliseconds),
        st.tuples(st.just("success"), milliseconds),
        st.just(("failure",)),
        st.just(("reset",)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(events=events, alpha=alphas)
def test_counters_follow_the_documented_arithmetic(events: list[Any], alpha: float) -> None:
    proxy = Proxy(url="http://p.test:1", ema_alpha=alpha)
    started = completed = active = successes = failures = in_a_row = 0
    average: float | None = None
    for event in events:
        if event[0] == "start":
            proxy.start_request()
            started, active = started + 1, active + 1
            continue
        if event[0] == "reset":
            proxy.reset_window()
            started = completed = 0
            continue
        if event[0] == "complete":
            proxy.complete_request(event[1], event[2])
            completed, active = completed + 1, max(0, active - 1)
        good = event[0] == "success" or (event[0] == "complete" and event[1])
        if event[0] == "success":
            proxy.record_success(event[1])
        elif event[0] == "failure":
            proxy.record_failure()
        if good:
            value = event[-1]
            average = value if average is None else alpha * value + (1 - alpha) * average
            successes, in_a_row = successes + 1, 0
        else:
            failures, in_a_row = failures + 1, in_a_row + 1
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (started, completed, active)
    assert (proxy.total_requests, proxy.total_successes, proxy.total_failures) == (
        successes + failures, successes, failures,
    )  # fmt: skip
    assert proxy.consecutive_failures == in_a_row
    if average is None:
        assert proxy.ema_response_time_ms is None
    else:
        assert proxy.ema_response_time_ms == pytest.approx(average, rel=1e-9, abs=1e-9)
    if successes + failures:
        assert proxy.success_rate == pytest.approx(successes / (successes + failures))
        expected = ["healthy", "degraded", "degraded", "unhealthy", "unhealthy", "dead"][min(in_a_row, 5)]
        assert proxy.health_status == expected


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(1, 12),
    dead=st.sets(st.integers(0, 11)),
    steps=st.lists(st.sampled_from(["select", "good", "bad", "drop"]), max_size=80),
)
def test_at_rest_started_is_completed_plus_active(size: int, dead: set[int], steps: list[str]) -> None:
    pool = ProxyPool(proxies=[Proxy(url=f"http://p{n}.test:1") for n in range(size)])
    for place in dead:
        if place < size - 1:  # one at least may serve
            pool.proxies[place].health_status = "dead"
    strategy, leases = RoundRobinStrategy(), []
    for step in steps:
        if step == "select":
            leases.append(pool.lease(strategy))
        elif leases:
            lease = leases.pop(0)
            if step == "good":
                lease.success(1.0)
            elif step == "bad":
                # A failure would change which proxies are eligible; the counters are what matters here.
                lease.finish("target_fault")
            else:
                lease.release()
        assert sum(proxy.requests_active for proxy in pool.proxies) == len(leases)
        for proxy in pool.proxies:
            assert proxy.requests_started == proxy.requests_completed + proxy.requests_active
    leases.clear()
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
