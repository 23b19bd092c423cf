"""``proxywhirl config``: the settings in force, and the user's file of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Optional

from proxywhirl._redact import scrub_text
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.output import Rows
from proxywhirl.cli.terminal import printable

__all__ = ["run"]

_TABLE = "tool.proxywhirl"


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; the exit status."""
    action = {"show": _show, "get": _get, "set": _set, "init": _init}[arguments.action]
    return action(arguments)


def _show(arguments: argparse.Namespace) -> int:
    settings, origins = _in_force(arguments)
    with Rows(("setting", "value", "from"), arguments.format) as rows:
        for name, value in settings.items():
            rows.add({"setting": name, "value": _shown(value), "from": origins[name]})
    return 0


def _get(arguments: argparse.Namespace) -> int:
    settings, _ = _in_force(arguments)
    if arguments.key not in settings:
        raise UsageError(_unknown(arguments.key, settings))
    print(_shown(settings[arguments.key]))
    return 0


def _set(arguments: argparse.Namespace) -> int:
    from proxywhirl.config import ProxyConfiguration

    tomlkit = _tomlkit()
    if arguments.key not in ProxyConfiguration.model_fields:
        raise UsageError(_unknown(arguments.key, ProxyConfiguration.model_fields))
    path = _file(arguments) or _user_file()
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    table: Any = document
    if path.name == "pyproject.toml":
        tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
        table = tool.setdefault("proxywhirl", tomlkit.table())
    before = {key: value for key, value in table.items() if key in ProxyConfiguration.model_fields}
    try:
        # Checked as a whole, for some settings need others.
        checked = ProxyConfiguration(**{**before, arguments.key: arguments.value})
    except ValueError as error:
        raise UsageError(printable(scrub_text(f"{arguments.key}: {_reason(error)}"))) from error
    value = checked.model_dump(mode="json")[arguments.key]
    if value is None:
        table.pop(arguments.key, None)
    else:
        table[arguments.key] = value
    _write(path, tomlkit.dumps(document))
    print(f"{arguments.key} = {_shown(value)} in {path}", file=sys.stderr)
    return 0


def _init(arguments: argparse.Namespace) -> int:
    from proxywhirl.config import ProxyConfiguration

    tomlkit = _tomlkit()
    path = Path(arguments.config) if arguments.config is not None else _user_file()
    if path.exists():
        raise CommandError(f"{path} is there already; change it with: proxywhirl config set KEY VALUE")
    document = tomlkit.document()
    document.add(tomlkit.comment("Settings of proxywhirl. What is commented out is the default."))
    for name, field in ProxyConfiguration.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default is None:
            document.add(tomlkit.comment(f"{name} ="))
        else:
            plain = getattr(default, "value", default)
            plain = plain if isinstance(plain, (bool, int, float, str)) else str(plain)
            document.add(tomlkit.comment(f"{name} = {tomlkit.item(plain).as_string()}"))
    _write(path, tomlkit.dumps(document))
    print(path)
    return 0


def _in_force(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """All settings, and where each comes from."""
    from proxywhirl.config import ProxyConfiguration, load_config_file

    path = _file(arguments)
    if arguments.config is not None and (path is None or not path.exists()):
        raise UsageError(f"{arguments.config} cannot be read: there is no such file")
    try:
        in_file = {} if path is None else load_config_file(path)
        config = ProxyConfiguration() if path is None else ProxyConfiguration.from_file(path)
    except (OSError, ValueError) as error:
        raise UsageError(printable(scrub_text(_reason(error)))) from error
    settings = config.model_dump(mode="json")
    origins = {}
    for name in settings:
        if f"PROXYWHIRL_{name.upper()}" in os.environ:
            origins[name] = f"PROXYWHIRL_{name.upper()}"
        else:
            origins[name] = str(path) if name in in_file else "default"
    return settings, origins


def _file(arguments: argparse.Namespace) -> Optional[Path]:
    """The file that settings are read from: the one named, the project's, the user's, or none."""
    if arguments.config is not None:
        return Path(arguments.config)
    project = Path("pyproject.toml")
    if project.is_file() and f"[{_TABLE}]" in project.read_text(encoding="utf-8", errors="replace"):
        return project
    user = _user_file()
    return user if user.is_file() else None


def _user_file() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "proxywhirl" / "config.toml"


def _write(path: Path, text: str) -> None:
    from proxywhirl.utils import atomic_write

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error


def _tomlkit() -> Any:
    try:
        import tomlkit
    except ImportError as error:
        raise CommandError("this needs tomlkit; install it with: pip install 'proxywhirl-rs[cli]'") from error
    return tomlkit


def _unknown(key: str, known: Any) -> str:
    return f"{printable(key)} is no setting; there are {', '.join(sorted(known))}"


def _reason(error: Exception) -> str:
    errors: Any = getattr(error, "errors", None)
    listed = errors() if callable(errors) else []
    return str(listed[0].get("msg", error)) if listed else str(error)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
