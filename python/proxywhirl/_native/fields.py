"""The fields of the native classes, as pydantic would know them.

Order is the documented order of construction and of dumps. Annotations are text: they are read by
:mod:`proxywhirl._native.model` when pydantic is needed for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Callable, NamedTuple
from uuid import uuid4

from proxywhirl._core import Proxy
from proxywhirl._native.enums import HealthStatus, ProxySource


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""Default of a field that must be given."""


class FieldSpec(NamedTuple):
    """One field.

    Attributes:
        name: Its name.
        annotation: Its type, as text.
        default: Its default, or ``REQUIRED``.
        factory: Makes the default, when each object gets its own.
        bounds: Constraints for pydantic's ``Field``.
        enum: The enumeration its values belong to.
        secret: Whether the value is a secret.
        url: Whether the value is a URL that may carry credentials.
    """

    name: str
    annotation: str
    default: Any = None
    factory: Callable[[], Any] | None = None
    bounds: Mapping[str, float] = {}
    enum: type[Enum] | None = None
    secret: bool = False
    url: bool = False

    def is_default(self, value: Any) -> bool:
        """Whether a value is what the field would have had without being given."""
        if self.factory is not None:
            made = self.factory()
            # Ids and times are never twice the same; empty containers are.
            return isinstance(made, (list, dict, set)) and type(made) is type(value) and bool(made == value)
        if self.default is REQUIRED:
            return False
        return bool(value == self.default)


class ModelSpec(NamedTuple):
    """All fields of a class, and what happens to unknown ones: ``ignore``, ``allow`` or ``forbid``."""

    fields: tuple[FieldSpec, ...]
    extra: str = "ignore"


def _now() -> datetime:
    return datetime.now(timezone.utc)


_COUNT = {"ge": 0}
_ALPHA = {"ge": 0.0, "le": 1.0}


def _count(name: str) -> FieldSpec:
    return FieldSpec(name, "int", 0, bounds=_COUNT)


def _moment(name: str) -> FieldSpec:
    return FieldSpec(name, "Optional[datetime]")


_OF_KIND = {
    "Amount": lambda name: FieldSpec(name, "Optional[float]", bounds=_COUNT),
    "Count": _count,
    "Flag": lambda name: FieldSpec(name, "bool", False),
    "Text": lambda name: FieldSpec(name, "Optional[str]"),
    "Time": _moment,
}
"""The kinds of the core's table of fields (``src/proxy/table.rs``)."""

_OWN = (
    FieldSpec("id", "UUID", factory=uuid4),
    FieldSpec("url", "str", REQUIRED, url=True),
    FieldSpec("protocol", "Optional[Literal['http', 'https', 'socks4', 'socks5']]"),
    FieldSpec("username", "Optional[SecretStr]", secret=True),
    FieldSpec("password", "Optional[SecretStr]", secret=True),
    FieldSpec("health_status", "HealthStatus", HealthStatus.UNKNOWN, enum=HealthStatus),
    _moment("last_success_at"),
    _moment("last_failure_at"),
    _count("requests_started"),
    _count("requests_completed"),
    _count("requests_active"),
    _count("total_requests"),
    _count("total_successes"),
    _count("total_failures"),
    _count("bytes_sent"),
    _count("bytes_received"),
    FieldSpec("average_response_time_ms", "Optional[float]", bounds=_COUNT),
    FieldSpec("latency_ms", "Optional[float]", bounds=_COUNT),
    FieldSpec("ema_response_time_ms", "Optional[float]", bounds=_COUNT),
    FieldSpec("ema_alpha", "float", 0.2, bounds=_ALPHA),
    _moment("window_start"),
    FieldSpec("window_duration_seconds", "int", 3600, bounds={"gt": 0}),
    _count("consecutive_failures"),
    FieldSpec("tags", "Set[str]", factory=set),
    FieldSpec("source", "ProxySource", ProxySource.USER, enum=ProxySource),
    FieldSpec("source_url", "Optional[HttpUrl]", url=True),
    FieldSpec("metadata", "Dict[str, Any]", factory=dict),
    FieldSpec("created_at", "datetime", factory=_now),
    FieldSpec("updated_at", "datetime", factory=_now),
    FieldSpec("ttl", "Optional[int]"),
    _moment("expires_at"),
    FieldSpec("cost_per_request", "Optional[float]", 0.0, bounds=_COUNT),
    FieldSpec("spent", "float", 0.0, bounds=_COUNT),
    FieldSpec("geo_location", "Optional[GeoLocation]"),
)
"""The fields of a proxy with rules of their own."""


def _proxy() -> ModelSpec:
    """The fields of a proxy in the documented order, which is that of the core's table."""
    specs = {field.name: field for field in _OWN}
    specs.update({name: _OF_KIND[kind](name) for name, kind, _ in Proxy._table()})
    return ModelSpec(tuple(specs[name] for name in Proxy._fields()))


_POOL = ModelSpec(
    (
        FieldSpec("id", "UUID", factory=uuid4),
        FieldSpec("name", "str", "default"),
        FieldSpec("proxies", "List[Proxy]", factory=list),
        FieldSpec("max_pool_size", "int", 100, bounds={"gt": 0}),
        FieldSpec("auto_remove_dead", "bool", False),
        FieldSpec("dead_proxy_threshold", "int", 5, bounds={"gt": 0}),
        FieldSpec("created_at", "datetime", factory=_now),
        FieldSpec("updated_at", "datetime", factory=_now),
    )
)

_CONTEXT = ModelSpec(
    (
        FieldSpec("session_id", "Optional[str]"),
        FieldSpec("target_url", "Optional[str]", url=True),
        FieldSpec("target_country", "Optional[str]"),
        FieldSpec("target_region", "Optional[str]"),
        FieldSpec("request_priority", "Optional[int]", bounds={"ge": 0, "le": 10}),
        FieldSpec("timeout_ms", "Optional[float]"),
        FieldSpec("failed_proxy_ids", "List[IdText]", factory=list),
        FieldSpec("attempt_number", "int", 1, bounds={"ge": 1}),
        FieldSpec("metadata", "Dict[str, Any]", factory=dict),
        FieldSpec("preferred_country", "Optional[str]"),
        FieldSpec("max_response_time_ms", "Optional[float]"),
        FieldSpec("min_success_rate", "Optional[float]"),
        FieldSpec("exclude_proxy_ids", "Set[UUID]", factory=set),
    ),
    extra="allow",
)

_SESSION = ModelSpec(
    (
        FieldSpec("session_id", "str", REQUIRED),
        FieldSpec("proxy_id", "IdText", REQUIRED),
        FieldSpec("created_at", "datetime", factory=_now),
        FieldSpec("expires_at", "datetime", REQUIRED),
        FieldSpec("last_used_at", "datetime", factory=_now),
        _count("request_count"),
    ),
    extra="forbid",
)

MODELS: dict[str, ModelSpec] = {
    "Proxy": _proxy(),
    "ProxyPool": _POOL,
    "SelectionContext": _CONTEXT,
    "Session": _SESSION,
}
"""The native classes that speak the pydantic protocol."""
