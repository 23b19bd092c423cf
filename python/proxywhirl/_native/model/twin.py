"""The pydantic model behind a native class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from proxywhirl._native.fields import REQUIRED, ModelSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

_ATTRIBUTE = "__proxywhirl_model__"


class Twin:
    """The field table of one class, and the pydantic model made from it on first use."""

    def __init__(self, cls: type, spec: ModelSpec, names: Mapping[str, Any]) -> None:
        self.spec = spec
        self.by_name = {field.name: field for field in spec.fields}
        self._title = cls.__name__
        self._names = names
        self._model: type[BaseModel] | None = None

    def model(self) -> type[BaseModel]:
        """The real model, made on first use."""
        if self._model is None:
            # Two threads may both get here; the models are alike, and the last one stays.
            self._model = self._make()
        return self._model

    def _make(self) -> type[BaseModel]:
        from pydantic import ConfigDict, Field, create_model

        names = {**_annotation_names(), **self._names}
        definitions: dict[str, Any] = {}
        for field in self.spec.fields:
            settings: dict[str, Any] = dict(field.bounds)
            if field.factory is not None:
                settings["default_factory"] = field.factory
            else:
                settings["default"] = ... if field.default is REQUIRED else field.default
            # The text comes from our own table, never from outside.
            annotation = eval(field.annotation, names)
            definitions[field.name] = (annotation, Field(**settings))
        config = ConfigDict(extra=self.spec.extra, arbitrary_types_allowed=True)  # type: ignore[typeddict-item]
        made: type[BaseModel] = create_model(self._title, __config__=config, **definitions)
        return made


def _annotation_names() -> dict[str, Any]:
    import typing
    from datetime import datetime

    from pydantic import BeforeValidator, HttpUrl, SecretStr

    from proxywhirl._native.enums import HealthStatus, ProxySource
    from proxywhirl._native.upper import find

    def id_text(value: Any) -> Any:
        return str(value) if isinstance(value, UUID) else value

    return {
        **{name: getattr(typing, name) for name in ("Any", "Dict", "List", "Literal", "Optional", "Set")},
        "UUID": UUID,
        "datetime": datetime,
        "HttpUrl": HttpUrl,
        "SecretStr": SecretStr,
        "HealthStatus": HealthStatus,
        "ProxySource": ProxySource,
        "GeoLocation": find("GeoLocation"),
        # Ids come as UUID or as text everywhere, and these fields store text.
        "IdText": typing.Annotated[str, BeforeValidator(id_text)],
    }


def set_twin(cls: type, twin: Twin) -> None:
    """Note on the class which model is behind it; subclasses inherit it."""
    setattr(cls, _ATTRIBUTE, twin)


def has_twin(cls: type) -> bool:
    """Whether a class, or a base of it, speaks the protocol."""
    return hasattr(cls, _ATTRIBUTE)


def twin_of(cls: type) -> Twin:
    """The model behind a class."""
    twin: Twin = getattr(cls, _ATTRIBUTE)
    return twin
