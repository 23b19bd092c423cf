"""``proxywhirl stats``: what is known of a stored pool."""

from __future__ import annotations

import argparse

from proxywhirl.cli.commands.pool import add_pool
from proxywhirl.cli.options import add_format

HELP = "sum up a stored pool"
DESCRIPTION = "Counts the proxies of a stored pool by state, protocol, country and source, and their requests."
EPILOG = """\
examples:
  proxywhirl stats
  proxywhirl stats --pool proxies.json --by country --format csv

exit status:
  0    done
  1    there is no such pool
  2    wrong usage
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument(
        "--by", choices=("health", "protocol", "country", "source", "tag"), default="health", help="default health"
    )
    add_format(parser)
