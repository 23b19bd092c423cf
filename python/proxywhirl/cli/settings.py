"""What the user's configuration says about a command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

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
        arguments.settings = known
        _tell_unknown(known)
    found: CLIConfig = known
    return found


def _tell_unknown(settings: CLIConfig) -> None:
    """Say which names were probably meant to be settings; what is like none of them may belong to others."""
    from proxywhirl.config._unknown import unknown_settings, unknown_variables

    names = [
        *(settings.model_extra or ()),
        *(f"data_storage.{name}" for name in settings.data_storage.model_extra or ()),
    ]
    for found in (*unknown_variables(also=[settings.encryption_key_env]), *unknown_settings(names)):
        if found.nearest is not None:
            print(f"proxywhirl: {printable(scrub_text(str(found)))}", file=sys.stderr)


def configured(arguments: argparse.Namespace, name: str) -> Any:
    """One setting, if the user has set it; ``None`` where only the default is in force."""
    settings = settings_of(arguments)
    return getattr(settings, name) if name in settings.model_fields_set else None


def reason_of(error: Exception) -> str:
    """What a user has to know of an error of the configuration: one line, without credentials."""
    place, reason = findings_of(error)[0]
    text = f"{place}: {reason}" if place else reason
    return printable(scrub_text(text.splitlines()[0] if text else type(error).__name__))
