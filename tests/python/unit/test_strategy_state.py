"""``ProxyMetrics`` and ``StrategyState`` (api 6.10)."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest

from proxywhirl.strategies import ProxyMetrics, StrategyState


class FakeClock:
    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


def test_metrics_start_empty() -> None:
    metrics = ProxyMetrics()
    assert (metrics.total_requests, metrics.total_successes, metrics.total_failures) == (0, 0, 0)
    assert metrics.ema_response_time_ms is None
    assert metrics.last_response_time_ms is None
    assert metrics.window_start is None
    assert metrics.success_rate == 0.0


def test_average_begins_with_the_first_value_and_then_moves() -> None:
    metrics = ProxyMetrics()
    metrics.update_ema(100.0, 0.2)
    assert metrics.ema_response_time_ms == 100.0
    metrics.update_ema(50.0, 0.2)
    assert metrics.ema_response_time_ms == pytest.approx(90.0)  # 0.2 * 50 + 0.8 * 100
    assert metrics.last_response_time_ms == 50.0


def test_results_are_counted_by_id() -> None:
    state, one, other = StrategyState(), uuid4(), uuid4()
    state.record_success(one, 100.0)
    state.record_success(one, 50.0)
    state.record_failure(one)
    assert state.get_request_count(one) == 3
    assert state.get_success_rate(one) == pytest.approx(2 / 3)
    assert state.get_ema_response_time(one) == pytest.approx(90.0)
    assert (state.get_request_count(other), state.get_success_rate(other)) == (0, 0.0)
    assert state.get_ema_response_time(other) is None


def test_failures_leave_the_average_alone() -> None:
    state, one = StrategyState(), uuid4()
    state.record_failure(one)
    assert state.get_ema_response_time(one) is None


def test_ids_may_be_text() -> None:
    state, one = StrategyState(), uuid4()
    state.record_success(str(one), 10.0)
    assert state.get_request_count(one) == 1
    assert state.get_metrics(one) is state.get_metrics(str(one))


def test_get_metrics_makes_reset_forgets_clear_forgets_all() -> None:
    state, one, other = StrategyState(), uuid4(), uuid4()
    state.get_metrics(one).total_requests = 7
    state.get_metrics(other).total_requests = 8
    assert state.get_request_count(one) == 7
    state.reset_metrics(one)
    state.reset_metrics(uuid4())
    assert (state.get_request_count(one), state.get_request_count(other)) == (0, 8)
    state.clear_all()
    assert state.get_request_count(other) == 0


def test_window_starts_anew_and_keeps_the_average() -> None:
    clock, one = FakeClock(), uuid4()
    state = StrategyState(window_duration_seconds=60, clock=clock)
    state.record_success(one, 100.0)
    clock.now += timedelta(seconds=59)
    state.record_failure(one)
    assert state.get_request_count(one) == 2
    clock.now += timedelta(seconds=1)
    state.record_failure(one)
    assert state.get_request_count(one) == 1
    assert state.get_success_rate(one) == 0.0
    assert state.get_ema_response_time(one) == 100.0


def test_memory_is_bounded_the_least_recent_goes() -> None:
    state = StrategyState(max_proxies=3)
    ids = [uuid4() for _ in range(4)]
    for proxy_id in ids[:3]:
        state.record_failure(proxy_id)
    state.record_failure(ids[0])
    state.record_failure(ids[3])
    assert [state.get_request_count(proxy_id) for proxy_id in ids] == [2, 0, 1, 1]


@pytest.mark.parametrize(
    "arguments",
    [{"ema_alpha": -0.1}, {"ema_alpha": 1.1}, {"window_duration_seconds": 0}, {"max_proxies": 0}],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        StrategyState(**arguments)  # type: ignore[arg-type]


def test_threads_lose_nothing() -> None:
    state, one = StrategyState(), uuid4()

    def work() -> None:
        for _ in range(500):
            state.record_success(one, 1.0)
            state.record_failure(one)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics = state.get_metrics(one)
    assert (metrics.total_requests, metrics.total_successes, metrics.total_failures) == (20_000, 10_000, 10_000)
