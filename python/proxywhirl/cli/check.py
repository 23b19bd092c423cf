"""``proxywhirl check``: which proxies of a list work."""

from __future__ import annotations

import argparse

from proxywhirl.cli.checking import check, rows_of_checks, show_into, tell
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.proxy_writer import write_proxies

_ROOM = 2**31 - 1


def run(arguments: argparse.Namespace) -> int:
    """Check the list, show what is found, and write the good ones; the exit status."""
    from proxywhirl import ProxyPool

    pool = ProxyPool(max_pool_size=_ROOM)
    report = read_proxies(pool, arguments.list, protocol=arguments.protocol)
    for complaint in report.complaints:
        tell(complaint, arguments)
    if not report.added:
        raise CommandError(f"{report.name} has no proxy that can be used")
    with rows_of_checks(arguments) as rows:
        tally = check(pool.get_all_proxies(), arguments, show_into(rows, good_only=arguments.good))
    summary = tally.summary()
    if arguments.output is not None:
        write_proxies(tally.good, arguments.output)
        summary = f"{summary}, written to {arguments.output}"
    tell(summary, arguments)
    if tally.interrupted:
        raise KeyboardInterrupt
    return 0 if tally.found else 1
