"""What the user's configuration says about a command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Optional

from proxywhirl._native.model.errors import findings_of
from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl.config import CLIConfig


def settings_of(arguments: argparse.Namespace) -> CLIConfig:
    """The configuration in force, read once per command line.

    Raises ``UsageError`` (it cannot be read, or a setting in it is wrong).
    """
    from proxywhirl.config import CLIConfig, load_config

    known: Any = getattr(arguments, "settings", None)
    if known is None:
        try:
            known = load_config(arguments.config)
        except ImportError as error:
            # An extra that reads TOML. Unasked for, a pyproject.toml is no reason to stop.
            if arguments.config is not None:
                raise UsageError(str(error)) from error
            known = CLIConfig()
        except (OSError, ValueError) as error:
            raise UsageError(reason_of(error)) from error
        else:
            _tell_unknown(arguments, known)
        arguments.settings = known
    found: CLIConfig = known
    return found


def _tell_unknown(arguments: argparse.Namespace, settings: CLIConfig) -> None:
    """Say which names were probably meant to be settings; what is like none of them may belong to others."""
    from proxywhirl.config._unknown import unknown_settings, unknown_variables

    names = names_in_file(arguments.config)
    for found in (*unknown_variables(also=[settings.encryption_key_env]), *unknown_settings(names)):
        if found.nearest is not None:
            print(f"proxywhirl: {printable(scrub_text(str(found)))}", file=sys.stderr)


def names_in_file(named: Optional[str]) -> list[str]:
    """The names of all settings in the file that is found, those of tables with a dot; empty without a file.

    Raises what ``discover_config`` and ``load_config_file`` do.
    """
    from proxywhirl.config import discover_config, load_config_file

    path = discover_config(named)
    names: list[str] = []
    for name, value in ({} if path is None else load_config_file(path)).items():
        names += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    return names


def configured(arguments: argparse.Namespace, name: str) -> Any:
    """One setting, if the user has set it; ``None`` where only the default is in force."""
    settings = settings_of(arguments)
    return getattr(settings, name) if name in settings.model_fields_set else None


def reason_of(error: Exception) -> str:
    """What a user has to know of an error of the configuration: one line, without credentials."""
    place, reason = findings_of(error)[0]
    text = f"{place}: {reason}" if place else reason
    return printable(scrub_text(text.splitlines()[0] if text else type(error).__name__))
