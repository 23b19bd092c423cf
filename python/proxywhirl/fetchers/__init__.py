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
    from proxywhirl.fetchers._fetcher import ProxyFetcher
    from proxywhirl.models._sources import ProxySourceConfig, SourceStats

__all__ = [
    "ProxyFetcher",
    "ProxyFormat",
    "ProxySourceConfig",
    "RenderMode",
    "SourceStats",
]

# Imported on first use: the parsers need neither an HTTP client nor pydantic.
_HOMES = {
    "ProxyFetcher": "proxywhirl.fetchers._fetcher",
    "ProxySourceConfig": "proxywhirl.models._sources",
    "SourceStats": "proxywhirl.models._sources",
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
