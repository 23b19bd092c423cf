"""``proxywhirl fetch``: proxies from files, addresses and the built-in sources."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import client_url
from proxywhirl.cli import argument_types as types
from proxywhirl.cli.checking import check, tell
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.fetching import fetch_lists
from proxywhirl.cli.options import add_format, add_verbose
from proxywhirl.cli.output import Rows
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.proxy_writer import write_proxies
from proxywhirl.cli.stored_pool import locate, row_of
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy

HELP = "read proxies from files and addresses into one list"
DESCRIPTION = "Reads lists in any form, drops duplicates, checks what is left if asked, and writes one list."
EPILOG = """\
A SOURCE is a file, - for standard input, an http(s) address, or the name of a built-in source (`proxywhirl sources`).
Format and encoding are recognised: lines, CSV, TSV, JSON, JSON Lines, HTML tables, gzip. What cannot be read in a file
is reported by line. Local addresses in lists from the web are dropped unless --allow-local is given.
Tables mask credentials; --format json has them in `url`, and so has the file of -o, which only you may read.

examples:
  proxywhirl fetch proxies.txt more.csv -o all.txt
  proxywhirl fetch https://provider.example/list.json --header 'Authorization: Bearer ...' --check -o alive.txt
  proxywhirl fetch --all --check --concurrency 2000 -o alive.txt
  proxywhirl fetch page.html --format json | jq .url

exit status:
  0    proxies were found
  1    none were, or a source has failed
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="file, address or name; see below")
    parser.add_argument("--all", action="store_true", help="all built-in sources")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the list to FILE: one URL per line; .json, .jsonl, .gz by name"
    )

    reading = parser.add_argument_group("reading")
    reading.add_argument(
        "--protocol", choices=("http", "https", "socks4", "socks5"), help="protocol of lines that name none"
    )
    reading.add_argument(
        "-H",
        "--header",
        metavar="'K: V'",
        type=types.header,
        action="append",
        default=[],
        help="for addresses; may be repeated",
    )
    reading.add_argument("--javascript", action="store_true", help="render pages in a browser (extra js)")
    reading.add_argument("--allow-local", action="store_true", help="keep local addresses of fetched lists")
    reading.add_argument(
        "--country", metavar="CODE", type=types.country, help="only proxies that the list says are there"
    )

    checking = parser.add_argument_group("checking")
    checking.add_argument("--check", action="store_true", help="keep only proxies that work")
    checking.add_argument(
        "--url", metavar="URL", help="page to fetch through each; without it they must accept connections"
    )
    checking.add_argument(
        "--timeout", metavar="S", type=types.seconds, default=10.0, help="per source and per check (default 10)"
    )
    checking.add_argument(
        "--concurrency", metavar="N", type=types.AtLeast(1), default=500, help="checks at a time (default 500)"
    )

    add_format(parser)
    add_verbose(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


_COLUMNS = ("proxy", "country", "tags")
_CHECKED = (*_COLUMNS, "latency_ms")
_ROOM = 2**31 - 1


def run(arguments: argparse.Namespace) -> int:
    """Read the sources, check what is in them if asked, and write one list; the exit status.

    Raises ``UsageError`` (a source is none, or cannot be read), ``CommandError`` (the file cannot be written),
    ``KeyboardInterrupt`` (the checks were interrupted; what was found is written).
    """
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
                rows.add({**row_of(proxy), "url": client_url(proxy)})
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
    fetched, failed = fetch_lists(addresses, arguments) if addresses else ([], 0)
    for proxy in fetched:
        pool.add_proxy(proxy)
    locate(pool, arguments)
    return list(pool), failed


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
