"""The synchronous breaker: the native one, with what reads and writes files."""

from __future__ import annotations

from typing import Any

from proxywhirl._core import CircuitBreaker
from proxywhirl._enums import CircuitBreakerState
from proxywhirl.circuit_breaker import _state

__all__ = ["CircuitBreaker", "CircuitBreakerState"]


def install() -> None:
    """Give the native class the methods that are written in Python."""
    methods: dict[str, Any] = {
        "create_with_storage": classmethod(_state.create_with_storage),
        "delete_state": _state.delete_state,
        "load_state": _state.load_state,
        "save_state": _state.save_state,
    }
    for name, method in methods.items():
        setattr(CircuitBreaker, name, method)
