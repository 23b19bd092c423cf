"""From plain data to an object: ``model_validate``, ``model_copy`` and their relatives."""

from __future__ import annotations

import copy as _copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl._native.model.dump import any_serializer, secret_text
from proxywhirl._native.model.errors import error_from_details, masked_input, validation_error, without_secrets
from proxywhirl._native.model.twin import Twin, twin_of
from proxywhirl._native.redact import MASKED_USERINFO, SECRET_MASK

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails


def model_validate(cls: type[Any], /, obj: Any, *, from_attributes: bool | None = None, **ignored: Any) -> Any:
    """Make an object from data.

    Args:
        obj: An object of the class (returned as it is), a mapping, or with ``from_attributes`` any object.
        from_attributes: Whether the fields may be read from attributes.
        **ignored: Further arguments of pydantic's method.

    Returns:
        The object.

    Raises:
        pydantic.ValidationError: The data is not acceptable.
    """
    del ignored
    if isinstance(obj, cls):
        return obj
    if isinstance(obj, Mapping):
        return _build(cls, dict(obj))
    if from_attributes and not isinstance(obj, (str, bytes, int, float, list, tuple, set)) and obj is not None:
        return _build(cls, {name: getattr(obj, name) for name in twin_of(cls).by_name if hasattr(obj, name)})
    raise error_from_details(
        cls.__name__,
        [{"type": "model_type", "loc": (), "input": masked_input("", obj), "ctx": {"class_name": cls.__name__}}],
    )


def model_validate_json(cls: type[Any], /, json_data: Any, **options: Any) -> Any:
    """Make an object from JSON text.

    Args:
        json_data: Text or bytes.
        **options: As for ``model_validate``.

    Returns:
        The object.

    Raises:
        pydantic.ValidationError: The text is not JSON, or the data is not acceptable.
    """
    from pydantic_core import from_json

    try:
        data = from_json(json_data)
    except ValueError as error:
        details: list[InitErrorDetails] = [
            {"type": "json_invalid", "loc": (), "input": SECRET_MASK, "ctx": {"error": str(error)}}
        ]
        raise error_from_details(cls.__name__, details) from None
    return model_validate(cls, data, **options)


def _build(cls: type, data: dict[Any, Any]) -> Any:
    from pydantic import ValidationError

    twin = twin_of(cls)
    _restore_masked(cls.__name__, twin, data)
    model = twin.model()
    failure = None
    try:
        checked = model.model_validate(data)
    except ValidationError as error:
        failure = without_secrets(cls.__name__, error)
    if failure is not None:
        # Outside the block, so that the error of pydantic, which quotes the data, is not in its context either.
        raise failure
    values: dict[str, Any] = {}
    for name in checked.model_fields_set:
        value = getattr(checked, name)
        field = twin.by_name.get(name)
        if field is not None and value is not None:
            if field.secret:
                value = secret_text(value)
            elif field.url:
                value = str(value)
        values[name] = value
    try:
        return cls(**values)
    except TypeError as error:
        raise validation_error(cls.__name__, [("", str(error), data)]) from error


def _restore_masked(title: str, twin: Twin, data: dict[Any, Any]) -> None:
    """Undo the masking of a dump where the secrets are at hand, and refuse where they are lost.

    A Python dump carries them in ``SecretStr`` objects. A JSON dump does not, and a proxy with asterisks for a password
    would fail much later, far from the cause.
    """
    from urllib.parse import quote

    if "username" not in twin.by_name or "url" not in twin.by_name:
        return
    url = data.get("url")
    masked_url = isinstance(url, str) and MASKED_USERINFO in url
    pair = [data.get("username"), data.get("password")]
    texts = [None if secret is None else secret_text(secret) for secret in pair]
    if SECRET_MASK in texts or (masked_url and None in texts):
        message = "credentials are masked and cannot be restored: make the dump with reveal=True"
        raise validation_error(title, [("url" if masked_url else "username", message, SECRET_MASK)])
    if masked_url:
        username, password = (quote(text or "", safe="") for text in texts)
        data["url"] = str(url).replace(MASKED_USERINFO, f"{username}:{password}@", 1)


def model_construct(cls: type[Any], /, _fields_set: set[str] | None = None, **values: Any) -> Any:
    """Make an object from values that are known to be right; the native constructor still looks at them."""
    del _fields_set
    return cls(**values)


def model_copy(self: Any, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Any:
    """Copy the object.

    Args:
        update: Fields that differ in the copy; not validated.
        deep: Whether values are copied too.

    Returns:
        The copy.
    """
    made = _copy.deepcopy(self) if deep else _copy.copy(self)
    try:
        for name, value in (update or {}).items():
            setattr(made, name, value)
    except AttributeError:  # a class, or a field, that cannot be assigned
        return type(self)(**{**made._dump(), **(update or {})})
    return made


def copy_v1(
    self: Any,
    *,
    include: Any = None,
    exclude: Any = None,
    update: Mapping[str, Any] | None = None,
    deep: bool = False,
) -> Any:
    """The older name of ``model_copy``; with ``include`` or ``exclude`` the fields left out get their default."""
    if include is None and exclude is None:
        return model_copy(self, update=update, deep=deep)
    names = any_serializer().to_python(dict.fromkeys(self._dump()), include=include, exclude=exclude)
    values = {name: value for name, value in self._dump().items() if name in names}
    if deep:
        values = _copy.deepcopy(values)
    return type(self)(**{**values, **(update or {})})
