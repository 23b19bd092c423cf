"""Models, enumerations and protocols, each loaded on first use: most need pydantic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.exports import names_in, on_first_use

if TYPE_CHECKING:
    from proxywhirl._core import Proxy as Proxy
    from proxywhirl._core import ProxyPool as ProxyPool
    from proxywhirl._core import SelectionContext as SelectionContext
    from proxywhirl._core import Session as Session
    from proxywhirl._native.enums import BackoffStrategy as BackoffStrategy
    from proxywhirl._native.enums import CircuitBreakerState as CircuitBreakerState
    from proxywhirl._native.enums import HealthStatus as HealthStatus
    from proxywhirl._native.enums import Outcome as Outcome
    from proxywhirl._native.enums import ProxyFormat as ProxyFormat
    from proxywhirl._native.enums import ProxySource as ProxySource
    from proxywhirl._native.enums import RenderMode as RenderMode
    from proxywhirl._native.enums import RetryOutcome as RetryOutcome
    from proxywhirl._native.enums import ValidationLevel as ValidationLevel
    from proxywhirl.bans import BanPolicy as BanPolicy
    from proxywhirl.config import ProxyConfiguration as ProxyConfiguration
    from proxywhirl.config import StrategyConfig as StrategyConfig
    from proxywhirl.events import ProxyEvent as ProxyEvent
    from proxywhirl.health.monitor import HealthMonitor as HealthMonitor
    from proxywhirl.models._chain import ProxyChain as ProxyChain
    from proxywhirl.models._credentials import ProxyCredentials as ProxyCredentials
    from proxywhirl.models._geo import GeoLocation as GeoLocation
    from proxywhirl.models._metadata import ProxyMetadata as ProxyMetadata
    from proxywhirl.models._protocols import HealthChecker as HealthChecker
    from proxywhirl.models._protocols import ProxyStorage as ProxyStorage
    from proxywhirl.models._protocols import StorageBackend as StorageBackend
    from proxywhirl.models._reports import PoolSummary as PoolSummary
    from proxywhirl.models._reports import ProxyStatus as ProxyStatus
    from proxywhirl.models._reports import RequestResult as RequestResult
    from proxywhirl.models._session import ProxySession as ProxySession
    from proxywhirl.models._settings import BootstrapConfig as BootstrapConfig
    from proxywhirl.models._settings import CircuitBreakerConfig as CircuitBreakerConfig
    from proxywhirl.models._sources import ProxySourceConfig as ProxySourceConfig
    from proxywhirl.models._sources import SourceStats as SourceStats

_HOMES = {
    "proxywhirl._native.enums": (
        "BackoffStrategy CircuitBreakerState HealthStatus Outcome ProxyFormat ProxySource RenderMode RetryOutcome "
        "ValidationLevel"
    ),
    "proxywhirl.models._protocols": "HealthChecker ProxyStorage StorageBackend",
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
__all__ = names_in(_HOMES)
