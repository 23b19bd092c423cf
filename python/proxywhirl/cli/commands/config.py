"""``proxywhirl config``: the configuration in force, and the user's file of it."""

from __future__ import annotations

import argparse

from proxywhirl.cli.options import add_config, add_format, add_lock

HELP = "show and change the configuration"
DESCRIPTION = "Shows which settings are in force and where each comes from, and writes the user's file."
EPILOG = """\
Settings come from the environment (PROXYWHIRL_...), from a file, and from the defaults; the earlier one wins.
The file is the one of --config, else ./pyproject.toml if it has a table [tool.proxywhirl], else config.toml in the
user's folder. `set` writes the file anew, without its comments; passwords in it are encrypted.

examples:
  proxywhirl config show
  proxywhirl config get timeout
  proxywhirl config set timeout 20
  proxywhirl config init

exit status:
  0    done
  1    not done
  2    wrong usage, or no such setting
  4    another process holds the lock
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)
    add_lock(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show all settings")
    add_format(show)
    get = actions.add_parser("get", help="show one setting")
    get.add_argument("key", metavar="KEY")
    put = actions.add_parser("set", help="change one setting in the file")
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE")
    actions.add_parser("init", help="write a file with the defaults, if there is none")
