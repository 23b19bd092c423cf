"""Lists of proxies: fetched, read, kept up to date.

::

    from proxywhirl.fetchers import ProxyFetcher, RenderMode

    fetcher = ProxyFetcher(sources=["https://example.com/proxies.txt", "my-list.csv"])
    proxies = await fetcher.fetch()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from proxywhirl._enums import ProxyFormat, RenderMode

if TYPE_CHECKING:
    from proxywhirl.checking import ProxyValidator, ValidationResult
    from proxywhirl.fetchers._fetcher import ProxyFetcher
    from proxywhirl.models._sources import ProxySourceConfig, SourceStats
    from proxywhirl.parsers import (
        CSVParser,
        GeonodeParser,
        HTMLTableParser,
        JSONParser,
        PlainTextParser,
        TSVParser,
        deduplicate_proxies,
    )

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
    "ProxyFetcher": "proxywhirl.fetchers._fetcher",
    "ProxySourceConfig": "proxywhirl.models._sources",
    "SourceStats": "proxywhirl.models._sources",
    "ProxyValidator": "proxywhirl.checking",
    "ValidationResult": "proxywhirl.checking",
    "CSVParser": "proxywhirl.parsers",
    "GeonodeParser": "proxywhirl.parsers",
    "HTMLTableParser": "proxywhirl.parsers",
    "JSONParser": "proxywhirl.parsers",
    "PlainTextParser": "proxywhirl.parsers",
    "TSVParser": "proxywhirl.parsers",
    "deduplicate_proxies": "proxywhirl.parsers",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
