"""Reading lists from addresses."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.checking import tell
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy


def fetch_lists(addresses: list[Any], arguments: argparse.Namespace) -> tuple[list[Proxy], int]:
    """The proxies of lists on the web, and how many of the lists have failed, which is said on standard error."""
    return asyncio.run(_fetched(addresses, arguments))


async def _fetched(addresses: list[Any], arguments: argparse.Namespace) -> tuple[list[Proxy], int]:
    """The proxies of the sources on the web, and how many sources have failed."""
    from proxywhirl.fetchers import ProxyFetcher

    fetcher = ProxyFetcher(
        addresses,
        validate_before_add=False,
        allow_local=getattr(arguments, "allow_local", False),
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
