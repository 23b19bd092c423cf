"""The core's judging as Python sees it: breakers, buckets, limits, explanations, notices, observers."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import threading
import weakref
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from proxywhirl import CircuitBreakerState, Outcome, ProxyPool, RoundRobinStrategy
from proxywhirl._core import CircuitBreaker, Lease, RateBuckets
from proxywhirl.exceptions import ProxyPoolEmptyError

STRATEGY = RoundRobinStrategy()


def pool_of(count: int, **settings: Any) -> ProxyPool:
    pool = ProxyPool()
    pool.add_many([f"http://user:secret@10.0.0.{number + 1}:8080" for number in range(count)])
    pool._guard_configure(**settings)
    return pool


def refusal(pool: ProxyPool, *args: Any, **kwargs: Any) -> ProxyPoolEmptyError:
    with pytest.raises(ProxyPoolEmptyError) as caught:
        pool.lease(STRATEGY, *args, **kwargs)
    return caught.value


# ---- breakers -------------------------------------------------------------------------------------------------------


def test_a_breaker_by_itself() -> None:
    breaker = CircuitBreaker(failure_threshold=2, timeout=60, success_threshold=2)
    assert (breaker.proxy_id, breaker.timeout, breaker.timeout_duration, breaker.window_duration) == (None, 60, 60, 60)
    assert (breaker.state, breaker.failure_count, breaker.failure_window) == (CircuitBreakerState.CLOSED, 0, [])
    assert breaker.next_test_time is None
    before = datetime.now(timezone.utc)
    breaker.record_failure()
    breaker.record_failure()
    assert breaker.state is CircuitBreakerState.OPEN
    assert not breaker.should_attempt_request()
    assert breaker.next_test_time is not None
    assert timedelta(seconds=59) < breaker.next_test_time - before < timedelta(seconds=61)
    assert breaker.last_state_change >= before - timedelta(seconds=1)
    assert all(abs(at - before) < timedelta(seconds=1) for at in breaker.failure_window)
    breaker.reset()
    assert (breaker.state, breaker.failure_count) == (CircuitBreakerState.CLOSED, 0)
    assert "closed" in repr(breaker)


@pytest.mark.parametrize(
    "settings",
    [
        {"failure_threshold": 0},
        {"failure_threshold": -1},
        {"success_threshold": 0},
        {"timeout": 0.0},
        {"timeout_duration": float("nan")},
        {"timeout": float("inf")},
        {"window_duration": -1.0},
        {"failure_rate": 1.01},
        {"failure_rate": float("nan")},
    ],
)
def test_a_breaker_refuses_limits_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CircuitBreaker(**settings)


def test_a_breaker_from_a_configuration() -> None:
    from proxywhirl.models import CircuitBreakerConfig

    config = CircuitBreakerConfig(failure_threshold=7, timeout_duration=9.0)
    made = CircuitBreaker.create("some", config, success_threshold=3)
    assert (made.proxy_id, made.failure_threshold, made.timeout, made.success_threshold) == ("some", 7, 9.0, 3)
    assert CircuitBreaker.from_config("other", config, timeout=2).timeout == 2
    with pytest.raises(TypeError):
        CircuitBreaker(timeout=1, timeout_duration=2)


def test_the_breaker_of_a_proxy_acts_on_the_pool() -> None:
    pool = pool_of(2)
    first, second = pool.get_all_proxies()
    breaker = pool._breaker_of(first.id)
    assert breaker == pool._breaker_of(str(first.id))
    assert breaker != pool._breaker_of(second.id)
    assert breaker.proxy_id == str(first.id)
    for _ in range(5):
        breaker.record_failure()
    assert pool.get_healthy_proxies() == [second]
    assert {pool.lease(STRATEGY).proxy for _ in range(4)} == {second}
    for _ in range(5):
        pool._breaker_of(second.id).record_failure()
    error = refusal(pool)
    assert "503 Service Temporarily Unavailable" in str(error)
    assert (error.reasons, error.retry_after, error.may_free) == ({"breaker_open": 2}, None, False)
    breaker.reset()
    assert pool.lease(STRATEGY).proxy is first
    with pytest.raises(KeyError, match="No circuit breaker found"):
        pool._breaker_of(uuid4())
    with pytest.raises(KeyError):
        pool._breaker_of("nonsense")


def test_a_breaker_of_the_users_own() -> None:
    pool = pool_of(2)
    first, second = pool.get_all_proxies()
    own = CircuitBreaker(failure_threshold=1)
    pool._set_breaker(first.id, own)
    assert own == pool._breaker_of(first.id)
    assert own.proxy_id == str(first.id)
    pool.lease(STRATEGY, exclude=[second.id]).failure()
    assert own.state is CircuitBreakerState.OPEN
    # Other settings of the pool leave it alone.
    pool._guard_configure(failure_threshold=9)
    assert (own.failure_threshold, pool._breaker_of(second.id).failure_threshold) == (1, 9)
    with pytest.raises(ValueError, match="another proxy"):
        pool._set_breaker(second.id, own)
    with pytest.raises(KeyError):
        pool._set_breaker(uuid4(), CircuitBreaker())


# ---- buckets --------------------------------------------------------------------------------------------------------


def test_a_bucket() -> None:
    buckets = RateBuckets(None, (2, 3600.0, None))
    assert [buckets.acquire("p") for _ in range(3)] == [True, True, False]
    assert 1700 < buckets.wait_time("p") <= 1800
    assert RateBuckets(None, (1, 60, 5)).wait_time("p") == 0.0
    for bad in [(0, 1.0, None), (-1, 1.0, None), (1, 0.0, None), (1, float("nan"), None), (1, 1.0, 0)]:
        for arguments in [(bad,), (None, bad)]:
            with pytest.raises(ValueError, match="positive"):
                RateBuckets(*arguments)
        with pytest.raises(ValueError, match="positive"):
            buckets.set_own("p", bad)
    assert buckets.own() == {}


def test_threads_share_a_bucket() -> None:
    buckets = RateBuckets(None, (100, 3600.0, None))
    taken: list[bool] = []

    def take() -> None:
        taken.extend(buckets.acquire("p") for _ in range(60))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100


def test_a_clock_of_the_callers_own() -> None:
    now = 0
    buckets = RateBuckets((1, 2.0, None), clock=lambda: now)
    assert [buckets.acquire("p"), buckets.acquire("p"), buckets.acquire("q")] == [True, False, True]
    now = 1_500_000_000
    assert buckets.wait_time("p") == 0.5
    now = 2_000_000_000
    assert buckets.acquire("p")


# ---- limits and errors ----------------------------------------------------------------------------------------------


def test_at_capacity_the_error_tells_that_a_request_may_free_one() -> None:
    pool = pool_of(2, max_in_flight=1)
    held = [pool.lease(STRATEGY), pool.lease(STRATEGY)]
    error = refusal(pool)
    assert (error.may_free, error.retry_after, error.reasons) == (True, None, {"at_capacity": 2})
    assert "2 at capacity" in str(error)
    held.pop().success()
    assert pool.lease(STRATEGY) is not None


def test_out_of_tokens_the_error_tells_when_the_next_comes() -> None:
    pool = pool_of(2, proxy_rate=(1, 50.0, None))
    pool.lease(STRATEGY).success()
    pool.lease(STRATEGY).success()
    error = refusal(pool)
    assert error.reasons == {"no_tokens": 2}
    assert error.retry_after == pytest.approx(50.0, abs=1.0)
    assert not error.may_free
    assert pool._next_due() == pytest.approx(50.0, abs=1.0)


def test_what_liveness_refuses_is_not_worth_waiting_for() -> None:
    pool = pool_of(2, rest_base=20.0, rest_cap=20.0)
    first, second = pool.get_all_proxies()
    pool.lease(STRATEGY, exclude=[second.id]).failure()
    second.health_status = "dead"
    error = refusal(pool)
    assert error.reasons == {"resting": 1, "unhealthy": 1}
    assert (error.retry_after, error.may_free) == (None, False)
    assert "1 resting (next in " in str(error)
    assert "secret" not in str(error)
    first.record_success(10.0)
    assert pool.lease(STRATEGY).proxy is first


def test_excluded_and_filtered_are_counted() -> None:
    pool = pool_of(3)
    first, second, _ = pool.get_all_proxies()
    error = refusal(pool, country="FR", exclude=[first.id, second.id])
    assert error.reasons == {"filtered": 3, "excluded": 2}
    assert refusal(ProxyPool()).reasons == {}
    copied = pickle.loads(pickle.dumps(copy.copy(error)))
    assert copied.reasons == error.reasons


@pytest.mark.parametrize(
    "settings",
    [
        {"max_in_flight": -1},
        {"max_in_flight": 0},
        {"failure_threshold": -5},
        {"rest_base": -1.0},
        {"rest_base": float("nan")},
        {"rest_cap": 1.0},
        {"bench_base": 0.0},
        {"panic_share": 2.0},
        {"panic_window": -1.0},
        {"proxy_rate": (0, 1.0, None)},
        {"site_rate": (1, -1.0, None)},
        {"max_standings": 0},
        {"site_key": ""},
    ],
)
def test_limits_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|positive"):
        ProxyPool()._guard_configure(**settings)


@pytest.mark.parametrize(
    "settings", [{"nonsense": 1}, {"max_in_flight": 1.5}, {"proxy_rate": 3}, {"rest_base": "x"}, {"site_key": 3}]
)
def test_settings_of_the_wrong_kind(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ProxyPool()._guard_configure(**settings)


# ---- sites ----------------------------------------------------------------------------------------------------------


def test_a_ban_holds_at_its_site_alone() -> None:
    pool = pool_of(2)
    first, second = pool.get_all_proxies()
    lease = pool.lease(STRATEGY, "https://www.shop.example.co.uk/page", exclude=[second.id])
    assert lease.site == "example.co.uk"
    lease.banned(cooldown=500)
    assert {pool.lease(STRATEGY, "http://example.co.uk").proxy for _ in range(4)} == {second}
    assert {pool.lease(STRATEGY, "http://elsewhere.com").proxy for _ in range(4)} == {first, second}
    pool.lease(STRATEGY, "http://example.co.uk").finish(Outcome.RATE_LIMITED, hold=100)
    error = refusal(pool, "http://example.co.uk")
    assert error.reasons == {"banned_here": 1, "rate_limited_here": 1}
    assert error.retry_after == pytest.approx(100, abs=1)
    assert pool.lease(STRATEGY).site is None
    found = {(row[0].id, row[1], row[2], row[4]) for row in pool._standings()}
    assert found == {(first.id, "example.co.uk", "banned", 1), (second.id, "example.co.uk", "rate_limited", 0)}


def test_a_rule_of_the_users_own_says_what_a_site_is(caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(1, site_key=lambda url: url.rpartition("/")[2])
    pool.lease(STRATEGY, "http://one.test/shop").banned(cooldown=100)
    assert refusal(pool, "http://other.test/shop").reasons == {"banned_here": 1}
    assert pool.lease(STRATEGY, "http://one.test/mail").site == "mail"
    pool._guard_configure(site_key="everything")
    assert pool.lease(STRATEGY, "http://one.test").site == "everything"

    def fails(url: str) -> str:
        raise LookupError(url)

    pool._guard_configure(site_key=fails)
    assert pool.lease(STRATEGY, "http://www.one.test/").site == "one.test"
    assert "site_key failed" in caplog.text


# ---- explanations ---------------------------------------------------------------------------------------------------


def test_an_explanation() -> None:
    pool = pool_of(4)
    first, second, third, fourth = pool.get_all_proxies()
    pool.lease(STRATEGY, "http://site.test", exclude=[p.id for p in (second, third, fourth)]).banned(cooldown=60)
    second.health_status = "unhealthy"
    for _ in range(5):
        pool._breaker_of(third.id).record_failure()
    found = pool.explain("http://site.test")
    assert [verdict.proxy for verdict in found] == [first, second, third, fourth]
    assert [verdict.reasons for verdict in found] == [["banned_here"], ["unhealthy"], ["breaker_open"], []]
    assert [verdict.eligible for verdict in found] == [False, False, False, True]
    assert (len(found), len(found.eligible), len(found.refused)) == (4, 1, 3)
    assert found[0].until is not None
    assert abs(found[0].until - datetime.now(timezone.utc) - timedelta(seconds=60)) < timedelta(seconds=1)
    assert found[1].until is None
    assert found.summary().startswith("1 of 4 eligible; 1 unhealthy, 1 with an open breaker (next in ")
    assert "secret" not in str(found) + repr(found) + str(found.model_dump())
    assert found.model_dump()[0]["reasons"] == ["banned_here"]
    assert pool.explain().summary() == "2 of 4 eligible; 1 unhealthy, 1 with an open breaker (next in 30 s)"
    assert pool.explain(exclude=[fourth.id], country="US")[3].reasons == ["filtered", "excluded"]


# ---- observers, judges, notices, wakers -----------------------------------------------------------------------------


def test_an_observer_is_called_once() -> None:
    pool = pool_of(1)
    reported: list[tuple[Any, ...]] = []

    def observe(*facts: Any) -> None:
        reported.append(facts)

    lease = pool.lease(STRATEGY, observer=observe)
    error = ConnectionResetError("gone")
    lease.finish(Outcome.TARGET_FAULT, 12.5, error, status=500)
    assert reported == [(lease, Outcome.TARGET_FAULT, 12.5, error, 500)]
    with pytest.raises(RuntimeError):
        lease.success()
    pool.lease(STRATEGY, observer=observe).release()
    with pool.lease(STRATEGY, observer=observe):
        pass
    assert [facts[1] for facts in reported] == [Outcome.TARGET_FAULT, None, Outcome.SUCCESS]


def test_an_observer_hears_of_a_lease_that_was_dropped() -> None:
    pool = pool_of(1)
    reported: list[tuple[Any, ...]] = []
    lease = pool.lease(STRATEGY, "http://site.test/x", observer=lambda *facts: reported.append(facts))
    del lease
    gc.collect()
    ((twin, outcome, elapsed, error, status),) = reported
    assert isinstance(twin, Lease)
    assert (twin.closed, twin.proxy, twin.site) == (True, pool.get_all_proxies()[0], "site.test")
    assert (outcome, error, status) == (None, None, None)
    assert elapsed >= 0.0
    assert pool.get_all_proxies()[0].requests_active == 0


def test_an_observer_that_raises_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(1)

    def fails(*facts: Any) -> None:
        raise ValueError("no")

    with caplog.at_level(logging.ERROR):
        pool.lease(STRATEGY, observer=fails).success()
    assert "an observer of a lease failed" in caplog.text
    assert pool.get_all_proxies()[0].total_successes == 1

    def interrupts(*facts: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.lease(STRATEGY, observer=interrupts).success()


def test_a_judge_decides_what_a_report_means() -> None:
    pool = pool_of(1)
    asked: list[tuple[Any, ...]] = []

    def judge(*facts: Any) -> tuple[Outcome, float | None]:
        asked.append(facts)
        return Outcome.BANNED, 40.0

    lease = pool.lease(STRATEGY, "http://site.test/x", judge=judge)
    assert lease.report(200, headers={"a": "b"}, body=b"captcha") is Outcome.BANNED
    assert asked == [("http://site.test/x", 200, {"a": "b"}, b"captcha", None)]
    assert refusal(pool, "http://site.test").retry_after == pytest.approx(40, abs=1)
    assert pool.lease(STRATEGY).report(status=404) is Outcome.SUCCESS
    with pytest.raises(TypeError, match="a status or an error"):
        pool.lease(STRATEGY).report()


def test_notices() -> None:
    pool = pool_of(5, rest_base=20.0, rest_cap=20.0)
    reported: list[tuple[str, Any, dict[str, Any]]] = []
    pool._set_notice(lambda name, proxy, facts: reported.append((name, proxy, facts)))
    first = pool.get_all_proxies()[0]
    pool.lease(STRATEGY).failure()
    name, proxy, facts = reported.pop()
    assert (name, proxy, facts["level"]) == ("rested", first, 0)
    assert 10.0 <= facts["seconds"] <= 20.0
    first.record_success(1.0)
    pool.lease(STRATEGY).failure()
    pool.lease(STRATEGY).failure()
    pool.lease(STRATEGY).failure()
    assert [name for name, _, _ in reported] == ["revived", "rested", "rested", "panic_guard"]
    reported.clear()
    breaker = pool._breaker_of(first.id)
    for _ in range(5):
        breaker.record_failure()
    opened = {"from": CircuitBreakerState.CLOSED, "to": CircuitBreakerState.OPEN, "failures": 5}
    assert reported == [("breaker", first, opened)]
    pool._set_notice(None)
    breaker.reset()
    assert len(reported) == 1


def test_waiters_are_woken() -> None:
    pool = pool_of(1, max_in_flight=1)
    line = pool._waiting_line()
    asked: list[int] = []

    def ask() -> Any:
        asked.append(1)
        raise ProxyPoolEmptyError(may_free=True)

    pool.lease(STRATEGY).success()
    assert not asked
    places = [line.join(key, ask, None, lambda: None) for key in "ab"]
    asked.clear()
    pool.lease(STRATEGY).success()
    assert len(asked) >= 2, "one of each kind"
    for place in places:
        place.leave()
    asked.clear()
    pool.lease(STRATEGY).success()
    assert not asked


def test_callbacks_do_not_keep_a_pool_alive() -> None:
    class Owner:
        def __init__(self) -> None:
            self.pool = pool_of(1, site_key=self.ring)
            self.pool._set_notice(self.ring)
            self.lease = self.pool.lease(STRATEGY, observer=self.ring)

        def ring(self, *_: Any) -> str:
            return "site"

    owner = Owner()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_goes_on_by_itself() -> None:
    pool = pool_of(2, max_in_flight=1, proxy_rate=(1, 50.0, None))
    held = pool.lease(STRATEGY)
    child = os.fork()
    if child == 0:
        held.success()
        ok = pool.lease(STRATEGY).proxy is not held.proxy and refusal(pool).reasons
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not held.closed
