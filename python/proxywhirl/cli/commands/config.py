"""``proxywhirl config``: the configuration in force, and the user's file of it."""

from __future__ import annotations

import argparse

from proxywhirl.cli.output import add_format

HELP = "show and change the configuration"
DESCRIPTION = "Shows which settings are in force and where each comes from, and writes the user's file."
EPILOG = """\
Settings come from --config, the environment (PROXYWHIRL_...), [tool.proxywhirl] in ./pyproject.toml or config.toml in the user's
configuration folder, and the defaults; the earlier one wins.

examples:
  proxywhirl config show
  proxywhirl config get timeout
  proxywhirl config set timeout 20
  proxywhirl config init

exit status:
  0    done
  1    not done
  2    wrong usage, or no such setting
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("-c", "--config", metavar="FILE", help="the file to show or change")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show all settings")
    add_format(show)
    get = actions.add_parser("get", help="show one setting")
    get.add_argument("key", metavar="KEY")
    put = actions.add_parser("set", help="change one setting in the file")
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE")
    actions.add_parser("init", help="write a file with the defaults, if there is none")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; the exit status."""
    from proxywhirl.cli.config import run as run_config

    return run_config(arguments)
