"""Retries around a function of the caller's own, through one proxy; the rotators have a loop of their own.

:class:`RetryExecutor` is for code that sends its requests itself and wants the policy, the breakers and the metrics.
"""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Awaitable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from proxywhirl._core import may_call_again
from proxywhirl._httpx.judge import outcome_of_error
from proxywhirl._native.enums import AMBIGUOUS, Outcome, RetryOutcome
from proxywhirl.exceptions import (
    NonRetryableError,
    ProxyConnectionError,
    ProxyWhirlError,
    RetryableError,
    redact_url,
)
from proxywhirl.retry._records import CircuitBreakerEvent
from proxywhirl.retry.metrics import RetryMetrics
from proxywhirl.retry.policy import RetryPolicy

if TYPE_CHECKING:
    from proxywhirl import _core

__all__ = ["NonRetryableError", "RetryExecutor", "RetryableError"]

_NEUTRAL_RATE = 0.5
_SLOW_SECONDS = 10.0
_REGION_BONUS = 1.1

T = TypeVar("T")


class RetryExecutor:
    """Calls a function until it succeeds or the policy has enough; thread-safe.

    Args:
        retry_policy: How often, and after which pauses.
        circuit_breakers: Breakers by ``str(proxy.id)``; a proxy without one is never refused.
        retry_metrics: Where every attempt is written down.
    """

    def __init__(
        self,
        retry_policy: RetryPolicy | None = None,
        circuit_breakers: Mapping[str, Any] | None = None,
        retry_metrics: RetryMetrics | None = None,
    ) -> None:
        self.retry_policy = RetryPolicy() if retry_policy is None else retry_policy
        self.circuit_breakers: Mapping[str, Any] = {} if circuit_breakers is None else circuit_breakers
        self.retry_metrics = RetryMetrics() if retry_metrics is None else retry_metrics

    def execute_with_retry(
        self,
        request_fn: Callable[[], T],
        proxy: _core.Proxy,
        method: str,
        url: str,
        request_id: str | None = None,
    ) -> T:
        """Call the function, and again while the failure is one that may pass.

        GET, HEAD, OPTIONS, DELETE and PUT are tried again, others only with ``retry_non_idempotent``. Retryable are
        connect errors, timeouts and network errors of known clients, :class:`RetryableError`, and the statuses that the
        policy lists.

        Args:
            request_fn: Sends the request and returns its response.
            proxy: The proxy it uses.
            method: The method.
            url: The target; shown in errors, without credentials.
            request_id: Name of the request in the metrics; made up by default.

        Returns:
            What the function returned.

        Raises:
            ProxyConnectionError: "... failed after N attempts" (``response`` has the last answer, if any), "Request
                timeout ..." when the policy's time is up, or the breaker of the proxy refuses.
            NonRetryableError: Another error of the function; it is the cause. A method that is tried once only raises
                the function's own error.
        """
        steps = _attempts(self, proxy, method, url, request_id)
        reply: Any = None
        while True:
            try:
                pause = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if pause is not None:
                time.sleep(pause)
                reply = None
            else:
                reply = _call(request_fn)

    async def execute_with_retry_async(
        self,
        request_fn: Callable[[], Awaitable[T]],
        proxy: _core.Proxy,
        method: str,
        url: str,
        request_id: str | None = None,
    ) -> T:
        """As :meth:`execute_with_retry`, for a coroutine function.

        Cancellation passes through at once and counts as no attempt.
        """
        import anyio

        steps = _attempts(self, proxy, method, url, request_id)
        reply: Any = None
        while True:
            try:
                pause = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if pause is not None:
                await anyio.sleep(pause)
                reply = None
            else:
                reply = await _acall(request_fn)

    def select_retry_proxy(
        self, available: Iterable[_core.Proxy], failed_proxy: _core.Proxy, target_region: str | None = None
    ) -> _core.Proxy | None:
        """The best proxy to go on with.

        The score is ``0.7 * success_rate + 0.3 * (1 - min(latency / 10 s, 1))``: 0.5 without requests so far, the
        latency the mean of the last 100 successful attempts. The right region makes it a tenth higher, 1.0 at most.

        Args:
            available: The candidates.
            failed_proxy: The one that failed; never chosen.
            target_region: Region to prefer, as in ``metadata["region"]`` or ``region``.

        Returns:
            The best; ``None`` if no proxy is left.
        """
        candidates = [
            (str(proxy.id), proxy)
            for proxy in available
            if proxy.id != failed_proxy.id and self._would_allow(str(proxy.id))
        ]
        latencies = self.retry_metrics.mean_latencies(proxy_id for proxy_id, _ in candidates)
        best: _core.Proxy | None = None
        best_score = -1.0
        for proxy_id, proxy in candidates:
            rate = proxy.success_rate if proxy.total_requests else _NEUTRAL_RATE
            slowness = min(latencies.get(proxy_id, 0.0) / _SLOW_SECONDS, 1.0)
            score = 0.7 * rate + 0.3 * (1.0 - slowness)
            if target_region is not None and target_region in (proxy.metadata.get("region"), proxy.region):
                score = min(score * _REGION_BONUS, 1.0)
            if score > best_score:
                best, best_score = proxy, score
        return best

    def _would_allow(self, proxy_id: str) -> bool:
        breaker = self._breaker(proxy_id)
        return breaker is None or bool(breaker.would_allow())

    def _breaker(self, proxy_id: str) -> Any:
        found = self.circuit_breakers.get(proxy_id)
        # The asynchronous class is a face of the same machine, which never waits.
        return getattr(found, "machine", found)


def _call(request_fn: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return request_fn(), None
    except Exception as error:  # noqa: BLE001 - judged by the steps
        return None, error


async def _acall(request_fn: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        result = request_fn()
        return (await result if inspect.isawaitable(result) else result), None
    except Exception as error:  # noqa: BLE001 - judged by the steps
        return None, error


def _attempts(
    executor: RetryExecutor, proxy: _core.Proxy, method: str, url: str, request_id: str | None
) -> Generator[float | None, Any, Any]:
    """The decisions of both methods: yields ``None`` for "call the function" or a pause in seconds."""
    policy = executor.retry_policy
    proxy_id = str(proxy.id)
    breaker = executor._breaker(proxy_id)
    run = _Run(executor.retry_metrics, breaker, proxy_id, uuid.uuid4().hex if request_id is None else request_id)
    what = f"{method.upper()} {redact_url(str(url))}"
    may_repeat = may_call_again(method.upper()) or policy.retry_non_idempotent
    most = policy.max_attempts if may_repeat else 1
    deadline = None if policy.timeout is None else time.monotonic() + policy.timeout
    delay: float | None = None
    last: Exception | None = None
    for number in range(most):
        if not run.is_admitted(number, delay):
            text = f"{what}: the circuit breaker of the proxy is open"
            raise ProxyConnectionError(text, proxy_url=proxy.url, attempt_count=number) from last
        started = time.monotonic()
        response, error = yield None
        latency = time.monotonic() - started
        status = None if error is not None else getattr(response, "status_code", None)
        listed = status in policy.retry_status_codes
        run.settle(number, delay, latency, status, error, failed=listed)
        if error is None and (not listed or not may_repeat):
            return response
        if error is not None:
            if not may_repeat:
                raise error
            if not _is_retryable(error):
                raise NonRetryableError(f"{what}: {type(error).__name__}") from error
            last = error
        if number + 1 == most:
            reason = f"status {status}" if last is None or error is None else type(last).__name__
            raise ProxyConnectionError(
                f"{what} failed after {most} attempts: {reason}",
                proxy_url=proxy.url,
                attempt_count=most,
                response=response,
            ) from error
        delay = policy.calculate_delay(number, delay)
        if deadline is not None and time.monotonic() + delay >= deadline:
            raise ProxyConnectionError(
                f"Request timeout: {what} was not answered within {policy.timeout:g} s",
                proxy_url=proxy.url,
                attempt_count=number + 1,
                response=response,
            ) from error
        yield delay
    raise AssertionError("unreachable: a policy has at least one attempt")


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, RetryableError):
        return True
    if isinstance(error, ProxyWhirlError):
        return error.retry_recommended
    return outcome_of_error(error) in (Outcome.PROXY_DOWN, AMBIGUOUS)


class _Run:
    """Tells the breaker and the metrics about the attempts of one request."""

    def __init__(self, metrics: RetryMetrics, breaker: Any, proxy_id: str, request_id: str) -> None:
        self._metrics = metrics
        self._breaker = breaker
        self._proxy_id = proxy_id
        self._request_id = request_id

    def is_admitted(self, number: int, delay: float | None) -> bool:
        breaker = self._breaker
        if breaker is None:
            return True
        before = breaker.state
        admitted = bool(breaker.should_attempt_request())
        self._note_change(before)
        if not admitted:
            self._note(number, delay, 0.0, RetryOutcome.CIRCUIT_OPEN, None, None)
        return admitted

    def settle(
        self,
        number: int,
        delay: float | None,
        latency: float,
        status: int | None,
        error: Exception | None,
        *,
        failed: bool,
    ) -> None:
        outcome = RetryOutcome.SUCCESS
        if error is not None:
            outcome = RetryOutcome.TIMEOUT if "timeout" in type(error).__name__.casefold() else RetryOutcome.FAILURE
        elif failed:
            outcome = RetryOutcome.FAILURE
        self._note(number, delay, latency, outcome, status, error)
        breaker = self._breaker
        # A mistake in the function says nothing about the proxy.
        if breaker is not None and (error is None or outcome_of_error(error) is not None or _is_retryable(error)):
            before = breaker.state
            if outcome is RetryOutcome.SUCCESS:
                breaker.record_success()
            else:
                breaker.record_failure()
            self._note_change(before)

    def _note(
        self,
        number: int,
        delay: float | None,
        latency: float,
        outcome: RetryOutcome,
        status: int | None,
        error: Exception | None,
    ) -> None:
        text = None if error is None else f"{type(error).__name__}: {error}"
        pause = 0.0 if delay is None else delay
        note = (self._request_id, number, self._proxy_id, time.time(), outcome, status, pause, latency, text)
        self._metrics.note(note)

    def _note_change(self, before: Any) -> None:
        after = self._breaker.state
        if after != before:
            event = CircuitBreakerEvent(
                proxy_id=self._proxy_id,
                from_state=before,
                to_state=after,
                failure_count=self._breaker.failure_count,
            )
            self._metrics.record_circuit_breaker_event(event)
