"""What pydantic needs of a class: its fields, its schema, how to validate and to serialise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl._native.model.dump import model_dump
from proxywhirl._native.model.twin import has_twin, twin_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class ModelFields:
    """``cls.model_fields``, made on first use."""

    def __get__(self, instance: object, owner: type) -> dict[str, FieldInfo]:
        return dict(twin_of(owner).model().model_fields)


def model_fields_set(self: Any) -> set[str]:
    """Fields that differ from their default; native objects do not remember which ones were given."""
    fields = twin_of(type(self)).by_name
    return {name for name, value in self._dump().items() if name not in fields or not fields[name].is_default(value)}


def model_json_schema(cls: type[Any], /, **options: Any) -> dict[str, Any]:
    """The JSON schema of the class; the arguments are those of pydantic's method."""
    return twin_of(cls).model().model_json_schema(**options)


def get_core_schema(cls: type[Any], /, source: Any, handler: Any) -> Any:
    """``__get_pydantic_core_schema__`` of the native classes."""
    from pydantic_core import core_schema

    del source, handler

    def serialise(value: Any, info: core_schema.SerializationInfo) -> Any:
        if not has_twin(type(value)):
            return value  # model_construct of the user's model may have put anything here
        context = getattr(info, "context", None)
        return model_dump(
            value,
            mode=info.mode,
            include=info.include,
            exclude=info.exclude,
            exclude_defaults=info.exclude_defaults,
            exclude_none=info.exclude_none,
            reveal=isinstance(context, dict) and context.get("reveal") is True,
        )

    return core_schema.no_info_plain_validator_function(
        cls.model_validate,
        # A name of its own makes JSON schemas refer to the class instead of repeating it.
        ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
        serialization=core_schema.plain_serializer_function_ser_schema(serialise, info_arg=True),
    )


def get_json_schema(cls: type[Any], /, core_schema: Any, handler: Any) -> Any:
    """``__get_pydantic_json_schema__`` of the native classes."""
    del core_schema  # it only names functions; the twin has the fields
    described = dict(twin_of(cls).model().__pydantic_core_schema__)
    # The twin has the same name, and two definitions of one name get long ones from older releases of pydantic.
    described.pop("ref", None)
    return handler(described)
