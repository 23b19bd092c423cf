"""The distribution of latencies: small error, bounded memory, mergeable, plain data."""

from __future__ import annotations

import copy
import json
import math
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxywhirl._core import LatencyHistogram


def of(*values: float) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_an_empty_one_knows_nothing() -> None:
    empty = LatencyHistogram()
    assert (empty.count, len(empty), empty.sum) == (0, 0, 0.0)
    assert empty.mean is empty.min is empty.max is empty.quantile(0.5) is None
    assert empty, "it is there, even if it holds nothing"


@given(st.lists(st.floats(0.001, 3e6), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_a_hundredth(values: list[float], q: float) -> None:
    histogram = of(*values)
    values.sort()
    exact = values[max(math.ceil(q * len(values)), 1) - 1]
    found = histogram.quantile(q)
    assert found is not None
    assert abs(found - exact) <= exact * 0.01
    assert (histogram.min, histogram.max, histogram.count) == (values[0], values[-1], len(values))
    assert histogram.mean == pytest.approx(sum(values) / len(values))


@given(st.lists(st.floats(0, 1e5), max_size=50), st.lists(st.floats(0, 1e5), max_size=50))
def test_parts_add_up_to_the_whole(a: list[float], b: list[float]) -> None:
    left, right, whole = of(*a), of(*b), of(*a, *b)
    left.merge(right)
    assert right.count == len(b)
    merged, expected = left.to_dict(), whole.to_dict()
    assert merged.pop("sum") == pytest.approx(expected.pop("sum"))
    assert merged == expected


def test_merged_with_itself_it_holds_everything_twice() -> None:
    histogram = of(1.0, 2.0)
    histogram.merge(histogram)
    assert (histogram.count, histogram.sum) == (4, 6.0)


def test_it_survives_pickle_copy_and_json() -> None:
    histogram = of(0.0, 1.5, 20.0, 1e9)
    again = [
        pickle.loads(pickle.dumps(histogram)),
        copy.deepcopy(histogram),
        LatencyHistogram.from_dict(json.loads(json.dumps(histogram.to_dict()))),
        LatencyHistogram.from_dict(LatencyHistogram().to_dict()),
    ]
    for other in again[:3]:
        assert other.to_dict() == histogram.to_dict()
    assert again[3].count == 0
    histogram.record(1.0)
    assert again[0].count == 4, "a copy goes its own way"


@pytest.mark.parametrize("ms", [-1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_duration_is_refused(ms: float) -> None:
    histogram = LatencyHistogram()
    with pytest.raises(ValueError, match="milliseconds"):
        histogram.record(ms)
    assert histogram.count == 0


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_share_is_between_nothing_and_all(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        LatencyHistogram().quantile(q)


@pytest.mark.parametrize(
    "change",
    [
        {"buckets": [[99_999, 1]]},
        {"buckets": [[-1, 1]]},
        {"buckets": "none"},
        {"sum": None},
        {"sum": math.nan},
        {"min": None},
        {"min": 9.0, "max": 1.0},
        {"buckets": []},
    ],
)
def test_what_describes_no_histogram_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no histogram"):
        LatencyHistogram.from_dict({**of(1.0, 2.0).to_dict(), **change})
    incomplete = of(1.0).to_dict()
    del incomplete["buckets"]
    with pytest.raises(ValueError, match="buckets is missing"):
        LatencyHistogram.from_dict(incomplete)


def test_threads_lose_nothing() -> None:
    histogram = LatencyHistogram()

    def work() -> None:
        for value in range(2_000):
            histogram.record(value % 50)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.count == 8_000
    assert histogram.sum == 4 * sum(value % 50 for value in range(2_000))


def test_repr_tells_the_middle_and_the_end() -> None:
    assert repr(of(100.0, 100.0)) == "<LatencyHistogram of 2: median 100.0 ms, p99 100.0 ms, max 100.0 ms>"
    assert "of 0" in repr(LatencyHistogram())
