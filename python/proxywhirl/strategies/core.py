"""The strategies under the second import path that existing code uses, ``proxywhirl.strategies.core``."""

from __future__ import annotations

from proxywhirl.strategies import (
    ComposedStrategy,
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    ProxyMetrics,
    RandomStrategy,
    RotationStrategy,
    RoundRobinStrategy,
    SessionManager,
    SessionPersistenceStrategy,
    SessionStrategy,
    StrategyRegistry,
    StrategyState,
    WeightedRandomStrategy,
    WeightedStrategy,
)

__all__ = [
    "ComposedStrategy",
    "CompositeStrategy",
    "CostAwareStrategy",
    "GeoTargetedStrategy",
    "LeastUsedStrategy",
    "PerformanceBasedStrategy",
    "ProxyMetrics",
    "RandomStrategy",
    "RotationStrategy",
    "RoundRobinStrategy",
    "SessionManager",
    "SessionPersistenceStrategy",
    "SessionStrategy",
    "StrategyRegistry",
    "StrategyState",
    "WeightedRandomStrategy",
    "WeightedStrategy",
]
