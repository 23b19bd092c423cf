"""Making ``pydantic.ValidationError`` objects that show no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl._redact import SECRET_MASK, is_secret_key, mask_proxy_url, scrub_text

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails, ValidationError

__all__ = ["error_from_details", "masked_input", "validation_error", "without_secrets"]


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


def error_from_details(title: str, details: list[InitErrorDetails]) -> ValidationError:
    from pydantic_core import ValidationError

    return ValidationError.from_exception_data(title, details)


def without_secrets(title: str, error: ValidationError) -> ValidationError:
    """Copy an error of the twin, because pydantic's own quotes the input."""
    from pydantic_core import PydanticCustomError

    details: list[InitErrorDetails] = []
    for item in error.errors(include_url=False):
        field = str(item["loc"][-1]) if item["loc"] else ""
        detail: InitErrorDetails = {
            "type": item["type"],
            "loc": item["loc"],
            "input": masked_input(field, item["input"]),
        }
        if "ctx" in item:
            detail["ctx"] = item["ctx"]
        details.append(detail)
    try:
        return error_from_details(title, details)
    except (KeyError, TypeError, ValueError):  # a kind of error that only its maker can build
        for item, detail in zip(error.errors(include_url=False), details):
            message = scrub_text(item["msg"]).replace("{", "(").replace("}", ")")
            detail["type"] = PydanticCustomError("value_error", message)
            detail.pop("ctx", None)
        return error_from_details(title, details)


def _safe_message(field: str, message: str, value: Any) -> str:
    text = message
    if isinstance(value, str) and value:
        if is_secret_key(field):
            text = text.replace(value, SECRET_MASK)
        else:
            text = text.replace(value, mask_proxy_url(value))
    return scrub_text(text)


def masked_input(field: str, value: Any) -> Any:
    if is_secret_key(field) and value is not None:
        return SECRET_MASK
    if isinstance(value, str):
        return mask_proxy_url(value) if "://" in value else scrub_text(value)
    if isinstance(value, Mapping):
        return {key: masked_input(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_input(field, item) for item in value]
    return value
