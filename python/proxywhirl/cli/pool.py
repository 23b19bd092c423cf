"""``proxywhirl pool``: list, add, remove and test the proxies of a stored pool."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.checking import check, rows_of_checks, show_into, tell
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.output import Rows
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.stored_pool import COLUMNS, StoredPool, found, open_pool, row_of
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy


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
        try:
            proxy = Proxy(url=text if "://" in text else f"http://{text}")
            if arguments.username is not None and proxy.username is None:
                proxy = Proxy(url=proxy.url, username=arguments.username, password=password)
        except ValueError as error:
            raise UsageError(printable(scrub_text(f"{text} is no proxy: {error}".splitlines()[0]))) from error
        stored.pool.add_proxy(proxy)
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
