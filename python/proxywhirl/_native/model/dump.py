"""From an object to plain data: ``model_dump`` and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from proxywhirl._native.fields import FieldSpec
from proxywhirl._native.model.twin import has_twin, twin_of
from proxywhirl._native.redact import SECRET_MASK, mask_proxy_url, scrub_text

if TYPE_CHECKING:
    from pydantic_core import SchemaSerializer


def model_dump(
    self: Any,
    *,
    mode: str = "python",
    include: Any = None,
    exclude: Any = None,
    by_alias: bool | None = None,
    exclude_unset: bool = False,
    exclude_defaults: bool = False,
    exclude_none: bool = False,
    reveal: bool = False,
    **ignored: Any,
) -> dict[str, Any]:
    """Return the fields as a dictionary, in the documented order.

    Args:
        mode: ``"python"`` keeps values, ``"json"`` turns them into what JSON knows.
        include: Fields to keep, as pydantic takes them.
        exclude: Fields to leave out, as pydantic takes them.
        by_alias: Accepted; there are no aliases.
        exclude_unset: The same as ``exclude_defaults``: what was given is not remembered.
        exclude_defaults: Leave out fields that have their default.
        exclude_none: Leave out fields that are ``None``.
        reveal: Show credentials; otherwise they are masked.
        **ignored: Further arguments of pydantic's method.

    Returns:
        The fields by name.
    """
    del by_alias, ignored
    json_mode = mode == "json"
    data = _plain(self, json_mode, reveal, exclude_defaults or exclude_unset, exclude_none)
    if json_mode or include is not None or exclude is not None:
        kept: dict[str, Any] = any_serializer().to_python(data, mode=mode, include=include, exclude=exclude)
        return kept
    return data


def model_dump_json(
    self: Any, *, indent: int | None = None, include: Any = None, exclude: Any = None, **options: Any
) -> str:
    """Return the fields as JSON.

    Args:
        indent: Blanks per level; ``None`` means one line.
        include: As for ``model_dump``.
        exclude: As for ``model_dump``.
        **options: As for ``model_dump``.

    Returns:
        The JSON text.
    """
    options.pop("mode", None)
    data = model_dump(self, mode="json", include=include, exclude=exclude, **options)
    return any_serializer().to_json(data, indent=indent).decode()


def _plain(self: Any, json_mode: bool, reveal: bool, skip_defaults: bool, skip_none: bool) -> dict[str, Any]:
    fields = twin_of(type(self)).by_name
    options = {
        "mode": "json" if json_mode else "python",
        "exclude_defaults": skip_defaults,
        "exclude_none": skip_none,
        "reveal": reveal,
    }
    data: dict[str, Any] = {}
    for name, value in self._dump().items():
        field = fields.get(name)
        if skip_none and value is None:
            continue
        if skip_defaults and field is not None and field.is_default(value):
            continue
        data[name] = value if value is None else _rendered(field, value, json_mode, reveal, options)
    return data


def _rendered(field: FieldSpec | None, value: Any, json_mode: bool, reveal: bool, options: dict[str, Any]) -> Any:
    if field is not None:
        if field.secret:
            return _rendered_secret(value, json_mode, reveal)
        if field.url:
            return str(value) if reveal else mask_proxy_url(str(value))
        if field.enum is not None and not isinstance(value, field.enum):
            return field.enum(value)
    return _nested(value, json_mode, reveal, options)


def _rendered_secret(value: Any, json_mode: bool, reveal: bool) -> Any:
    text = secret_text(value)
    if reveal:
        return text
    if json_mode:
        return SECRET_MASK
    from pydantic import SecretStr

    return SecretStr(text)


def secret_text(value: Any) -> str:
    """The text of a secret, be it wrapped or not."""
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _nested(value: Any, json_mode: bool, reveal: bool, options: dict[str, Any]) -> Any:
    if isinstance(value, str):
        # Free text can hold a URL too, for instance an error that was kept; enumeration members stay what they are.
        return value if reveal or isinstance(value, Enum) else scrub_text(value)
    if has_twin(type(value)):
        return model_dump(value, **options)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode=options["mode"])
    if hasattr(value, "get_secret_value"):
        return _rendered_secret(value, json_mode, reveal)
    if isinstance(value, Mapping):
        return {key: _nested(item, json_mode, reveal, options) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        # Sets have no order; JSON of the same object should be the same text every time.
        return sorted(value, key=str) if json_mode else set(value)
    if isinstance(value, (list, tuple)):
        items = (_nested(item, json_mode, reveal, options) for item in value)
        return tuple(items) if isinstance(value, tuple) else list(items)
    return value


_serializer: SchemaSerializer | None = None


def any_serializer() -> SchemaSerializer:
    """The serialiser of pydantic itself, for anything: it knows ``include``/``exclude`` and the JSON form of values."""
    global _serializer
    if _serializer is None:
        from pydantic_core import SchemaSerializer, core_schema

        _serializer = SchemaSerializer(core_schema.any_schema())
    return _serializer


def dict_v1(self: Any, **options: Any) -> dict[str, Any]:
    """The older name of ``model_dump``."""
    return model_dump(self, **options)


def json_v1(self: Any, **options: Any) -> str:
    """The older name of ``model_dump_json``."""
    return model_dump_json(self, **options)
