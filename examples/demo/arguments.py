"""The arguments of ``make demo``."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types

__all__ = ["build_parser"]

_DESCRIPTION = "Fetches a few thousand pages through a fleet of fast, slow, flaky, hanging and dead proxies."
_EPILOG = """\
The demo starts proxies of its own and a site behind them, all on this machine; nothing else is contacted.

examples:
  make demo
  make demo ARGS='--proxies 60 --pages 10000'
  make demo ARGS='--fast --plain'
  make demo ARGS='--list lists/all.txt'

exit status:
  0    everything promised was kept
  1    something was not; the summary says what
  2    wrong usage
  130  interrupted
"""

_DEMO_KINDS = 6  # the fleet has one proxy of each kind at least
_FEWEST_PAGES = 100  # below that a success rate says nothing


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(
        prog="demo",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--proxies", metavar="N", type=types.AtLeast(_DEMO_KINDS), default=24, help="default 24, 6 or more"
    )
    parser.add_argument(
        "--pages", metavar="N", type=types.AtLeast(_FEWEST_PAGES), help="default 3000, with --fast 400; 100 or more"
    )
    parser.add_argument(
        "--seed", metavar="N", type=types.AtLeast(0), default=0, help="what all randomness follows from"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines, as when the output is not a terminal")
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="a list of loopback addresses: the fleet takes some of them, and the pool is what a check finds there",
    )
    parser.add_argument("--fast", action="store_true", help="a short one")
    return parser
