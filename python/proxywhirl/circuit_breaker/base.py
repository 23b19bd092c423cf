"""What both breakers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from proxywhirl import _core
from proxywhirl._native.enums import CircuitBreakerState

__all__ = ["CircuitBreakerBase", "CircuitBreakerState"]


class CircuitBreakerBase(ABC):
    """The state of a circuit breaker; ``CircuitBreaker`` and ``AsyncCircuitBreaker`` are such.

    For ``isinstance`` and for annotations: the methods, plain on the one and coroutines on the other, are not part of
    it.
    """

    @property
    @abstractmethod
    def proxy_id(self) -> str | None:
        """Id of the proxy it guards; ``None`` for a template."""

    @property
    @abstractmethod
    def state(self) -> CircuitBreakerState:
        """Closed, open, or half-open."""

    @property
    @abstractmethod
    def failure_count(self) -> int:
        """Failures in the window."""

    @property
    @abstractmethod
    def failure_window(self) -> Iterable[Any]:
        """When they happened."""

    @property
    @abstractmethod
    def next_test_time(self) -> Any:
        """When an open breaker grants the next probe."""

    @property
    @abstractmethod
    def last_state_change(self) -> datetime | Any:
        """When the state changed last."""


CircuitBreakerBase.register(_core.CircuitBreaker)
