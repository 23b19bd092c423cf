"""Settings: of strategies, of rotators, and the files they come from."""

from __future__ import annotations

from proxywhirl._config_files import load_config_file
from proxywhirl._config_models import ProxyConfiguration, StrategyConfig

__all__ = ["ProxyConfiguration", "StrategyConfig", "load_config_file"]
