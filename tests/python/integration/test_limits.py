"""Rotators with limits: rates that delay or refuse, the queue, breakers, credentials, and what retries came to."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerState,
    CredentialRotator,
    Proxy,
    ProxyAuthenticationError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyRotator,
    RateLimiter,
    RequestQueueFullError,
    RetryPolicy,
)
from proxywhirl.circuit_breaker import AsyncCircuitBreaker
from proxywhirl.rate_limiting import AsyncRateLimiter, RateLimit
from proxywhirl.testing import ProxyFleet, ProxySpec

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600.0


@pytest.fixture(scope="module")
def running() -> Iterator[ProxyFleet]:
    with ProxyFleet(3) as fleet:
        yield fleet


@pytest.fixture
def url(running: ProxyFleet) -> str:
    return running.site_url("shop.test", "/whoami")


def at_rest(rotator: Any) -> bool:
    return all(proxy.requests_active == 0 for proxy in rotator.pool) and all(
        proxy.requests_started == proxy.requests_completed for proxy in rotator.pool
    )


class TestRates:
    def test_a_rate_spreads_over_the_proxies_before_it_delays(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(requests_per_second=1 / HOUR, burst_size=2)
        with ProxyRotator(proxies=running.urls, rate_limiter=limiter, config={"pool_timeout": 0.2}) as rotator:
            assert rotator.rate_limiter is limiter
            seen = [rotator.get(url).json()["proxy"] for _ in range(6)]
            assert sorted(seen) == sorted([proxy.name for proxy in running.proxies] * 2)
            with pytest.raises(ProxyPoolEmptyError) as caught:
                rotator.get(url)
            assert caught.value.reasons == {"no_tokens": 3}
            assert at_rest(rotator)

    def test_a_rate_delays(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(requests_per_second=20, burst_size=1)
        with ProxyRotator(proxies=running.urls[:1], rate_limiter=limiter) as rotator:
            began = time.monotonic()
            for _ in range(5):
                assert rotator.get(url).status_code == 200
            assert time.monotonic() - began >= 0.19

    def test_a_rate_delays_tasks(self, running: ProxyFleet, url: str) -> None:
        async def main() -> float:
            limiter = AsyncRateLimiter(requests_per_second=40, burst_size=1)
            async with AsyncProxyRotator(proxies=running.urls[:2], rate_limiter=limiter) as rotator:
                began = time.monotonic()
                answers = await asyncio.gather(*(rotator.get(url) for _ in range(12)))
                assert {answer.status_code for answer in answers} == {200}
                return time.monotonic() - began

        assert asyncio.run(main()) >= 0.12

    def test_a_limit_of_one_proxy_sends_requests_elsewhere(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter()
        with ProxyRotator(proxies=running.urls[:2], rate_limiter=limiter) as rotator:
            slow, quick = rotator.pool.proxies
            limiter.set_proxy_limit(slow.id, RateLimit(max_requests=1, time_window=HOUR))
            seen = [rotator.get(url).json()["proxy"] for _ in range(6)]
            assert seen.count(running.proxies[0].name) == 1
            limiter.set_proxy_limit(quick.id, RateLimit(max_requests=1, time_window=HOUR))
            rotator.get(url)
            with pytest.raises(ProxyConnectionError, match="Rate limit exceeded"):
                rotator.get(url)
            assert at_rest(rotator)

    def test_the_second_form_refuses_and_leaks_nothing(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(global_limit=RateLimit(max_requests=2, time_window=HOUR))
        with ProxyRotator(running.urls, None, None, None, limiter) as rotator:
            assert [rotator.get(url).status_code for _ in range(2)] == [200, 200]
            for _ in range(5):
                with pytest.raises(ProxyConnectionError, match="Rate limit exceeded"):
                    rotator.get(url)
            assert at_rest(rotator)
            assert sum(proxy.requests_started for proxy in rotator.pool) == 2
            assert len(rotator.retry_metrics.current_attempts) == 2
            with pytest.raises(ProxyConnectionError), rotator.lease(url):
                pass
            rotator.rate_limiter = None
            assert rotator.get(url).status_code == 200

    def test_a_retry_that_is_refused_leaks_nothing(self) -> None:
        with ProxyFleet([ProxySpec(fault="refuse"), ProxySpec()]) as fleet:
            limiter = RateLimiter(global_limit=RateLimit(max_requests=1, time_window=HOUR))
            with ProxyRotator(fleet.urls, rate_limiter=limiter) as rotator:
                with pytest.raises(ProxyConnectionError):
                    rotator.get(fleet.site_url("shop.test"))
                assert at_rest(rotator)
                assert [proxy.total_failures for proxy in rotator.pool] == [1, 0]

    def test_any_limiter_will_do(self, running: ProxyFleet, url: str) -> None:
        class Mine:
            asked: list[str] = []

            def acquire(self, proxy_id: str) -> bool:
                self.asked.append(proxy_id)
                return len(self.asked) <= 1

        mine = Mine()
        with ProxyRotator(running.urls[:2], rate_limiter=mine) as rotator:
            rotator.get(url)
            with pytest.raises(ProxyConnectionError, match="Rate limit exceeded"):
                rotator.get(url)
            assert mine.asked[0] == str(rotator.pool.proxies[0].id)
            assert at_rest(rotator)

    def test_a_limiter_that_raises_leaks_nothing(self, running: ProxyFleet, url: str) -> None:
        class Broken:
            def acquire(self, proxy_id: str) -> bool:
                raise ZeroDivisionError

        with ProxyRotator(running.urls, rate_limiter=Broken()) as rotator:
            with pytest.raises(ZeroDivisionError):
                rotator.get(url)
            assert at_rest(rotator)

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("by_hand", [False, True])
    def test_a_refusal_after_waiting_in_line_leaves_the_answer(
        self, running: ProxyFleet, by_hand: bool, is_async: bool
    ) -> None:
        class Once:
            left = 1

            def acquire(self, proxy_id: str) -> bool:
                self.left -= 1
                return self.left >= 0

        banned = running.site_url("shop.test", "/status/403")

        def release_when_waited_for(rotator: Any, held: Any) -> None:
            while not rotator._chooser.admission.waiting:
                time.sleep(0.001)
            held.release()

        def alone(rotator: Any, held: Any) -> threading.Thread:
            rotator.rate_limiter = Once()
            thread = threading.Thread(target=release_when_waited_for, args=(rotator, held), daemon=True)
            thread.start()
            return thread

        def get() -> list[int]:
            with ProxyRotator(proxies=running.urls[:2], max_in_flight=1) as rotator:
                thread = alone(rotator, rotator.lease())
                if by_hand:
                    statuses = [attempt.report(403) and 403 for attempt in rotator.attempts(banned)]
                else:
                    statuses = [rotator.get(banned).status_code]
                thread.join()
                assert at_rest(rotator)
                return statuses

        async def get_async() -> list[int]:
            async with AsyncProxyRotator(proxies=running.urls[:2], max_in_flight=1) as rotator:
                thread = alone(rotator, await rotator.lease())
                if by_hand:
                    statuses = [attempt.report(403) and 403 async for attempt in rotator.attempts(banned)]
                else:
                    statuses = [(await rotator.get(banned)).status_code]
                thread.join()
                assert at_rest(rotator)
                return statuses

        assert (asyncio.run(get_async()) if is_async else get()) == [403]

    def test_the_fifth_place_is_read_as_either_class_had_it(self) -> None:
        limiter = RateLimiter(5)
        with ProxyRotator([], None, None, None, limiter, False) as rotator:
            assert rotator.rate_limiter is limiter
        rotator = AsyncProxyRotator([], None, None, None, False)
        assert rotator.rate_limiter is None

    @pytest.mark.parametrize("limiter", [5, "10/s", object()])
    def test_anything_else_is_refused(self, limiter: Any) -> None:
        with pytest.raises(TypeError, match="rate_limiter"):
            ProxyRotator(rate_limiter=limiter)


class TestQueue:
    def test_requests_wait_for_their_turn(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(global_limit=RateLimit(max_requests=2, time_window=0.2))
        config = {"queue_enabled": True, "queue_size": 10}
        with ProxyRotator(running.urls, rate_limiter=limiter, config=config) as rotator:
            began = time.monotonic()
            with ThreadPoolExecutor(6) as threads:
                answers = list(threads.map(lambda _: rotator.get(url), range(6)))
            assert {answer.status_code for answer in answers} == {200}
            # Two at once, then one every tenth of a second.
            assert time.monotonic() - began >= 0.39
            assert rotator.get_queue_stats() == {
                "enabled": True,
                "size": 0,
                "max_size": 10,
                "is_full": False,
                "is_empty": True,
            }
            assert at_rest(rotator)

    def test_a_full_queue_refuses_and_can_be_cleared(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(global_limit=RateLimit(max_requests=1, time_window=20.0))
        config = {"queue_enabled": True, "queue_size": 2}
        errors: list[BaseException] = []

        with ProxyRotator(running.urls, rate_limiter=limiter, config=config) as rotator:

            def wait() -> None:
                try:
                    rotator.get(url)
                except Exception as error:
                    errors.append(error)

            rotator.get(url)
            threads = [threading.Thread(target=wait) for _ in range(2)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while not rotator.get_queue_stats()["is_full"]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with pytest.raises(RequestQueueFullError) as caught:
                rotator.get(url)
            assert caught.value.queue_size == 2
            assert rotator.clear_queue() == 2
            for thread in threads:
                thread.join(5)
                assert not thread.is_alive()
            assert [type(error) for error in errors] == [ProxyConnectionError] * 2
            assert rotator.get_queue_stats()["is_empty"]
            assert at_rest(rotator)

    def test_a_cancelled_task_leaves_its_place(self, running: ProxyFleet, url: str) -> None:
        async def main() -> None:
            limiter = RateLimiter(global_limit=RateLimit(max_requests=1, time_window=20.0))
            config = {"queue_enabled": True, "queue_size": 1}
            async with AsyncProxyRotator(running.urls, rate_limiter=limiter, config=config) as rotator:
                await rotator.get(url)
                task = asyncio.create_task(rotator.get(url))
                # What it waits for happens inside the rotator, without a signal.
                while rotator.get_queue_stats()["size"] == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                with pytest.raises(RequestQueueFullError):
                    await rotator.get(url)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert rotator.get_queue_stats()["is_empty"]
                assert rotator.clear_queue() == 0
                assert at_rest(rotator)

        asyncio.run(main())

    def test_a_crowd_is_served_in_order_and_within_the_limit(self, running: ProxyFleet, url: str) -> None:
        limiter = RateLimiter(global_limit=RateLimit(max_requests=20, time_window=0.4, burst_allowance=1))
        served: list[int] = []

        async def main() -> float:
            config = {"queue_enabled": True, "queue_size": 50}
            async with AsyncProxyRotator(running.urls, rate_limiter=limiter, config=config) as rotator:
                # The order in which they are given their proxies; that of the answers is the machine's.
                rotator.on("proxy_selected", lambda event: served.append(int(event.url.rpartition("=")[2])))
                began = time.monotonic()
                await asyncio.gather(*(rotator.get(f"{url}?number={number}") for number in range(21)))
                assert at_rest(rotator)
                return time.monotonic() - began

        assert asyncio.run(main()) >= 0.38
        assert served == list(range(21))

    def test_without_a_queue_there_is_nothing_to_clear(self) -> None:
        with ProxyRotator() as rotator:
            assert rotator.get_queue_stats()["enabled"] is False
            with pytest.raises(RuntimeError, match="not enabled"):
                rotator.clear_queue()


class TestBreakers:
    def test_the_mapping_is_live(self) -> None:
        rotator = ProxyRotator(["http://a.test:1", "http://b.test:1"])
        first, second = rotator.pool.proxies
        breakers = rotator.circuit_breakers
        assert set(breakers) == {str(first.id), str(second.id)}
        assert breakers[str(first.id)] == breakers[str(first.id)]
        # Proxies that come and go by the pool itself count too.
        third = Proxy(url="http://c.test:1")
        rotator.pool.add_proxy(third)
        assert str(third.id) in breakers
        assert breakers[str(third.id)].state is CircuitBreakerState.CLOSED
        rotator.pool.remove_proxy(third.id)
        assert str(third.id) not in breakers
        assert len(breakers) == 2
        assert breakers == dict(breakers.items()) == rotator.get_circuit_breaker_states()
        for unknown in ("unknown", str(uuid4())):
            assert unknown not in breakers
            assert breakers.get(unknown) is None
            with pytest.raises(KeyError):
                breakers[unknown]
            with pytest.raises(KeyError, match="No circuit breaker found"):
                rotator.reset_circuit_breaker(unknown)
        rotator.close()

    @pytest.mark.parametrize(
        "template",
        [
            CircuitBreaker(failure_threshold=2, timeout=60, success_threshold=2),
            CircuitBreakerConfig(failure_threshold=2, timeout_duration=60, success_threshold=2),
            AsyncCircuitBreaker(failure_threshold=2, timeout=60, success_threshold=2),
            {"failure_threshold": 2, "timeout_duration": 60, "success_threshold": 2},
        ],
        ids=lambda template: type(template).__name__,
    )
    def test_a_template_makes_them_all(self, template: Any) -> None:
        rotator = ProxyRotator(["http://a.test:1"], circuit_breaker=template)
        (breaker,) = rotator.circuit_breakers.values()
        assert (breaker.failure_threshold, breaker.timeout_duration, breaker.success_threshold) == (2, 60.0, 2)
        # Its own, not the template.
        assert breaker != getattr(template, "machine", template)

    def test_anything_else_is_no_template(self) -> None:
        with pytest.raises(TypeError, match="circuit_breaker"):
            ProxyRotator(circuit_breaker=5)
        with pytest.raises(ValueError):
            ProxyRotator(circuit_breaker={"failure_threshold": 0})

    def test_open_breakers_shut_out_and_all_open_is_a_503(self, running: ProxyFleet, url: str) -> None:
        with ProxyRotator(running.urls[:2], circuit_breaker=CircuitBreaker(failure_threshold=1)) as rotator:
            first, second = rotator.pool.proxies
            rotator.circuit_breakers[str(first.id)].record_failure()
            assert {rotator.get(url).json()["proxy"] for _ in range(4)} == {running.proxies[1].name}
            assert rotator._select_proxy_with_circuit_breaker() is second
            # It has succeeded before: half of its results must be failures.
            for _ in range(5):
                rotator.circuit_breakers[str(second.id)].record_failure()
            with pytest.raises(ProxyPoolEmptyError, match="503 Service Temporarily Unavailable"):
                rotator.get(url)
            rotator.reset_circuit_breaker(first.id)
            assert rotator.get(url).status_code == 200
            rotator.circuit_breakers[str(second.id)] = CircuitBreaker(str(second.id), failure_threshold=7)
            assert rotator.circuit_breakers[str(second.id)].failure_threshold == 7
            del rotator.circuit_breakers[str(second.id)]
            assert rotator.circuit_breakers[str(second.id)].failure_threshold == 1

    def test_changes_are_written_down(self, running: ProxyFleet, url: str) -> None:
        policy = RetryPolicy(base_delay=0.001)
        with ProxyFleet([ProxySpec(fault="refuse"), ProxySpec()]) as fleet:
            template = CircuitBreakerConfig(failure_threshold=1)
            with ProxyRotator(fleet.urls, circuit_breaker=template, retry_policy=policy) as rotator:
                key = str(rotator.pool.proxies[0].id)
                for _ in range(3):
                    assert rotator.get(fleet.site_url("shop.test")).status_code == 200
                (event,) = rotator.retry_metrics.circuit_breaker_events
                assert (event.proxy_id, event.from_state, event.to_state) == (key, "closed", "open")
                assert rotator.retry_metrics.get_by_proxy()[key]["circuit_breaker_opens"] == 1


class TestRetryMetrics:
    @pytest.mark.parametrize("is_async", [False, True])
    def test_every_attempt_is_written_down_once(self, is_async: bool) -> None:
        with ProxyFleet([ProxySpec(fault="refuse"), ProxySpec()]) as fleet:
            page = fleet.site_url("shop.test")

            async def main() -> Any:
                async with AsyncProxyRotator(fleet.urls) as rotator:
                    await rotator.get(page)
                    return rotator

            if is_async:
                rotator: Any = asyncio.run(main())
            else:
                with ProxyRotator(fleet.urls) as rotator:
                    rotator.get(page)
            metrics = rotator.get_retry_metrics()
            assert metrics is rotator.retry_metrics
            first, second = metrics.current_attempts
            bad, good = (str(proxy.id) for proxy in rotator.pool)
            assert first.request_id == second.request_id
            assert (first.attempt_number, second.attempt_number) == (0, 1)
            assert (first.proxy_id, second.proxy_id) == (bad, good)
            assert (first.outcome, second.outcome) == ("failure", "success")
            assert second.latency > 0
            assert first.error_message
            assert metrics.get_summary()["success_by_attempt"] == {1: 1}

    def test_under_faults_and_threads_the_books_agree(self) -> None:
        # Five refusals in a row count as the site's fault: at this rate one request in 300,000 meets them.
        specs = [ProxySpec(fail_with="refuse", fail_rate=0.08) for _ in range(5)]
        with ProxyFleet(specs, seed=7) as fleet:
            page = fleet.site_url("shop.test")
            with ProxyRotator(fleet.urls) as rotator:
                with ThreadPoolExecutor(6) as threads:
                    answers = list(threads.map(lambda _: rotator.get(page).status_code, range(300)))
                assert answers == [200] * 300
                rows = rotator.retry_metrics.get_by_proxy()
                for proxy in rotator.pool:
                    row = rows[str(proxy.id)]
                    assert row["total_attempts"] == proxy.requests_completed
                    assert (row["success_count"], row["failure_count"]) == (
                        proxy.total_successes,
                        proxy.total_failures,
                    )
                summary = rotator.retry_metrics.get_summary()
                assert sum(summary["success_by_attempt"].values()) == 300
                assert summary["total_retries"] == sum(row["total_attempts"] for row in rows.values()) - 300

    def test_leases_are_attempts_too_unless_given_back(self, running: ProxyFleet) -> None:
        with ProxyRotator(running.urls) as rotator:
            rotator.lease().success(12.0)
            rotator.lease().release()
            (attempt,) = rotator.retry_metrics.current_attempts
            assert attempt.latency == pytest.approx(0.012)

    def test_the_executor_has_what_the_rotator_has(self) -> None:
        rotator = ProxyRotator(["http://a.test:1"])
        executor = rotator.retry_executor
        assert executor is rotator.retry_executor
        assert executor.circuit_breakers is rotator.circuit_breakers
        assert executor.retry_metrics is rotator.retry_metrics
        rotator.retry_policy = RetryPolicy(max_attempts=7)
        assert rotator.retry_executor.retry_policy.max_attempts == 7

    def test_nothing_runs_and_nothing_is_left(self, running: ProxyFleet, url: str) -> None:
        threads = threading.active_count()
        made = [
            ProxyRotator(
                running.urls,
                rate_limiter=RateLimiter(1000),
                credential_rotator=CredentialRotator(lambda: {"username": "u", "password": "p"}),
            )
            for _ in range(20)
        ]
        made[0].get(url)
        assert made[0]._aggregation_timer is made[0]._aggregation_thread is made[0]._stop_event is None
        assert made[0]._request_queue is made[0]._bootstrap_config is None
        gone = [weakref.ref(rotator) for rotator in made]
        gc.collect()
        gc.disable()
        try:
            del made
            assert not any(reference() for reference in gone)
        finally:
            gc.enable()
        assert threading.active_count() == threads


class TestCredentials:
    @pytest.mark.parametrize("is_async", [False, True])
    def test_all_proxies_follow(self, is_async: bool) -> None:
        answers = iter(["one", "wrong", "one"])

        def refresh() -> dict[str, str]:
            return {"username": "user", "password": next(answers)}

        with ProxyFleet([ProxySpec(auth=("user", "one")) for _ in range(2)]) as fleet:
            page = fleet.site_url("shop.test")
            bare = [proxy.bare_url for proxy in fleet.proxies]
            credentials = CredentialRotator(refresh_callback=refresh, refresh_interval=HOUR)

            def refusals() -> list[int]:
                return [counters["auth_failures"] for counters in fleet.counters().values()]

            async def main() -> None:
                async with AsyncProxyRotator(bare, credential_rotator=credentials) as rotator:
                    assert [(await rotator.get(page)).status_code for _ in range(4)] == [200] * 4
                    assert refusals() == [0, 0]
                    # Connections made with the old pair are not used for the new one.
                    credentials.invalidate()
                    with pytest.raises(ProxyAuthenticationError):
                        await rotator.get(page)
                    assert refusals() == [1, 1]
                    # A proxy that refused the login rests only until it gets another.
                    credentials.invalidate()
                    assert [(await rotator.get(page)).status_code for _ in range(4)] == [200] * 4
                    assert refusals() == [1, 1]
                    assert at_rest(rotator)

            if is_async:
                asyncio.run(main())
                return
            with ProxyRotator(bare, credential_rotator=credentials) as rotator:
                assert [rotator.get(page).status_code for _ in range(4)] == [200] * 4
                credentials.invalidate()
                with pytest.raises(ProxyAuthenticationError):
                    rotator.get(page)
                assert refusals() == [1, 1]
                credentials.invalidate()
                assert [rotator.get(page).status_code for _ in range(4)] == [200] * 4
                assert refusals() == [1, 1]
                assert at_rest(rotator)

    def test_a_proxy_that_joins_later_is_logged_in_when_it_is_used(self) -> None:
        with ProxyFleet([ProxySpec(auth=("u", "p")), ProxySpec(auth=("u", "p"))]) as fleet:
            credentials = CredentialRotator(lambda: {"username": "u", "password": "p"})
            with ProxyRotator([fleet.proxies[0].bare_url], credential_rotator=credentials) as rotator:
                page = fleet.site_url("shop.test", "/whoami")
                rotator.get(page)
                rotator.pool.add_proxy(fleet.proxies[1].bare_url)
                assert {rotator.get(page).json()["proxy"] for _ in range(4)} == {p.name for p in fleet.proxies}

    def test_rotators_may_share_them(self) -> None:
        calls: list[int] = []

        def refresh() -> dict[str, str]:
            calls.append(1)
            return {"username": "u", "password": "p"}

        with ProxyFleet([ProxySpec(auth=("u", "p")) for _ in range(4)]) as fleet:
            bare = [proxy.bare_url for proxy in fleet.proxies]
            credentials = CredentialRotator(refresh)
            with ProxyRotator(bare[:2], credential_rotator=credentials) as first:
                with ProxyRotator(bare[2:], credential_rotator=credentials) as second:
                    for rotator in (first, second):
                        assert rotator.get(fleet.site_url("shop.test")).status_code == 200
                        assert all(proxy.username is not None for proxy in rotator.pool)
            assert len(calls) == 1

    def test_something_else_is_refused(self) -> None:
        with pytest.raises(TypeError, match="credential_rotator"):
            ProxyRotator(credential_rotator={"username": "u", "password": "p"})  # type: ignore[arg-type]


class TestWhatScriptsReachFor:
    def test_a_request_and_a_client_of_one_proxy(self, running: ProxyFleet, url: str) -> None:
        with ProxyRotator(running.urls) as rotator:
            assert rotator._make_request("GET", url).status_code == 200
            proxy = rotator.pool.proxies[1]
            client = rotator._get_or_create_client(proxy)
            assert client is rotator._get_or_create_client(proxy)
            assert {client.get(url).json()["proxy"] for _ in range(3)} == {running.proxies[1].name}
            assert proxy.id in rotator._client_pool
        assert client.is_closed

    def test_the_same_with_tasks(self, running: ProxyFleet, url: str) -> None:
        async def main() -> None:
            async with AsyncProxyRotator(running.urls) as rotator:
                assert (await rotator._make_request("GET", url)).status_code == 200
                client = await rotator._get_or_create_client(rotator.pool.proxies[2])
                assert (await client.get(url)).json()["proxy"] == running.proxies[2].name
            assert client.is_closed

        asyncio.run(main())
