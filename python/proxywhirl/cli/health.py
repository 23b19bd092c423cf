"""``proxywhirl health``: a stored pool checked once, or again and again."""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timezone
from typing import Any

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.checking import Tally, check
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.options import add_checks, add_format, add_pool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.stored_pool import open_pool

HELP = "check a stored pool, once or continuously"
DESCRIPTION = "Checks all proxies of a stored pool, stores what was found, and shows how the pool is."
EPILOG = """\
examples:
  proxywhirl health
  proxywhirl health --continuous --interval 60 --url https://example.com/

exit status:
  0    healthy or degraded: some proxy is good
  1    unhealthy: none is
  2    wrong usage
  4    another process holds the lock
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument("-C", "--continuous", action="store_true", help="check again and again until interrupted")
    parser.add_argument(
        "-i", "--interval", metavar="S", type=types.seconds, default=60.0, help="between checks (default 60)"
    )
    add_checks(parser, "-t", "--url", "--target-url")
    add_format(parser)


_COLUMNS = {"at": 20, "status": 9, "proxies": 7, "good": 7, "latency_ms": 10, "reasons": 0}


def run(arguments: argparse.Namespace) -> int:
    """Check the pool and store what was found, again and again if asked; the exit status.

    Raises ``CommandError`` (there is no pool, or nothing in it), ``KeyboardInterrupt`` (it was interrupted; what was
    found until then is shown and stored).
    """
    with Rows(list(_COLUMNS), arguments.format, widths=list(_COLUMNS.values())) as rows:
        while True:
            tally = _round(arguments)
            row = _row(tally)
            rows.add(row)
            if tally.interrupted:
                raise KeyboardInterrupt
            if not arguments.continuous:
                return 0 if row["status"] != "unhealthy" else 1
            time.sleep(arguments.interval)


def _round(arguments: argparse.Namespace) -> Tally:
    # Locked for a round only: between two of them others may change the pool.
    with open_pool(arguments, must_exist=True) as stored:
        if not len(stored.pool):
            raise CommandError("the pool is empty")
        tally = check(list(stored.pool), arguments)
        stored.save()
        return tally


def _row(tally: Tally) -> dict[str, Any]:
    from statistics import median

    from proxywhirl.rotator._insight import status_of

    return {
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": status_of(tally.found, tally.done),
        "proxies": tally.done,
        "good": tally.found,
        "latency_ms": median(tally.latencies) if tally.latencies else None,
        "reasons": [f"{number} {reason}" for reason, number in tally.reasons.most_common()],
    }
