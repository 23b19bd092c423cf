"""Lists of proxies: fetched, read, kept up to date.

::

    from proxywhirl.fetchers import ProxyFetcher, RenderMode

    fetcher = ProxyFetcher(sources=["https://example.com/proxies.txt", "my-list.csv"])
    proxies = await fetcher.fetch()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.exports import on_first_use
from proxywhirl._native.enums import ProxyFormat, RenderMode

if TYPE_CHECKING:
    from proxywhirl.fetchers._fetcher import ProxyFetcher
    from proxywhirl.fetchers.parsers import (
        CSVParser,
        GeonodeParser,
        HTMLTableParser,
        JSONParser,
        PlainTextParser,
        TSVParser,
        deduplicate_proxies,
    )
    from proxywhirl.models._sources import ProxySourceConfig, SourceStats
    from proxywhirl.validation import ProxyValidator, ValidationResult

__all__ = [
    "CSVParser",
    "GeonodeParser",
    "HTMLTableParser",
    "JSONParser",
    "PlainTextParser",
    "ProxyFetcher",
    "ProxyFormat",
    "ProxySourceConfig",
    "ProxyValidator",
    "RenderMode",
    "SourceStats",
    "TSVParser",
    "ValidationResult",
    "deduplicate_proxies",
]

# Imported on first use: the parsers need neither an HTTP client nor pydantic.
_HOMES = {
    "proxywhirl.fetchers._fetcher": "ProxyFetcher",
    "proxywhirl.fetchers.parsers": (
        "CSVParser GeonodeParser HTMLTableParser JSONParser PlainTextParser TSVParser deduplicate_proxies"
    ),
    "proxywhirl.models._sources": "ProxySourceConfig SourceStats",
    "proxywhirl.validation": "ProxyValidator ValidationResult",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
