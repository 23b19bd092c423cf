"""The older path of :mod:`proxywhirl.fetchers.parsers`."""

from proxywhirl._core import ParsedProxies, RejectedLine, parse_proxies, parse_proxy_file
from proxywhirl.fetchers.parsers import (
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
    "ParsedProxies",
    "PlainTextParser",
    "RejectedLine",
    "TSVParser",
    "deduplicate_proxies",
    "parse_proxies",
    "parse_proxy_file",
]
