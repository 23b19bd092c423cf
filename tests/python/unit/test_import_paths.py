"""Modules that users import by name: those that the pages name, and older paths of what has moved."""

from __future__ import annotations

import importlib

import pytest

PATHS = (
    *("browser", "circuit_breaker", "circuit_breaker_async", "cli", "config", "credentials", "events"),
    *("exceptions", "fetchers", "gateways", "geo", "logging_config", "metrics_collector", "models", "parsers"),
    *("rate_limiting", "retry", "retry_executor", "retry_metrics", "retry_policy", "rotator", "sources", "storage"),
    *("strategies", "testing", "transport", "utils", "validation", "fetchers.parsers", "models.core"),
    *("strategies.core", "rotator.sync", "rotator.async_", "rotator.base", "rotator.client_pool", "retry.policy"),
    *("retry.executor", "retry.metrics", "circuit_breaker.sync", "circuit_breaker.async_", "circuit_breaker.base"),
    *("rate_limiting.limiter", "rate_limiting.models", "storage.file", "storage.sql"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_users_import_by_stays(path: str) -> None:
    module = importlib.import_module(f"proxywhirl.{path}")
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


def test_what_has_moved_is_the_same_object_at_both_paths() -> None:
    before, now = (importlib.import_module(f"proxywhirl.{path}") for path in ("parsers", "fetchers.parsers"))
    shared = set(before.__all__) & set(now.__all__)
    assert shared
    assert all(getattr(before, name) is getattr(now, name) for name in shared)


def test_the_alias_of_what_names_a_proxy_is_where_it_was() -> None:
    from proxywhirl.rotator.base import ProxyLike

    assert str in ProxyLike.__args__  # type: ignore[attr-defined]
