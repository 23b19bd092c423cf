"""Proxies and their counters."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar
from uuid import UUID

from pydantic import SecretStr
from typing_extensions import Self

from proxywhirl._native.enums import HealthStatus, ProxySource
from proxywhirl.models import GeoLocation, ProxyCredentials

class Proxy(_Model):
    def __new__(
        cls,
        url: str,
        *,
        id: UUID | str = ...,
        protocol: _Protocol | None = None,
        username: SecretStr | str | None = None,
        password: SecretStr | str | None = None,
        health_status: HealthStatus | str = ...,
        last_success_at: _Moment | None = None,
        last_failure_at: _Moment | None = None,
        requests_started: int = 0,
        requests_completed: int = 0,
        requests_active: int = 0,
        total_requests: int = 0,
        total_successes: int = 0,
        total_failures: int = 0,
        bytes_sent: int = 0,
        bytes_received: int = 0,
        average_response_time_ms: float | None = None,
        latency_ms: float | None = None,
        ema_response_time_ms: float | None = None,
        ema_alpha: float = 0.2,
        window_start: _Moment | None = None,
        window_duration_seconds: int = 3600,
        consecutive_failures: int = 0,
        tags: Iterable[str] = ...,
        source: ProxySource | str = ...,
        source_url: str | None = None,
        metadata: Mapping[str, Any] = ...,
        created_at: _Moment = ...,
        updated_at: _Moment = ...,
        ttl: int | None = None,
        expires_at: _Moment | None = None,
        cost_per_request: float | None = 0.0,
        spent: float = 0.0,
        geo_location: GeoLocation | Mapping[str, Any] | None = None,
        **extra: _TableFields,
    ) -> Self: ...
    max_history_entries: ClassVar[int]

    @property
    def id(self) -> UUID: ...
    @id.setter
    def id(self, value: UUID | str) -> None: ...
    url: str
    protocol: _Protocol

    @property
    def username(self) -> SecretStr | None: ...
    @username.setter
    def username(self, value: SecretStr | str | None) -> None: ...
    @property
    def password(self) -> SecretStr | None: ...
    @password.setter
    def password(self, value: SecretStr | str | None) -> None: ...
    @property
    def health_status(self) -> HealthStatus: ...
    @health_status.setter
    def health_status(self, value: HealthStatus | str) -> None: ...
    last_success_at: datetime | None
    last_failure_at: datetime | None
    requests_started: int
    requests_completed: int
    requests_active: int
    total_requests: int
    total_successes: int
    total_failures: int
    bytes_sent: int
    bytes_received: int
    average_response_time_ms: float | None
    latency_ms: float | None
    ema_response_time_ms: float | None
    ema_alpha: float
    window_start: datetime | None
    window_duration_seconds: int
    consecutive_failures: int

    @property
    def tags(self) -> set[str]: ...
    @tags.setter
    def tags(self, value: Iterable[str]) -> None: ...
    @property
    def source(self) -> ProxySource: ...
    @source.setter
    def source(self, value: ProxySource | str) -> None: ...
    source_url: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl: int | None
    expires_at: datetime | None
    cost_per_request: float | None
    spent: float

    @property
    def geo_location(self) -> GeoLocation | None: ...
    @geo_location.setter
    def geo_location(self, value: GeoLocation | Mapping[str, Any] | None) -> None: ...
    @property
    def credentials(self) -> ProxyCredentials | None: ...
    def _put_tags(self, tags: list[str]) -> None: ...
    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self: ...

class ProxyMetadataView(_Model):
    @property
    def proxy_id(self) -> UUID: ...
    @property
    def request_window(self) -> dict[datetime, int]: ...

class LatencyHistogram:
    def to_dict(self) -> dict[str, Any]: ...
    @staticmethod
    def from_dict(data: dict[str, Any]) -> LatencyHistogram: ...

class Journal:
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

def parse_proxy_url(url: str, require_port: bool = False) -> dict[str, Any]: ...
