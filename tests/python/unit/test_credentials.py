"""The credential rotator: when it asks, how often at once, and what it does about errors."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from pydantic import SecretStr

import proxywhirl
from proxywhirl.credentials import CredentialRotator


class Provider:
    """Hands out pairs with a number."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.calls = 0
        self.seconds = seconds
        self.error: Exception | None = None
        self.now = self.most = 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            time.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return {"username": f"user{self.calls}", "password": f"hush{self.calls}"}
        finally:
            self.now -= 1

    async def later(self) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return self()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_public() -> None:
    assert proxywhirl.CredentialRotator is CredentialRotator


def test_asks_only_when_the_pair_is_old() -> None:
    clock, provider = Clock(), Provider()
    found = CredentialRotator(refresh_callback=provider, refresh_interval=60, _clock=clock)
    assert provider.calls == 0
    assert found.current() == found.current() == ("user1", "hush1")
    clock.now += 59.9
    assert found.current() == ("user1", "hush1")
    clock.now += 0.1
    assert found.is_due
    assert found.current() == ("user2", "hush2")
    found.invalidate()
    assert found.current() == ("user3", "hush3")


def test_an_error_keeps_the_old_pair_and_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    clock, provider = Clock(), Provider()
    found = CredentialRotator(provider, 60, _clock=clock)
    found.current()
    clock.now += 60
    provider.error = RuntimeError("hush1 refused at http://user1:hush1@host.test/")
    with caplog.at_level(logging.WARNING, "proxywhirl"):
        assert found.current() == ("user1", "hush1")
        assert found.current() == ("user1", "hush1")
    assert provider.calls == 2  # not asked again by the very next request
    assert "RuntimeError" in caplog.text
    assert "hush1" not in caplog.text
    provider.error = None
    clock.now += 10
    assert found.current() == ("user3", "hush3")
    assert "hush" not in repr(found) + repr(found.current()) + f"{found.current()}"


@pytest.mark.parametrize(
    "answer",
    [None, "user:password", {}, {"username": "u"}, {"username": "", "password": "p"}, {"username": 1, "password": 2}],
)
def test_anything_but_a_pair_is_an_error(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "proxywhirl"):
        assert CredentialRotator(lambda: answer, 60).current() is None
    assert "there are none yet" in caplog.text


def test_secrets_may_come_wrapped() -> None:
    answer = {"username": SecretStr("u"), "password": SecretStr("p")}
    assert CredentialRotator(lambda: answer).current() == ("u", "p")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((5,), TypeError), ((dict, 0), ValueError), ((dict, float("nan")), ValueError), ((dict, "60"), TypeError)],
)
def test_bad_arguments_are_refused(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        CredentialRotator(*arguments)


def test_a_coroutine_function_serves_plain_code_with_and_without_a_loop() -> None:
    provider = Provider()
    assert CredentialRotator(provider.later).current() == ("user1", "hush1")

    async def notebook() -> Any:
        return CredentialRotator(provider.later).current()

    assert asyncio.run(notebook()) == ("user2", "hush2")


def test_threads_wait_for_the_first_pair_and_then_go_on_with_the_old_one() -> None:
    clock, provider = Clock(), Provider(seconds=0.05)
    found = CredentialRotator(provider, 60, _clock=clock)
    seen: list[Any] = []

    def crowd() -> None:
        threads = [threading.Thread(target=lambda: seen.append(found.current())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    crowd()
    assert seen == [("user1", "hush1")] * 8
    clock.now += 60
    seen.clear()
    crowd()
    assert provider.calls == 2
    assert provider.most == 1
    assert set(seen) <= {("user1", "hush1"), ("user2", "hush2")}


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_tasks_call_it_once_and_the_loop_goes_on(kind: str) -> None:
    provider = Provider(seconds=0.05 if kind == "plain" else 0.0)
    found = CredentialRotator(provider if kind == "plain" else provider.later, 60)

    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticker = asyncio.create_task(tick())
        pairs = await asyncio.gather(*(found.acurrent() for _ in range(10)))
        ticker.cancel()
        assert pairs == [("user1", "hush1")] * 10
        assert ticks > (5 if kind == "plain" else 0)

    asyncio.run(main())
    assert provider.calls == 1


def test_a_cancelled_task_does_not_let_a_second_call_begin() -> None:
    provider = Provider(seconds=0.1)
    found = CredentialRotator(provider, 60)

    async def main() -> None:
        task = asyncio.create_task(found.acurrent())
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await found.acurrent() == ("user1", "hush1")

    asyncio.run(main())
    assert (provider.calls, provider.most) == (1, 1)


def test_an_error_in_a_task_is_contained() -> None:
    async def fail() -> Any:
        raise OSError("no route")

    found = CredentialRotator(fail)
    assert asyncio.run(found.acurrent()) is None
    assert not found.is_due


def test_a_proxy_takes_both_in_one_step() -> None:
    proxy = proxywhirl.Proxy(url="http://old:pair@host.test:1")
    assert proxy._log_in("new", "one")
    assert not proxy._log_in("new", "one")
    assert (proxy.username, proxy.password) == (SecretStr("new"), SecretStr("one"))


def test_a_pool_logs_in_the_proxies_that_join() -> None:
    pool = proxywhirl.ProxyPool(proxies=["http://first.test:1", "http://own:pair@second.test:1"])
    pool._log_in("new", "one")
    pool.add_proxy(proxywhirl.Proxy(url="http://late.test:1"))
    pool.add_many(["http://later.test:1", "http://latest.test:1"])
    assert len(pool) == 5
    for proxy in pool:
        assert (proxy.username, proxy.password) == (SecretStr("new"), SecretStr("one"))
    pool._log_in("newer", "two")
    assert {proxy.username for proxy in pool} == {SecretStr("newer")}
