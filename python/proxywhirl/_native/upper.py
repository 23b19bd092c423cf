"""What native classes need of packages above them.

The core and this package are below all others and name none of them. :mod:`proxywhirl` says where each of these
things lives; it is imported when it is first needed.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_homes: dict[str, str] = {}


def set_homes(homes: Mapping[str, str]) -> None:
    """Say where things live."""
    _homes.update(homes)


def find(name: str) -> Any:
    """Import one."""
    return getattr(import_module(_homes[name]), name)
