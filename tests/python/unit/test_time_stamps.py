"""No time stamp is earlier than its call, nor later than now, although the hot path reads a clock that lags."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any, Callable

import pytest

from proxywhirl import (
    CircuitBreaker,
    Proxy,
    ProxyPool,
    ProxyRotator,
    RandomStrategy,
    RetryAttempt,
    RetryOutcome,
    RoundRobinStrategy,
    SelectionContext,
    Session,
    SessionManager,
    SessionPersistenceStrategy,
)
from proxywhirl.testing import ProxyFleet, ProxySpec

# The coarse clock lags by up to its tick: among so many calls some would fall anywhere in it.
TIMES = 150
URL = "http://192.0.2.1:8080"


def now() -> datetime:
    return datetime.now(timezone.utc)


def check(operate: Callable[[], Any], *read: Callable[[], Any]) -> None:
    """Every stamp read after an operation lies between the moments around it."""
    for _ in range(TIMES):
        before = now()
        operate()
        for stamp in read:
            shown = stamp()
            assert before <= shown <= now()


def exact(operate: Callable[[], Any], *read: Callable[[], Any]) -> None:
    """The same, and the stamp is not later than the end of the operation."""
    for _ in range(TIMES):
        before = now()
        operate()
        after = now()
        for stamp in read:
            assert before <= stamp() <= after


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(url=URL)


def updated(proxy: Proxy) -> Callable[[], Any]:
    return lambda: proxy.updated_at


def succeeded(proxy: Proxy) -> Callable[[], Any]:
    return lambda: proxy.last_success_at


def failed(proxy: Proxy) -> Callable[[], Any]:
    return lambda: proxy.last_failure_at


def test_made_proxies_and_pools() -> None:
    made: list[Any] = []
    exact(lambda: made.append(Proxy(url=URL)), lambda: made[-1].created_at, lambda: made[-1].updated_at)
    exact(lambda: made.append(ProxyPool()), lambda: made[-1].created_at, lambda: made[-1].updated_at)


def test_results_recorded_on_a_proxy(proxy: Proxy) -> None:
    exact(lambda: proxy.record_success(5.0), succeeded(proxy), updated(proxy))
    exact(proxy.record_failure, failed(proxy), updated(proxy))
    exact(lambda: proxy.complete_request(True, 5.0), succeeded(proxy), updated(proxy))
    exact(lambda: proxy.complete_request(False, 5.0), failed(proxy), updated(proxy))
    exact(lambda: proxy.record_request(True, 5.0), succeeded(proxy), updated(proxy))
    exact(proxy.start_request, updated(proxy))
    exact(proxy.reset_window, lambda: proxy.window_start)


def test_the_first_start_of_a_window() -> None:
    made: list[Proxy] = []

    def start() -> None:
        made.append(Proxy(url=URL))
        made[-1].start_request()

    exact(start, lambda: made[-1].window_start)
    strategy = RoundRobinStrategy()

    def select() -> None:
        made.append(Proxy(url=URL))
        strategy.select(ProxyPool(proxies=[made[-1]]))

    exact(select, lambda: made[-1].window_start)


@pytest.mark.parametrize("make", [RoundRobinStrategy, RandomStrategy])
def test_strategies(make: Callable[[], Any], proxy: Proxy) -> None:
    strategy, pool = make(), ProxyPool(proxies=[proxy])
    check(lambda: strategy.select(pool), updated(proxy))
    exact(lambda: strategy.record_result(proxy, True, 5.0), succeeded(proxy), updated(proxy))
    check(pool.select_next, updated(proxy))
    exact(lambda: strategy.record_result(proxy, False, 5.0), failed(proxy), updated(proxy))


def test_a_moment_that_was_set_stays(proxy: Proxy) -> None:
    for year in (1960, 2020, 2200):
        moment = datetime(year, 3, 4, 5, 6, 7, 8, tzinfo=timezone.utc)
        proxy.updated_at = proxy.last_success_at = proxy.last_failure_at = moment
        assert (proxy.updated_at, proxy.last_success_at, proxy.last_failure_at) == (moment,) * 3


def test_what_was_shown_does_not_change_later(proxy: Proxy) -> None:
    pool, strategy = ProxyPool(proxies=[proxy]), RoundRobinStrategy()
    strategy.select(pool)
    strategy.record_result(proxy, True, 5.0)
    shown = (proxy.updated_at, proxy.last_success_at)
    assert all((proxy.updated_at, proxy.last_success_at) == shown for _ in range(1000))


def test_what_a_bare_selection_stamped_is_the_same_whenever_it_is_read(proxy: Proxy) -> None:
    pool, strategy = ProxyPool(proxies=[proxy]), RoundRobinStrategy()
    for _ in range(50):
        strategy.select(pool)
        shown = proxy.updated_at
        assert all(proxy.updated_at == shown for _ in range(100))
        assert copy.copy(proxy) == proxy


def test_leases(proxy: Proxy) -> None:
    pool, strategy = ProxyPool(proxies=[proxy]), RoundRobinStrategy()
    leases: list[Any] = []
    exact(lambda: leases.append(pool.lease(strategy, "http://shop.test/")), updated(proxy))
    exact(lambda: leases.pop().success(), succeeded(proxy), updated(proxy))
    exact(lambda: pool.lease(strategy).success(3.0), succeeded(proxy), updated(proxy))
    exact(lambda: pool.lease(strategy).banned(0.0), updated(proxy))
    exact(lambda: pool.lease(lambda pool: pool.get_all_proxies()[0]).success(3.0), succeeded(proxy), updated(proxy))


def test_a_failed_lease() -> None:
    made: list[Proxy] = []

    def fail() -> None:
        made.append(Proxy(url=URL))
        ProxyPool(proxies=[made[-1]]).lease(RoundRobinStrategy()).failure()

    exact(fail, lambda: made[-1].last_failure_at, lambda: made[-1].updated_at)


def test_sessions(proxy: Proxy) -> None:
    manager, kept = SessionManager(), []

    def create() -> None:
        kept.append(manager.create_session("s", proxy, 60))

    exact(create, lambda: kept[-1].created_at, lambda: kept[-1].last_used_at)
    exact(lambda: manager.touch_session("s"), lambda: kept[-1].last_used_at)
    exact(lambda: kept[-1].touch(), lambda: kept[-1].last_used_at)
    made: list[Any] = []
    exact(
        lambda: made.append(Session(session_id="t", proxy_id=str(proxy.id), expires_at=now())),
        lambda: made[-1].created_at,
    )


@pytest.mark.parametrize("slides", [False, True])
def test_sessions_of_a_strategy(slides: bool, proxy: Proxy) -> None:
    pool, strategy = ProxyPool(proxies=[proxy]), SessionPersistenceStrategy(sliding_expiration=slides)
    names: list[str] = []

    def use() -> None:
        strategy.select(pool, SelectionContext(session_id=names[-1]))

    def begin() -> None:
        names.append(str(len(names)))
        use()

    def session() -> Any:
        return strategy.session_manager.sessions[names[-1]]

    exact(begin, lambda: session().created_at, lambda: session().last_used_at)
    exact(use, lambda: session().last_used_at)


def test_a_breakers_change_of_state() -> None:
    made: list[CircuitBreaker] = []

    def trip() -> None:
        made.append(CircuitBreaker(failure_threshold=1))
        made[-1].record_failure()

    exact(trip, lambda: made[-1].last_state_change)


def test_attempts() -> None:
    made: list[RetryAttempt] = []

    def attempt() -> None:
        made.append(
            RetryAttempt(
                request_id="r", attempt_number=0, proxy_id="p", outcome=RetryOutcome.SUCCESS, delay_before=0, latency=0
            )
        )

    exact(attempt, lambda: made[-1].timestamp)


def test_a_whole_request() -> None:
    with ProxyFleet([ProxySpec(name="a")]) as fleet, ProxyRotator(fleet.urls, enable_metrics=True) as rotator:
        events: list[Any] = []
        for name in ("proxy_selected", "request_success", "request_complete"):
            rotator.on(name, events.append)
        (proxy,) = rotator.pool
        page = fleet.site_url("shop.test", "/whoami")
        for _ in range(20):
            events.clear()
            before = now()
            rotator.get(page)
            after = now()
            stamps = [proxy.last_success_at, proxy.updated_at, *(event.timestamp for event in events)]
            stamps.append(rotator.retry_metrics.current_attempts[-1].timestamp)
            assert len(stamps) == 6
            assert all(before <= stamp <= after for stamp in stamps)
