"""What the configuration of the command line consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Optional

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from proxywhirl import _core
from proxywhirl._core import DEFAULT_STRATEGY
from proxywhirl._native.model.quiet import QuietModel

_STRATEGIES = tuple(_core.settings_strategy_names())


class ProxyConfig(QuietModel):
    """A proxy in a file of settings.

    Attributes:
        url: ``scheme://[user:password@]host[:port]``.
        username: User name, in clear or encrypted.
        password: Password, in clear or encrypted.
    """

    url: str
    username: Optional[SecretStr] = None
    password: Optional[SecretStr] = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        _core.parse_proxy_url(value)
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> ProxyConfig:
        if (self.username is None) != (self.password is None):
            raise ValueError("Both username and password must be provided together")
        return self

    def __repr__(self) -> str:
        from proxywhirl._native.redact import mask_proxy_url

        return f"ProxyConfig(url={mask_proxy_url(self.url)!r})"

    __str__ = __repr__


class DataStorageConfig(QuietModel):
    """How a database is reached, and what of a proxy's history is worth keeping.

    Attributes:
        async_driver: Whether an asynchronous driver is used.
        pool_size: Connections kept open.
        pool_max_overflow: Connections beyond those.
        pool_timeout: Seconds to wait for a connection.
        pool_recycle: Seconds after which a connection is replaced.
        persist_latency_percentiles: Whether percentiles of latency are kept.
        persist_response_time_stats: Whether averages of response times are kept.
        persist_error_types: Whether kinds of errors are kept.
        persist_error_messages: Whether texts of errors are kept.
        persist_protocol_details: Whether details of protocols are kept.
        persist_capabilities: Whether what a proxy can do is kept.
        persist_health_transitions: Whether changes of health are kept.
        persist_consecutive_streaks: Whether results in a row are kept.
        persist_source_metadata: Whether what lists say of a proxy is kept.
        persist_fetch_duration: Whether durations of fetches are kept.
        persist_geo_data: Whether places are kept.
        persist_ip_intelligence: Whether what is known of addresses is kept.
        persist_coordinates: Whether coordinates are kept.
        persist_request_logs: Whether every request is kept.
        persist_daily_aggregates: Whether sums per day are kept.
        max_error_history: Errors kept per proxy, 0 to 100.
        max_health_transitions: Changes of health kept per proxy, 0 to 500.
    """

    async_driver: bool = True
    pool_size: int = Field(default=5, ge=1)
    pool_max_overflow: int = Field(default=10, ge=0)
    pool_timeout: float = Field(default=30.0, gt=0)
    pool_recycle: int = Field(default=3600, ge=-1)
    persist_latency_percentiles: bool = True
    persist_response_time_stats: bool = True
    persist_error_types: bool = True
    persist_error_messages: bool = True
    persist_protocol_details: bool = True
    persist_capabilities: bool = True
    persist_health_transitions: bool = True
    persist_consecutive_streaks: bool = True
    persist_source_metadata: bool = True
    persist_fetch_duration: bool = True
    persist_geo_data: bool = False
    persist_ip_intelligence: bool = False
    persist_coordinates: bool = False
    persist_request_logs: bool = False
    persist_daily_aggregates: bool = False
    max_error_history: int = Field(default=20, ge=0, le=100)
    max_health_transitions: int = Field(default=50, ge=0, le=500)


class CLIConfig(QuietModel):
    """Settings of the command line. What it does not know, such as ``cache_*`` of other versions, is kept as it is.

    Attributes:
        proxies: The proxies.
        proxy_file: A file with more.
        rotation_strategy: ``round-robin``, ``random``, ``weighted`` or ``least-used``.
        health_check_interval: Seconds between two checks.
        timeout: Seconds a request may take.
        max_retries: Attempts after the first.
        follow_redirects: Whether redirects are followed.
        verify_ssl: Whether certificates are checked.
        default_format: ``text``, ``json`` or ``csv``; ``human`` and ``table`` are old names of ``text``.
        color: Whether output is coloured.
        verbose: Whether more is said.
        storage_backend: Where proxies are kept.
        storage_path: File they are kept in.
        geo_database: Database of countries in MaxMind's format.
        encrypt_credentials: Whether credentials are encrypted when settings are saved.
        encryption_key_env: Environment variable with the key.
        rate_limit_by_key: Whether limits are per key.
        rate_limit_per_key: Limit per key, as ``100/minute``.
        rate_limit_per_ip: Limit per address, as ``100/minute``.
        data_storage: Settings of databases.
    """

    model_config = ConfigDict(extra="allow")

    proxies: list[ProxyConfig] = Field(default_factory=list)
    proxy_file: Optional[Path] = None
    rotation_strategy: str = DEFAULT_STRATEGY
    health_check_interval: int = Field(default=300, gt=0)
    timeout: float = Field(default=30, gt=0)
    max_retries: int = Field(default=3, ge=0)
    follow_redirects: bool = True
    verify_ssl: bool = True
    default_format: Literal["text", "json", "csv"] = "text"
    color: bool = True
    verbose: bool = False
    storage_backend: Literal["memory", "file", "sqlite"] = "file"
    storage_path: Optional[Path] = None
    geo_database: Optional[Path] = None
    encrypt_credentials: bool = True
    encryption_key_env: str = "PROXYWHIRL_KEY"
    rate_limit_by_key: bool = True
    rate_limit_per_key: str = "100/minute"
    rate_limit_per_ip: str = "100/minute"
    data_storage: DataStorageConfig = Field(default_factory=DataStorageConfig)

    @field_validator("proxies", mode="before")
    @classmethod
    def _urls_are_proxies(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [{"url": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("rotation_strategy")
    @classmethod
    def _is_a_strategy(cls, value: str) -> str:
        name = _core.strategy_key(value)
        if name not in _STRATEGIES:
            raise ValueError(f"rotation_strategy must be one of {', '.join(_STRATEGIES)}")
        return name

    @field_validator("default_format", mode="before")
    @classmethod
    def _old_names(cls, value: Any) -> Any:
        return "text" if value in ("human", "table") else value
