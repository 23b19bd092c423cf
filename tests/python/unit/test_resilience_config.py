"""The settings of resilience: what is accepted, and what the pool gets."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from proxywhirl import ProxyRotator, ResilienceConfig
from proxywhirl.resilience import guard_settings, rate_of


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("rest_base", 0, ValueError),
        ("rest_base", -1, ValueError),
        ("rest_base", float("nan"), ValueError),
        ("rest_base", "ten", ValueError),
        ("rest_base", True, ValueError),
        ("rest_cap", 1.0, ValueError),
        ("bench_cap", float("inf"), ValueError),
        ("bench_cap", 299, ValueError),
        ("panic_share", 0, ValueError),
        ("panic_share", 1.1, ValueError),
        ("panic_window", 0, ValueError),
        ("max_standings", 0, ValueError),
        ("max_standings", 1.5, ValueError),
        ("site_key", 3, TypeError),
    ],
)
def test_out_of_range(field: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=field):
        ResilienceConfig(**{field: value})


def test_it_does_not_change() -> None:
    config = ResilienceConfig(rest_base=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.rest_base = 2.0  # type: ignore[misc]
    assert config == ResilienceConfig(rest_base=1.0)


def test_what_the_pool_gets() -> None:
    assert guard_settings() == {}
    limit = SimpleNamespace(max_requests=3, time_window=2, burst_allowance=1)
    settings = guard_settings(
        max_in_flight=4, slow_start=True, site_rate_limit=limit, resilience=ResilienceConfig(site_key="one")
    )
    assert settings["max_in_flight"] == 4
    assert settings["slow_start"] is True
    assert settings["site_rate"] == (3, 2.0, 1)
    assert settings["site_key"] == "one"
    assert settings["bench_base"] == 300.0
    ProxyRotator(max_in_flight=4, slow_start=True, site_rate_limit=limit, resilience=ResilienceConfig(site_key=str))


@pytest.mark.parametrize("numbers", [(0, 1.0), (1, 0.0), (-1, 1.0)])
def test_rates_out_of_range(numbers: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        rate_of(SimpleNamespace(max_requests=numbers[0], time_window=numbers[1]))
