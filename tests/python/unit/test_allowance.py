"""The bounds of one attempt, with a clock moved by hand."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable

import httpcore
import pytest

from proxywhirl._httpx import allowance as module
from proxywhirl._httpx import resolve as resolving
from proxywhirl._httpx.allowance import LONGEST_BODY, MOST_HEAD, SLOWEST, Allowance
from proxywhirl._httpx.stream import Clock, Stream, connect, connect_async

SECONDS = {"connect": 5.0, "read": 10.0, "write": 4.0}


class _Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Time:
    made = _Time()
    monkeypatch.setattr(module, "time", made)
    return made


def test_each_operation_has_its_own_timeout_while_there_is_no_deadline(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    assert (bounds.connecting(), bounds.writing(), bounds.reading()) == (5.0, 4.0, 10.0)
    clock.now += 3600
    assert (bounds.connecting(), bounds.writing()) == (5.0, 4.0)


def test_every_operation_is_cut_by_the_deadline(clock: _Time) -> None:
    bounds = Allowance(SECONDS, clock.now + 3.0)
    clock.now += 1.0
    assert (bounds.connecting(), bounds.writing(), bounds.reading()) == (2.0, 2.0, 2.0)
    clock.now += 2.0
    for ask, error in (
        (bounds.connecting, httpcore.ConnectTimeout),
        (bounds.writing, httpcore.WriteTimeout),
        (bounds.reading, httpcore.ReadTimeout),
    ):
        with pytest.raises(error):
            ask()


@pytest.mark.parametrize("timeouts", [{}, dict.fromkeys(("connect", "read", "write"))])
def test_a_deadline_holds_where_the_user_asked_for_no_timeouts(clock: _Time, timeouts: dict[str, None]) -> None:
    bounds = Allowance(timeouts, clock.now + 7.0)
    assert (bounds.connecting(), bounds.writing(), bounds.reading()) == (7.0, 7.0, 7.0)
    bounds.begin_body(whole=False)
    clock.now += 8.0
    with pytest.raises(httpcore.ReadTimeout):
        bounds.reading()


def _steps_until_timeout(clock: _Time, step: Callable[[], None], seconds: float = 1.0) -> int:
    """How often something can be done, with seconds in between, until time is up."""
    for count in range(10_000):
        try:
            step()
        except httpcore.ReadTimeout:
            return count
        clock.now += seconds
    raise AssertionError("it has no end")


def test_the_head_has_twice_the_read_timeout_however_often_something_comes(clock: _Time) -> None:
    bounds = Allowance(SECONDS)

    def read() -> None:
        bounds.reading()
        bounds.received(1)

    assert _steps_until_timeout(clock, read) == 20


def test_the_clock_of_the_head_does_not_run_while_the_request_is_sent(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    bounds.writing()
    clock.now += 600.0
    assert bounds.reading() == 10.0


def test_the_head_is_bounded_in_size_interim_answers_included(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    bounds.received(MOST_HEAD)
    with pytest.raises(httpcore.RemoteProtocolError, match="head"):
        bounds.received(1)
    bounds.restart()
    bounds.received(MOST_HEAD)
    bounds.begin_body(whole=True)
    bounds.received(MOST_HEAD)


def test_a_body_read_whole_must_keep_a_pace(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    bounds.begin_body(whole=True)

    def read() -> None:
        bounds.reading()
        bounds.took(100)

    # 20 seconds of grace, and a fifth of a second more for each hundred bytes.
    assert _steps_until_timeout(clock, read) in (25, 26)


def test_a_body_that_keeps_the_pace_ends_with_the_longest_time(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    bounds.begin_body(whole=True)

    def read() -> None:
        bounds.reading()
        bounds.took(int(SLOWEST * 10))

    assert _steps_until_timeout(clock, read, 5.0) == LONGEST_BODY / 5.0


def test_without_a_read_timeout_a_body_has_the_longest_time(clock: _Time) -> None:
    bounds = Allowance({"read": None})
    bounds.begin_body(whole=True)
    bounds.took(10_000_000)
    clock.now += LONGEST_BODY - 1
    assert bounds.reading() == pytest.approx(1.0)
    clock.now += 1.0
    with pytest.raises(httpcore.ReadTimeout):
        bounds.reading()


def test_a_body_left_to_the_caller_has_no_pace(clock: _Time) -> None:
    bounds = Allowance(SECONDS)
    bounds.begin_body(whole=False)
    for _ in range(1000):
        clock.now += 9.0
        assert bounds.reading() == 10.0


class _Pipe:
    """A stream that takes note of the seconds it is given."""

    def __init__(self) -> None:
        self.seconds: list[Any] = []
        self.written = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.seconds.append(timeout)
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.seconds.append(timeout)
        self.written += bytes(buffer)

    def close(self) -> None: ...

    def get_extra_info(self, info: str) -> None: ...


def test_a_stream_takes_plain_seconds_and_allowances(clock: _Time) -> None:
    pipe = _Pipe()
    stream = Stream(pipe)
    stream.read(10, timeout=3.0)
    stream.read(10)
    stream.read(10, timeout=Allowance(SECONDS))
    stream.write(b"ab", timeout=2.0)
    stream.write(b"cd", timeout=Allowance(SECONDS))
    assert pipe.seconds == [3.0, None, 10.0, 2.0, 4.0]
    assert pipe.written == b"abcd"


def test_a_large_write_is_bounded_piece_by_piece(clock: _Time) -> None:
    pipe = _Pipe()
    body = bytes(range(256)) * 400
    Stream(pipe).write(body, timeout=Allowance(SECONDS))
    assert pipe.written == body
    assert len(pipe.seconds) == -(-len(body) // (16 * 1024))


class _Backend:
    """Opens nothing; the first so many addresses do not answer."""

    def __init__(self, failing: int) -> None:
        self.failing = failing
        self.asked: list[tuple[str, float | None]] = []

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> str:
        self.asked.append((host, timeout))
        if len(self.asked) <= self.failing:
            raise httpcore.ConnectTimeout
        return "stream"


class _AsyncBackend(_Backend):
    async def connect_tcp(  # type: ignore[override]
        self, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> str:
        return super().connect_tcp(host, port, timeout)


def _connect(is_async: bool, failing: int, host: str, seconds: float | None) -> list[tuple[str, float | None]]:
    backend = (_AsyncBackend if is_async else _Backend)(failing)
    made = (connect_async if is_async else connect)(backend, host, 80, Clock(seconds))
    assert (asyncio.run(made) if is_async else made) == "stream"
    return backend.asked


def _resolve(is_async: bool, host: str, seconds: float | None) -> list[str]:
    if is_async:
        return asyncio.run(resolving.resolve_async(host, 80, seconds))
    return resolving.resolve(host, 80, seconds)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_addresses_of_a_name_share_the_time(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    monkeypatch.setattr(resolving, "_look_up", lambda host, port: ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    asked = _connect(is_async, 2, "proxy.test", 30.0)
    assert [host for host, _ in asked] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    shares = [seconds for _, seconds in asked]
    assert shares[0] == pytest.approx(10.0, abs=2.0)
    assert shares[2] == pytest.approx(30.0, abs=2.0)
    with pytest.raises(httpcore.ConnectTimeout):
        _connect(is_async, 3, "proxy.test", 30.0)
    assert _connect(is_async, 0, "192.0.2.9", None) == [("192.0.2.9", None)]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_name_that_is_not_resolved_ends_with_the_time(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    answer = threading.Event()
    asked: list[str] = []

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        answer.wait(30)
        return ["192.0.2.1"]

    monkeypatch.setattr(resolving, "_look_up", look_up)
    before = resolving._free._value
    try:
        # Both wait for the same look-up, and neither ends it for the other.
        for _ in range(2):
            with pytest.raises(httpcore.ConnectTimeout, match=r"proxy\.test"):
                _resolve(is_async, "proxy.test", 0.05)
        assert asked == ["proxy.test"]
        assert resolving._free._value == before - 1
        assert not answer.is_set()
    finally:
        answer.set()
    for _ in range(500):
        if resolving._free._value == before:
            break
        time.sleep(0.01)
    assert resolving._free._value == before
    assert not resolving._pending


@pytest.mark.parametrize("is_async", [False, True])
def test_look_ups_that_hang_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    monkeypatch.setattr(resolving, "_free", threading.BoundedSemaphore(1))
    resolving._free.acquire()
    with pytest.raises(httpcore.ConnectTimeout):
        _resolve(is_async, "proxy.test", 0.05)
    # An address needs no look-up.
    assert _resolve(is_async, "::1", 0.05) == ["::1"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_name_that_does_not_exist_is_an_error_of_connecting(is_async: bool) -> None:
    for seconds in (30.0, None):
        with pytest.raises(httpcore.ConnectError):
            _resolve(is_async, "a..b", seconds)


def test_many_tasks_share_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    go = threading.Event()

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        go.wait(30)
        return ["192.0.2.1"]

    monkeypatch.setattr(resolving, "_look_up", look_up)

    async def crowd() -> list[list[str]]:
        tasks = [asyncio.create_task(resolving.resolve_async("proxy.test", 80, 30.0)) for _ in range(100)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*tasks[1:])

    assert asyncio.run(crowd()) == [["192.0.2.1"]] * 99
    assert asked == ["proxy.test"]


def test_a_read_that_took_too_long_says_which_bound_it_was(clock: _Time) -> None:
    own = httpcore.ReadTimeout("timed out")
    bounds = Allowance(SECONDS, clock.now + 100.0)
    bounds.reading()
    assert bounds.timed_out(own) is own
    clock.now += 20.0
    assert "head" in str(bounds.timed_out(own))
    bounds.begin_body(whole=True)
    clock.now += 20.0
    assert "bytes per second" in str(bounds.timed_out(own))
    bounds.begin_body(whole=False)
    assert bounds.timed_out(own) is own
    clock.now += 60.0
    assert "no time left" in str(bounds.timed_out(own))
