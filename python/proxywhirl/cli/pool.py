"""``proxywhirl pool``: list, add, remove and test the proxies of a stored pool."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from proxywhirl.cli.checking import check, rows_of_checks, show_into, tell
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.options import add_checks, add_format, add_pool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.proxy_list import proxy_of, read_proxies
from proxywhirl.cli.settings import reason_of
from proxywhirl.cli.stored_pool import COLUMNS, StoredPool, found, locate, open_pool, row_of
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from proxywhirl import Proxy

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


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; the exit status."""
    action = {"list": _list, "add": _add, "remove": _remove, "test": _test}[arguments.action]
    with open_pool(arguments, must_exist=arguments.action != "add") as stored:
        return action(stored, arguments)


def _list(stored: StoredPool, arguments: argparse.Namespace) -> int:
    with Rows(COLUMNS, arguments.format, title=str(stored.path)) as rows:
        rows.extend(row_of(proxy) for proxy in stored.pool)
    return 0


def _add(stored: StoredPool, arguments: argparse.Namespace) -> int:
    from proxywhirl import Proxy

    before = len(stored.pool)
    password = arguments.password
    if password == "-":
        password = getpass.getpass("Password: ")
    if (arguments.username is None) != (password is None):
        raise UsageError("a user name and a password belong together")
    for text in arguments.proxies:
        if text.startswith("@"):
            report = read_proxies(stored.pool, text[1:])
            for complaint in report.complaints:
                print(complaint, file=sys.stderr)
            continue
        proxy = proxy_of(text)
        if arguments.username is not None and proxy.username is None:
            try:
                proxy = Proxy(url=proxy.url, username=arguments.username, password=password)
            except ValueError as error:
                raise UsageError(f"--username and --password: {reason_of(error)}") from error
        stored.pool.add_proxy(proxy)
    locate(stored.pool, arguments)
    stored.save()
    added = len(stored.pool) - before
    print(f"{counted(added, 'proxy', 'proxies')} added, {len(stored.pool):,} in {stored.path}", file=sys.stderr)
    return 0


def _remove(stored: StoredPool, arguments: argparse.Namespace) -> int:
    for proxy in [found(stored.pool, text) for text in arguments.proxies]:
        stored.pool.remove_proxy(proxy.id)
    stored.save()
    print(f"{len(stored.pool):,} left in {stored.path}", file=sys.stderr)
    return 0


def _test(stored: StoredPool, arguments: argparse.Namespace) -> int:
    chosen: list[Proxy] = [found(stored.pool, text) for text in arguments.proxies] or list(stored.pool)
    if not chosen:
        raise CommandError("the pool is empty")
    with rows_of_checks(arguments) as rows:
        tally = check(chosen, arguments, show_into(rows))
    stored.save()
    tell(tally.summary(), arguments)
    if tally.interrupted:
        raise KeyboardInterrupt
    return 0 if tally.found else 1
