"""``proxywhirl fetch``: proxies from files, addresses and the built-in sources."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_format, add_verbose

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
