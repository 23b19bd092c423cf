"""The limiters by themselves: both forms, both faces, what they refuse to take."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable
from uuid import uuid4

import pytest
from pydantic import ValidationError

import proxywhirl
from proxywhirl.rate_limiting import AsyncRateLimiter, RateLimit, RateLimiter, SyncRateLimiter

# Slow enough that nothing comes back while a test runs.
SLOW = {"time_window": 3600.0}


def test_names_can_be_imported_from_where_they_were() -> None:
    from proxywhirl.rate_limiting.limiter import AsyncRateLimiter as Async
    from proxywhirl.rate_limiting.models import RateLimit as Limit

    assert proxywhirl.RateLimiter is RateLimiter
    assert (Async, Limit) == (AsyncRateLimiter, RateLimit)


def test_one_class_takes_both_forms() -> None:
    assert RateLimiter(requests_per_second=10, burst_size=20).delays
    assert RateLimiter(10, 20).rate == (1, 0.1, 20)
    assert RateLimiter(2.5).rate == (1, 0.4, 3)
    assert RateLimiter(0.1).rate == (1, 10.0, 1)
    limit = RateLimit(max_requests=2, time_window=1)
    assert RateLimiter(limit).global_limit == RateLimiter(global_limit=limit).global_limit == limit
    assert not RateLimiter(global_limit=limit).delays
    assert SyncRateLimiter().acquire("any-proxy")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"requests_per_second": 0}, ValueError),
        ({"requests_per_second": -1}, ValueError),
        ({"requests_per_second": float("nan")}, ValueError),
        ({"requests_per_second": float("inf")}, ValueError),
        ({"requests_per_second": "10"}, TypeError),
        ({"requests_per_second": True}, TypeError),
        ({"requests_per_second": 1, "burst_size": 0}, ValueError),
        ({"requests_per_second": 1, "burst_size": 1.5}, TypeError),
        ({"burst_size": 5}, ValueError),
        ({"global_limit": 5}, TypeError),
        ({"requests_per_second": 1, "global_limit": RateLimit(max_requests=1, time_window=1)}, ValueError),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        RateLimiter(**arguments)
    with pytest.raises(error):
        AsyncRateLimiter(**arguments)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_requests": 0, "time_window": 1},
        {"max_requests": 1, "time_window": 0},
        {"max_requests": 1, "time_window": -5},
        {"max_requests": 1, "time_window": float("inf")},
        {"max_requests": 1, "time_window": 1, "burst_allowance": 0},
    ],
)
def test_a_limit_is_positive(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RateLimit(**fields)


def test_each_proxy_has_its_own_burst() -> None:
    found = RateLimiter(requests_per_second=0.001, burst_size=2)
    assert [found.acquire("a") for _ in range(3)] == [True, True, False]
    assert found.acquire("b")
    assert (found.would_allow("a"), found.would_allow("b"), found.would_allow("new")) == (False, True, True)
    assert found.wait_time("a") == pytest.approx(1000.0, rel=0.01)
    assert found.wait_time("new") == 0.0


@pytest.mark.parametrize(
    "form",
    [
        lambda: RateLimiter(requests_per_second=0.001, burst_size=2),
        lambda: RateLimiter(RateLimit(max_requests=2, **SLOW)),
        lambda: RateLimiter(global_limit=RateLimit(max_requests=5, burst_allowance=2, **SLOW)),
        lambda: SyncRateLimiter(global_limit=RateLimit(max_requests=2, **SLOW)),
    ],
)
def test_check_limit_takes_a_token(form: Callable[[], RateLimiter]) -> None:
    found = form()
    assert [found.check_limit("a") for _ in range(3)] == [True, True, False]
    # The same tokens, whichever method takes them.
    assert not found.acquire("a")
    assert not found.would_allow("a")
    other = form()
    assert (other.acquire("a"), other.check_limit("a"), other.check_limit("a")) == (True, True, False)


def test_check_limit_takes_a_token_of_a_proxys_own_limit() -> None:
    found = RateLimiter(100)
    found.set_proxy_limit("a", RateLimit(max_requests=1, **SLOW))
    assert (found.check_limit("a"), found.check_limit("a")) == (True, False)
    events = found.events
    assert [(event.proxy_id, event.event_type) for event in events] == [("a", "limit_changed"), ("a", "exceeded")]
    own = RateLimit(max_requests=1, **SLOW)
    assert events[0].details == {"limit": own.model_dump()}
    assert found.proxy_limits == {"a": own}
    assert events[0].timestamp <= events[1].timestamp
    found.set_proxy_limit("a", None)
    assert found.events[-1].details == {"limit": None}
    assert found.proxy_limits == {}


@pytest.mark.parametrize("form", [{"requests_per_second": 0.001, "burst_size": 1}, {"global_limit": 1}])
def test_the_async_check_limit_takes_a_token(form: dict[str, Any]) -> None:
    if "global_limit" in form:
        form = {"global_limit": RateLimit(max_requests=1, **SLOW)}

    async def main() -> list[bool]:
        found = AsyncRateLimiter(**form)
        return [await found.check_limit("a"), await found.check_limit("a"), await found.acquire("a")]

    assert asyncio.run(main()) == [True, False, False]


def test_global_and_own_limit_hold_together_and_a_refusal_takes_nothing() -> None:
    found = RateLimiter(global_limit=RateLimit(max_requests=3, **SLOW))
    key = uuid4()
    found.set_proxy_limit(key, RateLimit(max_requests=1, **SLOW))
    assert found.acquire(key)
    assert not found.acquire(str(key))
    # Had the refusal taken the common token, only one of these would go.
    assert [found.acquire("other") for _ in range(3)] == [True, True, False]
    found.set_proxy_limit(key, None)
    assert not found.would_allow(key)
    scopes = [event.details["scope"] for event in found.events if event.event_type == "exceeded"]
    assert scopes == ["proxy", "global"]
    with pytest.raises(TypeError):
        found.set_proxy_limit(key, 5)  # type: ignore[arg-type]


def test_a_burst_may_be_larger_or_smaller_than_the_window() -> None:
    found = RateLimiter(RateLimit(max_requests=5, burst_allowance=2, **SLOW))
    assert [found.acquire("a") for _ in range(3)] == [True, True, False]


def test_what_a_rotator_asks_leaves_the_rate_alone() -> None:
    found = RateLimiter(requests_per_second=0.001, burst_size=1)
    assert found.is_idle
    assert found.admit("a") is found.admit("a") is None
    found.set_proxy_limit("a", RateLimit(max_requests=1, **SLOW))
    assert not found.is_idle
    assert found.admit("a") is None
    refusal = found.admit("a")
    assert refusal is not None
    assert refusal.scope == "proxy"
    assert refusal.retry_after == pytest.approx(3600, rel=0.01)


def test_the_async_face_is_the_same_limiter() -> None:
    async def main() -> None:
        found = AsyncRateLimiter(0.001, 1)
        await found.set_proxy_limit("b", RateLimit(max_requests=2, **SLOW))
        assert await found.would_allow("a")
        assert await found.acquire("a")
        assert not await found.acquire("a")
        assert not await found.would_allow("a")
        assert await found.wait_time("a") > 900
        assert [await found.acquire("b") for _ in range(3)] == [True, True, False]
        assert repr(found) == "AsyncRateLimiter(requests_per_second=0.001, burst_size=1)"

    asyncio.run(main())


def test_threads_share_the_tokens() -> None:
    found = RateLimiter(RateLimit(max_requests=100, **SLOW))
    granted: list[bool] = []

    def work() -> None:
        granted.extend([found.acquire("a") for _ in range(50)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 100
