"""Writes docs/settings.md from the signatures and docstrings; with --check says whether it is what they say."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from docstrings import prose
from griffe import Docstring, DocstringSectionKind
from pydantic_core import PydanticUndefined

from proxywhirl import (
    BanPolicy,
    CircuitBreakerConfig,
    DataStorageConfig,
    ProxyConfiguration,
    ResilienceConfig,
    RetryPolicy,
    RotatingTransport,
    StrategyConfig,
)
from proxywhirl.config import CLIConfig
from proxywhirl.rotator.base import ProxyRotatorBase

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
# The argument of a rotator that goes before the setting, where there is one.
_ARGUMENTS = {
    "follow_redirects": "follow_redirects",
    "max_retries": "retry_policy",
    "storage_backend": "storage_backend",
    "storage_path": "storage_path",
    "strategy": "strategy",
    "timeout": "timeout",
    "verify_ssl": "verify",
}
# The setting of the command line that means the same.
_ON_THE_COMMAND_LINE = {"strategy": "rotation_strategy", "health_check_interval_seconds": "health_check_interval"}
_HEAD = """# All settings

This page is written from the code (`.venv/bin/python scripts/site/settings.py`). It has every argument of a rotator and of a transport, every
setting of a configuration, every environment variable, and every setting of the command line.

## Which one wins

An argument of the call, as `rotator.get(url, timeout=5)`; then an argument of the rotator; then the environment; then the file; then the default.

## One setting, three spellings

A setting of `ProxyConfiguration` is given as its name (`config={"timeout": 10}`, or a line of a file that `config="settings.yaml"` names), as an
environment variable, or, for some, as an argument of the rotator, which goes before both.

```python
from proxywhirl import ProxyConfiguration, ProxyRotator

ProxyRotator(proxies=["http://10.0.0.1:8080"], config=ProxyConfiguration(timeout=10))
ProxyRotator(proxies=["http://10.0.0.1:8080"], config={"timeout": 10})
ProxyRotator(proxies=["http://10.0.0.1:8080"], timeout=10)
```

"""
_VARIABLES = """## Environment variables besides

| Variable | What it says |
|---|---|
| `PROXYWHIRL_ENGINE` | `native` or `httpx`: the [engine](engines.md) of rotators and transports that name none |
| `PROXYWHIRL_KEY` | the Fernet key that saved credentials are [encrypted](saving.md) with |
| `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` | proxies, with `trust_env=True` only |
| `SSL_CERT_FILE`, `SSL_CERT_DIR` | the authorities of certificates, with `trust_env=True` only |
| `XDG_CONFIG_HOME`, `APPDATA` | where the command line has its settings |
| `XDG_DATA_HOME` | where it has its pool |

"""


def page() -> str:
    """The text of the page."""
    return (
        "".join(
            [
                _HEAD,
                _configuration(),
                _VARIABLES,
                "## Arguments of a rotator\n\nOf `ProxyRotator` and `AsyncProxyRotator`.\n\n",
                _arguments(ProxyRotatorBase),
                "## Arguments of a transport\n\nOf `RotatingTransport` and `AsyncRotatingTransport`; those of a rotator that are not here belong to your "
                "`httpx.Client`.\n\n",
                _arguments(RotatingTransport),
                "## Settings of the command line\n\nIn the file that `--config` names, `[tool.proxywhirl]` of `./pyproject.toml`, or `config.toml` of the user's folder; "
                "as a variable with `PROXYWHIRL_` in front and in capitals, `proxies` and `data_storage` aside. "
                "[The command line](command-line.md) says which command goes by which.\n\n",
                _model(CLIConfig),
                "Of `data_storage`:\n\n",
                _model(DataStorageConfig),
                *(
                    f"## {kind.__name__}\n\n{_own(kind)}"
                    for kind in (RetryPolicy, BanPolicy, ResilienceConfig, StrategyConfig, CircuitBreakerConfig)
                ),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _configuration() -> str:
    told = _told(ProxyConfiguration)
    rows = [
        "| Setting | Environment | Argument of a rotator | Setting of the command line | Default | |\n|---|---|---|---|---|---|\n"
    ]
    for name, field in ProxyConfiguration.model_fields.items():
        argument = f"`{_ARGUMENTS[name]}`" if name in _ARGUMENTS else ""
        shell = _ON_THE_COMMAND_LINE.get(name, name)
        rows.append(
            f"| `{name}` | `PROXYWHIRL_{name.upper()}` | {argument} | {f'`{shell}`' if shell in CLIConfig.model_fields else ''} "
            f"| {_default(field.default)} | {told[name]} |\n"
        )
    return "".join(rows) + "\n"


def _own(kind: type) -> str:
    return _model(kind) if hasattr(kind, "model_fields") else _arguments(kind)


def _model(kind: Any) -> str:
    told = _told(kind)
    rows = (
        f"| `{name}` | {_default(field.get_default(call_default_factory=True))} | {told.get(name, '')} |\n"
        for name, field in kind.model_fields.items()
    )
    return "| Setting | Default | |\n|---|---|---|\n" + "".join(rows) + "\n"


def _arguments(kind: type) -> str:
    told = _told(kind)
    # A transport is made by its metaclass or its `__new__` in the same words as by `__init__`.
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    rows = (f"| `{item.name}` | {_default(item.default)} | {told.get(item.name, '')} |\n" for item in parameters)
    return "| Argument | Default | |\n|---|---|---|\n" + "".join(rows) + "\n"


def _told(kind: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("proxywhirl") and base.__doc__:
            for section in Docstring(inspect.cleandoc(base.__doc__)).parse("google", warnings=False):
                if section.kind in (DocstringSectionKind.parameters, DocstringSectionKind.attributes):
                    found.update((item.name, _cell(item.description)) for item in section.value)
    return found


def _cell(text: str) -> str:
    return " ".join(prose(text, lambda name: f"`{name.rpartition('.')[2]}`").split()).replace("|", "\\|")


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty or value is PydanticUndefined:
        return ""
    if getattr(value, "name", "") == "UNSET" or value is None:
        return "none"
    if isinstance(value, DataStorageConfig):
        return "see below"
    return f"`{getattr(value, 'value', value)!r}`"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"docs/settings.md is not what the code says: {sys.executable} scripts/site/settings.py")
