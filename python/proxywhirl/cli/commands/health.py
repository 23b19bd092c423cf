"""``proxywhirl health``: a stored pool checked once, or again and again."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.commands.pool import add_pool
from proxywhirl.cli.options import add_checks, add_format

HELP = "check a stored pool, once or continuously"
DESCRIPTION = "Checks all proxies of a stored pool, stores what was found, and shows how the pool is."
EPILOG = """\
examples:
  proxywhirl health
  proxywhirl health --continuous --interval 60 --url https://example.com/

exit status:
  0    healthy or degraded: some proxy is good
  1    unhealthy: none is
  2    wrong usage
  4    another process holds the lock
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument("-C", "--continuous", action="store_true", help="check again and again until interrupted")
    parser.add_argument(
        "-i", "--interval", metavar="S", type=types.seconds, default=60.0, help="between checks (default 60)"
    )
    add_checks(parser, "-t", "--url", "--target-url")
    add_format(parser)
