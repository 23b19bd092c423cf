"""The two configuration objects: one for strategies, one for rotators."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Optional, Union

from pydantic import ConfigDict, Field, HttpUrl, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from proxywhirl._native.model.quiet import QuietModel
from proxywhirl.config._defaults import ENV_PREFIX, Defaults
from proxywhirl.config._files import load_config_file

_LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
_Seconds = Union[int, float]
StrategySpec = Union[str, dict[str, Any]]
"""A strategy as data: its name, or ``{"name": ..., **arguments}``."""


class StrategyConfig(QuietModel):
    """Settings of the strategies; each reads those that concern it.

    Attributes:
        weights: Weight by proxy id, URL or tag; ``None`` and ``{}`` mean the same: none are given.
        ema_alpha: Weight of the newest response time in the moving average, 0 to 1.
        session_stickiness_duration_seconds: Life of a session; when set it wins over ``session_timeout_seconds``.
        preferred_countries: Countries to choose from; merged with ``geo_preferences``.
        preferred_regions: Regions to choose from.
        geo_fallback_enabled: Whether any proxy will do when none is in the right place.
        geo_secondary_strategy: Strategy that chooses among the proxies in the right place.
        fallback_strategy: Strategy used when the configured one cannot choose.
        max_response_time_ms: Proxies known to be slower are left out.
        min_success_rate: Proxies known to succeed less often are left out, 0 to 1.
        window_duration_seconds: Length of the counting window.
        exploration_count: Requests every proxy gets before its speed decides.
        metadata: Settings of custom strategies.
        strategy_name: Name of the strategy these settings are for.
        session_timeout_seconds: Life of a session.
        geo_preferences: Second name of ``preferred_countries``.
        enable_filtering: Whether the two thresholds above are applied.
        enable_fallback: Whether a fallback may be used.
    """

    model_config = ConfigDict(extra="forbid")

    weights: Optional[dict[str, float]] = None
    ema_alpha: float = Field(default=0.2, ge=0.0, le=1.0)
    session_stickiness_duration_seconds: int = Field(default=300, ge=0)
    preferred_countries: Optional[list[str]] = None
    preferred_regions: Optional[list[str]] = None
    geo_fallback_enabled: bool = True
    geo_secondary_strategy: StrategySpec = "round_robin"
    fallback_strategy: Optional[StrategySpec] = None
    max_response_time_ms: Optional[float] = Field(default=None, ge=0.0, allow_inf_nan=False)
    min_success_rate: Optional[float] = Field(default=None, ge=0.0, le=1.0)
    window_duration_seconds: int = Field(default=3600, gt=0)
    exploration_count: int = Field(default=5, ge=0)
    metadata: dict[str, Any] = Field(default_factory=dict)
    strategy_name: Optional[str] = None
    session_timeout_seconds: int = Field(default=3600, gt=0)
    geo_preferences: list[str] = Field(default_factory=list)
    enable_filtering: bool = True
    enable_fallback: bool = True

    @model_validator(mode="before")
    @classmethod
    def _merge_country_names(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = [data.get("preferred_countries"), data.get("geo_preferences")]
        if not any(given) or not all(names is None or isinstance(names, (list, tuple)) for names in given):
            return data  # nothing to merge, or the fields' own checks have something to say
        merged = list(dict.fromkeys(name for names in given if names for name in names))
        return {**data, "preferred_countries": merged, "geo_preferences": list(merged)}


class ProxyConfiguration(QuietModel, BaseSettings):
    """Settings of a rotator.

    What is not given comes from the environment, and only from variables that begin with ``PROXYWHIRL_``:
    ``PROXYWHIRL_TIMEOUT`` sets ``timeout``. An object does not change once it is made.

    Attributes:
        timeout: Seconds a request may take.
        max_retries: Attempts after the first.
        verify_ssl: Whether certificates are checked.
        follow_redirects: Whether redirects are followed.
        pool_connections: Connections per proxy; a rotator whose settings do not give it has room for 100.
        pool_max_keepalive: Idle connections kept per proxy.
        pool_timeout: Seconds to wait for a connection or a proxy to become free.
        keepalive_timeout: Seconds an idle connection is kept.
        max_concurrent_requests: Requests under way at the same time.
        pool_size: Most proxies in the rotator's own pool; ``None`` means no limit.
        strategy: Name of the strategy, or ``{"name": ..., **arguments}``.
        health_check_enabled: Whether proxies are checked in the background.
        health_check_interval_seconds: Seconds between checks.
        health_check_url: What is requested to check a proxy.
        health_check_timeout: Seconds a check may take.
        log_level: Least severe level that is logged, in any case.
        log_format: Form of log lines.
        log_redact_credentials: Whether credentials are hidden in them.
        storage_backend: Where proxies are kept.
        storage_path: File they are kept in; required unless the backend is ``memory``.
        queue_enabled: Whether requests over the rate limit wait instead of failing.
        queue_size: How many may wait, 1 to 10000.
        health_cache_ttl: Seconds the result of a check stays valid.
        dynamic_timeout: Whether the timeout follows the speed of the proxy.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    timeout: _Seconds = Defaults.timeout
    max_retries: int = Defaults.max_retries
    verify_ssl: bool = Defaults.verify_ssl
    follow_redirects: bool = Defaults.follow_redirects
    pool_connections: int = Defaults.pool_connections
    pool_max_keepalive: int = Field(default=Defaults.pool_max_keepalive, ge=0)
    pool_timeout: _Seconds = Defaults.pool_timeout
    keepalive_timeout: _Seconds = Field(default=Defaults.keepalive_timeout, ge=0)
    max_concurrent_requests: int = Defaults.max_concurrent_requests
    pool_size: Optional[int] = Defaults.pool_size
    strategy: Optional[StrategySpec] = Defaults.strategy
    health_check_enabled: bool = Defaults.health_check_enabled
    health_check_interval_seconds: int = Defaults.health_check_interval_seconds
    health_check_url: HttpUrl = Field(default=Defaults.health_check_url, validate_default=True)
    health_check_timeout: _Seconds = Defaults.health_check_timeout
    log_level: str = Defaults.log_level
    log_format: Literal["auto", "json", "text"] = Defaults.log_format
    log_redact_credentials: bool = Defaults.log_redact_credentials
    storage_backend: Literal["memory", "sqlite", "file"] = Defaults.storage_backend
    storage_path: Optional[Path] = Defaults.storage_path
    queue_enabled: bool = Defaults.queue_enabled
    queue_size: int = Field(default=Defaults.queue_size, ge=1, le=10000)
    health_cache_ttl: int = Field(default=Defaults.health_cache_ttl, ge=0)
    dynamic_timeout: bool = Defaults.dynamic_timeout

    # The wording that callers match on; pydantic's own constraint has another.
    @field_validator(
        "timeout",
        "max_retries",
        "pool_connections",
        "pool_timeout",
        "max_concurrent_requests",
        "pool_size",
        "health_check_interval_seconds",
        "health_check_timeout",
    )
    @classmethod
    def _is_positive(cls, value: Optional[_Seconds]) -> Optional[_Seconds]:
        if value is not None and not value > 0:
            raise ValueError(f"Value must be positive, not {value!r}")
        return value

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        level = value.strip().upper()
        if level not in _LOG_LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(_LOG_LEVELS)}")
        return level

    @model_validator(mode="after")
    def _storage_has_a_path(self) -> ProxyConfiguration:
        if self.storage_backend != "memory" and self.storage_path is None:
            raise ValueError(f"storage_path required when storage_backend is {self.storage_backend!r}")
        return self

    @classmethod
    def from_file(cls, path: Union[str, os.PathLike[str]], **explicit: Any) -> ProxyConfiguration:
        """Read settings from a YAML, TOML, JSON or .env file.

        Args:
            path: The file; its suffix tells the format. A list of proxies in it is left out here, see
                :func:`proxywhirl.config.load_config_file`.
            **explicit: Settings that win over everything else.

        Returns:
            The settings; an argument wins over the environment, that over the file, that over the default.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is malformed, or a setting is unknown or out of range (``pydantic.ValidationError``).
            ImportError: Reading the format needs an extra that is not installed.
        """
        from_file = load_config_file(path)
        from_file.pop("proxies", None)
        prefix = ENV_PREFIX.casefold()
        in_environment = {
            name.casefold()[len(prefix) :]
            for name, value in os.environ.items()
            if value and name.casefold().startswith(prefix)
        }
        kept = {name: value for name, value in from_file.items() if name not in in_environment}
        return cls(**{**kept, **explicit})
