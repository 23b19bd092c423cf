"""The base of the pydantic models: what they show, and what their errors say, holds no secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from proxywhirl._native.model.errors import without_secrets
from proxywhirl._native.redact import scrub_value

if TYPE_CHECKING:
    from typing_extensions import Self


class QuietModel(BaseModel):
    """A model whose ``repr``, ``str`` and errors hide what may be secret.

    ``repr`` and ``str`` hide the credentials of every URL. A ``pydantic.ValidationError`` names the field and the
    reason, in ``str``, ``errors()`` and ``json()`` alike, and of what was given shows numbers and addresses only:
    settings come from files and variables with passwords in them, and errors end in logs.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any, /) -> Any:
        from pydantic_core import core_schema

        def hide(value: Any, validate: Any) -> Any:
            try:
                return validate(value)
            except ValidationError as error:
                failure = without_secrets(cls.__name__, error)
            # Outside the block, so that the error of pydantic is not in its context either.
            raise failure

        # Around everything, the validators of subclasses included, which a validator of this class would not be.
        return core_schema.no_info_wrap_validator_function(hide, handler(source))

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Make an object from JSON text; see pydantic. A text that is not JSON is not quoted."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            failure = without_secrets(cls.__name__, error)
        raise failure

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
            return
        except ValidationError as error:
            failure = without_secrets(type(self).__name__, error)
        raise failure

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if isinstance(value, BaseModel) or value is None or isinstance(value, (bool, int, float)):
                yield name, value
            elif "://" in (text := str(value)):
                # URL objects of pydantic are not strings; showing their scrubbed text loses nothing.
                yield name, scrub_value(value if isinstance(value, (str, list, tuple, dict, set)) else text)
            else:
                yield name, value
