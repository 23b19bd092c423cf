"""Settings: of strategies, of rotators, of the command line, and the files they come from."""

from __future__ import annotations

from proxywhirl._base.exports import names_in, on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.config._cli import CLIConfig as CLIConfig
    from proxywhirl.config._cli import DataStorageConfig as DataStorageConfig
    from proxywhirl.config._cli import ProxyConfig as ProxyConfig
    from proxywhirl.config._cli import config_folder as config_folder
    from proxywhirl.config._cli import decrypt_credentials as decrypt_credentials
    from proxywhirl.config._cli import discover_config as discover_config
    from proxywhirl.config._cli import encrypt_credentials as encrypt_credentials
    from proxywhirl.config._cli import get_encryption_key as get_encryption_key
    from proxywhirl.config._cli import load_config as load_config
    from proxywhirl.config._cli import save_config as save_config
    from proxywhirl.config._files import load_config_file as load_config_file
    from proxywhirl.config._models import ProxyConfiguration as ProxyConfiguration
    from proxywhirl.config._models import StrategyConfig as StrategyConfig

_HOMES = {
    "proxywhirl.config._cli": (
        "CLIConfig DataStorageConfig ProxyConfig config_folder decrypt_credentials discover_config encrypt_credentials "
        "get_encryption_key load_config save_config"
    ),
    "proxywhirl.config._files": "load_config_file",
    "proxywhirl.config._models": "ProxyConfiguration StrategyConfig",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
__all__ = names_in(_HOMES)
