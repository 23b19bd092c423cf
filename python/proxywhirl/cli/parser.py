"""The parser of the command line, put together from the commands."""

from __future__ import annotations

import argparse
from importlib import import_module

from proxywhirl import __version__
from proxywhirl.cli.options import add_everywhere

__all__ = ["build_parser"]

_EXAMPLES = """\
examples:
  proxywhirl check proxies.txt -o alive.txt
  proxywhirl get https://example.com --proxies alive.txt
  proxywhirl demo
"""
# Each is a module in proxywhirl.cli.commands with HELP, DESCRIPTION, EPILOG, describe() and run(); what a command needs
# to run is imported when it runs, so that --help is there at once.
_COMMANDS: dict[str, tuple[str, ...]] = {
    "get": ("request",),
    "check": (),
    "fetch": (),
    "pool": (),
    "sources": (),
    "health": (),
    "stats": (),
    "config": (),
    "demo": (),
    "completion": (),
}


def build_parser() -> argparse.ArgumentParser:
    """Make the parser.

    Returns:
        A parser whose result has ``command``, ``run`` (which takes the result and returns the exit status) and the
        arguments of the command.
    """
    parser = argparse.ArgumentParser(
        prog="proxywhirl",
        description="Sends HTTP requests through a pool of proxies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"proxywhirl {__version__}")
    add_everywhere(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, others in _COMMANDS.items():
        module = import_module(f"proxywhirl.cli.commands.{name}")
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
