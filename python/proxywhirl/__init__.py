"""Rotation of HTTP requests through a pool of proxies.

Every public name can be had from here. A name is imported from its module when it is first used, so that
``import proxywhirl`` costs next to nothing and needs neither httpx nor pydantic.
"""

from __future__ import annotations

from proxywhirl import _core
from proxywhirl._base.exports import on_first_use
from proxywhirl._native.on_first_use import prepare as _prepare

# Type checkers know the name; importing it from typing would be a third of the time this module takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl._core import (
        Lease,
        Proxy,
        ProxyPool,
        SelectionContext,
        Session,
        SessionManager,
    )
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
    from proxywhirl.bans import BanPolicy
    from proxywhirl.browser import BrowserRenderer
    from proxywhirl.circuit_breaker import AsyncCircuitBreaker, CircuitBreaker
    from proxywhirl.config import (
        DataStorageConfig,
        ProxyConfiguration,
        StrategyConfig,
    )
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.events import ProxyEvent
    from proxywhirl.exceptions import (
        CacheCorruptionError,
        CacheStorageError,
        CacheValidationError,
        InternalError,
        NonRetryableError,
        ProxyAuthenticationError,
        ProxyBannedError,
        ProxyBudgetExceededError,
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
    from proxywhirl.fetchers.parsers import (
        CSVParser,
        HTMLTableParser,
        JSONParser,
        PlainTextParser,
        deduplicate_proxies,
    )
    from proxywhirl.gateways import Gateway
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
    from proxywhirl.rate_limiting import RateLimiter
    from proxywhirl.resilience import ResilienceConfig
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
    from proxywhirl.sources import (
        ALL_HTTP_SOURCES,
        ALL_SOCKS4_SOURCES,
        ALL_SOCKS5_SOURCES,
        ALL_SOURCES,
        API_SOURCES,
        GEONODE_HTTP,
        GEONODE_SOCKS4,
        GEONODE_SOCKS5,
        GITHUB_KOMUTAN_HTTP,
        GITHUB_KOMUTAN_SOCKS4,
        GITHUB_KOMUTAN_SOCKS5,
        GITHUB_MONOSANS_HTTP,
        GITHUB_MONOSANS_SOCKS4,
        GITHUB_MONOSANS_SOCKS5,
        GITHUB_PROXIFLY_HTTP,
        GITHUB_PROXIFLY_SOCKS4,
        GITHUB_PROXIFLY_SOCKS5,
        GITHUB_THESPEEDX_HTTP,
        GITHUB_THESPEEDX_SOCKS4,
        GITHUB_THESPEEDX_SOCKS5,
        PROXY_SCRAPE_HTTP,
        PROXY_SCRAPE_SOCKS4,
        PROXY_SCRAPE_SOCKS5,
        RECOMMENDED_SOURCES,
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
    from proxywhirl.validation import (
        ProxyValidator,
    )

__version__: str = _core.__version__

# The module is made once for a process; another interpreter is refused before anything of it is used.
_core._refuse_subinterpreters()
# The native classes answer to Pydantic's protocol, whichever module they are imported from. What that takes is imported
# when one of its methods is first used.
_prepare(
    _core,
    upper={
        "GeoLocation": "proxywhirl.models._geo",
        "Judged": "proxywhirl._httpx.judge",
        "ProxyCredentials": "proxywhirl.models._credentials",
        "adapt": "proxywhirl.strategies._adapter",
        "answer_of": "proxywhirl._httpx.clients",
        "fill_pool": "proxywhirl.storage._open",
        "install_breaker_files": "proxywhirl.circuit_breaker.sync",
        "is_error": "proxywhirl._httpx.clients",
        "load_pool": "proxywhirl.storage._open",
        "plain": "proxywhirl.config._strategy",
        "pool_empty": "proxywhirl.events.log",
        "proxy_selected": "proxywhirl.events.log",
        "read_error": "proxywhirl._httpx.judge",
        "reported_response": "proxywhirl._httpx.reported",
        "resolve": "proxywhirl.strategies._registry",
        "seldom": "proxywhirl.events.log",
        "tell_attempt": "proxywhirl.events.log",
        "tell_unknown": "proxywhirl._httpx.judge",
    },
)

__all__ = [
    "ALL_HTTP_SOURCES",
    "ALL_SOCKS4_SOURCES",
    "ALL_SOCKS5_SOURCES",
    "ALL_SOURCES",
    "API_SOURCES",
    "GEONODE_HTTP",
    "GEONODE_SOCKS4",
    "GEONODE_SOCKS5",
    "GITHUB_KOMUTAN_HTTP",
    "GITHUB_KOMUTAN_SOCKS4",
    "GITHUB_KOMUTAN_SOCKS5",
    "GITHUB_MONOSANS_HTTP",
    "GITHUB_MONOSANS_SOCKS4",
    "GITHUB_MONOSANS_SOCKS5",
    "GITHUB_PROXIFLY_HTTP",
    "GITHUB_PROXIFLY_SOCKS4",
    "GITHUB_PROXIFLY_SOCKS5",
    "GITHUB_THESPEEDX_HTTP",
    "GITHUB_THESPEEDX_SOCKS4",
    "GITHUB_THESPEEDX_SOCKS5",
    "PROXY_SCRAPE_HTTP",
    "PROXY_SCRAPE_SOCKS4",
    "PROXY_SCRAPE_SOCKS5",
    "RECOMMENDED_SOURCES",
    "AsyncCircuitBreaker",
    "AsyncProxyRotator",
    "AsyncProxyWhirl",
    "AsyncRotatingTransport",
    "BackoffStrategy",
    "BanPolicy",
    "BootstrapConfig",
    "BrowserRenderer",
    "CSVParser",
    "CacheCorruptionError",
    "CacheStorageError",
    "CacheValidationError",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitBreakerEvent",
    "CircuitBreakerState",
    "ComposedStrategy",
    "CompositeStrategy",
    "CostAwareStrategy",
    "CredentialRotator",
    "DataStorageConfig",
    "Gateway",
    "GeoLocation",
    "GeoTargetedStrategy",
    "HTMLTableParser",
    "HealthMonitor",
    "HealthStatus",
    "HourlyAggregate",
    "InternalError",
    "JSONParser",
    "Lease",
    "LeastUsedStrategy",
    "NonRetryableError",
    "Outcome",
    "PerformanceBasedStrategy",
    "PlainTextParser",
    "Proxy",
    "ProxyAuthenticationError",
    "ProxyBannedError",
    "ProxyBudgetExceededError",
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
    "ProxyValidator",
    "ProxyWhirl",
    "ProxyWhirlError",
    "RandomStrategy",
    "RateLimiter",
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
    "deduplicate_proxies",
    "encrypt_credentials",
    "generate_encryption_key",
    "is_valid_proxy_url",
    "parse_proxy_url",
    "proxy_to_dict",
    "validate_proxy_model",
]

# Where each name lives. The imports above say the same to type checkers; a test compares the three.
_HOMES = {
    "proxywhirl.bans": "BanPolicy",
    "proxywhirl._core": "Lease Proxy ProxyPool SelectionContext Session SessionManager",
    "proxywhirl._native.enums": (
        "BackoffStrategy CircuitBreakerState HealthStatus Outcome ProxyFormat ProxySource RenderMode RetryOutcome "
        "ValidationLevel"
    ),
    "proxywhirl.browser": "BrowserRenderer",
    "proxywhirl.circuit_breaker": "AsyncCircuitBreaker CircuitBreaker",
    "proxywhirl.config": "DataStorageConfig ProxyConfiguration StrategyConfig",
    "proxywhirl.credentials": "CredentialRotator",
    "proxywhirl.events": "ProxyEvent",
    "proxywhirl.exceptions": (
        "CacheCorruptionError CacheStorageError CacheValidationError InternalError NonRetryableError "
        "ProxyAuthenticationError ProxyBannedError ProxyBudgetExceededError ProxyConnectionError ProxyError ProxyFetchError "
        "ProxyPoolEmptyError ProxyStorageError ProxyValidationError ProxyWhirlError RegexComplexityError "
        "RegexTimeoutError RequestQueueFullError RetryableError SessionNotFoundError StrategyMetadataError"
    ),
    "proxywhirl.fetchers": "ProxyFetcher",
    "proxywhirl.fetchers.parsers": "CSVParser HTMLTableParser JSONParser PlainTextParser deduplicate_proxies",
    "proxywhirl.gateways": "Gateway",
    "proxywhirl.models": (
        "BootstrapConfig CircuitBreakerConfig GeoLocation HealthMonitor ProxyChain ProxyCredentials ProxyMetadata "
        "ProxySession ProxySourceConfig SourceStats"
    ),
    "proxywhirl.rate_limiting": "RateLimiter",
    "proxywhirl.resilience": "ResilienceConfig",
    "proxywhirl.retry": "CircuitBreakerEvent HourlyAggregate RetryAttempt RetryExecutor RetryMetrics RetryPolicy",
    "proxywhirl.rotator": "AsyncProxyRotator AsyncProxyWhirl ProxyRotator ProxyWhirl",
    "proxywhirl.sources": (
        "ALL_HTTP_SOURCES ALL_SOCKS4_SOURCES ALL_SOCKS5_SOURCES ALL_SOURCES API_SOURCES GEONODE_HTTP "
        "GEONODE_SOCKS4 GEONODE_SOCKS5 GITHUB_KOMUTAN_HTTP GITHUB_KOMUTAN_SOCKS4 GITHUB_KOMUTAN_SOCKS5 "
        "GITHUB_MONOSANS_HTTP GITHUB_MONOSANS_SOCKS4 GITHUB_MONOSANS_SOCKS5 GITHUB_PROXIFLY_HTTP "
        "GITHUB_PROXIFLY_SOCKS4 GITHUB_PROXIFLY_SOCKS5 GITHUB_THESPEEDX_HTTP GITHUB_THESPEEDX_SOCKS4 "
        "GITHUB_THESPEEDX_SOCKS5 PROXY_SCRAPE_HTTP PROXY_SCRAPE_SOCKS4 PROXY_SCRAPE_SOCKS5 RECOMMENDED_SOURCES"
    ),
    "proxywhirl.strategies": (
        "ComposedStrategy CompositeStrategy CostAwareStrategy GeoTargetedStrategy LeastUsedStrategy "
        "PerformanceBasedStrategy ProxyMetrics RandomStrategy RotationStrategy RoundRobinStrategy "
        "SessionPersistenceStrategy SessionStrategy StrategyRegistry StrategyState WeightedRandomStrategy "
        "WeightedStrategy"
    ),
    "proxywhirl.transport": "AsyncRotatingTransport RotatingTransport",
    "proxywhirl.utils": (
        "calculate_timeout configure_logging create_proxy_from_url decrypt_credentials encrypt_credentials "
        "generate_encryption_key is_valid_proxy_url parse_proxy_url proxy_to_dict validate_proxy_model"
    ),
    "proxywhirl.validation": "ProxyValidator",
}

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
