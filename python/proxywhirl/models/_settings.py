"""Settings of the circuit breaker and of the first filling of an empty pool."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from typing import Optional, Union

from pydantic import ConfigDict, Field

from proxywhirl._core import guard_defaults
from proxywhirl._native.model.quiet import QuietModel
from proxywhirl.models._sources import ProxySourceConfig

_DEFAULTS = guard_defaults()


class CircuitBreakerConfig(QuietModel):
    """When a proxy is left alone, and for how long.

    Attributes:
        failure_threshold: Failures within the window that open the breaker, at least 1.
        window_duration: Length of the window, in seconds.
        timeout_duration: How long an open breaker refuses, in seconds.
        persist_state: Accepted for older scripts; the state lives as long as the process.
        success_threshold: Successful probes that close the breaker again, at least 1.
        failure_rate: Least share of failures among all results in the window for it to open, 0 to 1.
    """

    failure_threshold: int = Field(default=_DEFAULTS["failure_threshold"], ge=1)
    window_duration: float = Field(default=_DEFAULTS["window_duration"], gt=0.0)
    timeout_duration: float = Field(default=_DEFAULTS["timeout_duration"], gt=0.0)
    persist_state: bool = False
    success_threshold: int = Field(default=_DEFAULTS["success_threshold"], ge=1)
    failure_rate: float = Field(default=_DEFAULTS["failure_rate"], ge=0.0, le=1.0)


class BootstrapConfig(QuietModel):
    """How an empty pool is filled from public lists at the first request; only ever used when asked for.

    Attributes:
        enabled: Whether to do it.
        sources: Lists to read; ``None`` means the built-in ones.
        sample_size: How many lists are read, drawn at random.
        validate_proxies: Whether proxies are checked before they join.
        timeout: Seconds for one check.
        max_concurrent: Checks under way at the same time.
        show_progress: Whether progress is shown; ``None`` means on a terminal only.
        max_proxies: How many proxies join at most; ``None`` means all that were found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    sources: Optional[list[Union[ProxySourceConfig, str]]] = None
    sample_size: int = Field(default=10, ge=1)
    validate_proxies: bool = True
    timeout: int = Field(default=10, gt=0)
    max_concurrent: int = Field(default=100, ge=1)
    show_progress: Optional[bool] = None
    max_proxies: Optional[int] = Field(default=None, ge=1)
