"""``proxywhirl fetch``: proxies from files, addresses and the built-in sources."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxywhirl._redact import scrub_text
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.output import Rows
from proxywhirl.cli.proxy_writer import write_proxies
from proxywhirl.cli.stored_pool import row_of
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy

__all__ = ["run"]

_COLUMNS = ("proxy", "country", "tags")
_CHECKED = (*_COLUMNS, "latency_ms")


def run(arguments: argparse.Namespace) -> int:
    """Read the sources, check what is in them if asked, and write one list; the exit status."""
    if not arguments.sources and not arguments.all:
        raise UsageError("name a source, or --all for the built-in ones")
    proxies, failed = asyncio.run(_read(arguments))
    read = len(proxies)
    if arguments.country is not None:
        proxies = [proxy for proxy in proxies if (proxy.country_code or "").upper() == arguments.country]
    if arguments.check and proxies:
        from proxywhirl.cli.checking import good_ones

        proxies = good_ones(proxies, arguments)
    if arguments.output is not None:
        write_proxies(proxies, arguments.output)
    else:
        with Rows(_CHECKED if arguments.check else _COLUMNS, arguments.format) as rows:
            for proxy in proxies:
                # The user's own list, on the way into another program: with what is needed to use it.
                rows.add({**row_of(proxy), "url": proxy.url} if arguments.format == "json" else row_of(proxy))
    if not arguments.quiet:
        told = [f"{counted(read, 'proxy', 'proxies')} read"]
        if arguments.check:
            told.append(f"{len(proxies):,} good")
        if arguments.output is not None:
            told.append(f"written to {arguments.output}")
        print(", ".join(told), file=sys.stderr)
    return 0 if proxies and not failed else 1


async def _read(arguments: argparse.Namespace) -> tuple[list[Proxy], int]:
    """The proxies of all sources, and how many sources have failed."""
    from proxywhirl.fetchers import ProxyFetcher

    given, temporary = _sources(arguments)
    fetcher = ProxyFetcher(
        given,
        validate_before_add=False,
        allow_local=arguments.allow_local,
        timeout=max(arguments.timeout, 1.0),
        progress=False if arguments.quiet else None,
        max_attempts=3,
    )
    try:
        async with fetcher:
            proxies = await fetcher.fetch()
    finally:
        for path in temporary:
            path.unlink()
    failed = 0
    for stats in fetcher.get_source_stats():
        if stats.last_error:
            failed += 1
            print(printable(scrub_text(f"{stats.source_url}: {stats.last_error}")), file=sys.stderr)
        elif stats.invalid_count and not arguments.quiet:
            lines = counted(stats.invalid_count, "entry", "entries")
            print(printable(scrub_text(f"{stats.source_url}: {lines} cannot be read")), file=sys.stderr)
    return proxies, failed


def _sources(arguments: argparse.Namespace) -> tuple[list[Any], list[Path]]:
    """The sources, and files made for them that have to go afterwards."""
    from proxywhirl.cli.sources import builtin_names

    known = builtin_names()
    given: list[Any] = list(known.values()) if arguments.all else []
    temporary: list[Path] = []
    for text in arguments.sources:
        if text.upper() in known:
            given.append(known[text.upper()])
            continue
        fields: dict[str, Any] = {}
        if text == "-":
            with tempfile.NamedTemporaryFile(prefix="proxywhirl-", delete=False) as copy:
                copy.write(sys.stdin.buffer.read())
            temporary.append(Path(copy.name))
            fields["url"] = temporary[-1]
        elif text.startswith(("http://", "https://")):
            fields["url"] = text
            fields["headers"] = dict(arguments.header)
        elif Path(text).exists():
            fields["url"] = Path(text)
        else:
            shown = printable(scrub_text(text))
            raise UsageError(f"{shown} is no file, no http(s) address and no built-in source")
        if arguments.protocol is not None:
            fields["protocol"] = arguments.protocol
        if arguments.javascript:
            fields["render_mode"] = "javascript"
        given.append(fields)
    return given, temporary
