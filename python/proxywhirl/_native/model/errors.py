"""Making ``pydantic.ValidationError`` objects that show no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import SECRET_MASK, is_secret_key, scrub_text, shown, shown_url

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails, ValidationError


def validation_error(title: str, errors: Iterable[tuple[str, str, Any]]) -> ValidationError:
    """Make the ``pydantic.ValidationError`` for bad input of a native class.

    Args:
        title: Name of the class.
        errors: For each error the field (empty for the whole object), the message and the value that was given.
            Secrets in messages and values are masked.

    Returns:
        The error, to be raised. Its type is ``value_error``.
    """
    details: list[InitErrorDetails] = []
    for field, message, value in errors:
        reason = ValueError(_safe_message(field, message, value))
        details.append(
            {
                "type": "value_error",
                "loc": (field,) if field else (),
                "input": masked_input(field, value),
                "ctx": {"error": reason},
            }
        )
    return error_from_details(title, details)


def findings_of(error: Exception) -> list[tuple[str, str]]:
    """What is wrong, by place: the findings of an error of pydantic, without the input; of any other error its text."""
    errors: Any = getattr(error, "errors", None)
    found = errors() if callable(errors) else []
    return [(".".join(map(str, one.get("loc", ()))), str(one["msg"])) for one in found] or [("", str(error))]


def error_from_details(title: str, details: list[InitErrorDetails]) -> ValidationError:
    """A ``ValidationError`` made of details."""
    from pydantic_core import ValidationError

    return ValidationError.from_exception_data(title, details)


def without_secrets(title: str, error: ValidationError) -> ValidationError:
    """Copy an error of pydantic, which quotes what was given, without the texts in it.

    Returns:
        The error, to be raised ``from None``. Of what was given it shows numbers, and addresses without credentials.
    """
    from pydantic_core import PydanticCustomError

    found = error.errors(include_url=False)
    details: list[InitErrorDetails] = []
    for item in found:
        field = str(item["loc"][-1]) if item["loc"] else ""
        given = item["input"]
        detail: InitErrorDetails = {
            "type": item["type"],
            "loc": tuple(_safe_place(part) if isinstance(part, str) else part for part in item["loc"]),
            "input": masked_input(field, given),
        }
        if "ctx" in item:
            detail["ctx"] = {name: _safe_context(value, given) for name, value in item["ctx"].items()}
        details.append(detail)
    try:
        return error_from_details(title, details)
    except (KeyError, TypeError, ValueError):  # a kind of error that only its maker can build
        for item, detail in zip(found, details):
            message = _safe_message("", item["msg"], item["input"]).replace("{", "(").replace("}", ")")
            detail["type"] = PydanticCustomError("value_error", message)
            detail.pop("ctx", None)
        return error_from_details(title, details)


def _safe_context(value: Any, given: Any) -> Any:
    if isinstance(value, Exception):
        return ValueError(_safe_message("", str(value), given))
    return _safe_message("", value, given) if isinstance(value, str) else value


def _safe_message(field: str, message: str, value: Any) -> str:
    text = message
    is_secret = is_secret_key(field)
    for secret in _texts_of(value, is_secret):
        mask = SECRET_MASK if is_secret else shown_url(secret)
        text = text.replace(repr(secret), repr(mask))
        if len(secret) >= _WORTH_HIDING:
            text = text.replace(secret, mask)
    return scrub_text(text)


# The name of a field, and the name or the id of something in a field.
_FIELD = re.compile(r"[a-z]+(?:_[a-z]+)*")
_PLACE = re.compile(r"[\w.\- ]{1,64}")
# A shorter text may well be a part of any word of a message.
_WORTH_HIDING = 4


def _texts_of(value: Any, is_secret: bool) -> list[str]:
    """The texts in what was given, but for names where nothing is secret: they say what is wrong."""
    if isinstance(value, str):
        return [value] if value and (is_secret or shown(value) != repr(value)) else []
    if isinstance(value, Mapping):
        return [text for key, item in value.items() for text in _texts_of(item, is_secret or is_secret_key(key))]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for item in value for text in _texts_of(item, is_secret)]
    return []


def masked_input(field: str, value: Any) -> Any:
    """What was given, as an error may show it."""
    if value is None or isinstance(value, (bool, int, float)):
        return SECRET_MASK if is_secret_key(field) and value is not None else value
    if isinstance(value, str):
        return shown_url(value) if "://" in value and not is_secret_key(field) else SECRET_MASK
    if isinstance(value, Mapping):
        return {_safe_key(key): masked_input(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [masked_input(field, item) for item in value]
    return f"<{type(value).__name__}>"


def _safe_key(key: Any) -> str:
    return key if isinstance(key, str) and _FIELD.fullmatch(key) else SECRET_MASK


def _safe_place(part: str) -> str:
    return part if _PLACE.fullmatch(part) else shown_url(part)
