"""The breakers by themselves, as scripts use them: names, settings, the course of states, both faces."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import proxywhirl
from proxywhirl import CircuitBreaker, CircuitBreakerConfig, CircuitBreakerState
from proxywhirl.circuit_breaker import AsyncCircuitBreaker, CircuitBreakerBase

CLOSED, OPEN, HALF_OPEN = CircuitBreakerState.CLOSED, CircuitBreakerState.OPEN, CircuitBreakerState.HALF_OPEN


class Plain:
    """The asynchronous breaker, awaited at once: one test for both."""

    def __init__(self, breaker: AsyncCircuitBreaker) -> None:
        self.breaker = breaker

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.breaker, name)
        if not callable(found):
            return found

        def call() -> Any:
            async def main() -> Any:
                return await found()

            return asyncio.run(main())

        return call


def sync(**settings: Any) -> Any:
    return CircuitBreaker("p", **settings)


def face(**settings: Any) -> Any:
    return Plain(AsyncCircuitBreaker("p", **settings))


both = pytest.mark.parametrize("make", [sync, face])


def test_names_can_be_imported_from_where_they_were() -> None:
    from proxywhirl.circuit_breaker.async_ import AsyncCircuitBreaker as Async
    from proxywhirl.circuit_breaker.base import CircuitBreakerBase as Base
    from proxywhirl.circuit_breaker.base import CircuitBreakerState as State
    from proxywhirl.circuit_breaker.sync import CircuitBreaker as Sync

    assert (Sync, Async, Base, State) == (CircuitBreaker, AsyncCircuitBreaker, CircuitBreakerBase, CircuitBreakerState)
    assert proxywhirl.AsyncCircuitBreaker is AsyncCircuitBreaker
    assert isinstance(CircuitBreaker(), CircuitBreakerBase)
    assert isinstance(AsyncCircuitBreaker(), CircuitBreakerBase)


@both
def test_defaults(make: Any) -> None:
    found = make()
    assert (found.proxy_id, found.state, found.failure_count, found.next_test_time) == ("p", CLOSED, 0, None)
    assert (found.failure_threshold, found.success_threshold) == (5, 1)
    assert (found.timeout, found.timeout_duration, found.window_duration) == (30.0, 30.0, 60.0)
    assert list(found.failure_window) == []
    assert found.should_attempt_request()


@both
def test_the_course_of_states(make: Any) -> None:
    found = make(failure_threshold=2, timeout=1.0, success_threshold=2)
    found.record_failure()
    assert (found.state, found.failure_count, len(found.failure_window)) == (CLOSED, 1, 1)
    found.record_failure()
    assert found.state is OPEN
    assert found.next_test_time is not None
    assert not found.should_attempt_request()
    time.sleep(1.01)
    # Looking changes nothing; asking makes it the probe.
    assert found.would_allow()
    assert found.state is OPEN
    assert found.should_attempt_request()
    assert found.state is HALF_OPEN
    assert not found.should_attempt_request()
    found.record_failure()
    assert found.state is OPEN
    time.sleep(1.01)
    for state in (HALF_OPEN, CLOSED):
        assert found.should_attempt_request()
        found.record_success()
        assert found.state is state
    assert found.failure_count == 0


@both
def test_reset(make: Any) -> None:
    found = make(failure_threshold=1)
    found.record_failure()
    found.reset()
    assert (found.state, found.failure_count, found.next_test_time) == (CLOSED, 0, None)


@pytest.mark.parametrize("cls", [CircuitBreaker, AsyncCircuitBreaker])
def test_made_from_settings(cls: Any) -> None:
    config = CircuitBreakerConfig(failure_threshold=9, window_duration=5.0, timeout_duration=7.0)
    found = cls.create("p", config, failure_threshold=3)
    assert (found.proxy_id, found.failure_threshold, found.window_duration) == ("p", 3, 5.0)
    assert cls.from_config("p", config).timeout_duration == 7.0


@both
@pytest.mark.parametrize(
    "settings",
    [{"failure_threshold": 0}, {"timeout": -1}, {"window_duration": 0}, {"success_threshold": 0}],
)
def test_settings_out_of_range(make: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make(**settings)


def test_two_faces_of_one_machine() -> None:
    machine = CircuitBreaker("p", failure_threshold=1)
    machine.record_failure()
    found = AsyncCircuitBreaker(machine=machine)
    assert found.state is OPEN
    assert asyncio.run(found.should_attempt_request()) is False
    with pytest.raises(TypeError):
        AsyncCircuitBreaker("p", machine=machine)


def test_one_probe_among_threads() -> None:
    found = CircuitBreaker("p", failure_threshold=1, timeout=2.0)
    found.record_failure()
    time.sleep(2.01)
    gate = threading.Barrier(8)
    granted: list[bool] = []

    def ask() -> None:
        gate.wait()
        granted.append(found.should_attempt_request())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A probe expires after the timeout, so a slow machine may see a second one; it is never all of them.
    assert 1 <= sum(granted) <= 2


class TestKeptState:
    def test_an_open_breaker_comes_back_open(self, tmp_path: Path) -> None:
        file = tmp_path / "breakers.json"
        found = CircuitBreaker("p", failure_threshold=2, timeout=60)
        CircuitBreaker("q").save_state(file)
        found.record_failure()
        found.record_failure()
        found.save_state(file)
        back = CircuitBreaker.create_with_storage("p", str(file), failure_threshold=2, timeout=60)
        assert (back.state, back.failure_count) == (OPEN, 2)
        assert back.next_test_time is not None
        assert found.next_test_time is not None
        assert abs((back.next_test_time - found.next_test_time).total_seconds()) < 1.0
        assert CircuitBreaker.create_with_storage("q", file).state is CLOSED
        assert back.delete_state(file)
        assert not back.delete_state(file)
        assert not back.load_state(file)
        assert CircuitBreaker("q").load_state(file)

    def test_time_goes_on_meanwhile(self) -> None:
        kept: dict[str, Any] = {}
        found = CircuitBreaker("p", failure_threshold=1, timeout=0.02, window_duration=0.05)
        found.record_failure()
        found.save_state(kept)
        time.sleep(0.06)
        back = CircuitBreaker("p", failure_threshold=1, timeout=0.02, window_duration=0.05)
        assert back.load_state(kept)
        assert (back.state, back.failure_count) == (OPEN, 0)
        # Its time is up, and a lost probe does not hold it.
        assert back.should_attempt_request()
        assert back.state is HALF_OPEN
        back.save_state(kept)
        again = CircuitBreaker("p")
        assert again.load_state(kept)
        assert again.should_attempt_request()

    def test_the_other_face(self, tmp_path: Path) -> None:
        async def main() -> None:
            file = tmp_path / "breakers.json"
            found = AsyncCircuitBreaker("p", failure_threshold=1)
            await found.record_failure()
            await found.save_state(file)
            back = await AsyncCircuitBreaker.create_with_storage("p", file)
            assert back.state is OPEN
            assert await back.delete_state(file)
            assert not await back.load_state({})

        asyncio.run(main())

    def test_what_is_no_state_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "breakers.json"
        for text in ("[1]", "{", '{"p": {"state": "ajar"}}'):
            file.write_text(text)
            with pytest.raises(ValueError):
                CircuitBreaker("p").load_state(file)
        with pytest.raises(ValueError, match="proxy_id"):
            CircuitBreaker().save_state(file)
