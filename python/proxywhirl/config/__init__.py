"""Settings: of strategies, of rotators, of the command line, and the files they come from."""

from __future__ import annotations

from proxywhirl._base.exports import on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
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

_HOMES = {
    "proxywhirl.config._cli": (
        "CLIConfig DataStorageConfig ProxyConfig config_folder decrypt_credentials discover_config encrypt_credentials "
        "get_encryption_key load_config save_config"
    ),
    "proxywhirl.config._files": "load_config_file",
    "proxywhirl.config._models": "ProxyConfiguration StrategyConfig",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
