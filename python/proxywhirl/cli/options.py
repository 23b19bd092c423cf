"""Options that most commands share. They may come before the command, and after it where they are of use to it."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.output import FORMATS

# After a command nothing is preset: what was said before it would be lost.
_UNSET = argparse.SUPPRESS


def add_everywhere(parser: argparse.ArgumentParser) -> None:
    """Add all of them before the command, where they get their defaults."""
    add_config(parser, None)
    add_format(parser, None)
    add_verbose(parser, False)
    add_lock(parser, False)


def add_config(parser: argparse._ActionsContainer, default: object = _UNSET) -> None:
    """Add ``--config``."""
    parser.add_argument("-c", "--config", metavar="FILE", default=default, help="file of settings, see config --help")


def add_format(parser: argparse._ActionsContainer, default: object = _UNSET) -> None:
    """Add ``--format``."""
    parser.add_argument(
        "-f",
        "--format",
        choices=FORMATS,
        default=default,
        help="text: a table; json: one object per line; csv (default: text on a terminal, json in a pipe)",
    )


def add_verbose(parser: argparse._ActionsContainer, default: object = _UNSET) -> None:
    """Add ``--verbose``."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="tell on standard error what is done"
    )


def add_lock(parser: argparse._ActionsContainer, default: object = _UNSET) -> None:
    """Add ``--no-lock``."""
    parser.add_argument("--no-lock", action="store_true", default=default, help="do not hold the lock")


def add_checks(parser: argparse.ArgumentParser, *url: str) -> None:
    """Add the options of checks; the option for the page has these names."""
    parser.add_argument(*url, metavar="URL", help="page to fetch through each")
    parser.add_argument("--timeout", metavar="S", type=types.seconds, default=5.0, help="per proxy (default 5)")
    parser.add_argument(
        "--concurrency", metavar="N", type=types.AtLeast(1), default=500, help="at a time (default 500)"
    )
    parser.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")


def add_pool(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command finds the stored pool."""
    parser.add_argument("--pool", metavar="FILE", help="the stored pool")
    add_config(parser)
    add_lock(parser)
