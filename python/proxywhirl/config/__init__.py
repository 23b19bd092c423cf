"""Settings: of strategies, of rotators, of the command line, and the files they come from."""

from __future__ import annotations

from proxywhirl.config._cli import (
    CLIConfig,
    DataStorageConfig,
    ProxyConfig,
    config_folder,
    decrypt_credentials,
    discover_config,
    encrypt_credentials,
    get_encryption_key,
    load_config,
    save_config,
)
from proxywhirl.config._files import load_config_file
from proxywhirl.config._models import ProxyConfiguration, StrategyConfig

__all__ = [
    "CLIConfig",
    "DataStorageConfig",
    "ProxyConfig",
    "ProxyConfiguration",
    "StrategyConfig",
    "config_folder",
    "decrypt_credentials",
    "discover_config",
    "encrypt_credentials",
    "get_encryption_key",
    "load_config",
    "load_config_file",
    "save_config",
]
