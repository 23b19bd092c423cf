"""Circuit breakers and buckets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import Self

from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.circuit_breaker._state import Storage as BreakerStorage

class CircuitBreaker:
    def __new__(
        cls,
        proxy_id: UUID | str | None = None,
        failure_threshold: int = 5,
        timeout_duration: float | None = None,
        success_threshold: int = 1,
        window_duration: float = 60.0,
        failure_rate: float = 0.5,
        *,
        timeout: float | None = None,
    ) -> Self: ...
    @classmethod
    def create(cls, proxy_id: UUID | str | None = None, config: Any = None, **overrides: Any) -> Self: ...
    @classmethod
    def from_config(cls, proxy_id: UUID | str | None = None, config: Any = None, **overrides: Any) -> Self: ...
    @property
    def state(self) -> CircuitBreakerState: ...
    @property
    def failure_window(self) -> list[datetime]: ...
    def save_state(self, storage: BreakerStorage) -> None: ...
    def load_state(self, storage: BreakerStorage) -> bool: ...
    def delete_state(self, storage: BreakerStorage) -> bool: ...
    @classmethod
    def create_with_storage(
        cls, proxy_id: str, storage: BreakerStorage, config: Any = None, **overrides: Any
    ) -> Self: ...

def guard_defaults() -> dict[str, Any]: ...
