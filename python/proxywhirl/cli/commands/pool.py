"""``proxywhirl pool``: the stored pool."""

from __future__ import annotations

import argparse

from proxywhirl.cli.options import add_checks, add_config, add_format, add_lock

HELP = "list, add, remove and test the proxies of a stored pool"
DESCRIPTION = "Manages a pool in a file, with what was learned about its proxies."
EPILOG = """\
The pool is the file of --pool, or of storage_path in the configuration, or proxies.json in the user's data folder.
Changes are made under a lock; --no-lock does without.

examples:
  proxywhirl pool add http://user:secret@10.0.0.1:8080 socks5://10.0.0.2:1080
  proxywhirl pool add @proxies.txt
  proxywhirl pool list --format json
  proxywhirl pool test --url https://example.com/
  proxywhirl pool remove 10.0.0.1:8080

exit status:
  0    done
  1    not done, or with test: no proxy is good
  2    wrong usage
  4    another process holds the lock
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show the proxies, credentials masked")
    add_format(listing)
    add = actions.add_parser("add", help="add proxies")
    add.add_argument("proxies", metavar="PROXY", nargs="+", help="a proxy, or @FILE for a list")
    add.add_argument("-u", "--username", help="user name for proxies that have none")
    add.add_argument("-p", "--password", help="password for proxies that have none; - asks for it")
    remove = actions.add_parser("remove", help="remove proxies")
    remove.add_argument("proxies", metavar="PROXY", nargs="+", help="URL, host:port or id")
    test = actions.add_parser("test", help="check the proxies, and store what was found")
    test.add_argument("proxies", metavar="PROXY", nargs="*", help="only these (URL, host:port or id)")
    add_checks(test, "--url", "--target-url")
    add_format(test)


def add_pool(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command finds the stored pool."""
    parser.add_argument("--pool", metavar="FILE", help="the stored pool")
    add_config(parser)
    add_lock(parser)
