"""The synchronous breaker: the native one, with what reads and writes files."""

from __future__ import annotations

from typing import Any

from proxywhirl._core import CircuitBreaker
from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.circuit_breaker import _state
from proxywhirl.circuit_breaker._state import Storage

__all__ = ["CircuitBreaker", "CircuitBreakerState"]


def save_state(self: CircuitBreaker, storage: Storage) -> None:
    """Keep the state under the proxy id; see :func:`proxywhirl.circuit_breaker._state.save_state`."""
    _state.save_state(self, storage)


def load_state(self: CircuitBreaker, storage: Storage) -> bool:
    """Take over the state kept under the proxy id; whether there was one."""
    return _state.load_state(self, storage)


def delete_state(self: CircuitBreaker, storage: Storage) -> bool:
    """Forget the state kept under the proxy id; whether there was one."""
    return _state.delete_state(self, storage)


def create_with_storage(
    cls: type[CircuitBreaker], proxy_id: str, storage: Storage, config: Any = None, **overrides: Any
) -> CircuitBreaker:
    """Make a breaker in the state kept for it, or a new one; the rest as for ``create``."""
    breaker = cls.create(proxy_id, config, **overrides)
    _state.load_state(breaker, storage)
    return breaker


def install_breaker_files() -> None:
    """Give the native class the methods that are written in Python."""
    methods: dict[str, Any] = {
        "create_with_storage": classmethod(create_with_storage),  # type: ignore[arg-type]
        "delete_state": delete_state,
        "load_state": load_state,
        "save_state": save_state,
    }
    for name, method in methods.items():
        setattr(CircuitBreaker, name, method)
