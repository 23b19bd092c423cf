"""Enumerations: values, forgiving look-up, stable text."""

from __future__ import annotations

import json
import pickle
from enum import Enum
from typing import Any

import pytest

from proxywhirl._native import enums as _enums
from proxywhirl._native.enums import (
    BackoffStrategy,
    CircuitBreakerState,
    Doubt,
    HealthStatus,
    Outcome,
    ProxyFormat,
    ProxySource,
    RenderMode,
    RetryOutcome,
    ValidationLevel,
)

EXPECTED: dict[type[Enum], list[str]] = {
    HealthStatus: ["unknown", "healthy", "degraded", "unhealthy", "dead"],
    ProxySource: ["user", "fetched", "api", "file"],
    ProxyFormat: ["json", "csv", "tsv", "plain_text", "html_table", "custom"],
    RenderMode: ["static", "javascript", "auto", "browser"],
    ValidationLevel: ["basic", "standard", "full"],
    CircuitBreakerState: ["closed", "open", "half_open"],
    BackoffStrategy: ["exponential", "linear", "fixed"],
    RetryOutcome: ["success", "failure", "timeout", "circuit_open"],
    Outcome: ["success", "proxy_down", "proxy_auth", "banned", "rate_limited", "target_fault", "client_fault"],
    Doubt: ["ambiguous"],
}
MEMBERS: list[Any] = [member for enumeration in EXPECTED for member in enumeration]


def test_every_enumeration_is_listed_here() -> None:
    assert sorted(_enums.__all__) == sorted(enumeration.__name__ for enumeration in EXPECTED)


@pytest.mark.parametrize("enumeration", EXPECTED, ids=lambda enumeration: enumeration.__name__)
def test_values_and_names(enumeration: type[Enum]) -> None:
    assert [member.value for member in enumeration] == EXPECTED[enumeration]
    assert [member.name for member in enumeration] == [value.upper() for value in EXPECTED[enumeration]]


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_a_member_is_its_value(member: _enums._TextEnum) -> None:
    assert member == member.value
    assert hash(member) == hash(member.value)
    assert json.dumps(member) == json.dumps(member.value)
    assert f"{member}" == member.value
    assert f"{member:>20}" == f"{member.value:>20}"
    assert str(member) == f"{type(member).__name__}.{member.name}"
    assert pickle.loads(pickle.dumps(member)) is member


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_any_spelling_finds_it(member: _enums._TextEnum) -> None:
    for text in (
        member.value,
        member.value.upper(),
        member.name.title(),
        member.value.replace("_", "-"),
        f" {member.name} ",
    ):
        assert type(member)(text) is member


@pytest.mark.parametrize("value", ["", "no-such-thing", None, 3])
def test_an_unknown_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid HealthStatus"):
        HealthStatus(value)


def test_medium_is_basic() -> None:
    medium: ValidationLevel = ValidationLevel.MEDIUM
    assert medium is ValidationLevel.BASIC
    assert ValidationLevel("medium") is ValidationLevel.BASIC
    assert ValidationLevel["MEDIUM"] is ValidationLevel.BASIC


def test_browser_means_javascript_but_stays_itself() -> None:
    browser: RenderMode = RenderMode.BROWSER
    assert browser is not RenderMode.JAVASCRIPT
    assert [mode for mode in RenderMode if mode.needs_browser] == [RenderMode.JAVASCRIPT, RenderMode.BROWSER]
