"""The settings of a rotator where nothing is said.

Apart from the models, because a rotator without settings needs nothing else: importing pydantic takes longer than its
first request.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from proxywhirl._core import DEFAULT_STRATEGY

ENV_PREFIX = "PROXYWHIRL_"


class Defaults:
    """What a :class:`ProxyConfiguration` says by default, with the same names."""

    timeout = 30
    max_retries = 3
    verify_ssl = True
    follow_redirects = True
    pool_connections = 10
    pool_max_keepalive = 20
    pool_timeout = 30
    keepalive_timeout = 300
    max_concurrent_requests = 1000
    pool_size = None
    strategy = DEFAULT_STRATEGY
    health_check_enabled = True
    health_check_interval_seconds = 300
    health_check_url = "http://httpbin.org/ip"
    health_check_timeout = 10
    log_level = "WARNING"
    log_format: Literal["auto", "json", "text"] = "auto"
    log_redact_credentials = True
    storage_backend: Literal["memory", "sqlite", "file"] = "memory"
    storage_path = None
    queue_enabled = False
    queue_size = 100
    health_cache_ttl = 300
    dynamic_timeout = False

    # Last, as pydantic has it of what was given.
    model_fields_set: frozenset[str] = frozenset()


def defaults() -> Any:
    """The settings where nothing is said; ``None`` if the environment says something."""
    prefix = ENV_PREFIX.casefold()
    for name, value in os.environ.items():
        if value and name[: len(prefix)].casefold() == prefix and hasattr(Defaults, name[len(prefix) :].casefold()):
            return None
    return Defaults
