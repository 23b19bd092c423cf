"""The load test: pacing, counting, and honest latencies."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl.testing import LoadTest, LoadTestResult, ProxyFleet, ProxySpec


class Reply:
    def __init__(self, status: int = 200) -> None:
        self.status_code = status
        self.extensions: dict[str, Any] = {}


class Rotator:
    """Answers after a while, or raises."""

    def __init__(self, seconds: float = 0.0, answer: Any = 200) -> None:
        self.seconds = seconds
        self.answer = answer
        self.times: list[float] = []
        self.active = self.most = 0
        self._lock = threading.Lock()

    def request(self, method: str, url: str, **options: Any) -> Reply:
        with self._lock:
            self.times.append(time.perf_counter())
            self.active += 1
            self.most = max(self.most, self.active)
        time.sleep(self.seconds)
        with self._lock:
            self.active -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return Reply(self.answer)


class AsyncRotator(Rotator):
    async def request(self, method: str, url: str, **options: Any) -> Reply:  # type: ignore[override]
        self.times.append(time.perf_counter())
        self.active += 1
        self.most = max(self.most, self.active)
        await asyncio.sleep(self.seconds)
        self.active -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return Reply(self.answer)


def run(rotator: Any, **options: Any) -> LoadTestResult:
    defaults = {"duration_seconds": 0.5, "requests_per_second": 40, "concurrent_users": 10}
    return LoadTest(rotator, "http://site.test/", **{**defaults, **options}).run()


@pytest.mark.parametrize("name", ["duration_seconds", "requests_per_second", "concurrent_users"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_numbers_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        LoadTest(Rotator(), "http://site.test/", **{name: value})


def test_other_bad_input() -> None:
    with pytest.raises(ValueError, match="whole"):
        LoadTest(Rotator(), "http://site.test/", concurrent_users=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="grace"):
        LoadTest(Rotator(), "http://site.test/", grace_seconds=-1)
    with pytest.raises(TypeError, match="rotator"):
        LoadTest(object(), "http://site.test/")


@pytest.mark.parametrize("kind", [Rotator, AsyncRotator])
class TestBothKinds:
    def test_the_rate_is_kept(self, kind: Any) -> None:
        rotator = kind()
        result = run(rotator)
        assert result.total_requests == len(rotator.times) == 20
        assert result.success_rate == 1.0
        assert (result.successes, result.failures, result.errors) == (20, 0, {})
        assert result.requests_per_second == pytest.approx(40, rel=0.1)
        assert rotator.times[-1] - rotator.times[0] == pytest.approx(19 / 40, abs=0.15)

    def test_failures_are_counted_by_class(self, kind: Any) -> None:
        assert run(kind(answer=503)).errors == {"HTTP 503": 20}
        result = run(kind(answer=ConnectionError("no")))
        assert result.errors == {"ConnectionError": 20}
        assert result.success_rate == 0.0
        assert result.total_requests == 20

    def test_latency_counts_from_the_moment_it_was_due(self, kind: Any) -> None:
        # One user, 0.1 s each: the tenth request is sent when the fiftieth is due. A closed loop would report 100 ms.
        result = run(kind(0.1), requests_per_second=50, concurrent_users=1, duration_seconds=1.0)
        assert result.max_latency_ms > 700
        assert result.p50_latency_ms > 300
        assert result.unsent == 50 - result.total_requests > 30
        assert "not sent" in result.table()

    def test_users_bound_what_is_under_way(self, kind: Any) -> None:
        rotator = kind(0.05)
        run(rotator, requests_per_second=200, concurrent_users=3)
        assert rotator.most == 3

    def test_it_ends_although_requests_hang(self, kind: Any) -> None:
        begun = time.perf_counter()
        result = run(kind(60.0), grace_seconds=0.1, duration_seconds=0.2)
        assert time.perf_counter() - begun < 40
        assert (result.total_requests, result.unfinished + result.unsent) == (0, 8)
        assert result.unfinished
        assert result.success_rate == result.avg_latency_ms == result.p99_latency_ms == 0.0
        assert "unfinished" in result.table()


async def test_a_synchronous_rotator_in_a_loop() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    test = LoadTest(Rotator(0.02), "http://site.test/", 0.3, 30, 5)
    result = await test.run_async()
    ticking.cancel()
    assert result.total_requests == 9
    assert ticks > 10


async def test_an_asynchronous_rotator_in_a_loop() -> None:
    test = LoadTest(AsyncRotator(), "http://site.test/", 0.2, 50, 5)
    with pytest.raises(RuntimeError, match="run_async"):
        test.run()
    assert (await test.run_async()).total_requests == 10
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_leaves_no_task() -> None:
    test = LoadTest(AsyncRotator(5.0), "http://site.test/", 5, 50, 5)
    running = asyncio.ensure_future(test.run_async())
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


def test_quantiles_are_measured_ones() -> None:
    result = run(Rotator(0.01))
    assert 10 <= result.min_latency_ms <= result.p50_latency_ms <= result.p95_latency_ms
    assert result.p95_latency_ms <= result.p99_latency_ms <= result.max_latency_ms
    assert result.min_latency_ms <= result.avg_latency_ms <= result.max_latency_ms


def test_the_table_shows_no_credentials() -> None:
    result = LoadTest(Rotator(), "http://me:s3cret@site.test/?token=s3cret", 0.1, 20, 2).run()
    assert "s3cret" not in result.table() + repr(result)
    assert "p99" in str(result)


def test_a_progress_bar_and_a_table_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    run(Rotator())
    assert capsys.readouterr().err == ""  # no terminal, nothing shown
    run(Rotator(), progress=True)
    shown = capsys.readouterr()
    assert "latency p99" in shown.err
    assert shown.out == ""


class TestRealRotators:
    def test_sync(self) -> None:
        with ProxyFleet([ProxySpec(), ProxySpec(), ProxySpec(fault="refuse")]) as fleet:
            with ProxyRotator(fleet.urls) as rotator:
                result = run(rotator_with(rotator, fleet))
        assert result.total_requests == 20
        assert result.success_rate == 1.0
        assert result.attempts >= 20

    async def test_async(self) -> None:
        with ProxyFleet(2) as fleet:
            async with AsyncProxyRotator(fleet.urls) as rotator:
                test = LoadTest(rotator, fleet.site_url(path="/status/404"), 0.3, 50, 5)
                result = await test.run_async()
        assert result.errors == {"HTTP 404": 15}


def rotator_with(rotator: Any, fleet: ProxyFleet) -> Any:
    """The rotator, whatever page it is asked for."""

    class Aimed:
        def request(self, method: str, url: str, **options: Any) -> Any:
            return rotator.request(method, fleet.site_url(path="/whoami"), **options)

    return Aimed()
