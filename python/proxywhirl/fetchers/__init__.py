"""Lists of proxies: fetched, read, kept up to date.

::

    from proxywhirl.fetchers import ProxyFetcher, RenderMode

    fetcher = ProxyFetcher(sources=["https://example.com/proxies.txt", "my-list.csv"])
    proxies = await fetcher.fetch()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.exports import names_in, on_first_use

if TYPE_CHECKING:
    from proxywhirl._native.enums import ProxyFormat as ProxyFormat
    from proxywhirl._native.enums import RenderMode as RenderMode
    from proxywhirl.fetchers._fetcher import ProxyFetcher as ProxyFetcher
    from proxywhirl.fetchers.parsers import CSVParser as CSVParser
    from proxywhirl.fetchers.parsers import GeonodeParser as GeonodeParser
    from proxywhirl.fetchers.parsers import HTMLTableParser as HTMLTableParser
    from proxywhirl.fetchers.parsers import JSONParser as JSONParser
    from proxywhirl.fetchers.parsers import PlainTextParser as PlainTextParser
    from proxywhirl.fetchers.parsers import TSVParser as TSVParser
    from proxywhirl.fetchers.parsers import deduplicate_proxies as deduplicate_proxies
    from proxywhirl.models._sources import ProxySourceConfig as ProxySourceConfig
    from proxywhirl.models._sources import SourceStats as SourceStats
    from proxywhirl.validation import ProxyValidator as ProxyValidator
    from proxywhirl.validation import ValidationResult as ValidationResult

# Imported on first use: the parsers need neither an HTTP client nor pydantic.
_HOMES = {
    "proxywhirl._native.enums": "ProxyFormat RenderMode",
    "proxywhirl.fetchers._fetcher": "ProxyFetcher",
    "proxywhirl.fetchers.parsers": (
        "CSVParser GeonodeParser HTMLTableParser JSONParser PlainTextParser TSVParser deduplicate_proxies"
    ),
    "proxywhirl.models._sources": "ProxySourceConfig SourceStats",
    "proxywhirl.validation": "ProxyValidator ValidationResult",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
__all__ = names_in(_HOMES)
