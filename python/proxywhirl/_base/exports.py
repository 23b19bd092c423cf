"""Packages that import the module of a name when the name is first used."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Callable

__all__ = ["on_first_use"]


def on_first_use(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Name of the package.
        homes: The module that each public name lives in.

    Returns:
        The two functions. A name is stored in the package when it has been found, so that it is asked for once.
    """
    own = vars(sys.modules[package])

    def find(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = own[name] = getattr(import_module(home), name)
        return value

    def names() -> list[str]:
        return sorted({*own, *homes})

    return find, names
