"""Sessions and contexts."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, overload
from uuid import UUID

from typing_extensions import Self

class SelectionContext(_Model):
    def __new__(
        cls,
        *,
        session_id: str | None = None,
        target_url: str | None = None,
        target_country: str | None = None,
        target_region: str | None = None,
        request_priority: int | None = None,
        timeout_ms: float | None = None,
        failed_proxy_ids: Iterable[UUID | str] | None = None,
        attempt_number: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        preferred_country: str | None = None,
        max_response_time_ms: float | None = None,
        min_success_rate: float | None = None,
        exclude_proxy_ids: Iterable[UUID | str] | None = None,
        **extra: Any,
    ) -> Self: ...
    session_id: str | None
    target_url: str | None
    target_country: str | None
    target_region: str | None
    request_priority: int | None
    timeout_ms: float | None
    failed_proxy_ids: list[str]
    attempt_number: int
    metadata: dict[str, Any]
    preferred_country: str | None
    max_response_time_ms: float | None
    min_success_rate: float | None
    exclude_proxy_ids: set[UUID]

    def __getattr__(self, name: str) -> Any: ...

class Session(_Model):
    def __new__(
        cls,
        *,
        session_id: str,
        proxy_id: str | UUID,
        created_at: _Moment = ...,
        expires_at: _Moment,
        last_used_at: _Moment = ...,
        request_count: int = 0,
    ) -> Self: ...
    session_id: str
    proxy_id: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime
    request_count: int

class SessionManager:
    @overload
    def create_session(self, session_id: str, proxy: Proxy, timeout_seconds: int = 300) -> Session: ...
    @overload
    def create_session(self, proxy: Proxy, timeout_seconds: int = 300) -> str: ...
    @property
    def sessions(self) -> Mapping[str, Session]: ...
    @property
    def _sessions(self) -> Mapping[str, Session]: ...
    def __contains__(self, session_id: object, /) -> bool: ...
