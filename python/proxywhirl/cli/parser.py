"""The parser of the command line, put together from the commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, Optional

from proxywhirl import __version__
from proxywhirl.cli.options import add_everywhere
from proxywhirl.cli.secrecy import Secrecy

_EXAMPLES = """\
examples:
  proxywhirl check proxies.txt -o alive.txt
  proxywhirl get https://example.com --proxies alive.txt
"""
# Each is a module of this package with HELP, DESCRIPTION, EPILOG, describe() and run(). What a command needs beyond the
# package is imported when the command runs, so that --help is there at once.
_COMMANDS: dict[str, tuple[str, ...]] = {
    "get": ("request",),
    "relay": (),
    "check": (),
    "fetch": (),
    "pool": (),
    "sources": (),
    "health": (),
    "stats": (),
    "top": (),
    "export": (),
    "cleanup": (),
    "db-stats": (),
    "setup-geoip": (),
    "config": (),
    "doctor": (),
    "completion": (),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors name options and what they take, and quote no value: any of them may hold a password."""

    _given: Optional[Sequence[str]] = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See argparse."""
        self._given = args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with status 2."""
        super().error(Secrecy(self._given).hide_arguments(message))


def build_parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = Parser(
        prog="proxywhirl",
        description="Sends HTTP requests through a pool of proxies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"proxywhirl {__version__}")
    add_everywhere(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, others in _COMMANDS.items():
        module = import_module(f"proxywhirl.cli.{name.replace('-', '_')}")
        command = commands.add_parser(
            name,
            aliases=list(others),
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.describe(command)
        command.set_defaults(run=module.run)
    return parser
