"""How the next proxy is chosen: the built-in strategies, and what a strategy of your own needs.

The built-in ones are native classes. A strategy written in Python may have any of four shapes, see
:class:`RotationStrategy`; no base class is required.
"""

from __future__ import annotations

from proxywhirl._core import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    RandomStrategy,
    RoundRobinStrategy,
    SessionManager,
    SessionPersistenceStrategy,
    WeightedStrategy,
)
from proxywhirl.strategies._protocol import RotationStrategy
from proxywhirl.strategies._registry import StrategyRegistry
from proxywhirl.strategies._state import ProxyMetrics, StrategyState

#: The same classes under the other names the documentation uses.
SessionStrategy = SessionPersistenceStrategy
ComposedStrategy = CompositeStrategy
WeightedRandomStrategy = WeightedStrategy

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
