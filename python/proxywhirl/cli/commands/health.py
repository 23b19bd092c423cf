"""``proxywhirl health``: a stored pool checked once, or again and again."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.commands.pool import add_pool
from proxywhirl.cli.options import add_format

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
    parser.add_argument("-t", "--url", "--target-url", metavar="URL", help="page to fetch through each")
    parser.add_argument("--timeout", metavar="S", type=types.seconds, default=5.0, help="per proxy (default 5)")
    parser.add_argument(
        "--concurrency", metavar="N", type=types.AtLeast(1), default=500, help="at a time (default 500)"
    )
    parser.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; the exit status."""
    from proxywhirl.cli.health import run as run_health

    return run_health(arguments)
