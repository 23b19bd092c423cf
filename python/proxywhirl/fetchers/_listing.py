"""From the bytes of a list to its entries."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Union
from urllib.parse import urlsplit

from proxywhirl import _core
from proxywhirl._native.enums import ProxyFormat
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers._build import drop_local

if TYPE_CHECKING:
    from proxywhirl.fetchers._source import Source

Entry = dict[str, Any]
Entries = Union[list[Entry], "_core.ParsedProxies"]
"""What the core read stays in the core: each dictionary is made when it is asked for."""
_MOST_REJECTED = 100_000
LOCAL = "the address is of this machine or of a private network"
# Documented names of parsers that need none of their own: the lists recognise these forms by themselves.
_ALIASES = {"geonode": "json"}
_BY_TYPE = {"application/json": "json", "text/csv": "csv", "text/tab-separated-values": "tsv"}
_BY_SUFFIX = {".json": "json", ".jsonl": "json_lines", ".csv": "csv", ".tsv": "tsv"}


class Listing(NamedTuple):
    """What a list said."""

    entries: Entries
    """Its proxies: ``url``, and whatever else the list knows of each."""
    rejected: list[tuple[int, str]]
    """What could not be read: line (from 1), and why; the first hundred thousand of them."""
    rejected_count: int
    """How many there were."""
    local_count: int
    """How many of those were refused because they point into the user's own network."""

    def __repr__(self) -> str:
        # Not the entries: there are logins among them.
        return f"Listing({len(self.entries)} entries, {self.rejected_count} rejected)"


async def read(data: bytes, source: Source, content_type: str | None = None, *, public_only: bool = False) -> Listing:
    """Read a list in the way its source asks for.

    The work is done in a thread: a list may have a million lines, and the event loop has others to serve.

    Raises ``ProxyFetchError`` (it is not in the format that the source names, or a parser of the user's raised).
    """
    config = source.config
    custom = config.custom_parser
    if custom is not None:
        try:
            items = await _custom(custom, data)
        except Exception as error:
            reason = scrub_text(str(error))
            raise ProxyFetchError(f"the parser of {source.name} failed: {type(error).__name__}: {reason}") from error
        return await asyncio.to_thread(_of_items, items, config.protocol, public_only)
    if source.format is ProxyFormat.CUSTOM and config.parser is None:
        raise ProxyFetchError(f"{source.name} has the format 'custom', but no custom_parser")
    named = _ALIASES.get(config.parser or "", config.parser) or (None if source.format is None else source.format.value)
    hint = None if named is not None else _hint(source, content_type)
    try:
        listing = await asyncio.to_thread(_parse, data, named or hint, config.protocol, public_only)
        if hint is not None and not listing.entries:
            # A name or a content type can be wrong; what is in it cannot.
            listing = await asyncio.to_thread(_parse, data, None, config.protocol, public_only)
    except ValueError as error:
        raise ProxyFetchError(f"{source.name}: {error}") from error
    return listing


async def _custom(parser: Any, data: bytes) -> list[Any]:
    """Run a parser of the user's."""
    text = data.decode("utf-8-sig", "replace")
    parse = getattr(parser, "parse", parser)
    made = await asyncio.to_thread(parse, text)
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, (str, bytes)) or not isinstance(made, Iterable):
        raise TypeError(f"a parser returns a list of dictionaries or URLs, not {type(made).__name__}")
    return [_plain(item) for item in made]


def _plain(item: Any) -> Entry:
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, str):
        return {"url": item}
    url = getattr(item, "url", None)  # a Proxy, or something like it
    if isinstance(url, str):
        return {"url": url}
    raise TypeError(f"a parser returns dictionaries or URLs, not {type(item).__name__}")


def _of_items(items: list[Entry], protocol: str | None, public_only: bool) -> Listing:
    """Entries that a parser of the user's made, brought into the form of ours; what else they say is kept."""
    entries: list[Entry] = []
    rejected: list[tuple[int, str]] = []
    for number, item in enumerate(items, 1):
        try:
            found = _core.read_proxy_entry(item, protocol=protocol)
        except ValueError as error:
            rejected.append((number, str(error)))
            continue
        entries += ({**item, **_spoken(one, protocol)} for one in found)
    count = len(rejected)
    entries, dropped = drop_local(entries) if public_only else (entries, 0)
    return Listing(entries, rejected, count + dropped, dropped)


def _spoken(entry: Entry, protocol: str | None) -> Entry:
    """An entry in the protocol of its source, in place of HTTP."""
    if protocol is None or entry["protocol"] != "http":
        return entry
    return {**entry, "protocol": protocol, "url": protocol + entry["url"].removeprefix("http")}


def _hint(source: Source, content_type: str | None) -> str | None:
    """The format that a content type or a suffix is reliable about; servers call everything else plain text."""
    kind = (content_type or "").partition(";")[0].strip().casefold()
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    name = source.path.name if source.path is not None else urlsplit(source.key).path
    name = name.casefold()
    if name.endswith(".gz"):
        name = name[:-3]
    return next((format for suffix, format in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def _parse(data: bytes, format: str | None, protocol: str | None, public_only: bool) -> Listing:
    parsed = _core.parse_proxies(
        data,
        format=format,
        protocol=protocol,
        instead_of_http=protocol,
        public_only=public_only,
        max_rejected=_MOST_REJECTED,
    )
    rejected = [(bad.line, bad.reason) for bad in parsed.rejected]
    local = sum(reason == LOCAL for _, reason in rejected)
    return Listing(parsed, rejected, parsed.rejected_count, local)
