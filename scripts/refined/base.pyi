"""Aliases, and what Python installs on the classes that are documented as Pydantic models."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, type_check_only

from typing_extensions import Self, TypeAlias

_IncEx: TypeAlias = set[str] | set[int] | Mapping[str, Any] | Mapping[int, Any] | None
_Moment: TypeAlias = datetime | str | float
_Dict: TypeAlias = dict[str, Any]
_Protocol: TypeAlias = Literal["http", "https", "socks4", "socks5"]

@type_check_only
class _Model:
    model_fields: ClassVar[_Dict]

    @property
    def model_fields_set(self) -> set[str]: ...
    def model_dump(
        self,
        *,
        mode: Literal["json", "python"] | str = "python",
        include: _IncEx = None,
        exclude: _IncEx = None,
        context: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        round_trip: bool = False,
        warnings: bool | Literal["none", "warn", "error"] = True,
        serialize_as_any: bool = False,
        reveal: bool = False,
        **kwargs: Any,
    ) -> _Dict: ...
    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        include: _IncEx = None,
        exclude: _IncEx = None,
        context: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        round_trip: bool = False,
        warnings: bool | Literal["none", "warn", "error"] = True,
        serialize_as_any: bool = False,
        reveal: bool = False,
        **kwargs: Any,
    ) -> str: ...
    @classmethod
    def model_validate(cls, obj: Any, *, from_attributes: bool | None = None, **kwargs: Any) -> Self: ...
    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **kwargs: Any) -> Self: ...
    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self: ...
    @classmethod
    def model_json_schema(cls, **kwargs: Any) -> _Dict: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any: ...
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any: ...
    @staticmethod
    def _fields() -> list[str]: ...
    def _dump(self) -> _Dict: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def copy(
        self,
        *,
        include: _IncEx = None,
        exclude: _IncEx = None,
        update: Mapping[str, Any] | None = None,
        deep: bool = False,
    ) -> Self: ...
    def json(self, **options: Any) -> str: ...
    def dict(self, **options: Any) -> _Dict: ...
