"""The built-in public lists, and whether they still answer.

Public lists come and go; nothing in this package can know which of them are there today. ``validate_sources()``, or
``proxywhirl sources audit``, asks them. Nothing is ever read from them unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from proxywhirl.sources._audit import (
    SourceValidationReport,
    SourceValidationResult,
    validate_source,
    validate_sources,
    validate_sources_sync,
)
from proxywhirl.sources._builtin import load

if TYPE_CHECKING:
    from proxywhirl.fetchers._progress import Progress
    from proxywhirl.fetchers._source import SourceLike
    from proxywhirl.models._sources import ProxySourceConfig

__all__ = [
    "ALL_HTTP_SOURCES",
    "ALL_SOCKS4_SOURCES",
    "ALL_SOCKS5_SOURCES",
    "ALL_SOURCES",
    "API_SOURCES",
    "RECOMMENDED_SOURCES",
    "SourceValidationReport",
    "SourceValidationResult",
    "fetch_all_sources",
    "validate_source",
    "validate_sources",
    "validate_sources_sync",
]

_builtin = load()
# A constant for each source: a line in builtin.json is all that one takes.
globals().update(_builtin.by_name)
__all__ += list(_builtin.by_name)

if TYPE_CHECKING:

    def __getattr__(name: str) -> ProxySourceConfig: ...


ALL_HTTP_SOURCES = _builtin.of("http")
"""Lists of HTTP proxies."""
ALL_SOCKS4_SOURCES = _builtin.of("socks4")
"""Lists of SOCKS4 proxies."""
ALL_SOCKS5_SOURCES = _builtin.of("socks5")
"""Lists of SOCKS5 proxies."""
ALL_SOURCES = [*ALL_HTTP_SOURCES, *ALL_SOCKS4_SOURCES, *ALL_SOCKS5_SOURCES]
"""All lists."""
RECOMMENDED_SOURCES = _builtin.recommended
"""A few lists to begin with."""
API_SOURCES = _builtin.api
"""Lists that are asked with parameters, rather than files."""


async def fetch_all_sources(
    validate: bool = True,
    timeout: int = 10,
    max_concurrent: int = 100,
    sources: Iterable[SourceLike] | None = None,
    *,
    fetch_progress_callback: Progress = None,
    validate_progress_callback: Progress = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Read lists, the built-in ones by default, in one call.

    Args:
        validate: Whether to return only proxies that work.
        timeout: Seconds for one check.
        max_concurrent: Checks under way at the same time.
        sources: The lists.
        fetch_progress_callback: Called with ``(done, total, found)`` after each list.
        validate_progress_callback: Called with ``(done, total, valid)`` while proxies are checked.
        **options: Further arguments of ``ProxyFetcher``.

    Returns:
        The proxies, as ``ProxyFetcher.fetch_all`` returns them.
    """
    from proxywhirl import fetchers

    if validate and "validator" not in options:
        options["validator"] = fetchers.ProxyValidator(timeout=timeout, concurrency=max_concurrent)
    fetcher = fetchers.ProxyFetcher(ALL_SOURCES if sources is None else sources, **options)
    return await fetcher.fetch_all(
        validate=validate,
        fetch_progress_callback=fetch_progress_callback,
        validate_progress_callback=validate_progress_callback,
    )
