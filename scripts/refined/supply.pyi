"""Lists and checks."""

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, Literal, overload

from proxywhirl._native.enums import ProxyFormat

class ParsedIterator:
    def __next__(self) -> dict[str, Any]: ...

class ParsedProxies:
    def urls(self) -> list[str]: ...
    @overload
    def __getitem__(self, index: int, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[dict[str, Any]]: ...

class CheckResult:
    @property
    def stage(self) -> Literal["format", "dns", "tcp", "http", "anonymity"]: ...
    @property
    def protocol(self) -> Literal["http", "https", "socks4", "socks5"]: ...
    @property
    def anonymity(self) -> Literal["transparent", "anonymous", "elite"] | None: ...

class CheckRun:
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
    def on_ready(self, callback: Callable[[], object]) -> None: ...

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
def address_locality(host: str) -> Literal["public", "localhost", "loopback", "private"]: ...
def deduplicate(proxies: Iterable[Any]) -> list[Any]: ...
