"""The pydantic protocol for the native classes.

Native objects keep their state in atomics shared with the core, so they cannot be ``BaseModel`` subclasses. They
get its methods from here instead: :func:`ensure_installed` sets them on the classes,
:mod:`proxywhirl._native.fields` says which fields there are. pydantic is imported when one of the methods is used, not
before.

What is checked and described (``model_validate``, ``model_fields``, JSON schema) goes through a real model that is
made from the field table, the *twin*: it turns plain data into proper values, and reports errors as pydantic does.
The object itself is then made by the native constructor, which knows the rules that take more than a type.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from proxywhirl._native.fields import MODELS, ModelSpec
from proxywhirl._native.model import build, describe, dump
from proxywhirl._native.model.errors import validation_error
from proxywhirl._native.model.twin import Twin, has_twin, set_twin

__all__ = ["ensure_installed", "install_class", "validation_error"]

_PROTOCOL: dict[str, Any] = {
    "model_dump": dump.model_dump,
    "model_dump_json": dump.model_dump_json,
    "dict": dump.dict_v1,
    "json": dump.json_v1,
    "model_validate": classmethod(build.model_validate),
    "model_validate_json": classmethod(build.model_validate_json),
    "model_construct": classmethod(build.model_construct),
    "model_copy": build.model_copy,
    "copy": build.copy_v1,
    "model_fields": describe.ModelFields(),
    "model_fields_set": property(describe.model_fields_set),
    "model_json_schema": classmethod(describe.model_json_schema),
    "__get_pydantic_core_schema__": classmethod(describe.get_core_schema),
    "__get_pydantic_json_schema__": classmethod(describe.get_json_schema),
}


def ensure_installed(core: ModuleType | None = None) -> None:
    """Set the protocol on all native classes that do not have it yet; ``import proxywhirl`` does it.

    Args:
        core: The native module; by default it is imported.
    """
    if core is None:
        from proxywhirl import _core

        core = _core
    names = vars(core)
    for name, spec in MODELS.items():
        if not has_twin(names[name]):
            install_class(names[name], spec, names)


def install_class(cls: type, spec: ModelSpec, names: Mapping[str, Any] | None = None) -> None:
    """Set the protocol on one class.

    Args:
        cls: The class; its objects have ``_dump() -> dict`` with the fields by name.
        spec: Its fields.
        names: What annotations may name besides the common types: the other native classes.
    """
    for name, member in _PROTOCOL.items():
        setattr(cls, name, member)
    set_twin(cls, Twin(cls, spec, names if names is not None else {}))
