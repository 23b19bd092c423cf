"""The native module: proxies, pools, strategies, sessions and leases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Literal, final, overload, type_check_only
from uuid import UUID

from pydantic import SecretStr
from typing_extensions import Self, TypeAlias, disjoint_base

from proxywhirl._native.enums import CircuitBreakerState, Doubt, HealthStatus, Outcome, ProxyFormat, ProxySource
from proxywhirl._native.explain import Explanation
from proxywhirl._native.proxy_list import ProxyList
from proxywhirl.circuit_breaker._state import Storage as BreakerStorage
from proxywhirl.models import GeoLocation, ProxyCredentials
from proxywhirl.strategies._adapter import Adapter

__version__: str

# ---------------------------------------------------------------------------------------------------------------------
# What the shim installs on the classes that are documented as Pydantic models
# ---------------------------------------------------------------------------------------------------------------------

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

# ---------------------------------------------------------------------------------------------------------------------
# Proxies
# ---------------------------------------------------------------------------------------------------------------------

@disjoint_base
class Proxy(_Model):
    """One proxy: its address, its state and its counters."""

    def __new__(
        cls,
        url: str,
        *,
        id: UUID | str = ...,
        protocol: _Protocol | None = None,
        username: SecretStr | str | None = None,
        password: SecretStr | str | None = None,
        allow_local: bool = False,
        rotating: bool = False,
        health_status: HealthStatus | str = ...,
        last_success_at: _Moment | None = None,
        last_failure_at: _Moment | None = None,
        requests_started: int = 0,
        requests_completed: int = 0,
        requests_active: int = 0,
        total_requests: int = 0,
        total_successes: int = 0,
        total_failures: int = 0,
        average_response_time_ms: float | None = None,
        latency_ms: float | None = None,
        ema_response_time_ms: float | None = None,
        ema_alpha: float = 0.2,
        window_start: _Moment | None = None,
        window_duration_seconds: int = 3600,
        country_code: str | None = None,
        region: str | None = None,
        consecutive_failures: int = 0,
        last_health_check: _Moment | None = None,
        consecutive_successes: int = 0,
        recovery_attempt: int = 0,
        next_check_time: _Moment | None = None,
        last_health_error: str | None = None,
        total_checks: int = 0,
        total_health_failures: int = 0,
        tags: Iterable[str] = ...,
        source: ProxySource | str = ...,
        source_url: str | None = None,
        metadata: Mapping[str, Any] = ...,
        created_at: _Moment = ...,
        updated_at: _Moment = ...,
        ttl: int | None = None,
        expires_at: _Moment | None = None,
        cost_per_request: float | None = 0.0,
        geo_location: GeoLocation | Mapping[str, Any] | None = None,
        **extra: Any,
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
    allow_local: bool
    rotating: bool
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
    average_response_time_ms: float | None
    latency_ms: float | None
    ema_response_time_ms: float | None
    ema_alpha: float
    window_start: datetime | None
    window_duration_seconds: int
    country_code: str | None
    region: str | None
    consecutive_failures: int
    last_health_check: datetime | None
    consecutive_successes: int
    recovery_attempt: int
    next_check_time: datetime | None
    last_health_error: str | None
    total_checks: int
    total_health_failures: int
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
    @property
    def geo_location(self) -> GeoLocation | None: ...
    @geo_location.setter
    def geo_location(self, value: GeoLocation | Mapping[str, Any] | None) -> None: ...
    @property
    def success_rate(self) -> float: ...
    @property
    def is_healthy(self) -> bool: ...
    @property
    def is_expired(self) -> bool: ...
    @property
    def credentials(self) -> ProxyCredentials | None: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def window_request_count(self) -> int: ...
    @property
    def history(self) -> list[Any]: ...
    def start_request(self) -> None: ...
    def complete_request(self, success: bool, response_time_ms: float, alpha: float | None = None) -> None: ...
    def record_success(self, response_time_ms: float, alpha: float | None = None) -> None: ...
    def record_failure(self, error: str | None = None) -> None: ...
    def update_metrics(self, response_time_ms: float, alpha: float | None = None) -> None: ...
    def record_request(self, success: bool, duration_ms: float) -> None: ...
    def _note_request(self, success: bool, duration_ms: float) -> None: ...
    def reset_window(self) -> None: ...
    def is_window_expired(self) -> bool: ...
    def reset_if_expired(self) -> bool: ...
    def _metadata(self) -> ProxyMetadataView: ...
    def _put_tags(self, tags: list[str]) -> None: ...
    def _key(self) -> str: ...
    def _log_in(self, username: str, password: str) -> bool: ...
    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __hash__(self) -> int: ...

@final
class ProxyMetadataView(_Model):
    """A proxy's counters as ``ProxyMetadata`` documents them: a live view, not a copy."""

    @property
    def proxy_id(self) -> UUID: ...
    @property
    def requests_started(self) -> int: ...
    @property
    def requests_completed(self) -> int: ...
    @property
    def requests_successful(self) -> int: ...
    @property
    def requests_failed(self) -> int: ...
    @property
    def requests_active(self) -> int: ...
    @property
    def ema_response_time_ms(self) -> float | None: ...
    @property
    def ema_alpha(self) -> float: ...
    @property
    def last_updated(self) -> datetime: ...
    @property
    def request_window(self) -> dict[datetime, int]: ...
    @property
    def window_duration_seconds(self) -> int: ...
    @property
    def window_request_count(self) -> int: ...
    def increment_started(self) -> None: ...
    def record_completion(self, success: bool, response_time_ms: float) -> None: ...

@final
class LatencyHistogram:
    def __new__(cls) -> Self: ...
    @property
    def count(self) -> int: ...
    @property
    def sum(self) -> float: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def min(self) -> float | None: ...
    @property
    def max(self) -> float | None: ...
    def record(self, ms: float) -> None: ...
    def merge(self, other: LatencyHistogram) -> None: ...
    def quantile(self, q: float) -> float | None: ...
    def to_dict(self) -> dict[str, Any]: ...
    @staticmethod
    def from_dict(data: dict[str, Any]) -> LatencyHistogram: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class Journal:
    """Notes the starts and completions made on this thread while it is open."""

    def __new__(cls) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    def settle_start(self, proxy: Proxy) -> None: ...
    def settle_completion(
        self, proxy: Proxy, success: bool, response_time_ms: float, alpha: float | None = None
    ) -> None: ...
    def rollback(self) -> None: ...

def _locks_held() -> int | None: ...
def _panic(text: str | None = None) -> None: ...
def _refuse_subinterpreters() -> None: ...
def judge_status(
    status: int, tunnelled: bool = False, retry_after: bool = False, ban: bool = False
) -> Outcome | Doubt: ...
def judge_connect(status: int, told: str = "") -> Outcome | Doubt: ...
def judge_socks(reply: int, version: int) -> Outcome | Doubt: ...
def basic_authorization(username: str, password: str) -> bytes: ...

@final
class HandshakeRefusal:
    """Why a proxy does not open the way, and what that says of it."""

    @property
    def message(self) -> str: ...
    @property
    def outcome(self) -> Outcome | Doubt: ...
    @property
    def retry_after(self) -> float | None: ...

@final
class ProxyHandshake:
    """What is said to a proxy before it passes bytes on: CONNECT, SOCKS4, SOCKS5."""

    def __new__(
        cls,
        protocol: str,
        host: str,
        port: int,
        login: tuple[str, str] | None = None,
        authorization: bytes | None = None,
    ) -> Self: ...
    def start(self) -> bytes | HandshakeRefusal: ...
    def feed(self, data: bytes) -> bytes | HandshakeRefusal | None: ...

@final
class LoginSecrets:
    """A login, and how it looks when a proxy repeats it."""

    def __new__(cls, username: str, password: str) -> Self: ...
    @staticmethod
    def of_authorization(value: bytes) -> LoginSecrets: ...
    def gives_away(self, text: str) -> bool: ...
    def occur_in(self, text: str) -> bool: ...
    def scrub(self, text: str) -> str: ...

def is_plain_name(value: str) -> bool: ...
def is_secret_key(key: str) -> bool: ...
def mask_url(url: str) -> str: ...
def redact_url(url: str) -> str: ...
def scrub_text(message: str) -> str: ...
def shown_url(url: str) -> str: ...
def site_key(url: str) -> str: ...
def parse_proxy_url(url: str, require_port: bool = False) -> dict[str, Any]: ...

# ---------------------------------------------------------------------------------------------------------------------
# Pools and leases
# ---------------------------------------------------------------------------------------------------------------------

@final
class AddReport:
    """What became of a bulk addition."""

    @property
    def added(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def errors(self) -> list[tuple[int, str, str]]: ...

@final
class AttemptBook:
    """What became of attempts: the latest one by one, older ones by the hour."""

    def __new__(cls, retention_hours: int, max_recent: int, max_proxies: int) -> Self: ...
    def __len__(self) -> int: ...
    def begin(self) -> AttemptLog: ...
    def count_into(self, metrics: AttemptMetrics | None = None) -> None: ...
    def record(self, entry: tuple[Any, ...]) -> None: ...
    def recent(self) -> list[tuple[str, int, str, float, str, int | None, float, float, str | None]]: ...
    def keep_between(self, first: float, last: float) -> None: ...
    def hours(self, since: float) -> list[tuple[int, int, int, float, dict[int, int], dict[str, int]]]: ...
    def by_proxy(self, since: float) -> dict[str, tuple[int, int, float]]: ...
    def mean_latencies(self, proxy_ids: list[str], last: int) -> dict[str, float]: ...

@final
class AttemptLog:
    """The attempts of one request, written down as its leases are settled."""

@final
class AttemptMetrics:
    """Attempts by proxy, by site and by outcome."""

    def __new__(cls, most_groups: int) -> Self: ...
    def record(
        self,
        proxy_id: Any,
        site: str | None,
        outcome: Outcome | str,
        elapsed_ms: float | None,
        now: float | None = None,
    ) -> None: ...
    def move_between(
        self, proxy_id: Any, site: str, before: Outcome | str, after: Outcome | str, count: int
    ) -> None: ...
    def totals(self, now: float | None = None) -> tuple[dict[str, Any], float]: ...
    def groups(self, by: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]: ...

@final
class WaitingLine:
    """Requests that wait until a proxy is admissible: first come, first served; threads and tasks in one line."""

    @property
    def waiting(self) -> int: ...
    @property
    def _groups(self) -> int: ...
    def is_useless(self, error: BaseException, seconds: float | None = None) -> bool: ...
    def wait(self, key: str, take: Callable[[], Any], seconds: float | None = None) -> Any: ...
    def join(self, key: str, take: Callable[[], Any], seconds: float | None, wake: Callable[[], object]) -> Place: ...
    def look(self) -> None: ...
    def dismiss(self, error_for: Callable[[Callable[[], Any]], BaseException | None]) -> int: ...

@final
class Place:
    """The place of a task in a `WaitingLine`."""

    @property
    def is_settled(self) -> bool: ...
    def sleep(self) -> float | None: ...
    def check(self) -> bool: ...
    def leave(self) -> None: ...
    def result(self) -> Any: ...

@final
class ConnectionsLimit:
    """A limit on the connections in use through each proxy of a pool, in force as long as it lives."""

    def __new__(cls, pool: ProxyPool, most: int) -> Self: ...

@final
class RejectedLine:
    """A line of a list that named no proxy; its excerpt shows no credentials."""

    @property
    def line(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def excerpt(self) -> str: ...

@final
class ParsedIterator:
    """Goes through the proxies of a list."""

    def __iter__(self) -> ParsedIterator: ...
    def __next__(self) -> dict[str, Any]: ...
    def __length_hint__(self) -> int: ...

@final
class ParsedProxies:
    """The proxies that a list names, and what became of its other lines; dictionaries are made when asked for."""

    @property
    def rejected(self) -> list[RejectedLine]: ...
    @property
    def rejected_count(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def blank(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def format(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def gzip(self) -> bool: ...
    @property
    def truncated(self) -> bool: ...
    def urls(self) -> list[str]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[dict[str, Any]]: ...
    def __iter__(self) -> ParsedIterator: ...

@final
class CheckResult:
    """What a check found about one proxy. Its ``url`` holds credentials, its ``repr`` does not."""

    @property
    def index(self) -> int: ...
    @property
    def url(self) -> str: ...
    @property
    def is_valid(self) -> bool: ...
    @property
    def error(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def stage(self) -> Literal["format", "dns", "tcp", "http", "anonymity"]: ...
    @property
    def protocol(self) -> Literal["http", "https", "socks4", "socks5"]: ...
    @property
    def tunnels_only(self) -> bool: ...
    @property
    def connect_ms(self) -> float | None: ...
    @property
    def response_time_ms(self) -> float | None: ...
    @property
    def total_ms(self) -> float: ...
    @property
    def status(self) -> int | None: ...
    @property
    def anonymity(self) -> Literal["transparent", "anonymous", "elite"] | None: ...
    @property
    def exit_address(self) -> str | None: ...
    @property
    def bytes_read(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class CheckRun:
    """Checks under way. Results are taken as they come, from any thread. Collected, it ends them."""

    def __new__(
        cls,
        proxies: ParsedProxies | ProxyPool | Iterable[Proxy | str | dict[str, Any]],
        *,
        record: bool = False,
        level: str | None = None,
        targets: Iterable[str] | None = None,
        judge: str | None = None,
        statuses: list[int] | None = None,
        contains: bytes | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
        per_host: int | None = None,
        max_total_bytes: int | None = None,
        max_body: int | None = None,
        max_redirects: int | None = None,
        detect: bool | None = None,
        anonymity: str | None = None,
        own_addresses: Iterable[str] | None = None,
        user_agent: str | None = None,
        verify: bool | str | None = None,
    ) -> CheckRun: ...
    @property
    def total(self) -> int: ...
    @property
    def bytes_read(self) -> int: ...
    def take(self, most: int = 256) -> list[CheckResult] | None: ...
    def next_batch(self, most: int = 256) -> list[CheckResult] | None: ...
    def on_ready(self, callback: Callable[[], object]) -> None: ...
    def cancel(self) -> None: ...

def parse_proxies(
    data: bytes | str,
    *,
    format: ProxyFormat | str | None = None,
    protocol: str | None = None,
    instead_of_http: str | None = None,
    public_only: bool = False,
    key: str | None = None,
    selector: str | None = None,
    columns: Iterable[str] | None = None,
    renames: list[tuple[str, str]] | None = None,
    delimiter: str | None = None,
    keep_duplicates: bool = False,
    max_bytes: int | None = None,
    max_line: int | None = None,
    max_rejected: int | None = None,
    max_entries: int | None = None,
    max_faults: int | None = None,
    max_expansion: int | None = None,
) -> ParsedProxies: ...
def parse_proxy_file(
    path: str | PathLike[str],
    *,
    format: ProxyFormat | str | None = None,
    protocol: str | None = None,
    instead_of_http: str | None = None,
    public_only: bool = False,
    key: str | None = None,
    selector: str | None = None,
    columns: Iterable[str] | None = None,
    renames: list[tuple[str, str]] | None = None,
    delimiter: str | None = None,
    keep_duplicates: bool = False,
    max_bytes: int | None = None,
    max_line: int | None = None,
    max_rejected: int | None = None,
    max_entries: int | None = None,
    max_faults: int | None = None,
    max_expansion: int | None = None,
) -> ParsedProxies: ...
def read_proxy_entry(entry: dict[str, Any], *, protocol: str | None = None) -> list[dict[str, Any]]: ...
def address_locality(host: str) -> Literal["public", "localhost", "private"]: ...
def ascii_host(host: str) -> str: ...
def deduplicate(proxies: Iterable[Any]) -> list[Any]: ...

@disjoint_base
class ProxyPool(_Model):
    """Many proxies, in order of insertion, found by id, URL, tag, source and country."""

    def __new__(
        cls,
        *,
        id: UUID | str = ...,
        name: str = "default",
        proxies: Iterable[Proxy | str | Mapping[str, Any]] = ...,
        max_pool_size: int = 100,
        auto_remove_dead: bool = False,
        dead_proxy_threshold: int = 5,
        created_at: _Moment = ...,
        updated_at: _Moment = ...,
        **extra: Any,
    ) -> Self: ...
    @property
    def id(self) -> UUID: ...
    @id.setter
    def id(self, value: UUID | str) -> None: ...
    name: str
    @property
    def proxies(self) -> ProxyList: ...
    @proxies.setter
    def proxies(self, value: Iterable[Proxy | str]) -> None: ...
    max_pool_size: int
    auto_remove_dead: bool
    dead_proxy_threshold: int
    created_at: datetime
    updated_at: datetime

    @property
    def size(self) -> int: ...
    @property
    def healthy_count(self) -> int: ...
    @property
    def unhealthy_count(self) -> int: ...
    @property
    def total_requests(self) -> int: ...
    @property
    def overall_success_rate(self) -> float: ...
    def add_proxy(self, proxy: Proxy | str) -> None: ...
    def add_many(
        self,
        urls: Iterable[str],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        source: ProxySource | str | None = None,
        tags: Iterable[str] | None = None,
    ) -> AddReport: ...
    def load(
        self,
        data: bytes | str | ParsedProxies,
        *,
        source: ProxySource | str | None = None,
        tags: Iterable[str] | None = None,
        allow_local: bool = False,
        format: ProxyFormat | str | None = None,
        protocol: str | None = None,
        instead_of_http: str | None = None,
        public_only: bool = False,
        key: str | None = None,
        selector: str | None = None,
        columns: Iterable[str] | None = None,
        renames: list[tuple[str, str]] | None = None,
        delimiter: str | None = None,
        keep_duplicates: bool = False,
        max_bytes: int | None = None,
        max_line: int | None = None,
        max_rejected: int | None = None,
        max_entries: int | None = None,
        max_faults: int | None = None,
        max_expansion: int | None = None,
    ) -> AddReport: ...
    def load_file(
        self,
        path: str | PathLike[str],
        *,
        source: ProxySource | str | None = None,
        tags: Iterable[str] | None = None,
        allow_local: bool = False,
        format: ProxyFormat | str | None = None,
        protocol: str | None = None,
        instead_of_http: str | None = None,
        public_only: bool = False,
        key: str | None = None,
        selector: str | None = None,
        columns: Iterable[str] | None = None,
        renames: list[tuple[str, str]] | None = None,
        delimiter: str | None = None,
        keep_duplicates: bool = False,
        max_bytes: int | None = None,
        max_line: int | None = None,
        max_rejected: int | None = None,
        max_entries: int | None = None,
        max_faults: int | None = None,
        max_expansion: int | None = None,
    ) -> AddReport: ...
    def remove_proxy(self, proxy_id: UUID | str) -> None: ...
    def update_proxy(self, proxy: Proxy) -> None: ...
    def get_proxy_by_id(self, id: UUID | str) -> Proxy | None: ...
    def get_proxy_by_url(self, url: str) -> Proxy | None: ...
    def get_healthy_proxies(self) -> list[Proxy]: ...
    def get_all_proxies(self) -> list[Proxy]: ...
    def filter_by_tags(self, tags: Iterable[str]) -> list[Proxy]: ...
    def filter_by_source(self, source: ProxySource | str) -> list[Proxy]: ...
    def filter_by_country(self, code: str) -> list[Proxy]: ...
    def clear_unhealthy(self) -> int: ...
    def clear_expired(self) -> int: ...
    def get_source_breakdown(self) -> dict[str, int]: ...
    def reset_counters(self) -> None: ...
    def select_next(self) -> Proxy: ...
    @classmethod
    def from_file(
        cls, path: str | PathLike[str], lazy: bool = False, *, encryption_key: str | bytes | None = None
    ) -> Self: ...
    def lease(
        self,
        strategy: Strategy | Adapter,
        url: str | None = None,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        exclude: Iterable[UUID | str] | None = None,
        context: SelectionContext | None = None,
        connects: bool = False,
        attempt: int = 1,
        timeout: float | Callable[[], float | None] | None = None,
        log: AttemptLog | None = None,
        observer: Callable[[Lease, Outcome | None, float, Any, int | None], object] | None = None,
        judge: Callable[[str | None, Any, Any, Any, Any], tuple[Any, ...]] | None = None,
    ) -> Lease: ...
    def explain(
        self,
        url: str | None = None,
        *,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        exclude: Iterable[UUID | str] | None = None,
        context: SelectionContext | None = None,
        strategy: Strategy | Adapter | None = None,
    ) -> Explanation: ...
    def _explain(
        self,
        url: str | None = None,
        *,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        exclude: Iterable[UUID | str] | None = None,
        context: SelectionContext | None = None,
        strategy: Strategy | Adapter | None = None,
    ) -> list[tuple[Proxy, list[str], datetime | None]]: ...
    def _keep_window(self, seconds: int) -> None: ...
    def _guard_configure(
        self,
        *,
        failure_threshold: int = 5,
        window_duration: float = 60.0,
        timeout_duration: float = 30.0,
        success_threshold: int = 1,
        failure_rate: float = 0.5,
        max_in_flight: int | None = None,
        slow_start: bool = False,
        proxy_rate: tuple[float, float, float | None] | None = None,
        site_rate: tuple[float, float, float | None] | None = None,
        rest_base: float = 10.0,
        rest_cap: float = 300.0,
        bench_base: float = 300.0,
        bench_cap: float = 3600.0,
        panic_share: float = 0.5,
        panic_window: float = 10.0,
        max_standings: int = 100_000,
        site_key: str | Callable[[str], str] | None = None,
    ) -> None: ...
    def _breaker_of(self, proxy_id: UUID | str) -> CircuitBreaker: ...
    def _set_breaker(self, proxy_id: UUID | str, breaker: CircuitBreaker) -> None: ...
    def _log_in(self, username: str, password: str) -> None: ...
    def _waiting_line(self) -> WaitingLine: ...
    def _set_notice(self, notice: Callable[[str, Proxy | None, dict[str, Any]], object] | None) -> None: ...
    def _next_due(self) -> float | None: ...
    def _standings(self) -> list[tuple[Proxy, str, str, datetime | None, int]]: ...
    def __contains__(self, proxy: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __iter__(self) -> Iterator[Proxy]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def _item(self, index: int) -> Proxy: ...
    def _set_item(self, index: int, proxy: Proxy) -> None: ...
    def _del_item(self, index: int) -> None: ...
    def _insert(self, index: int, proxy: Proxy) -> None: ...
    def _replace_all(self, proxies: list[Proxy]) -> None: ...

@final
class Lease:
    """One proxy, taken for one piece of work, until its outcome is told."""

    @property
    def proxy(self) -> Proxy: ...
    @property
    def id(self) -> UUID: ...
    @property
    def url(self) -> str: ...
    def url_for(self, client: str) -> str: ...
    @property
    def requests_proxies(self) -> dict[str, str]: ...
    @property
    def playwright_proxy(self) -> dict[str, str]: ...
    @property
    def site(self) -> str | None: ...
    @property
    def closed(self) -> bool: ...
    def report(
        self,
        status: Any = None,
        headers: Any = None,
        body: bytes | bytearray | str | None = None,
        error: BaseException | str | None = None,
        elapsed_ms: float | None = None,
        bytes_sent: int = 0,
        bytes_received: int = 0,
    ) -> Outcome: ...
    def success(self, elapsed_ms: float | None = None) -> None: ...
    def failure(self, error: BaseException | str | None = None) -> None: ...
    def banned(self, cooldown: float | None = None) -> None: ...
    def release(self) -> None: ...
    def finish(
        self,
        outcome: Outcome | str,
        elapsed_ms: float | None = None,
        error: BaseException | str | None = None,
        *,
        hold: float | None = None,
        status: int | None = None,
    ) -> None: ...
    def _suspect(self, elapsed_ms: float | None = None) -> None: ...
    @staticmethod
    def _conclude(
        suspects: Sequence[tuple[Lease, float | None, Any, int | None]], answered_by: Lease | None = None
    ) -> list[Outcome]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@disjoint_base
class CircuitBreaker:
    """Shuts a proxy out after enough failures, tries it again by one request at a time."""

    def __new__(
        cls,
        proxy_id: UUID | str | None = None,
        failure_threshold: int = 5,
        timeout_duration: float | None = None,
        success_threshold: int = 1,
        window_duration: float = 60.0,
        failure_rate: float = 0.5,
        *,
        timeout: float | None = None,
    ) -> Self: ...
    @classmethod
    def create(cls, proxy_id: UUID | str | None = None, config: Any = None, **overrides: Any) -> Self: ...
    @classmethod
    def from_config(cls, proxy_id: UUID | str | None = None, config: Any = None, **overrides: Any) -> Self: ...
    @property
    def proxy_id(self) -> str | None: ...
    @property
    def failure_threshold(self) -> int: ...
    @property
    def timeout_duration(self) -> float: ...
    @property
    def timeout(self) -> float: ...
    @property
    def success_threshold(self) -> int: ...
    @property
    def window_duration(self) -> float: ...
    @property
    def failure_rate(self) -> float: ...
    @property
    def state(self) -> CircuitBreakerState: ...
    @property
    def failure_count(self) -> int: ...
    @property
    def failure_window(self) -> list[datetime]: ...
    @property
    def next_test_time(self) -> datetime | None: ...
    @property
    def last_state_change(self) -> datetime: ...
    def record_failure(self) -> None: ...
    def record_success(self) -> None: ...
    def should_attempt_request(self) -> bool: ...
    def would_allow(self) -> bool: ...
    def reset(self) -> None: ...
    def save_state(self, storage: BreakerStorage) -> None: ...
    def load_state(self, storage: BreakerStorage) -> bool: ...
    def delete_state(self, storage: BreakerStorage) -> bool: ...
    @classmethod
    def create_with_storage(
        cls, proxy_id: str, storage: BreakerStorage, config: Any = None, **overrides: Any
    ) -> Self: ...
    def _restore(self, open: bool, failures: Sequence[float], left: float) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TokenBucket:
    """A token bucket, full at first."""

    def __new__(cls, max_requests: float, time_window: float, burst: float | None = None) -> Self: ...
    def try_acquire(self) -> bool: ...
    def would_allow(self) -> bool: ...
    def wait_time(self) -> float: ...

@disjoint_base
class SelectionContext(_Model):
    """What is known about a request when its proxy is chosen."""

    @property
    def _in_rotation(self) -> bool: ...
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
    def __reduce__(self) -> tuple[Any, ...]: ...

# ---------------------------------------------------------------------------------------------------------------------
# Sessions
# ---------------------------------------------------------------------------------------------------------------------

@disjoint_base
class Session(_Model):
    """A sticky assignment: one session id, one proxy, until a moment."""

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
    def is_expired(self) -> bool: ...
    def touch(self) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@disjoint_base
class SessionManager:
    """Sticky assignments by session id, bounded, least recently used first out."""

    def __new__(cls, max_sessions: int = 10000, auto_cleanup_threshold: int = 100) -> Self: ...
    @overload
    def create_session(self, session_id: str, proxy: Proxy, timeout_seconds: int = 300) -> Session: ...
    @overload
    def create_session(self, proxy: Proxy, timeout_seconds: int = 300) -> str: ...
    def get_session(self, session_id: str) -> Session | None: ...
    def close_session(self, session_id: str) -> None: ...
    def remove_session(self, session_id: str) -> bool: ...
    def touch_session(self, session_id: str) -> bool: ...
    def cleanup_expired_sessions(self) -> int: ...
    def cleanup_expired(self) -> int: ...
    def get_all_sessions(self) -> list[Session]: ...
    def clear_all(self) -> None: ...
    @property
    def sessions(self) -> Mapping[str, Session]: ...
    @property
    def _sessions(self) -> Mapping[str, Session]: ...
    @property
    def max_sessions(self) -> int: ...
    @property
    def auto_cleanup_threshold(self) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, session_id: object, /) -> bool: ...

# ---------------------------------------------------------------------------------------------------------------------
# Strategies
# ---------------------------------------------------------------------------------------------------------------------

# Whatever stands for a strategy: a name, {"name": ..., **arguments}, a class, an instance, a callable.
_StrategyLike: TypeAlias = str | Mapping[str, Any] | type | Callable[..., Any] | object

@disjoint_base
class Strategy:
    """What the built-in strategies have in common."""

    config: Any
    @property
    def requires_metadata(self) -> set[str]: ...
    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy: ...
    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...
    def configure(self, config: Any) -> None: ...
    def filter(self, candidates: list[Proxy], context: SelectionContext | None = None) -> list[Proxy]: ...
    def validate_metadata(self, pool: ProxyPool) -> bool: ...
    def validate_requirements(self, pool: ProxyPool, metadata: Any = None) -> bool: ...
    def _keep_window(self, pool: ProxyPool) -> None: ...

class RoundRobinStrategy(Strategy):
    """Each in turn, in the pool's order."""

    def __new__(cls) -> Self: ...

class RandomStrategy(Strategy):
    """Any, with equal chances."""

    def __new__(cls, *, seed: int | None = None) -> Self: ...

class WeightedStrategy(Strategy):
    """By weights per id, URL or tag; by success rate where there are none."""

    def __new__(cls, weights: Mapping[str, float] | None = None, *, seed: int | None = None) -> Self: ...

class LeastUsedStrategy(Strategy):
    """The one with the fewest requests in its window."""

    def __new__(cls, tie_breaker: Literal["lowest-id", "random"] = "lowest-id", *, seed: int | None = None) -> Self: ...

@disjoint_base
class PerformanceBasedStrategy(Strategy):
    """The faster, the likelier: chances in proportion to the inverse of the average response time."""

    def __new__(
        cls, alpha: float | None = None, exploration_count: int | None = None, *, seed: int | None = None
    ) -> Self: ...
    @property
    def alpha(self) -> float | None: ...
    @property
    def exploration_count(self) -> int | None: ...

@disjoint_base
class SessionPersistenceStrategy(Strategy):
    """The same proxy for all requests of a session."""

    def __new__(
        cls,
        max_sessions: int = 10000,
        auto_cleanup_threshold: int = 100,
        *,
        timeout_seconds: int | None = None,
        fallback_strategy: _StrategyLike | None = None,
        sliding_expiration: bool | None = None,
    ) -> Self: ...
    @property
    def session_manager(self) -> SessionManager: ...
    @property
    def _session_manager(self) -> SessionManager: ...
    @property
    def _session_timeout_seconds(self) -> int: ...
    def close_session(self, session_id: str) -> None: ...
    def cleanup_expired_sessions(self) -> int: ...
    def get_session_stats(self) -> dict[str, int]: ...

@disjoint_base
class GeoTargetedStrategy(Strategy):
    """Only proxies of the wanted country or region, chosen among by another strategy."""

    def __new__(
        cls,
        preferred_countries: Iterable[str] | None = None,
        fallback_strategy: _StrategyLike | None = None,
        secondary_strategy: _StrategyLike | None = None,
        preferred_regions: Iterable[str] | None = None,
        fallback_enabled: bool = True,
    ) -> Self: ...
    @property
    def secondary_strategy(self) -> Any: ...

@disjoint_base
class CostAwareStrategy(Strategy):
    """The cheaper, the likelier, up to a limit."""

    def __new__(cls, max_cost_per_request: float | None = None, *, seed: int | None = None) -> Self: ...
    max_cost_per_request: float | None
    free_proxy_boost: float

@disjoint_base
class CompositeStrategy(Strategy):
    """Filters, one after the other, and a strategy that selects among what they leave."""

    def __new__(
        cls,
        filters: Iterable[_StrategyLike] | None = None,
        selector: _StrategyLike | None = None,
        *,
        strategies: Iterable[_StrategyLike] | None = None,
        fallback: _StrategyLike | None = None,
    ) -> Self: ...
    filters: list[Any]
    selector: Any
    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self: ...

def builtin_strategy(name: str, **kwargs: Any) -> Strategy: ...
def builtin_strategy_names() -> list[str]: ...

# ---------------------------------------------------------------------------------------------------------------------
# Saving and loading
# ---------------------------------------------------------------------------------------------------------------------

_Source: TypeAlias = ProxyPool | Sequence[Proxy]

@final
class UnsealedText:
    @property
    def text(self) -> str: ...
    @property
    def binding(self) -> str: ...

@final
class SealedTexts:
    def __new__(cls) -> Self: ...
    def missing(self, source: _Source) -> list[UnsealedText]: ...
    def put(self, secret: UnsealedText, seal: str) -> None: ...

@final
class SaveExtras:
    def __new__(cls) -> Self: ...
    def put(self, proxy: Proxy, metadata: str | None, geo_location: str | None) -> None: ...

@final
class SaveMarks:
    def __new__(cls) -> Self: ...
    def commit(self) -> None: ...
    def clear(self) -> None: ...

@final
class PoolImage:
    def __new__(cls, data: bytes, appended: bool = False) -> Self: ...
    @property
    def name(self) -> str | None: ...
    @property
    def settings(self) -> str | None: ...
    @property
    def lines(self) -> bool: ...
    @property
    def torn(self) -> bool: ...
    def __len__(self) -> int: ...
    def sealed(self) -> list[tuple[str, str]]: ...
    def load_into(
        self,
        pool: ProxyPool,
        opened: dict[str, str],
        make: Callable[[int, str], Proxy],
        decorate: Callable[[Proxy, str | None, str | None, str | None, str | None, str], None],
        merge: bool = False,
    ) -> tuple[int, int]: ...

def seal_binding(field: str, id: str, url: str, protocol: str | None = None) -> str: ...
def proxy_seal_binding(field: str, proxy: Proxy) -> str: ...
def proxies_with_extras(source: _Source) -> list[Proxy]: ...
def has_credentials(source: _Source) -> bool: ...
def records_of(
    source: _Source,
    *,
    credentials: bool = True,
    learned: bool = True,
    sealed: SealedTexts | None = None,
    extras: SaveExtras | None = None,
    marks: SaveMarks | None = None,
    only_changed: bool = False,
) -> list[str] | None: ...
def dump_proxies(
    source: _Source,
    fd: int,
    *,
    head: bytes | None = None,
    tail: bytes | None = None,
    lines: bool = False,
    compress: bool = False,
    credentials: bool = True,
    learned: bool = True,
    sealed: SealedTexts | None = None,
    extras: SaveExtras | None = None,
    marks: SaveMarks | None = None,
    only_changed: bool = False,
) -> tuple[int, int, int] | None: ...

# ---------------------------------------------------------------------------------------------------------------------
# The fleet
# ---------------------------------------------------------------------------------------------------------------------

@final
class Fleet:
    def __new__(
        cls,
        proxies: Sequence[dict[str, Any]],
        *,
        seed: int = 0,
        workers: int = 1,
        ipv6: bool = False,
        hosts: Sequence[str] = ...,
    ) -> Self: ...
    def stop(self) -> None: ...
    @property
    def running(self) -> bool: ...
    @property
    def addresses(self) -> list[tuple[str, int]]: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def http(self) -> tuple[str, int]: ...
    @property
    def https(self) -> tuple[str, int]: ...
    @property
    def ca_pem(self) -> str: ...
    def counters(self, index: int) -> dict[str, Any]: ...
    def origin_counters(self) -> dict[str, Any]: ...
    def set_behaviour(self, index: int, proxy: dict[str, Any]) -> None: ...

def check_fleet_proxy(proxy: dict[str, Any]) -> None: ...
