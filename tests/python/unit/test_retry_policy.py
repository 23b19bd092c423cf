"""The retry policy: bounds and pauses."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from proxywhirl.retry import BackoffStrategy, RetryPolicy


def test_defaults() -> None:
    assert RetryPolicy().model_dump() == {
        "max_attempts": 3,
        "backoff_strategy": BackoffStrategy.EXPONENTIAL,
        "base_delay": 1.0,
        "multiplier": 2.0,
        "max_backoff_delay": 30.0,
        "jitter": False,
        "retry_status_codes": [502, 503, 504],
        "timeout": None,
        "retry_non_idempotent": False,
    }


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("max_attempts", [1, 10], [0, 11]),
        ("base_delay", [0.001, 60.0], [0.0, 60.1, -1.0]),
        ("multiplier", [1.01, 10.0], [1.0, 10.1]),
        ("max_backoff_delay", [0.1, 300.0], [0.0, 300.1]),
        ("timeout", [0.1, None], [0.0, -1.0]),
        ("retry_status_codes", [[400, 599], [403, 429], []], [[399], [600], [502, 200]]),
        ("backoff_strategy", ["linear", "FIXED", BackoffStrategy.EXPONENTIAL], ["quadratic"]),
    ],
)
def test_bounds(field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        RetryPolicy(**{field: value})
    for value in bad:
        with pytest.raises(ValidationError, match=field):
            RetryPolicy(**{field: value})


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("exponential", [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
        ("linear", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
        ("fixed", [1.0] * 7),
    ],
)
def test_pauses(strategy: str, expected: list[float]) -> None:
    policy = RetryPolicy(backoff_strategy=BackoffStrategy(strategy))
    assert [policy.calculate_delay(attempt) for attempt in range(7)] == expected


def test_every_shape_is_capped_and_huge_attempts_do_not_overflow() -> None:
    for strategy in BackoffStrategy:
        policy = RetryPolicy(backoff_strategy=strategy, base_delay=5.0, max_backoff_delay=4.0)
        assert policy.calculate_delay(0) == 4.0
        assert policy.calculate_delay(10_000) == 4.0


def test_first_jitter_is_between_zero_and_the_pause() -> None:
    policy = RetryPolicy(jitter=True, base_delay=2.0)
    rng = random.Random(1)
    drawn = [policy.calculate_delay(1, rng=rng) for _ in range(500)]
    assert 0.0 <= min(drawn) < 0.2
    assert 3.8 < max(drawn) <= 4.0


def test_later_jitter_grows_from_the_previous_pause() -> None:
    policy = RetryPolicy(jitter=True, base_delay=2.0, max_backoff_delay=5.0)
    rng = random.Random(1)
    drawn = [policy.calculate_delay(3, 1.0, rng=rng) for _ in range(500)]
    assert 2.0 <= min(drawn) < 2.1
    assert 2.9 < max(drawn) <= 3.0
    assert max(policy.calculate_delay(3, 100.0, rng=rng) for _ in range(500)) == 5.0
    # A tiny previous pause must not turn the range around.
    assert policy.calculate_delay(3, 0.1, rng=rng) == 2.0


def test_a_seed_repeats_the_run() -> None:
    policy = RetryPolicy(jitter=True)
    runs = [[policy.calculate_delay(n, rng=rng) for n in range(5)] for rng in (random.Random(7), random.Random(7))]
    assert runs[0] == runs[1]
    assert runs[0] != [policy.calculate_delay(n, rng=random.Random(8)) for n in range(5)]


def test_attempts_count_from_zero() -> None:
    with pytest.raises(ValueError, match="counted from 0"):
        RetryPolicy().calculate_delay(-1)
