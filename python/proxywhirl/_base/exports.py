"""Packages that import the module of a name when the name is first used."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Callable


def on_first_use(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    A name is stored in the package when it has been found, so that it is asked for once.
    """
    own = vars(sys.modules[package])
    modules = {name: module for module, names in homes.items() for name in names.split()}

    def find(name: str) -> Any:
        module = modules.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = own[name] = getattr(import_module(module), name)
        return value

    def known() -> list[str]:
        return sorted({*own, *modules})

    return find, known


def names_in(homes: Mapping[str, str]) -> list[str]:
    """The public names of all modules, sorted."""
    return sorted(name for names in homes.values() for name in names.split())
