"""From the bytes of a list to its entries."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl._enums import ProxyFormat
from proxywhirl.exceptions import ProxyFetchError

if TYPE_CHECKING:
    from proxywhirl.fetchers._source import Source

__all__ = ["Listing", "read"]

Entry = dict[str, Any]


class Listing:
    """What a list said.

    Attributes:
        entries: Its proxies: ``url``, and whatever else the list knows of each.
        rejected: What could not be read: line (from 1), and why.
    """

    __slots__ = ("entries", "rejected")

    def __init__(self, entries: list[Entry], rejected: list[tuple[int, str]]) -> None:
        self.entries = entries
        self.rejected = rejected


async def read(data: bytes, source: Source, content_type: str | None = None) -> Listing:
    """Read a list in the way its source asks for.

    The work is done in a thread: a list may have a million lines, and the event loop has others to serve.

    Args:
        data: The list.
        source: How it is written, and whose it is.
        content_type: What the server says it is.

    Returns:
        The entries, and what could not be read.

    Raises:
        ProxyFetchError: It is not in the format that the source names, or a parser of the user's raised.
    """
    config = source.config
    custom = config.custom_parser
    if custom is not None:
        try:
            data = await _custom(custom, data)
        except Exception as error:
            raise ProxyFetchError(f"the parser of {source.name} failed: {type(error).__name__}: {error}") from error
        return await asyncio.to_thread(_parse, data, "json", config.protocol, source.name)
    if source.format is ProxyFormat.CUSTOM and config.parser is None:
        raise ProxyFetchError(f"{source.name} has the format 'custom', but no custom_parser")
    named = config.parser or (None if source.format is None else source.format.value)
    return await asyncio.to_thread(_parse, data, named or _hint(content_type), config.protocol, source.name)


async def _custom(parser: Any, data: bytes) -> bytes:
    """Run a parser of the user's; what it makes is brought into a form that ours reads."""
    text = data.decode("utf-8-sig", "replace")
    parse = getattr(parser, "parse", parser)
    made = await asyncio.to_thread(parse, text)
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, (str, bytes)) or not isinstance(made, Iterable):
        raise TypeError(f"a parser returns a list of dictionaries or URLs, not {type(made).__name__}")
    return json.dumps([_plain(item) for item in made], default=str).encode()


def _plain(item: Any) -> Any:
    if isinstance(item, (str, Mapping)):
        return item
    url = getattr(item, "url", None)  # a Proxy, or something like it
    if isinstance(url, str):
        return {"url": url}
    raise TypeError(f"a parser returns dictionaries or URLs, not {type(item).__name__}")


def _hint(content_type: str | None) -> str | None:
    """The format that a content type is reliable about; servers call everything else plain text."""
    kind = (content_type or "").partition(";")[0].strip().casefold()
    return {"application/json": "json", "text/csv": "csv", "text/tab-separated-values": "tsv"}.get(kind)


def _parse(data: bytes, format: str | None, protocol: str | None, name: str) -> Listing:
    from proxywhirl import _core

    parsed = _core.parse_proxies(data, format=format, protocol=protocol)
    rejected = [(line.line, line.reason) for line in parsed.rejected]
    if format in ("json", "json_lines") and not len(parsed) and rejected:
        raise ProxyFetchError(f"{name} cannot be read as {format}: line {rejected[0][0]}: {rejected[0][1]}")
    return Listing(list(parsed), rejected)
