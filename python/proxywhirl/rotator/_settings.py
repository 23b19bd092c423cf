"""The settings of a rotator, in all the forms in which they may be given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

from proxywhirl._core import DEFAULT_STRATEGY

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.config import ProxyConfiguration, StrategyConfig
    from proxywhirl.retry import RetryPolicy
    from proxywhirl.retry._unset import Unset

ConfigLike = Union["ProxyConfiguration", "StrategyConfig", Mapping[str, Any], str, "os.PathLike[str]", None]

# Requests that wait for a free connection of one proxy wait for that proxy, whatever becomes of it, so unless the user
# says otherwise there is room for as many as the documented targets name.
_CONNECTIONS_PER_PROXY = 100


def settings_of(config: ConfigLike) -> tuple[ProxyConfiguration, StrategyConfig | None, Any]:
    """The rotator's settings, the strategy's if they were meant, and the proxies of a file.

    Raises ``TypeError`` (this is no configuration), ``ValueError`` (a setting that is unknown or out of its range).
    """
    if config is None:
        from proxywhirl.config._defaults import defaults

        return defaults() or configuration(), None, []
    from proxywhirl.config import ProxyConfiguration, StrategyConfig, load_config_file

    if isinstance(config, ProxyConfiguration):
        return config, None, []
    if isinstance(config, StrategyConfig):
        return ProxyConfiguration(), config, []
    if isinstance(config, (str, os.PathLike)):
        from pathlib import Path

        path = Path(config)
        return ProxyConfiguration.from_file(path), None, _listed(load_config_file(path).get("proxies"))
    if isinstance(config, Mapping):
        settings = dict(config)
        listed = _listed(settings.pop("proxies", None))
        only_strategy = set(StrategyConfig.model_fields) - set(ProxyConfiguration.model_fields)
        if settings and only_strategy.issuperset(settings):
            return ProxyConfiguration(), StrategyConfig(**settings), listed
        return ProxyConfiguration(**settings), None, listed
    raise TypeError(
        f"config must be a ProxyConfiguration, a StrategyConfig, a mapping or a path, not {type(config).__name__}"
    )


def configuration() -> ProxyConfiguration:
    """The settings where nothing is said but by the environment."""
    from proxywhirl.config import ProxyConfiguration

    return ProxyConfiguration()


def strategy_of(given: Any, settings: StrategyConfig | None, config: ProxyConfiguration) -> Any:
    """The strategy that was handed over, or that settings name, in the form the core calls.

    Raises ``ValueError`` (an unknown name), ``TypeError`` (something that is no strategy).
    """
    from proxywhirl.strategies._registry import resolve

    if given is None:
        given = (settings and settings.strategy_name) or config.strategy or DEFAULT_STRATEGY
    strategy = resolve(given, warm_up=True)
    if settings is not None:
        strategy.configure(settings)
    return strategy


def _listed(proxies: Any) -> Any:
    """The proxies of a configuration: a list, or the path of a file."""
    return proxies if isinstance(proxies, (str, os.PathLike)) else list(proxies or [])


def connections_of(config: ProxyConfiguration) -> int:
    """Most connections per proxy."""
    return config.pool_connections if "pool_connections" in config.model_fields_set else _CONNECTIONS_PER_PROXY


def policy_of(config: ProxyConfiguration) -> RetryPolicy | Unset:
    """How often to try if no policy was given."""
    if "max_retries" not in config.model_fields_set:
        from proxywhirl.retry._unset import UNSET

        return UNSET
    from proxywhirl.retry import RetryPolicy

    return RetryPolicy(max_attempts=min(config.max_retries + 1, 10))


def timeout_for(proxy: _core.Proxy) -> float:
    """Seconds that an attempt through a proxy may take, where timeouts are dynamic."""
    from proxywhirl.models._tools import calculate_timeout

    return calculate_timeout(proxy)
