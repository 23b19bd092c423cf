"""Rotation of HTTP requests through a pool of proxies.

Every public name can be had from here. A name is imported from its module when it is first used, so that
``import proxywhirl`` costs next to nothing and needs neither httpx nor pydantic.
"""

from __future__ import annotations

from importlib import import_module

from proxywhirl import _core
from proxywhirl._on_first_use import prepare as _prepare

# Type checkers know the name; importing it from typing would be a third of the time this module takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proxywhirl._ban import BanPolicy
    from proxywhirl._core import (
        Lease,
        Proxy,
        ProxyPool,
        SelectionContext,
        Session,
        SessionManager,
    )
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
    from proxywhirl._resilience_config import ResilienceConfig
    from proxywhirl.browser import BrowserRenderer
    from proxywhirl.config import (
        ProxyConfiguration,
        StrategyConfig,
    )
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.events import ProxyEvent
    from proxywhirl.exceptions import (
        CacheCorruptionError,
        CacheStorageError,
        CacheValidationError,
        NonRetryableError,
        ProxyAuthenticationError,
        ProxyBannedError,
        ProxyConnectionError,
        ProxyError,
        ProxyFetchError,
        ProxyPoolEmptyError,
        ProxyStorageError,
        ProxyValidationError,
        ProxyWhirlError,
        RegexComplexityError,
        RegexTimeoutError,
        RequestQueueFullError,
        RetryableError,
        SessionNotFoundError,
        StrategyMetadataError,
    )
    from proxywhirl.fetchers import ProxyFetcher
    from proxywhirl.models import (
        BootstrapConfig,
        CircuitBreakerConfig,
        GeoLocation,
        HealthMonitor,
        ProxyChain,
        ProxyCredentials,
        ProxyMetadata,
        ProxySession,
        ProxySourceConfig,
        SourceStats,
    )
    from proxywhirl.retry import (
        CircuitBreakerEvent,
        HourlyAggregate,
        RetryAttempt,
        RetryExecutor,
        RetryMetrics,
        RetryPolicy,
    )
    from proxywhirl.rotator import (
        AsyncProxyRotator,
        AsyncProxyWhirl,
        ProxyRotator,
        ProxyWhirl,
    )
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
        SessionPersistenceStrategy,
        SessionStrategy,
        StrategyRegistry,
        StrategyState,
        WeightedRandomStrategy,
        WeightedStrategy,
    )
    from proxywhirl.transport import (
        AsyncRotatingTransport,
        RotatingTransport,
    )
    from proxywhirl.utils import (
        calculate_timeout,
        configure_logging,
        create_proxy_from_url,
        decrypt_credentials,
        encrypt_credentials,
        generate_encryption_key,
        is_valid_proxy_url,
        parse_proxy_url,
        proxy_to_dict,
        validate_proxy_model,
    )

__version__: str = _core.__version__

# The native classes answer to Pydantic's protocol, whichever module they are imported from. What that takes is imported
# when one of its methods is first used.
_prepare(_core)

__all__ = [
    "AsyncProxyRotator",
    "AsyncProxyWhirl",
    "AsyncRotatingTransport",
    "BackoffStrategy",
    "BanPolicy",
    "BootstrapConfig",
    "BrowserRenderer",
    "CacheCorruptionError",
    "CacheStorageError",
    "CacheValidationError",
    "CircuitBreakerConfig",
    "CircuitBreakerEvent",
    "CircuitBreakerState",
    "ComposedStrategy",
    "CompositeStrategy",
    "CostAwareStrategy",
    "CredentialRotator",
    "GeoLocation",
    "GeoTargetedStrategy",
    "HealthMonitor",
    "HealthStatus",
    "HourlyAggregate",
    "Lease",
    "LeastUsedStrategy",
    "NonRetryableError",
    "Outcome",
    "PerformanceBasedStrategy",
    "Proxy",
    "ProxyAuthenticationError",
    "ProxyBannedError",
    "ProxyChain",
    "ProxyConfiguration",
    "ProxyConnectionError",
    "ProxyCredentials",
    "ProxyError",
    "ProxyEvent",
    "ProxyFetchError",
    "ProxyFetcher",
    "ProxyFormat",
    "ProxyMetadata",
    "ProxyMetrics",
    "ProxyPool",
    "ProxyPoolEmptyError",
    "ProxyRotator",
    "ProxySession",
    "ProxySource",
    "ProxySourceConfig",
    "ProxyStorageError",
    "ProxyValidationError",
    "ProxyWhirl",
    "ProxyWhirlError",
    "RandomStrategy",
    "RegexComplexityError",
    "RegexTimeoutError",
    "RenderMode",
    "RequestQueueFullError",
    "ResilienceConfig",
    "RetryAttempt",
    "RetryExecutor",
    "RetryMetrics",
    "RetryOutcome",
    "RetryPolicy",
    "RetryableError",
    "RotatingTransport",
    "RotationStrategy",
    "RoundRobinStrategy",
    "SelectionContext",
    "Session",
    "SessionManager",
    "SessionNotFoundError",
    "SessionPersistenceStrategy",
    "SessionStrategy",
    "SourceStats",
    "StrategyConfig",
    "StrategyMetadataError",
    "StrategyRegistry",
    "StrategyState",
    "ValidationLevel",
    "WeightedRandomStrategy",
    "WeightedStrategy",
    "__version__",
    "calculate_timeout",
    "configure_logging",
    "create_proxy_from_url",
    "decrypt_credentials",
    "encrypt_credentials",
    "generate_encryption_key",
    "is_valid_proxy_url",
    "parse_proxy_url",
    "proxy_to_dict",
    "validate_proxy_model",
]

# Where each name lives. The imports above say the same to type checkers; a test compares the three.
_HOMES: dict[str, str] = {
    "AsyncProxyRotator": "proxywhirl.rotator",
    "AsyncProxyWhirl": "proxywhirl.rotator",
    "AsyncRotatingTransport": "proxywhirl.transport",
    "BackoffStrategy": "proxywhirl._enums",
    "BanPolicy": "proxywhirl._ban",
    "BootstrapConfig": "proxywhirl.models",
    "BrowserRenderer": "proxywhirl.browser",
    "CacheCorruptionError": "proxywhirl.exceptions",
    "CacheStorageError": "proxywhirl.exceptions",
    "CacheValidationError": "proxywhirl.exceptions",
    "CircuitBreakerConfig": "proxywhirl.models",
    "CircuitBreakerEvent": "proxywhirl.retry",
    "CircuitBreakerState": "proxywhirl._enums",
    "ComposedStrategy": "proxywhirl.strategies",
    "CompositeStrategy": "proxywhirl.strategies",
    "CostAwareStrategy": "proxywhirl.strategies",
    "CredentialRotator": "proxywhirl.credentials",
    "GeoLocation": "proxywhirl.models",
    "GeoTargetedStrategy": "proxywhirl.strategies",
    "HealthMonitor": "proxywhirl.models",
    "HealthStatus": "proxywhirl._enums",
    "HourlyAggregate": "proxywhirl.retry",
    "Lease": "proxywhirl._core",
    "LeastUsedStrategy": "proxywhirl.strategies",
    "NonRetryableError": "proxywhirl.exceptions",
    "Outcome": "proxywhirl._enums",
    "PerformanceBasedStrategy": "proxywhirl.strategies",
    "Proxy": "proxywhirl._core",
    "ProxyAuthenticationError": "proxywhirl.exceptions",
    "ProxyBannedError": "proxywhirl.exceptions",
    "ProxyChain": "proxywhirl.models",
    "ProxyConfiguration": "proxywhirl.config",
    "ProxyConnectionError": "proxywhirl.exceptions",
    "ProxyCredentials": "proxywhirl.models",
    "ProxyError": "proxywhirl.exceptions",
    "ProxyEvent": "proxywhirl.events",
    "ProxyFetchError": "proxywhirl.exceptions",
    "ProxyFetcher": "proxywhirl.fetchers",
    "ProxyFormat": "proxywhirl._enums",
    "ProxyMetadata": "proxywhirl.models",
    "ProxyMetrics": "proxywhirl.strategies",
    "ProxyPool": "proxywhirl._core",
    "ProxyPoolEmptyError": "proxywhirl.exceptions",
    "ProxyRotator": "proxywhirl.rotator",
    "ProxySession": "proxywhirl.models",
    "ProxySource": "proxywhirl._enums",
    "ProxySourceConfig": "proxywhirl.models",
    "ProxyStorageError": "proxywhirl.exceptions",
    "ProxyValidationError": "proxywhirl.exceptions",
    "ProxyWhirl": "proxywhirl.rotator",
    "ProxyWhirlError": "proxywhirl.exceptions",
    "RandomStrategy": "proxywhirl.strategies",
    "RegexComplexityError": "proxywhirl.exceptions",
    "RegexTimeoutError": "proxywhirl.exceptions",
    "RenderMode": "proxywhirl._enums",
    "RequestQueueFullError": "proxywhirl.exceptions",
    "ResilienceConfig": "proxywhirl._resilience_config",
    "RetryAttempt": "proxywhirl.retry",
    "RetryExecutor": "proxywhirl.retry",
    "RetryMetrics": "proxywhirl.retry",
    "RetryOutcome": "proxywhirl._enums",
    "RetryPolicy": "proxywhirl.retry",
    "RetryableError": "proxywhirl.exceptions",
    "RotatingTransport": "proxywhirl.transport",
    "RotationStrategy": "proxywhirl.strategies",
    "RoundRobinStrategy": "proxywhirl.strategies",
    "SelectionContext": "proxywhirl._core",
    "Session": "proxywhirl._core",
    "SessionManager": "proxywhirl._core",
    "SessionNotFoundError": "proxywhirl.exceptions",
    "SessionPersistenceStrategy": "proxywhirl.strategies",
    "SessionStrategy": "proxywhirl.strategies",
    "SourceStats": "proxywhirl.models",
    "StrategyConfig": "proxywhirl.config",
    "StrategyMetadataError": "proxywhirl.exceptions",
    "StrategyRegistry": "proxywhirl.strategies",
    "StrategyState": "proxywhirl.strategies",
    "ValidationLevel": "proxywhirl._enums",
    "WeightedRandomStrategy": "proxywhirl.strategies",
    "WeightedStrategy": "proxywhirl.strategies",
    "calculate_timeout": "proxywhirl.utils",
    "configure_logging": "proxywhirl.utils",
    "create_proxy_from_url": "proxywhirl.utils",
    "decrypt_credentials": "proxywhirl.utils",
    "encrypt_credentials": "proxywhirl.utils",
    "generate_encryption_key": "proxywhirl.utils",
    "is_valid_proxy_url": "proxywhirl.utils",
    "parse_proxy_url": "proxywhirl.utils",
    "proxy_to_dict": "proxywhirl.utils",
    "validate_proxy_model": "proxywhirl.utils",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    # From the second time on Python finds it without asking.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
