"""Leases and outcomes."""

from types import TracebackType
from typing import Any
from uuid import UUID

from typing_extensions import Self

from proxywhirl._native.enums import Outcome

class Lease:
    @property
    def id(self) -> UUID: ...
    @property
    def requests_proxies(self) -> dict[str, str]: ...
    @property
    def playwright_proxy(self) -> dict[str, str]: ...
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
    def failure(self, error: BaseException | str | None = None) -> None: ...
    def finish(
        self,
        outcome: Outcome | str,
        elapsed_ms: float | None = None,
        error: BaseException | str | None = None,
        *,
        hold: float | None = None,
        status: int | None = None,
    ) -> None: ...
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
