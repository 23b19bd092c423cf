"""Rotation of HTTP requests through a pool of proxies.

Every public name can be had from here. A name is imported from its module when it is first used, so that
``import proxywhirl`` costs next to nothing and needs neither httpx nor pydantic.
"""

from __future__ import annotations

import os as _os

from proxywhirl import _core
from proxywhirl._base.exports import names_in, on_first_use
from proxywhirl._native.on_first_use import prepare as _prepare

# Type checkers know the name; importing it from typing would be a third of the time this module takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl._core import Lease as Lease
    from proxywhirl._core import Proxy as Proxy
    from proxywhirl._core import ProxyPool as ProxyPool
    from proxywhirl._core import SelectionContext as SelectionContext
    from proxywhirl._core import Session as Session
    from proxywhirl._core import SessionManager as SessionManager
    from proxywhirl._native.enums import BackoffStrategy as BackoffStrategy
    from proxywhirl._native.enums import CircuitBreakerState as CircuitBreakerState
    from proxywhirl._native.enums import HealthStatus as HealthStatus
    from proxywhirl._native.enums import Outcome as Outcome
    from proxywhirl._native.enums import ProxyFormat as ProxyFormat
    from proxywhirl._native.enums import ProxySource as ProxySource
    from proxywhirl._native.enums import RenderMode as RenderMode
    from proxywhirl._native.enums import RetryOutcome as RetryOutcome
    from proxywhirl._native.enums import ValidationLevel as ValidationLevel
    from proxywhirl._native.installation import InstallationWarning as InstallationWarning
    from proxywhirl.bans import BanPolicy as BanPolicy
    from proxywhirl.browser import BrowserRenderer as BrowserRenderer
    from proxywhirl.circuit_breaker import AsyncCircuitBreaker as AsyncCircuitBreaker
    from proxywhirl.circuit_breaker import CircuitBreaker as CircuitBreaker
    from proxywhirl.config import DataStorageConfig as DataStorageConfig
    from proxywhirl.config import ProxyConfiguration as ProxyConfiguration
    from proxywhirl.config import StrategyConfig as StrategyConfig
    from proxywhirl.credentials import CredentialRotator as CredentialRotator
    from proxywhirl.events import ProxyEvent as ProxyEvent
    from proxywhirl.exceptions import CacheCorruptionError as CacheCorruptionError
    from proxywhirl.exceptions import CacheStorageError as CacheStorageError
    from proxywhirl.exceptions import CacheValidationError as CacheValidationError
    from proxywhirl.exceptions import InternalError as InternalError
    from proxywhirl.exceptions import NonRetryableError as NonRetryableError
    from proxywhirl.exceptions import ProxyAuthenticationError as ProxyAuthenticationError
    from proxywhirl.exceptions import ProxyBannedError as ProxyBannedError
    from proxywhirl.exceptions import ProxyBudgetExceededError as ProxyBudgetExceededError
    from proxywhirl.exceptions import ProxyConnectionError as ProxyConnectionError
    from proxywhirl.exceptions import ProxyError as ProxyError
    from proxywhirl.exceptions import ProxyFetchError as ProxyFetchError
    from proxywhirl.exceptions import ProxyPoolEmptyError as ProxyPoolEmptyError
    from proxywhirl.exceptions import ProxyStorageError as ProxyStorageError
    from proxywhirl.exceptions import ProxyValidationError as ProxyValidationError
    from proxywhirl.exceptions import ProxyWhirlError as ProxyWhirlError
    from proxywhirl.exceptions import RegexComplexityError as RegexComplexityError
    from proxywhirl.exceptions import RegexTimeoutError as RegexTimeoutError
    from proxywhirl.exceptions import RequestQueueFullError as RequestQueueFullError
    from proxywhirl.exceptions import RetryableError as RetryableError
    from proxywhirl.exceptions import SessionNotFoundError as SessionNotFoundError
    from proxywhirl.exceptions import StrategyMetadataError as StrategyMetadataError
    from proxywhirl.fetchers import ProxyFetcher as ProxyFetcher
    from proxywhirl.fetchers.parsers import CSVParser as CSVParser
    from proxywhirl.fetchers.parsers import HTMLTableParser as HTMLTableParser
    from proxywhirl.fetchers.parsers import JSONParser as JSONParser
    from proxywhirl.fetchers.parsers import PlainTextParser as PlainTextParser
    from proxywhirl.fetchers.parsers import deduplicate_proxies as deduplicate_proxies
    from proxywhirl.gateways import Gateway as Gateway
    from proxywhirl.models import BootstrapConfig as BootstrapConfig
    from proxywhirl.models import CircuitBreakerConfig as CircuitBreakerConfig
    from proxywhirl.models import GeoLocation as GeoLocation
    from proxywhirl.models import HealthMonitor as HealthMonitor
    from proxywhirl.models import ProxyChain as ProxyChain
    from proxywhirl.models import ProxyCredentials as ProxyCredentials
    from proxywhirl.models import ProxyMetadata as ProxyMetadata
    from proxywhirl.models import ProxySession as ProxySession
    from proxywhirl.models import ProxySourceConfig as ProxySourceConfig
    from proxywhirl.models import SourceStats as SourceStats
    from proxywhirl.rate_limiting import RateLimiter as RateLimiter
    from proxywhirl.relay import Relay as Relay
    from proxywhirl.resilience import ResilienceConfig as ResilienceConfig
    from proxywhirl.retry import CircuitBreakerEvent as CircuitBreakerEvent
    from proxywhirl.retry import HourlyAggregate as HourlyAggregate
    from proxywhirl.retry import RetryAttempt as RetryAttempt
    from proxywhirl.retry import RetryExecutor as RetryExecutor
    from proxywhirl.retry import RetryMetrics as RetryMetrics
    from proxywhirl.retry import RetryPolicy as RetryPolicy
    from proxywhirl.rotator import AsyncProxyRotator as AsyncProxyRotator
    from proxywhirl.rotator import AsyncProxyWhirl as AsyncProxyWhirl
    from proxywhirl.rotator import ProxyRotator as ProxyRotator
    from proxywhirl.rotator import ProxyWhirl as ProxyWhirl
    from proxywhirl.sources import ALL_HTTP_SOURCES as ALL_HTTP_SOURCES
    from proxywhirl.sources import ALL_SOCKS4_SOURCES as ALL_SOCKS4_SOURCES
    from proxywhirl.sources import ALL_SOCKS5_SOURCES as ALL_SOCKS5_SOURCES
    from proxywhirl.sources import ALL_SOURCES as ALL_SOURCES
    from proxywhirl.sources import API_SOURCES as API_SOURCES
    from proxywhirl.sources import GEONODE_HTTP as GEONODE_HTTP
    from proxywhirl.sources import GEONODE_SOCKS4 as GEONODE_SOCKS4
    from proxywhirl.sources import GEONODE_SOCKS5 as GEONODE_SOCKS5
    from proxywhirl.sources import GITHUB_KOMUTAN_HTTP as GITHUB_KOMUTAN_HTTP
    from proxywhirl.sources import GITHUB_KOMUTAN_SOCKS4 as GITHUB_KOMUTAN_SOCKS4
    from proxywhirl.sources import GITHUB_KOMUTAN_SOCKS5 as GITHUB_KOMUTAN_SOCKS5
    from proxywhirl.sources import GITHUB_MONOSANS_HTTP as GITHUB_MONOSANS_HTTP
    from proxywhirl.sources import GITHUB_MONOSANS_SOCKS4 as GITHUB_MONOSANS_SOCKS4
    from proxywhirl.sources import GITHUB_MONOSANS_SOCKS5 as GITHUB_MONOSANS_SOCKS5
    from proxywhirl.sources import GITHUB_PROXIFLY_HTTP as GITHUB_PROXIFLY_HTTP
    from proxywhirl.sources import GITHUB_PROXIFLY_SOCKS4 as GITHUB_PROXIFLY_SOCKS4
    from proxywhirl.sources import GITHUB_PROXIFLY_SOCKS5 as GITHUB_PROXIFLY_SOCKS5
    from proxywhirl.sources import GITHUB_THESPEEDX_HTTP as GITHUB_THESPEEDX_HTTP
    from proxywhirl.sources import GITHUB_THESPEEDX_SOCKS4 as GITHUB_THESPEEDX_SOCKS4
    from proxywhirl.sources import GITHUB_THESPEEDX_SOCKS5 as GITHUB_THESPEEDX_SOCKS5
    from proxywhirl.sources import PROXY_SCRAPE_HTTP as PROXY_SCRAPE_HTTP
    from proxywhirl.sources import PROXY_SCRAPE_SOCKS4 as PROXY_SCRAPE_SOCKS4
    from proxywhirl.sources import PROXY_SCRAPE_SOCKS5 as PROXY_SCRAPE_SOCKS5
    from proxywhirl.sources import RECOMMENDED_SOURCES as RECOMMENDED_SOURCES
    from proxywhirl.strategies import ComposedStrategy as ComposedStrategy
    from proxywhirl.strategies import CompositeStrategy as CompositeStrategy
    from proxywhirl.strategies import CostAwareStrategy as CostAwareStrategy
    from proxywhirl.strategies import GeoTargetedStrategy as GeoTargetedStrategy
    from proxywhirl.strategies import LeastUsedStrategy as LeastUsedStrategy
    from proxywhirl.strategies import PerformanceBasedStrategy as PerformanceBasedStrategy
    from proxywhirl.strategies import ProxyMetrics as ProxyMetrics
    from proxywhirl.strategies import RandomStrategy as RandomStrategy
    from proxywhirl.strategies import RotationStrategy as RotationStrategy
    from proxywhirl.strategies import RoundRobinStrategy as RoundRobinStrategy
    from proxywhirl.strategies import SessionPersistenceStrategy as SessionPersistenceStrategy
    from proxywhirl.strategies import SessionStrategy as SessionStrategy
    from proxywhirl.strategies import StrategyRegistry as StrategyRegistry
    from proxywhirl.strategies import StrategyState as StrategyState
    from proxywhirl.strategies import WeightedRandomStrategy as WeightedRandomStrategy
    from proxywhirl.strategies import WeightedStrategy as WeightedStrategy
    from proxywhirl.transport import AsyncRotatingTransport as AsyncRotatingTransport
    from proxywhirl.transport import RotatingTransport as RotatingTransport
    from proxywhirl.utils import calculate_timeout as calculate_timeout
    from proxywhirl.utils import configure_logging as configure_logging
    from proxywhirl.utils import create_proxy_from_url as create_proxy_from_url
    from proxywhirl.utils import decrypt_credentials as decrypt_credentials
    from proxywhirl.utils import encrypt_credentials as encrypt_credentials
    from proxywhirl.utils import generate_encryption_key as generate_encryption_key
    from proxywhirl.utils import is_valid_proxy_url as is_valid_proxy_url
    from proxywhirl.utils import parse_proxy_url as parse_proxy_url
    from proxywhirl.utils import proxy_to_dict as proxy_to_dict
    from proxywhirl.utils import validate_proxy_model as validate_proxy_model
    from proxywhirl.validation import ProxyValidator as ProxyValidator

__version__: str = _core.__version__

# Only the published distribution has these. Two looks take microseconds, a list of all distributions milliseconds.
for _name in ("tui.py", "mcp"):
    if _os.path.exists(_os.path.join(__path__[0], _name)):
        from proxywhirl._native.installation import warn_if_both as _warn_if_both

        _warn_if_both(__path__[0])
        break
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
        "wished": "proxywhirl._httpx.wishes",
    },
)

# Where each name lives. The imports above say the same to type checkers; a test compares the three.
_HOMES = {
    "proxywhirl.bans": "BanPolicy",
    "proxywhirl._core": "Lease Proxy ProxyPool SelectionContext Session SessionManager",
    "proxywhirl._native.enums": (
        "BackoffStrategy CircuitBreakerState HealthStatus Outcome ProxyFormat ProxySource RenderMode RetryOutcome "
        "ValidationLevel"
    ),
    "proxywhirl._native.installation": "InstallationWarning",
    "proxywhirl.browser": "BrowserRenderer",
    "proxywhirl.circuit_breaker": "AsyncCircuitBreaker CircuitBreaker",
    "proxywhirl.config": "DataStorageConfig ProxyConfiguration StrategyConfig",
    "proxywhirl.credentials": "CredentialRotator",
    "proxywhirl.events": "ProxyEvent",
    "proxywhirl.exceptions": (
        "CacheCorruptionError CacheStorageError CacheValidationError InternalError NonRetryableError "
        "ProxyAuthenticationError ProxyBannedError ProxyBudgetExceededError ProxyConnectionError ProxyError "
        "ProxyFetchError "
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
    "proxywhirl.relay": "Relay",
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
__all__ = ["__version__", *names_in(_HOMES)]
