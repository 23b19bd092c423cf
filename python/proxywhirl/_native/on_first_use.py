"""The pydantic protocol of the native classes, set up when it is first used.

:mod:`proxywhirl._native.model` and what it needs take longer to import than everything else that ``import proxywhirl``
does, and most programs never dump or validate a proxy.
"""

from __future__ import annotations

from proxywhirl._native.upper import find, set_homes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

# Written down here because their tables are what should not be imported; a test compares.
CLASSES = ("Proxy", "ProxyPool", "SelectionContext", "Session")
METHODS = (
    "__get_pydantic_core_schema__",
    "__get_pydantic_json_schema__",
    "copy",
    "dict",
    "json",
    "model_construct",
    "model_copy",
    "model_dump",
    "model_dump_json",
    "model_fields",
    "model_fields_set",
    "model_json_schema",
    "model_validate",
    "model_validate_json",
)


class _OnFirstUse:
    """Stands for one member until it, or any other, is asked for."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        from proxywhirl._native.model import ensure_installed

        ensure_installed()  # puts the real members in the place of these
        return getattr(owner if instance is None else instance, self._name)


class _OfBreakers:
    """Stands for one member of the breaker until it, or any other, is asked for."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        find("install_breaker_files")()
        return getattr(owner if instance is None else instance, self._name)


def prepare(core: ModuleType, upper: Mapping[str, str]) -> None:
    """Let the native classes install the protocol, and what reads and writes files, when it is first used."""
    set_homes(upper)
    for class_name in CLASSES:
        cls = getattr(core, class_name)
        for name in METHODS:
            if name not in vars(cls):
                setattr(cls, name, _OnFirstUse(name))
    for name in ("create_with_storage", "delete_state", "load_state", "save_state"):
        setattr(core.CircuitBreaker, name, _OfBreakers(name))
