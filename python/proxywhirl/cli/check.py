"""``proxywhirl check``: which proxies of a list work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli import argument_types as types
from proxywhirl.cli.checking import check, rows_of_checks, show_into, tell
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.fetching import fetch_lists
from proxywhirl.cli.options import add_format, add_verbose
from proxywhirl.cli.proxy_list import is_proxy, proxy_of, read_proxies
from proxywhirl.cli.proxy_writer import write_proxies
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl import ProxyPool

HELP = "check which proxies of a list work"
DESCRIPTION = "Checks every proxy of a list, many at a time, and shows results as they come."
EPILOG = """\
LIST is a file, - for standard input, or the http(s) address of a list, in any form that `proxywhirl fetch` reads:
lines, CSV, JSON, HTML tables, gzip. A proxy's own URL, such as socks5://host:1080, is checked by itself.
Without --url a proxy is good if it accepts connections and speaks its protocol; with it, if it brings that page.
An interrupted check keeps what it has found.

examples:
  proxywhirl check proxies.txt -o alive.txt
  proxywhirl check proxies.txt --url https://example.com/ --status 200 --contains 'Example Domain'
  proxywhirl check proxies.txt.gz --concurrency 2000 --timeout 3 --format json | jq 'select(.ok)'
  proxywhirl check https://provider.example/list.txt -o alive.txt
  proxywhirl check proxies.csv --url http://judge.example/headers --level full

exit status:
  0    at least one proxy is good
  1    none is
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("list", metavar="LIST", help="the list: file, address, or - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the good ones to FILE, one URL per line")
    parser.add_argument("--good", action="store_true", help="show the good ones only")

    parser.add_argument("--allow-local", action="store_true", help="keep local addresses of a list from the web")

    rule = parser.add_argument_group("what is good")
    rule.add_argument(
        "--level",
        choices=("basic", "standard", "full"),
        help="basic: connect; standard: fetch the URL, the default with --url; full: and tell how anonymous",
    )
    rule.add_argument(
        "--url", metavar="URL", help="page to fetch through each proxy; for --level full one that echoes headers"
    )
    rule.add_argument("--status", metavar="CODES", type=types.status_codes, help="statuses that are good (default 2xx)")
    rule.add_argument("--contains", metavar="TEXT", help="text that the page must contain")
    rule.add_argument(
        "--protocol", choices=("http", "https", "socks4", "socks5"), help="protocol of lines that name none"
    )
    rule.add_argument("--detect", action="store_true", help="find out the protocol of each by trying")
    rule.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")

    pace = parser.add_argument_group("pace")
    pace.add_argument("--timeout", metavar="S", type=types.seconds, default=5.0, help="per proxy (default 5)")
    pace.add_argument("--concurrency", metavar="N", type=types.AtLeast(1), default=500, help="at a time (default 500)")

    output = parser.add_argument_group("output")
    add_format(parser)
    add_verbose(parser)
    output.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


_ROOM = 2**31 - 1


def _fill(pool: ProxyPool, arguments: argparse.Namespace) -> None:
    text: str = arguments.list
    if is_proxy(text):
        pool.add_proxy(proxy_of(text))
        return
    if text.lower().startswith(("http://", "https://")):
        fields = {"url": text} if arguments.protocol is None else {"url": text, "protocol": arguments.protocol}
        for proxy in fetch_lists([fields], arguments)[0]:
            pool.add_proxy(proxy)
        name = printable(scrub_text(text))
    else:
        report = read_proxies(pool, text, protocol=arguments.protocol)
        for complaint in report.complaints:
            tell(complaint, arguments)
        name = report.name
    if not len(pool):
        raise CommandError(f"{name} has no proxy that can be used")


def run(arguments: argparse.Namespace) -> int:
    """Check the list, show what is found, and write the good ones; the exit status.

    Raises ``UsageError`` (the list cannot be read, or the arguments ask for something that cannot be done),
    ``CommandError`` (the list has no proxies, or the file cannot be written), ``KeyboardInterrupt`` (the checks were
    interrupted; what was found is shown and written).
    """
    from proxywhirl import ProxyPool

    pool = ProxyPool(max_pool_size=_ROOM)
    _fill(pool, arguments)
    with rows_of_checks(arguments) as rows:
        tally = check(pool.get_all_proxies(), arguments, show_into(rows, good_only=arguments.good))
    summary = tally.summary()
    if arguments.output is not None:
        write_proxies(tally.good, arguments.output)
        summary = f"{summary}, written to {arguments.output}"
    tell(summary, arguments)
    if tally.interrupted:
        raise KeyboardInterrupt
    return 0 if tally.found else 1
