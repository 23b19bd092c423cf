"""The pool."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Literal
from uuid import UUID

from typing_extensions import Self

from proxywhirl._native.enums import Outcome, ProxyFormat, ProxySource
from proxywhirl._native.explain import Explanation
from proxywhirl._native.proxy_list import ProxyList
from proxywhirl.strategies._adapter import Adapter

class ProxyPool(_Model):
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
    def get_proxy_by_id(self, id: UUID | str) -> Proxy | None: ...
    def get_proxy_by_url(self, url: str) -> Proxy | None: ...
    def get_healthy_proxies(self) -> list[Proxy]: ...
    def get_all_proxies(self) -> list[Proxy]: ...
    def filter_by_tags(self, tags: Iterable[str]) -> list[Proxy]: ...
    def filter_by_source(self, source: ProxySource | str) -> list[Proxy]: ...
    def filter_by_country(self, code: str) -> list[Proxy]: ...
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
        max_standings: int = 100000,
        site_key: str | Callable[[str], str] | None = None,
    ) -> None: ...
    def _breaker_of(self, proxy_id: UUID | str) -> CircuitBreaker: ...
    def _set_breaker(self, proxy_id: UUID | str, breaker: CircuitBreaker) -> None: ...
    def _set_notice(self, notice: Callable[[str, Proxy | None, dict[str, Any]], object] | None) -> None: ...
    def _standings(self) -> list[tuple[Proxy, str, str, datetime | None, int]]: ...
    def __contains__(self, proxy: object, /) -> bool: ...
    def __iter__(self) -> Iterator[Proxy]: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    def _item(self, index: int) -> Proxy: ...
    def _set_item(self, index: int, proxy: Proxy) -> None: ...
    def _insert(self, index: int, proxy: Proxy) -> None: ...
    def _replace_all(self, proxies: list[Proxy]) -> None: ...
