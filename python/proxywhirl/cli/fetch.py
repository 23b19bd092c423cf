"""``proxywhirl fetch``: proxies from files, addresses and the built-in sources."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.checking import check, tell
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.output import Rows
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.proxy_writer import write_proxies
from proxywhirl.cli.stored_pool import row_of
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy

_COLUMNS = ("proxy", "country", "tags")
_CHECKED = (*_COLUMNS, "latency_ms")
_ROOM = 2**31 - 1


def run(arguments: argparse.Namespace) -> int:
    """Read the sources, check what is in them if asked, and write one list; the exit status."""
    if not arguments.sources and not arguments.all:
        raise UsageError("name a source, or --all for the built-in ones")
    proxies, failed = _read(arguments)
    steps = [f"{counted(len(proxies), 'proxy', 'proxies')} read"]
    if arguments.country is not None:
        proxies = [proxy for proxy in proxies if (proxy.country_code or "").upper() == arguments.country]
        steps.append(f"{len(proxies):,} in {arguments.country}")
    interrupted = False
    if arguments.check and proxies:
        tally = check(proxies, arguments)
        proxies, interrupted = tally.good, tally.interrupted
        steps.append(tally.summary())
    if arguments.output is not None:
        write_proxies(proxies, arguments.output)
        steps.append(f"written to {arguments.output}")
    else:
        # The user's own list, on the way into another program: with what is needed to use it.
        with Rows(_CHECKED if arguments.check else _COLUMNS, arguments.format, revealed=["url"]) as rows:
            for proxy in proxies:
                rows.add({**row_of(proxy), "url": proxy.url})
    tell(", ".join(steps), arguments)
    if interrupted:
        raise KeyboardInterrupt
    return 0 if proxies and not failed else 1


def _read(arguments: argparse.Namespace) -> tuple[list[Proxy], int]:
    """The proxies of all sources, each once, and how many sources have failed."""
    from proxywhirl import ProxyPool

    files, addresses = _sources(arguments)
    pool = ProxyPool(max_pool_size=_ROOM)
    for name in files:
        for complaint in read_proxies(pool, name, protocol=arguments.protocol).complaints:
            tell(complaint, arguments)
    fetched, failed = asyncio.run(_fetch(addresses, arguments)) if addresses else ([], 0)
    for proxy in fetched:
        pool.add_proxy(proxy)
    return list(pool), failed


async def _fetch(addresses: list[Any], arguments: argparse.Namespace) -> tuple[list[Proxy], int]:
    """The proxies of the sources on the web, and how many sources have failed."""
    from proxywhirl.fetchers import ProxyFetcher

    fetcher = ProxyFetcher(
        addresses,
        validate_before_add=False,
        allow_local=arguments.allow_local,
        timeout=arguments.timeout,
        progress=False if arguments.quiet else None,
        max_attempts=3,
    )
    async with fetcher:
        proxies = await fetcher.fetch()
    failed = 0
    for stats in fetcher.get_source_stats():
        if stats.last_error:
            failed += 1
            print(printable(scrub_text(stats.last_error)), file=sys.stderr)
        elif stats.invalid_count:
            lines = counted(stats.invalid_count, "entry", "entries")
            tell(printable(scrub_text(f"{stats.source_url}: {lines} cannot be read")), arguments)
    return proxies, failed


def _sources(arguments: argparse.Namespace) -> tuple[list[str], list[Any]]:
    """The files, and what has to be fetched."""
    from proxywhirl.cli.sources import builtin_names

    known = builtin_names()
    files: list[str] = []
    addresses: list[Any] = list(known.values()) if arguments.all else []
    for text in arguments.sources:
        if text.upper() in known:
            addresses.append(known[text.upper()])
        elif text.lower().startswith(("http://", "https://")):
            fields: dict[str, Any] = {"url": text, "headers": dict(arguments.header)}
            if arguments.protocol is not None:
                fields["protocol"] = arguments.protocol
            if arguments.javascript:
                fields["render_mode"] = "javascript"
            addresses.append(fields)
        elif text == "-" or Path(text).exists():
            files.append(text)
        else:
            shown = printable(scrub_text(text))
            raise UsageError(f"{shown} is no file, no http(s) address and no built-in source")
    return files, addresses
