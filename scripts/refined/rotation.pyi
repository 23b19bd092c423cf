"""The attempts of a request."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import Self

from proxywhirl._native.enums import Outcome
from proxywhirl._native.explain import Explanation
from proxywhirl.strategies._adapter import Adapter

class AttemptBook:
    def recent(self) -> list[tuple[str, int, str, float, str, int | None, float, float, str | None]]: ...
    def hours(self, since: float) -> list[tuple[int, int, int, float, dict[int, int], dict[str, int]]]: ...
    def by_proxy(self, since: float) -> dict[str, tuple[int, int, float]]: ...
    def mean_latencies(self, proxy_ids: list[str], last: int) -> dict[str, float]: ...

class AttemptMetrics:
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

class _RetryPolicy:
    def delay(self, attempt: int, previous_delay: float | None, draw: Callable[[float, float], float]) -> float: ...

class _Rotation:
    @property
    def lease(self) -> Any: ...
    @property
    def admission(self) -> tuple[list[UUID], int, float | None]: ...
    @property
    def outcome(self) -> Any: ...
    @property
    def last(self) -> tuple[Any, int | None, Any] | None: ...

class Chooser:
    watch: Any
    queue: Any
    attempts: AttemptBook | None
    gate: Any
    when_empty: str
    @property
    def strategy(self) -> Strategy | Adapter: ...
    @property
    def sources(self) -> Any: ...
    def __new__(cls, pool: ProxyPool, strategy: Strategy | Adapter, *, when_empty: str = ...) -> Self: ...
    def keep_sources(self, sources: Any) -> Any: ...
    def swap(self, strategy: Strategy | Adapter) -> None: ...
    def lease(self, url: str | None, wishes: Wishes | None, exclude: list[Any]) -> Lease: ...
    def explain(
        self, url: str | None = None, wishes: Wishes | None = None, exclude: Collection[Any] | None = None
    ) -> Explanation: ...

class LeaseAcquirer:
    def __new__(
        cls,
        chooser: Chooser,
        url: str | None,
        wishes: Wishes | None,
        *,
        method: str | None = None,
        connects: bool = False,
        judge: Any = None,
        timeouts: Mapping[str, float | None] | None = None,
        time_left: float | None = None,
    ) -> Self: ...
    def __call__(self, exclude: list[Any], attempt: int, seconds: float | None) -> Lease | None: ...
    def place(self, exclude: list[Any], attempt: int) -> tuple[str, LeaseAsk]: ...

class RateBuckets:
    def __new__(
        cls,
        each: tuple[float, float, float | None] | None = None,
        together: tuple[float, float, float | None] | None = None,
        *,
        clock: Callable[[], int] | None = None,
    ) -> Self: ...
    def own(self) -> dict[str, tuple[float, float, float | None]]: ...
    def events(self) -> list[tuple[datetime, str, str | None, Any]]: ...

class Wishes:
    proxy_id: UUID | None
    @property
    def tags(self) -> Any: ...
    @property
    def protocol(self) -> Any: ...
    @property
    def context(self) -> Any: ...
    def __new__(
        cls,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: Any = None,
        **_others: Any,
    ) -> Self: ...
    def session(self) -> str | None: ...

class WaitingLine:
    def is_useless(self, error: BaseException, seconds: float | None = None) -> bool: ...
    def wait(self, key: str, take: Callable[[], Any], seconds: float | None = None) -> Any: ...
    def join(self, key: str, take: Callable[[], Any], seconds: float | None, wake: Callable[[], object]) -> Place: ...
    def dismiss(self, error_for: Callable[[Callable[[], Any]], BaseException | None]) -> int: ...
