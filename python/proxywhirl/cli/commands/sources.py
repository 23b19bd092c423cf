"""``proxywhirl sources``: the built-in lists, and which of them still answer."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_format

HELP = "list the built-in sources of proxies, and audit them"
DESCRIPTION = "Lists the public lists that are known by name, or asks each whether it still has proxies."
EPILOG = """\
Without --audit nothing is contacted.

examples:
  proxywhirl sources
  proxywhirl sources --protocol socks5 --format csv
  proxywhirl sources --audit --concurrency 30

exit status:
  0    done; with --audit: every source has answered with proxies
  1    with --audit: one has not
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--protocol", choices=("http", "socks4", "socks5"), help="only lists of this protocol")
    parser.add_argument("--recommended", action="store_true", help="only the recommended ones")
    parser.add_argument("--audit", action="store_true", help="fetch each, and tell which have proxies")
    parser.add_argument("--timeout", metavar="S", type=types.seconds, default=15.0, help="per source (default 15)")
    parser.add_argument("--concurrency", metavar="N", type=types.AtLeast(1), default=20, help="at a time (default 20)")
    add_format(parser)
