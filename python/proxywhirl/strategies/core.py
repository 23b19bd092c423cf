"""The strategies under the second import path that existing code uses, ``proxywhirl.strategies.core``."""

from __future__ import annotations

from proxywhirl.strategies import (
    CompositeStrategy as CompositeStrategy,
    ComposedStrategy as ComposedStrategy,
    CostAwareStrategy as CostAwareStrategy,
    GeoTargetedStrategy as GeoTargetedStrategy,
    LeastUsedStrategy as LeastUsedStrategy,
    PerformanceBasedStrategy as PerformanceBasedStrategy,
    ProxyMetrics as ProxyMetrics,
    RandomStrategy as RandomStrategy,
    RotationStrategy as RotationStrategy,
    RoundRobinStrategy as RoundRobinStrategy,
    SessionManager as SessionManager,
    SessionPersistenceStrategy as SessionPersistenceStrategy,
    SessionStrategy as SessionStrategy,
    StrategyRegistry as StrategyRegistry,
    StrategyState as StrategyState,
    WeightedRandomStrategy as WeightedRandomStrategy,
    WeightedStrategy as WeightedStrategy,
    __all__ as __all__,
)
