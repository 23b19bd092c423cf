"""``rotator.attempts()`` with outcomes that are made up: what the loop does, and what it leaves behind."""

from __future__ import annotations

import asyncio
import builtins
import gc
import time
from typing import Any, Optional

import httpx
import pytest
import requests

from proxywhirl import (
    AsyncProxyRotator,
    Outcome,
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
)

PAGE = "http://shop.test/page"
QUICK = RetryPolicy(max_attempts=3, base_delay=0.001)
Refused = requests.exceptions.ProxyError


def rotator_of(count: int, **options: Any) -> ProxyRotator:
    options.setdefault("retry_policy", QUICK)
    return ProxyRotator(proxies=[f"http://10.0.0.{number}:80" for number in range(1, count + 1)], **options)


def at_rest(rotator: Any) -> bool:
    return all(proxy.requests_active == 0 for proxy in rotator.pool.get_all_proxies())


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.url = PAGE
    response.headers.update(headers)
    return response


def play(attempts: Any, said: Any) -> list[int]:
    """Runs the loop; what is said in the block of an attempt is raised, reported, or found by a function of it."""
    numbers: list[int] = []
    for attempt in attempts:
        with attempt:
            numbers.append(attempt.number)
            word = said(attempt) if callable(said) else said
            if isinstance(word, BaseException):
                raise word
            attempt.report(word)
    return numbers


def test_a_success_ends_the_loop() -> None:
    rotator = rotator_of(3)
    seen = []
    for attempt in rotator.attempts(PAGE):
        with attempt:
            seen.append((attempt.number, attempt.proxy.host))
            assert attempt.report(answer(200)) is Outcome.SUCCESS
            assert attempt.closed
    assert seen == [(1, "10.0.0.1")]
    assert rotator.pool.get_all_proxies()[0].total_successes == 1
    assert at_rest(rotator)


def test_an_attempt_is_a_lease() -> None:
    for attempt in rotator_of(1).attempts(PAGE):
        with attempt:
            assert attempt.url == attempt.url_for("httpx") == "http://10.0.0.1:80"
            assert attempt.requests_proxies == {"http": attempt.url, "https": attempt.url}
            assert attempt.playwright_proxy == {"server": attempt.url}
            assert attempt.id == attempt.proxy.id
            assert attempt.site == "shop.test"
            assert attempt.time_left is None
            assert not attempt.closed


def test_a_block_without_a_word_is_a_success() -> None:
    rotator = rotator_of(2)
    for attempt in rotator.attempts(PAGE):
        with attempt:
            pass
    assert [proxy.total_successes for proxy in rotator.pool.get_all_proxies()] == [1, 0]


def test_an_exception_of_a_client_moves_on_to_another_proxy() -> None:
    rotator = rotator_of(3)
    hosts = []
    for attempt in rotator.attempts(PAGE):
        with attempt:
            hosts.append(attempt.proxy.host)
            if len(hosts) < 3:
                raise Refused("cannot connect")
    assert hosts == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert [proxy.total_failures for proxy in rotator.pool.get_all_proxies()] == [1, 1, 0]
    assert at_rest(rotator)


def test_reported_failures_move_on_as_well() -> None:
    rotator = rotator_of(3)
    outcomes = []
    for attempt, said in zip(rotator.attempts(PAGE), [Refused("no"), answer(403), answer(200)]):
        outcomes.append(attempt.report(said))
    assert outcomes == [Outcome.PROXY_DOWN, Outcome.BANNED, Outcome.SUCCESS]


def test_the_loop_ends_as_the_rotators_do() -> None:
    rotator = rotator_of(3)
    with pytest.raises(ProxyConnectionError, match="failed after 3 attempts: ProxyError: number 3") as caught:
        play(rotator.attempts(PAGE), lambda attempt: Refused(f"number {attempt.number}"))
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.attempt_count == 3
    assert at_rest(rotator)


def test_an_answer_that_is_not_wanted_goes_with_the_error() -> None:
    page = answer(502)
    with pytest.raises(ProxyConnectionError, match="status 502") as caught:
        play(rotator_of(3).attempts(PAGE), page)
    assert caught.value.response is page


def test_a_refused_login() -> None:
    with pytest.raises(ProxyAuthenticationError):
        play(rotator_of(1).attempts(PAGE), answer(407))


def test_a_final_ban_is_an_answer_or_an_error() -> None:
    assert play(rotator_of(2).attempts(PAGE), answer(403)) == [1, 2], "the caller has the answer"
    with pytest.raises(ProxyBannedError):
        play(rotator_of(2).attempts(PAGE, raise_on_ban=True), answer(403))
    with pytest.raises(ProxyBannedError):
        play(rotator_of(2, raise_on_ban=True).attempts(PAGE), answer(403))


def test_raise_for_status_in_the_block() -> None:
    numbers = []

    def raising(status: int, *, reports: bool = False) -> Any:
        def say(attempt: Any) -> Any:
            numbers.append(attempt.number)
            response = answer(200 if status == 403 and attempt.number == 3 else status)
            if reports:
                attempt.report(response)
            response.raise_for_status()
            return response

        return say

    with pytest.raises(requests.HTTPError):
        play(rotator_of(2).attempts(PAGE), raising(403))
    assert numbers == [1, 2], "banned everywhere: what the client raised is raised"
    numbers.clear()
    with pytest.raises(requests.HTTPError):
        play(rotator_of(2).attempts(PAGE), raising(404, reports=True))
    assert numbers == [1], "404 is an answer"
    assert play(rotator_of(3).attempts(PAGE), raising(403)) == [1, 2, 3]


@pytest.mark.parametrize("mistake", [TypeError, KeyError, ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_of_the_users_own_code_goes_through(mistake: type[BaseException]) -> None:
    rotator = rotator_of(2)
    for reports in (False, True):

        def err(attempt: Any) -> None:
            if reports:  # noqa: B023 - called in this turn
                attempt.report(answer(403))
            raise mistake("a mistake")

        with pytest.raises(mistake):
            play(rotator.attempts(PAGE), err)
    assert at_rest(rotator)
    assert [proxy.total_failures for proxy in rotator.pool.get_all_proxies()] == [0, 0]


def test_a_fault_of_the_request_is_raised_as_it_is() -> None:
    rotator = rotator_of(2)
    with pytest.raises(requests.exceptions.InvalidURL):
        play(rotator.attempts(PAGE), requests.exceptions.InvalidURL("no host"))
    assert at_rest(rotator)


def test_break_and_return_in_the_block() -> None:
    rotator = rotator_of(2)
    for attempt in rotator.attempts(PAGE):
        with attempt:
            break

    def fetch() -> int:
        for attempt in rotator.attempts(PAGE):
            with attempt:
                return attempt.number
        return 0

    assert fetch() == 1
    assert [proxy.total_successes for proxy in rotator.pool.get_all_proxies()] == [1, 1]
    assert at_rest(rotator)


def test_a_loop_that_is_abandoned_releases() -> None:
    rotator = rotator_of(1)
    loop = rotator.attempts(PAGE)
    attempt = next(loop)
    assert not at_rest(rotator)
    del loop, attempt
    assert at_rest(rotator)
    for attempt in rotator.attempts(PAGE):
        attempt.report(Refused("no"))
        break
    assert at_rest(rotator), "no other lease is taken unasked"
    for attempt in rotator.attempts(PAGE):
        attempt.release()
    assert attempt.closed
    assert at_rest(rotator)
    assert rotator.pool.get_all_proxies()[0].total_requests == 1


def test_an_attempt_without_an_outcome_is_a_mistake() -> None:
    rotator = rotator_of(2)
    with pytest.raises(RuntimeError, match="attempt 1 has no outcome"):
        list(rotator.attempts(PAGE))
    assert at_rest(rotator)
    for attempt in rotator.attempts(PAGE):
        attempt.report(200)
        with pytest.raises(RuntimeError, match="has ended"):
            attempt.report(200)
    with pytest.raises(TypeError):
        play(rotator.attempts(PAGE), None)


def test_nothing_is_sent_twice_that_must_not_be() -> None:
    for error, most in ((Refused("not connected"), 3), (requests.exceptions.ReadTimeout("late"), 1)):
        with pytest.raises(ProxyConnectionError) as caught:
            play(rotator_of(3).attempts(PAGE, method="post"), error)
        assert caught.value.attempt_count == most


def test_wishes() -> None:
    rotator = ProxyRotator(proxies=[{"url": "http://10.0.0.1:80", "country_code": "DE"}, "http://10.0.0.2:80"])
    with pytest.raises(ProxyPoolEmptyError):
        next(rotator.attempts(PAGE, country="FR"))
    hosts = set()
    for _ in range(4):
        for attempt in rotator.attempts(PAGE, country="DE"):
            with attempt:
                hosts.add(attempt.proxy.host)
    assert hosts == {"10.0.0.1"}
    first = []
    for _ in range(4):
        for attempt in rotator.attempts(PAGE, session_id="user-1"):
            with attempt:
                first.append(attempt.proxy.host)
    assert len(set(first)) == 1
    with pytest.raises(TypeError, match="context"):
        rotator.attempts(PAGE, context=7)  # type: ignore[arg-type]


def test_rules_and_policies_of_the_call() -> None:
    outcomes = []
    for attempt in rotator_of(3).attempts(
        PAGE, ban_policy={"statuses": [451]}, retry_policy=RetryPolicy(max_attempts=2)
    ):
        outcomes.append(attempt.report(answer(451)))
    assert outcomes == [Outcome.BANNED] * 2

    def late(attempt: Any) -> Refused:
        assert attempt.time_left is not None
        assert 0.0 < attempt.time_left <= 0.5
        return Refused("no")

    with pytest.raises(ProxyConnectionError, match="Request timeout"):
        play(rotator_of(1).attempts(PAGE, retry_policy=RetryPolicy(timeout=0.5, base_delay=1.0)), late)


def test_an_empty_pool() -> None:
    with pytest.raises(ProxyPoolEmptyError):
        list(ProxyRotator().attempts(PAGE))


def async_rotator_of(count: int) -> AsyncProxyRotator:
    urls = [f"http://10.0.0.{number}:80" for number in range(1, count + 1)]
    return AsyncProxyRotator(proxies=urls, retry_policy=QUICK)


def test_async_for() -> None:
    async def fetch(rotator: AsyncProxyRotator, failures: int) -> list[str]:
        hosts = []
        async for attempt in rotator.attempts(PAGE):
            async with attempt:
                hosts.append(attempt.proxy.host)
                await asyncio.sleep(0)
                if len(hosts) <= failures:
                    raise httpx.ConnectError("no")
        return hosts

    async def main() -> None:
        async with async_rotator_of(3) as rotator:
            assert len(await fetch(rotator, 2)) == 3
            with pytest.raises(ProxyConnectionError, match="failed after 3 attempts") as caught:
                await fetch(rotator, 3)
            assert isinstance(caught.value.__cause__, httpx.ConnectError)
            assert at_rest(rotator)

    asyncio.run(main())


def test_cancellation_releases() -> None:
    async def main() -> None:
        rotator = async_rotator_of(1)
        inside = asyncio.Event()

        async def fetch() -> Optional[int]:
            async for attempt in rotator.attempts(PAGE):
                async with attempt:
                    inside.set()
                    await asyncio.sleep(60)
            return None

        task = asyncio.ensure_future(fetch())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert at_rest(rotator)
        proxy = rotator.pool.get_all_proxies()[0]
        assert (proxy.total_requests, proxy.total_failures) == (0, 0)

    asyncio.run(main())


def test_a_report_that_is_refused_leaves_the_attempt_as_it_was() -> None:
    rotator = rotator_of(2)
    numbers = []
    for attempt in rotator.attempts(PAGE):
        numbers.append(attempt.number)
        with pytest.raises(ValueError, match=r"elapsed|duration|negative|finite"):
            attempt.report(200, elapsed_ms=-1)
        assert not attempt.closed
        attempt.report(200)
    assert numbers == [1]
    assert at_rest(rotator)


def test_a_limiter_that_refuses_the_next_proxy_leaves_the_answer() -> None:
    class Once:
        left = 1

        def acquire(self, proxy_id: str) -> bool:
            self.left -= 1
            return self.left >= 0

    rotator = rotator_of(2, rate_limiter=Once())
    assert play(rotator.attempts(PAGE), 403) == [1]
    assert at_rest(rotator)


Group: Any = getattr(builtins, "ExceptionGroup", None)


@pytest.mark.skipif(Group is None, reason="Python 3.11 and newer have exception groups")
def test_a_mistake_of_ones_own_in_a_group_goes_through() -> None:
    rotator = rotator_of(3)
    with pytest.raises(Group):
        play(rotator.attempts(PAGE), Group("several", [KeyError("mine"), httpx.ConnectError("c")]))
    assert at_rest(rotator)
    assert all(proxy.total_failures == 0 for proxy in rotator.pool)


def test_a_mistake_after_a_report_ends_the_loop_and_decides_what_is_open() -> None:
    rotator = rotator_of(3)
    attempts = rotator.attempts(PAGE)
    attempt = next(attempts)

    def work() -> None:
        with attempt:
            attempt.report(error=requests.exceptions.ReadTimeout("late"))
            raise KeyError("mine")

    with pytest.raises(KeyError):
        work()
    assert list(attempts) == []
    assert at_rest(rotator)


def test_a_strategy_is_told_what_time_is_left() -> None:
    seen = []

    class Asks:
        def select(self, pool: Any, context: Any = None) -> Any:
            seen.append(context.timeout_ms)
            return pool.get_all_proxies()[0]

        def record_result(self, proxy: Any, success: bool, response_time_ms: float) -> None: ...

    rotator = rotator_of(2, strategy=Asks(), retry_policy=RetryPolicy(timeout=50.0))
    play(rotator.attempts(PAGE), 200)
    assert seen
    assert 0 < seen[0] <= 50_000


def test_no_attempt_is_begun_after_the_deadline() -> None:
    rotator = rotator_of(1, retry_policy=RetryPolicy(max_attempts=3, base_delay=0.001, timeout=0.2))
    attempts = rotator.attempts(PAGE)
    next(attempts).report(error=Refused("refused"))
    time.sleep(0.25)
    with pytest.raises((ProxyConnectionError, ProxyPoolEmptyError)):
        next(attempts)
    assert at_rest(rotator)


def test_the_collector_sees_each_lease_once() -> None:
    rotator = rotator_of(3)
    attempts = rotator.attempts(PAGE)
    attempt = next(attempts)
    leases = [attempt._lease]
    assert gc.get_referents(attempts._rotation).count(leases[0]) == 1
    # Ended, and kept for the error that may come.
    attempt.report(error=Refused("refused"))
    assert gc.get_referents(attempts._rotation).count(leases[0]) == 1
    leases.append(next(attempts)._lease)
    assert [gc.get_referents(attempts._rotation).count(lease) for lease in leases] == [1, 1]
    attempts.close()


def test_what_an_answer_means_can_be_asked_without_reporting_it() -> None:
    with rotator_of(2) as rotator:
        attempt = next(rotator.attempts(PAGE))
        assert attempt.outcome_of(answer(200)) is Outcome.SUCCESS
        assert attempt.outcome_of(answer(403)) is Outcome.BANNED
        assert attempt.outcome_of(Refused()) is Outcome.PROXY_DOWN
        assert not attempt.closed
        assert sum(proxy.requests_active for proxy in rotator.pool) == 1
        attempt.release()
        assert at_rest(rotator)


def test_the_last_attempt_is_known_once_it_is_reported() -> None:
    last: list[bool] = []
    with rotator_of(3) as rotator:
        for attempt in rotator.attempts(PAGE):
            assert not attempt.is_last
            attempt.report(403 if attempt.number == 1 else 200)
            last.append(attempt.is_last)
    assert last == [False, True]


def test_a_ban_ends_the_connections_that_it_came_by() -> None:
    from proxywhirl.gateways import Gateway

    renews: list[bool] = []
    with ProxyRotator([Gateway("http://user:word@10.0.0.1:80")], retry_policy=QUICK) as rotator:
        for attempt in rotator.attempts(PAGE):
            assert not attempt.renews
            attempt.report(403 if attempt.number == 1 else 200)
            renews.append(attempt.renews)
    assert renews == [True, False]
