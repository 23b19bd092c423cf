"""Models, enumerations and protocols.

Enumerations and protocols are ready at once; the rest is loaded on first use, because it needs pydantic or the
native module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.exports import on_first_use
from proxywhirl._native.enums import (
    BackoffStrategy,
    CircuitBreakerState,
    HealthStatus,
    Outcome,
    ProxyFormat,
    ProxySource,
    RenderMode,
    RetryOutcome,
    ValidationLevel,
)
from proxywhirl.models._protocols import HealthChecker, ProxyStorage, StorageBackend

if TYPE_CHECKING:
    from proxywhirl._core import Proxy, ProxyPool, SelectionContext, Session
    from proxywhirl.bans import BanPolicy
    from proxywhirl.config import ProxyConfiguration, StrategyConfig
    from proxywhirl.events import ProxyEvent
    from proxywhirl.health.monitor import HealthMonitor
    from proxywhirl.models._chain import ProxyChain
    from proxywhirl.models._credentials import ProxyCredentials
    from proxywhirl.models._geo import GeoLocation
    from proxywhirl.models._metadata import ProxyMetadata
    from proxywhirl.models._reports import PoolSummary, ProxyStatus, RequestResult
    from proxywhirl.models._session import ProxySession
    from proxywhirl.models._settings import BootstrapConfig, CircuitBreakerConfig
    from proxywhirl.models._sources import ProxySourceConfig, SourceStats

__all__ = [
    "BackoffStrategy",
    "BanPolicy",
    "BootstrapConfig",
    "CircuitBreakerConfig",
    "CircuitBreakerState",
    "GeoLocation",
    "HealthChecker",
    "HealthMonitor",
    "HealthStatus",
    "Outcome",
    "PoolSummary",
    "Proxy",
    "ProxyChain",
    "ProxyConfiguration",
    "ProxyCredentials",
    "ProxyEvent",
    "ProxyFormat",
    "ProxyMetadata",
    "ProxyPool",
    "ProxySession",
    "ProxySource",
    "ProxySourceConfig",
    "ProxyStatus",
    "ProxyStorage",
    "RenderMode",
    "RequestResult",
    "RetryOutcome",
    "SelectionContext",
    "Session",
    "SourceStats",
    "StorageBackend",
    "StrategyConfig",
    "ValidationLevel",
]

_HOMES = {
    "proxywhirl.bans": "BanPolicy",
    "proxywhirl._core": "Proxy ProxyPool SelectionContext Session",
    "proxywhirl.config": "ProxyConfiguration StrategyConfig",
    "proxywhirl.events": "ProxyEvent",
    "proxywhirl.health.monitor": "HealthMonitor",
    "proxywhirl.models._chain": "ProxyChain",
    "proxywhirl.models._credentials": "ProxyCredentials",
    "proxywhirl.models._geo": "GeoLocation",
    "proxywhirl.models._metadata": "ProxyMetadata",
    "proxywhirl.models._reports": "PoolSummary ProxyStatus RequestResult",
    "proxywhirl.models._session": "ProxySession",
    "proxywhirl.models._settings": "BootstrapConfig CircuitBreakerConfig",
    "proxywhirl.models._sources": "ProxySourceConfig SourceStats",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
