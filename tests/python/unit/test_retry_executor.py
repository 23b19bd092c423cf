"""The executor: what is tried again, what is raised, what the breaker records."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxywhirl import Proxy
from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.exceptions import ProxyAuthenticationError, ProxyConnectionError
from proxywhirl.retry import NonRetryableError, RetryableError, RetryExecutor, RetryMetrics, RetryOutcome, RetryPolicy


class Breaker:
    """As far as the executor must know one."""

    def __init__(self, allows: bool = True) -> None:
        self.state = CircuitBreakerState.CLOSED if allows else CircuitBreakerState.OPEN
        self.failure_count = 0
        self.results: list[bool] = []

    def would_allow(self) -> bool:
        return self.state is not CircuitBreakerState.OPEN

    should_attempt_request = would_allow

    def record_success(self) -> None:
        self.results.append(True)

    def record_failure(self) -> None:
        self.results.append(False)
        self.failure_count += 1
        if self.failure_count == 2:
            self.state = CircuitBreakerState.OPEN


PROXY = Proxy(url="http://user:secret@proxy.test:8000")
KEY = str(PROXY.id)
POLICY = RetryPolicy(base_delay=0.001)


def scripted(*replies: Any) -> Any:
    left = list(replies)

    def send() -> Any:
        reply = left.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return httpx.Response(reply) if isinstance(reply, int) else reply

    return send


def run(
    executor: RetryExecutor, fn: Any, method: str = "GET", *, is_async: bool = False, url: str = "http://t/"
) -> Any:
    if not is_async:
        return executor.execute_with_retry(fn, PROXY, method, url, "req")

    async def send() -> Any:
        return fn()

    return asyncio.run(executor.execute_with_retry_async(send, PROXY, method, url, "req"))


both = pytest.mark.parametrize("is_async", [False, True])


@both
def test_goes_on_until_it_works(is_async: bool) -> None:
    executor = RetryExecutor(POLICY, {KEY: (breaker := Breaker())}, RetryMetrics())
    fn = scripted(503, httpx.ConnectError("no"), 200)
    breaker.failure_count = -5
    assert run(executor, fn, is_async=is_async).status_code == 200
    assert breaker.results == [False, False, True]
    first, second, third = executor.retry_metrics.current_attempts
    assert [first.request_id, first.proxy_id, first.status_code] == ["req", KEY, 503]
    assert (first.delay_before, second.delay_before) == (0.0, 0.001)
    assert second.error_message == "ConnectError: no"
    assert third.outcome is RetryOutcome.SUCCESS


@both
def test_used_up_attempts_raise_with_the_last_answer(is_async: bool) -> None:
    with pytest.raises(ProxyConnectionError, match="failed after 3 attempts: status 502") as caught:
        run(RetryExecutor(POLICY), scripted(504, 503, 502), is_async=is_async, url="http://u:secret@t/?token=secret")
    assert caught.value.response.status_code == 502
    assert caught.value.attempt_count == 3
    assert "secret" not in str(caught.value)


def test_used_up_attempts_raise_with_the_cause() -> None:
    last = httpx.ReadTimeout("slow")
    executor = RetryExecutor(POLICY)
    with pytest.raises(ProxyConnectionError, match="failed after 3 attempts: ReadTimeout") as caught:
        run(executor, scripted(httpx.ReadTimeout("slow"), RetryableError("again"), last))
    assert caught.value.__cause__ is last
    outcomes = [attempt.outcome for attempt in executor.retry_metrics.current_attempts]
    assert outcomes == [RetryOutcome.TIMEOUT, RetryOutcome.FAILURE, RetryOutcome.TIMEOUT]


def test_other_errors_are_not_tried_again_and_blame_no_proxy() -> None:
    breaker = Breaker()
    mistake = ValueError("mine")
    with pytest.raises(NonRetryableError) as caught:
        run(RetryExecutor(POLICY, {KEY: breaker}), scripted(mistake))
    assert caught.value.__cause__ is mistake
    assert breaker.results == []
    with pytest.raises(NonRetryableError):
        run(RetryExecutor(POLICY), scripted(ProxyAuthenticationError()))


@pytest.mark.parametrize(
    ("method", "status"),
    [*((method, 200) for method in ("GET", "head", "OPTIONS", "DELETE", "PUT")), ("TRACE", 503), ("PATCH", 503)],
)
def test_the_methods_of_the_list_are_tried_again(method: str, status: int) -> None:
    assert run(RetryExecutor(POLICY), scripted(503, 200), method).status_code == status


def test_a_post_is_sent_once() -> None:
    executor = RetryExecutor(POLICY)
    with pytest.raises(httpx.ConnectError):
        run(executor, scripted(httpx.ConnectError("no")), "POST")
    assert run(executor, scripted(503), "post").status_code == 503
    again = RetryExecutor(RetryPolicy(base_delay=0.001, retry_non_idempotent=True))
    assert run(again, scripted(503, 201), "POST").status_code == 201


def test_the_total_time_is_kept() -> None:
    executor = RetryExecutor(RetryPolicy(base_delay=5.0, timeout=1.0))
    with pytest.raises(ProxyConnectionError, match="Request timeout"):
        run(executor, scripted(503))


@both
def test_an_open_breaker_refuses(is_async: bool) -> None:
    executor = RetryExecutor(POLICY, {KEY: Breaker(allows=False)})
    with pytest.raises(ProxyConnectionError, match="breaker of the proxy is open"):
        run(executor, scripted(), is_async=is_async)
    (attempt,) = executor.retry_metrics.current_attempts
    assert attempt.outcome is RetryOutcome.CIRCUIT_OPEN


def test_a_breaker_that_opens_ends_it_and_is_written_down() -> None:
    executor = RetryExecutor(POLICY, {KEY: Breaker()})
    with pytest.raises(ProxyConnectionError, match="breaker of the proxy is open") as caught:
        run(executor, scripted(503, httpx.ConnectError("no"), 200))
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    (event,) = executor.retry_metrics.circuit_breaker_events
    assert (event.from_state, event.to_state, event.failure_count) == ("closed", "open", 2)


def test_a_cancelled_attempt_is_none() -> None:
    executor = RetryExecutor(POLICY)

    async def main() -> None:
        async def hang() -> None:
            await asyncio.sleep(30)

        task = asyncio.create_task(executor.execute_with_retry_async(hang, PROXY, "GET", "http://t/"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not executor.retry_metrics.current_attempts


def test_choosing_another_proxy() -> None:
    good = Proxy(url="http://a.test:1", total_requests=10, total_successes=9)
    slow = Proxy(url="http://b.test:1", total_requests=10, total_successes=10)
    new = Proxy(url="http://c.test:1", region="eu")
    executor = RetryExecutor()
    executor.retry_metrics.note(("r", 0, str(slow.id), 1e9 * 2, RetryOutcome.SUCCESS, 200, 0.0, 8.0, None))
    choose = executor.select_retry_proxy
    assert choose([good, slow, new], PROXY) is good  # 0.93; 0.76; 0.65
    assert choose([good, slow, new], good) is slow
    assert choose([slow, new], PROXY, target_region="eu") is slow
    assert choose([PROXY], PROXY) is None
    refused = RetryExecutor(
        None, {str(good.id): Breaker(allows=False), str(slow.id): SimpleNamespace(machine=Breaker())}
    )
    assert refused.select_retry_proxy([good, slow, new], PROXY) is slow
