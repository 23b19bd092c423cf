"""Names that are no settings, and what was meant."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from proxywhirl.config._defaults import ENV_PREFIX, Defaults

__all__ = ["UnknownName", "unknown_settings", "unknown_variables"]

# Read by themselves, and no fields of settings.
_VARIABLES = ("KEY", "ENGINE", "CACHE_ENCRYPTION_KEY", "CACHE_KEY_PREVIOUS")
# From the command line's file only: what is no single value.
_NOT_IN_ENVIRONMENT = ("proxies", "data_storage")


class UnknownName(NamedTuple):
    """A name that is no setting. Values are never part of it."""

    name: str
    """As it is written."""
    nearest: Optional[str]
    """The setting that was probably meant."""

    def __str__(self) -> str:
        hint = "" if self.nearest is None else f"; did you mean {self.nearest}?"
        return f"{self.name} is no setting{hint}"


def unknown_variables(environ: Optional[Mapping[str, str]] = None, also: Iterable[str] = ()) -> list[UnknownName]:
    """The variables that begin with ``PROXYWHIRL_`` and are read by nothing here.

    Args:
        environ: The environment; by default that of the process.
        also: Names of variables that settings refer to.
    """
    from proxywhirl.config._cli_models import CLIConfig

    names = os.environ if environ is None else environ
    known = {name for name in vars(Defaults) if not name.startswith("_") and name != "model_fields_set"}
    known |= set(CLIConfig.model_fields) - set(_NOT_IN_ENVIRONMENT)
    variables = {ENV_PREFIX + name.upper() for name in (*known, *_VARIABLES)} | set(also)
    strange = [name for name in names if name.upper().startswith(ENV_PREFIX) and name.upper() not in variables]
    return [UnknownName(name, _nearest_variable(name, variables)) for name in sorted(strange)]


def unknown_settings(names: Iterable[str]) -> list[UnknownName]:
    """Those of a file's names that the command line does not know.

    Args:
        names: Names of settings, those of the table ``data_storage`` with a dot.
    """
    from proxywhirl.config._cli_models import CLIConfig, DataStorageConfig

    known = set(CLIConfig.model_fields) | {f"data_storage.{name}" for name in DataStorageConfig.model_fields}
    # A file that several programs of ours read: what a rotator knows is none of the command line's business.
    passed = {name for name in vars(Defaults) if not name.startswith("_")}
    strange = [name for name in names if name not in known and name not in passed]
    return [UnknownName(name, _nearest(name, known | passed)) for name in sorted(strange)]


def _nearest_variable(name: str, variables: Iterable[str]) -> Optional[str]:
    # Without what all begin with, by which any two are alike.
    rest = [known[len(ENV_PREFIX) :] for known in variables if known.startswith(ENV_PREFIX)]
    near = _nearest(name[len(ENV_PREFIX) :].upper(), rest)
    return None if near is None else ENV_PREFIX + near


def _nearest(name: str, known: Iterable[str]) -> Optional[str]:
    from difflib import get_close_matches

    near = get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return near[0] if near else None
