"""Which lists still answer, and with proxies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers import _listing
from proxywhirl.fetchers._load import Limits, Loader
from proxywhirl.fetchers._source import Source

if TYPE_CHECKING:
    from proxywhirl.fetchers._source import SourceLike
    from proxywhirl.models._sources import ProxySourceConfig


@dataclass(frozen=True)
class SourceValidationResult:
    """How one list answered.

    Attributes:
        source: The list.
        name: Name of its constant, or its address without credentials.
        status_code: What the server said; ``None`` if it said nothing, or the list is a file.
        content_length: Bytes that came.
        has_proxies: Whether proxies could be read in them.
        error: What went wrong.
        response_time_ms: Milliseconds until all was there.
    """

    source: ProxySourceConfig = field(repr=False)
    name: str
    status_code: int | None = None
    content_length: int = 0
    has_proxies: bool = False
    error: str | None = None
    response_time_ms: float = 0.0

    @property
    def is_healthy(self) -> bool:
        """Whether it answered with proxies."""
        return self.error is None and self.has_proxies


@dataclass(frozen=True)
class SourceValidationReport:
    """How many lists answered.

    Attributes:
        results: One for each list, in the order they were given.
        total_sources: How many lists there were.
        healthy_sources: How many answered with proxies.
        unhealthy_sources: How many did not.
        total_time_ms: Milliseconds for all.
    """

    results: list[SourceValidationResult]
    total_sources: int
    healthy_sources: int
    unhealthy_sources: int
    total_time_ms: float

    @property
    def healthy(self) -> list[SourceValidationResult]:
        """Those that answered with proxies."""
        return [result for result in self.results if result.is_healthy]

    @property
    def unhealthy(self) -> list[SourceValidationResult]:
        """Those that did not."""
        return [result for result in self.results if not result.is_healthy]

    @property
    def all_healthy(self) -> bool:
        """Whether every list answered with proxies."""
        return self.unhealthy_sources == 0


async def validate_source(source: SourceLike, timeout: float = 15.0, client: Any = None) -> SourceValidationResult:
    """Ask a list once whether it has proxies.

    Args:
        source: The list.
        timeout: Seconds to wait for all of it.
        client: An ``httpx.AsyncClient`` to ask with; by default a new one.

    Returns:
        How it answered; a failure is in ``error``, not raised.
    """
    loader = Loader(Limits(timeout=timeout, attempts=1), client=client)
    try:
        return await _asked(Source.of(source), loader)
    finally:
        await loader.close()


async def validate_sources(
    sources: Iterable[SourceLike] | None = None,
    timeout: float = 15.0,
    concurrency: int = 20,
    *,
    progress_callback: Any = None,
) -> SourceValidationReport:
    """Ask many lists whether they have proxies.

    Args:
        sources: The lists; the built-in ones by default.
        timeout: Seconds to wait for each.
        concurrency: How many are asked at the same time.
        progress_callback: Called with ``(done, total, healthy)`` after each.

    Returns:
        How they answered.
    """
    if sources is None:
        from proxywhirl.sources import ALL_SOURCES

        sources = ALL_SOURCES
    if concurrency <= 0:
        raise ValueError(f"concurrency: Value must be positive, not {concurrency}")
    given = [Source.of(source) for source in sources]
    began = time.perf_counter()
    turn = asyncio.Semaphore(concurrency)
    done = healthy = 0

    async def one(source: Source) -> SourceValidationResult:
        nonlocal done, healthy
        async with turn:
            result = await _asked(source, loader)
        done += 1
        healthy += result.is_healthy
        if progress_callback is not None:
            progress_callback(done, len(given), healthy)
        return result

    loader = Loader(Limits(timeout=timeout, attempts=1))
    try:
        results = list(await asyncio.gather(*(one(source) for source in given)))
    finally:
        await loader.close()
    elapsed_ms = (time.perf_counter() - began) * 1000.0
    return SourceValidationReport(results, len(results), healthy, len(results) - healthy, elapsed_ms)


def validate_sources_sync(
    sources: Iterable[SourceLike] | None = None, timeout: float = 15.0, concurrency: int = 20
) -> SourceValidationReport:
    """As :func:`validate_sources`, for code without an event loop."""
    return asyncio.run(validate_sources(sources, timeout, concurrency))


async def _asked(source: Source, loader: Loader) -> SourceValidationResult:
    began = time.perf_counter()
    status: int | None = None
    length = 0
    found = False
    error: str | None = None
    try:
        loaded = await loader.load(source)
        status, length = loaded.status, len(loaded.data or b"")
        listing = await _listing.read(loaded.data or b"", source, loaded.content_type)
        found = len(listing.entries) > 0
        if not found:
            error = "there are no proxies in it that can be read"
    except ProxyFetchError as failure:
        error = failure.message
        status = failure.metadata.get("status", status)
    return SourceValidationResult(
        source.config,
        str(source.config.metadata.get("name") or source.name),
        status,
        length,
        found,
        error,
        (time.perf_counter() - began) * 1000.0,
    )
