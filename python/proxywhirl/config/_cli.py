"""Settings of the command line: where they are found, how they are read and saved."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Optional, Union

from pydantic import SecretStr

from proxywhirl import _core
from proxywhirl._base import crypto as _crypto
from proxywhirl._base.files import atomic_write, file_lock, local_path, make_folder
from proxywhirl._native.redact import shown_path
from proxywhirl.config._cli_models import CLIConfig, DataStorageConfig, ProxyConfig
from proxywhirl.config._defaults import ENV_PREFIX
from proxywhirl.config._files import load_config_file

__all__ = [
    "CLIConfig",
    "DataStorageConfig",
    "ProxyConfig",
    "config_folder",
    "decrypt_credentials",
    "discover_config",
    "encrypt_credentials",
    "get_encryption_key",
    "load_config",
    "save_config",
]


def config_folder() -> Path:
    """The folder of the user's settings; it need not exist."""
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "proxywhirl"


def discover_config(path: Union[str, os.PathLike[str], None] = None) -> Optional[Path]:
    """Find the file of settings.

    Args:
        path: The file, if it is named.

    Returns:
        That file; else ``pyproject.toml`` of this folder if it has a table ``tool.proxywhirl``; else ``config.toml`` of
        the user's folder; else ``None``.

    Raises:
        FileNotFoundError: The named file does not exist.
    """
    if path is not None:
        named = local_path(path)
        if not named.is_file():
            raise FileNotFoundError(f"there is no file of settings {shown_path(named)}")
        return named
    project = Path("pyproject.toml")
    if project.is_file() and load_config_file(project):
        return project
    own = config_folder() / "config.toml"
    return own if own.is_file() else None


def load_config(path: Union[str, os.PathLike[str], None] = None, **explicit: Any) -> CLIConfig:
    """Read the settings of the command line.

    Args:
        path: The file; by default the one that :func:`discover_config` finds.
        **explicit: Settings that win over everything else.

    Returns:
        The settings: an argument wins over the environment (``PROXYWHIRL_TIMEOUT`` and so on), that over the file, that
        over the default. Encrypted credentials are decrypted.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is malformed, a setting is wrong (``pydantic.ValidationError``), or credentials are encrypted and
            there is no key.
        cryptography.fernet.InvalidToken: They are encrypted with another key.
    """
    found = discover_config(path)
    settings = {} if found is None else load_config_file(found)
    for name in CLIConfig.model_fields:
        value = os.environ.get(ENV_PREFIX + name.upper())
        if value and name not in ("proxies", "data_storage"):
            settings[name] = value
    return decrypt_credentials(CLIConfig(**{**settings, **explicit}))


def save_config(config: CLIConfig, path: Union[str, os.PathLike[str], None] = None) -> Path:
    """Save settings: at once, with mode 0600, and credentials encrypted unless ``encrypt_credentials`` is off.

    Args:
        config: The settings.
        path: ``.toml`` (extra ``toml``), ``.json`` or ``.yaml`` (extra ``yaml``); by default ``config.toml`` of the
            user's folder.

    Returns:
        The file.

    Raises:
        OSError: It cannot be written; it is as it was.
        ValueError: The suffix is another, or it is ``pyproject.toml``, in which others write, too.
        ImportError: An extra is missing.
    """
    file = config_folder() / "config.toml" if path is None else local_path(path)
    if file.name == "pyproject.toml":
        raise ValueError("pyproject.toml belongs to the project: change its table tool.proxywhirl by hand")
    sealed = encrypt_credentials(config) if config.encrypt_credentials else config
    data = sealed.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if sealed.proxies:
        data["proxies"] = [_revealed(proxy) for proxy in sealed.proxies]
    text = _written(file, data)
    make_folder(file.parent)
    atomic_write(file, text, mode=0o600)
    return file


def _revealed(proxy: ProxyConfig) -> dict[str, str]:
    fields = {"url": proxy.url}
    if proxy.username is not None and proxy.password is not None:
        fields.update(username=proxy.username.get_secret_value(), password=proxy.password.get_secret_value())
    return fields


def _written(file: Path, data: dict[str, Any]) -> str:
    kind = file.suffix.casefold()
    if kind == ".json":
        return json.dumps(data, indent=2) + "\n"
    if kind in (".yaml", ".yml"):
        try:
            import yaml  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError("writing YAML needs an extra: pip install 'proxywhirl-rs[yaml]'") from error
        text: str = yaml.safe_dump(data, sort_keys=False)
        return text
    if kind != ".toml":
        raise ValueError(f"cannot tell the format of {str(file)!r}: use .toml, .json or .yaml")
    try:
        import tomli_w
    except ImportError as error:
        raise ImportError("writing TOML needs an extra: pip install 'proxywhirl-rs[toml]'") from error
    return tomli_w.dumps(data)


def get_encryption_key(config: Optional[CLIConfig] = None, *, create: bool = True) -> str:
    """The key that the command line encrypts with.

    Args:
        config: Settings, for the name of the environment variable.
        create: Whether a key is made, and kept, if there is none.

    Returns:
        The key of the environment variable; else that of the file ``key`` in the user's folder; else a new one, which
        is saved there with mode 0600.

    Raises:
        ValueError: There is none, and none is to be made.
        ImportError: One is to be made, and the extra ``security`` is missing.
    """
    variable = config.encryption_key_env if config is not None else _crypto.KEY_VARIABLE
    key = os.environ.get(variable)
    if key:
        return key
    file = config_folder() / "key"
    if file.is_file():
        return file.read_text(encoding="ascii").strip()
    if not create:
        raise ValueError(f"no encryption key: set {variable}, or put one into {file}")
    make_folder(file.parent)
    with file_lock(file):
        # Two commands at once would each encrypt with a key of its own, and one of the keys would be gone.
        if not file.is_file():
            atomic_write(file, _crypto.generate_encryption_key() + "\n", mode=0o600)
        return file.read_text(encoding="ascii").strip()


def encrypt_credentials(config: CLIConfig) -> CLIConfig:
    """Settings whose credentials are encrypted, those inside URLs included, each bound to its proxy and field.

    Those that are encrypted and bound stay as they are; those of older versions, which are not bound, are bound now.

    Args:
        config: The settings; they are not changed.

    Raises:
        ValueError: Some are encrypted and not bound, and there is no key.
        cryptography.fernet.InvalidToken: They are encrypted with another key.
        ImportError: The extra ``security`` is missing.
    """
    proxies = []
    for proxy in config.proxies:
        address = _core.parse_proxy_url(proxy.url)
        username = proxy.username.get_secret_value() if proxy.username else address["username"]
        password = proxy.password.get_secret_value() if proxy.password else address["password"]
        if username is None or password is None:
            proxies.append(proxy)
            continue
        url = proxy.url
        if "@" in url:
            scheme, rest = url.split("://", 1)
            url = f"{scheme}://{rest.rsplit('@', 1)[1]}"
        if _crypto.is_bound(username) and _crypto.is_bound(password):
            proxies.append(ProxyConfig(url=url, username=SecretStr(username), password=SecretStr(password)))
            continue
        of_name = _bindings(url, "")[0]
        login = _unsealed(config, username, of_name)
        of_password = _bindings(url, login)[1]
        secret = _unsealed(config, password, of_password)
        key = get_encryption_key(config)
        sealed = {
            "username": SecretStr(_crypto.seal_bound(login, of_name, key)),
            "password": SecretStr(_crypto.seal_bound(secret, of_password, key)),
        }
        proxies.append(ProxyConfig(url=url, **sealed))
    return config.model_copy(update={"proxies": proxies})


def _unsealed(config: CLIConfig, text: str, binding: str) -> str:
    if not text.startswith(_crypto.PREFIX):
        return text
    return _crypto.open_sealed(text, binding, get_encryption_key(config, create=False))


def decrypt_credentials(config: CLIConfig) -> CLIConfig:
    """Settings whose credentials are in clear; those that are already stay as they are.

    Args:
        config: The settings; they are not changed.

    Raises:
        ValueError: There is no key.
        cryptography.fernet.InvalidToken: They are encrypted with another key, or for another proxy or field.
    """
    proxies = []
    for proxy in config.proxies:
        if proxy.username is None or proxy.password is None:
            proxies.append(proxy)
            continue
        of_name = _bindings(proxy.url, "")[0]
        login = _unsealed(config, proxy.username.get_secret_value(), of_name)
        of_password = _bindings(proxy.url, login)[1]
        secret = _unsealed(config, proxy.password.get_secret_value(), of_password)
        opened = {"username": SecretStr(login), "password": SecretStr(secret)}
        proxies.append(proxy.model_copy(update=opened))
    return config.model_copy(update={"proxies": proxies})


def _bindings(url: str, username: str) -> tuple[str, str]:
    """What the encrypted user name and password of a proxy are bound to.

    Proxies in settings have no id: passwords of one address are distinguished by the user name that they belong to.
    """
    return _core.seal_binding("username", "", url), _core.seal_binding("password", username, url)
