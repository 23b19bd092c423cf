"""``proxywhirl config``: the settings in force, and the user's file of them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from proxywhirl._native.redact import mask_proxy_url, scrub_text
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.options import add_config, add_format, add_lock
from proxywhirl.cli.output import Rows
from proxywhirl.cli.settings import configured, reason_of, settings_of
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl.config import CLIConfig

HELP = "show and change the configuration"
DESCRIPTION = "Shows which settings are in force and where each comes from, and writes the user's file."
EPILOG = """\
Settings come from the environment (PROXYWHIRL_...), from a file, and from the defaults; the earlier one wins.
The file is the one of --config, else ./pyproject.toml if it has a table [tool.proxywhirl], else config.toml in the
user's folder. `set` writes the file anew, without its comments; passwords in it are encrypted.

examples:
  proxywhirl config show
  proxywhirl config get timeout
  proxywhirl config set timeout 20
  proxywhirl config init

exit status:
  0    done
  1    not done
  2    wrong usage, or no such setting
  4    another process holds the lock
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)
    add_lock(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show all settings")
    add_format(show)
    get = actions.add_parser("get", help="show one setting")
    get.add_argument("key", metavar="KEY", help="name of the setting, see config show")
    put = actions.add_parser("set", help="change one setting in the file")
    put.add_argument("key", metavar="KEY", help="name of the setting, see config show")
    put.add_argument("value", metavar="VALUE", help="what it is to be")
    actions.add_parser("init", help="write a file with the defaults, if there is none")


_HEAD = """\
# Settings of proxywhirl's command line. What is commented out is the default.
"""
_NESTED = "data_storage"


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; the exit status."""
    action = {"show": _show, "get": _get, "set": _set, "init": _init}[arguments.action]
    return action(arguments)


def _show(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    path = _found(arguments)
    in_file = set() if path is None else set(_flat(_read(path)))
    with Rows(("setting", "value", "from"), arguments.format or configured(arguments, "default_format")) as rows:
        for name, value in _flat(_plain(settings)).items():
            rows.add({"setting": name, "value": value, "from": _origin(name, in_file, path)})
    return 0


def _get(arguments: argparse.Namespace) -> int:
    settings = _flat(_plain(settings_of(arguments)))
    if arguments.key not in settings:
        _unknown(arguments.key, settings)
    print(_shown(settings[arguments.key]))
    return 0


def _set(arguments: argparse.Namespace) -> int:
    from proxywhirl.config import CLIConfig

    key, value = arguments.key, arguments.value
    if key not in _flat(CLIConfig().model_dump()):
        _unknown(key, _flat(CLIConfig().model_dump()))
    given: Any = re.split(r"[\s,]+", value.strip()) if key == "proxies" else value
    path, settings = remember(arguments, key, given)
    print(f"{key} = {_shown(_flat(_plain(settings))[key])} in {path}", file=sys.stderr)
    return 0


def remember(arguments: argparse.Namespace, key: str, given: Any) -> tuple[Path, CLIConfig]:
    """Write one setting into the file; the file, and all its settings.

    Raises ``UsageError`` (the setting is wrong, or the file cannot be read), ``CommandError`` (it cannot be written),
    ``SystemExit`` (another process holds the lock).
    """
    from proxywhirl.config import CLIConfig, config_folder, save_config

    with _locked(arguments):
        path = Path(arguments.config) if arguments.config is not None else _found(arguments)
        path = config_folder() / "config.toml" if path is None else path
        data = _read(path) if path.exists() else {}
        if key.startswith(f"{_NESTED}."):
            data[_NESTED] = {**data.get(_NESTED, {}), key.partition(".")[2]: given}
        else:
            data[key] = given
        try:
            settings = CLIConfig(**data)
        except ValueError as error:
            raise UsageError(reason_of(error)) from error
        try:
            save_config(settings, path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error
        except (ImportError, ValueError) as error:
            raise CommandError(reason_of(error)) from error
    return path, settings


def _init(arguments: argparse.Namespace) -> int:
    from proxywhirl._base.files import atomic_write, make_folder
    from proxywhirl.config import CLIConfig, config_folder, save_config

    path = Path(arguments.config) if arguments.config is not None else config_folder() / "config.toml"
    with _locked(arguments):
        if path.exists():
            raise CommandError(f"{path} is there already; change it with: proxywhirl config set KEY VALUE")
        try:
            if path.suffix == ".toml":
                make_folder(path.parent)
                atomic_write(path, _template(CLIConfig()), mode=0o600)
            else:
                save_config(CLIConfig(), path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error
        except (ImportError, ValueError) as error:
            raise CommandError(reason_of(error)) from error
    print(path)
    return 0


def _template(config: CLIConfig) -> str:
    """A file with all defaults as comments."""
    try:
        import tomli_w
    except ImportError as error:
        raise ImportError("this needs tomli-w; install it with: pip install 'proxywhirl-rs[cli]'") from error
    lines = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)).splitlines()
    empty = [f"{name} = " for name, value in config.model_dump().items() if value is None]
    nested = next(number for number, line in enumerate(lines) if line.startswith("["))
    lines[nested:nested] = [*empty, ""]
    return _HEAD + "".join(f"# {line}\n" if line else "\n" for line in lines)


def _locked(arguments: argparse.Namespace) -> Any:
    from proxywhirl.config import config_folder
    from proxywhirl.utils import CLILock

    return nullcontext() if arguments.no_lock else CLILock(config_folder())


def _found(arguments: argparse.Namespace) -> Any:
    """The file that settings are read from, ``None`` if there is none."""
    from proxywhirl.config import discover_config

    try:
        return discover_config(arguments.config)
    except (OSError, ValueError) as error:
        raise UsageError(reason_of(error)) from error
    except ImportError:
        return None


def _read(path: Path) -> dict[str, Any]:
    from proxywhirl.config import load_config_file

    try:
        return load_config_file(path)
    except ImportError as error:
        raise CommandError(str(error)) from error
    except (OSError, ValueError) as error:
        raise UsageError(reason_of(error)) from error


def _plain(settings: CLIConfig) -> dict[str, Any]:
    """Settings as plain values; of the proxies no more than may be shown."""
    plain = settings.model_dump(mode="json", exclude={"proxies"})
    return {"proxies": [mask_proxy_url(proxy.url) for proxy in settings.proxies], **plain}


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by name, with dots for those of a table."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if name == _NESTED and isinstance(value, dict):
            flat.update({f"{name}.{inner}": content for inner, content in value.items()})
        else:
            flat[name] = value
    return flat


def _origin(name: str, in_file: Iterable[str], path: Any) -> str:
    variable = f"PROXYWHIRL_{name.upper()}"
    if os.environ.get(variable) and name != "proxies" and "." not in name:
        return variable
    return str(path) if name in in_file else "default"


def _unknown(key: str, known: Iterable[str]) -> NoReturn:
    near = get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "see them with: proxywhirl config show"
    raise UsageError(f"{printable(key)} is no setting; {hint}")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return scrub_text(str(value))
