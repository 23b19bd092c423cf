"""Models, enumerations and protocols.

Enumerations and protocols are ready at once; the rest is loaded on first use, because it needs pydantic or the
native module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from proxywhirl._enums import (
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
    from proxywhirl._ban import BanPolicy
    from proxywhirl._core import Proxy, ProxyPool, SelectionContext, Session
    from proxywhirl._health.monitor import HealthMonitor
    from proxywhirl.config import ProxyConfiguration, StrategyConfig
    from proxywhirl.events import ProxyEvent
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

_CORE = "proxywhirl._core"
_HOME = {
    "BanPolicy": "proxywhirl._ban",
    "BootstrapConfig": "proxywhirl.models._settings",
    "CircuitBreakerConfig": "proxywhirl.models._settings",
    "GeoLocation": "proxywhirl.models._geo",
    "HealthMonitor": "proxywhirl._health.monitor",
    "PoolSummary": "proxywhirl.models._reports",
    "Proxy": _CORE,
    "ProxyChain": "proxywhirl.models._chain",
    "ProxyConfiguration": "proxywhirl.config",
    "ProxyCredentials": "proxywhirl.models._credentials",
    "ProxyEvent": "proxywhirl.events",
    "ProxyMetadata": "proxywhirl.models._metadata",
    "ProxyPool": _CORE,
    "ProxySession": "proxywhirl.models._session",
    "ProxySourceConfig": "proxywhirl.models._sources",
    "ProxyStatus": "proxywhirl.models._reports",
    "RequestResult": "proxywhirl.models._reports",
    "SelectionContext": _CORE,
    "Session": _CORE,
    "SourceStats": "proxywhirl.models._sources",
    "StrategyConfig": "proxywhirl.config",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
