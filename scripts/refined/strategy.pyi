"""Strategies."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from typing_extensions import Self, TypeAlias

# What stands for a strategy: a name, {"name": ..., **arguments}, a class, an instance, a callable.
_StrategyLike: TypeAlias = str | Mapping[str, Any] | type | Callable[..., Any] | object

class Strategy:
    config: Any

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy: ...
    def filter(self, candidates: list[Proxy], context: SelectionContext | None = None) -> list[Proxy]: ...
    def validate_requirements(self, pool: ProxyPool, metadata: Any = None) -> bool: ...

class WeightedStrategy:
    def __new__(cls, weights: Mapping[str, float] | None = None, *, seed: int | None = None) -> Self: ...

class LeastUsedStrategy:
    def __new__(cls, tie_breaker: Literal["lowest-id", "random"] = "lowest-id", *, seed: int | None = None) -> Self: ...

class PerformanceBasedStrategy:
    def __new__(
        cls, alpha: float | None = None, exploration_count: int | None = None, *, seed: int | None = None
    ) -> Self: ...

class SessionPersistenceStrategy:
    def __new__(
        cls,
        max_sessions: int = 10000,
        auto_cleanup_threshold: int = 100,
        *,
        timeout_seconds: int | None = None,
        fallback_strategy: _StrategyLike | None = None,
        sliding_expiration: bool | None = None,
    ) -> Self: ...
    @property
    def _session_timeout_seconds(self) -> int: ...
    def get_session_stats(self) -> dict[str, int]: ...

class GeoTargetedStrategy:
    def __new__(
        cls,
        preferred_countries: Iterable[str] | None = None,
        fallback_strategy: _StrategyLike | None = None,
        secondary_strategy: _StrategyLike | None = None,
        preferred_regions: Iterable[str] | None = None,
        fallback_enabled: bool = True,
    ) -> Self: ...

class CostAwareStrategy:
    max_cost_per_request: float | None
    free_proxy_boost: float

class CompositeStrategy:
    def __new__(
        cls,
        filters: Iterable[_StrategyLike] | None = None,
        selector: _StrategyLike | None = None,
        *,
        strategies: Iterable[_StrategyLike] | None = None,
        fallback: _StrategyLike | None = None,
    ) -> Self: ...
    filters: list[Any]
    selector: Any

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self: ...

def builtin_strategy_classes() -> dict[str, type[Strategy]]: ...
