"""``proxywhirl cleanup``: takes out of a stored pool what is of no use any more."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Optional

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_format, add_pool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.stored_pool import open_pool, row_of
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from proxywhirl import Proxy

HELP = "remove dead and stale proxies from a stored pool"
DESCRIPTION = "Shows which proxies of a stored pool fit the criteria, and with --execute removes them."
EPILOG = """\
Without a criterion: proxies whose health is dead, and expired ones. One criterion that fits is enough.

examples:
  proxywhirl cleanup
  proxywhirl cleanup --dead --failures 10 --stale-days 30
  proxywhirl cleanup --success-below 0.2 --requests 20 --execute

exit status:
  0    done
  1    there is no such pool, or it cannot be written
  2    wrong usage
  4    another process holds the lock
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument("--execute", action="store_true", help="remove them; without it they are only shown")
    criteria = parser.add_argument_group("criteria")
    criteria.add_argument("--dead", action="store_true", help="health is dead")
    criteria.add_argument("--unhealthy", action="store_true", help="health is dead or unhealthy")
    criteria.add_argument("--expired", action="store_true", help="the time that they were to last is over")
    criteria.add_argument("--failures", metavar="N", type=types.AtLeast(1), help="N or more failures in a row")
    criteria.add_argument(
        "--success-below", metavar="SHARE", type=types.fraction, help="fewer requests succeed than this, 0 to 1"
    )
    criteria.add_argument(
        "--requests", metavar="N", type=types.AtLeast(1), default=10, help="of at least N requests (default 10)"
    )
    criteria.add_argument(
        "--stale-days", metavar="DAYS", type=types.AtLeast(1), help="no success, and not added, for so many days"
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show or remove them; the exit status. Raises ``CommandError`` (there is no pool, or it cannot be written)."""
    now = datetime.now(timezone.utc)
    with open_pool(arguments, must_exist=True) as stored:
        found = [(proxy, why) for proxy in stored.pool for why in [_reason(proxy, arguments, now)] if why is not None]
        with Rows(("proxy", "health", "requests", "success_rate", "why"), arguments.format) as rows:
            rows.extend({**row_of(proxy), "why": why} for proxy, why in found)
        count = counted(len(found), "proxy", "proxies")
        if arguments.execute and found:
            for proxy, _ in found:
                stored.pool.remove_proxy(proxy.id)
            stored.save()
        left = len(stored.pool)
    if arguments.execute:
        print(f"{count} removed, {left:,} left in {stored.path}", file=sys.stderr)
    else:
        print(f"{count} of {left:,} would be removed; do so with --execute", file=sys.stderr)
    return 0


def _reason(proxy: Proxy, arguments: argparse.Namespace, now: datetime) -> Optional[str]:
    """Why a proxy goes; ``None`` if it stays."""
    chosen = (arguments.failures, arguments.success_below, arguments.stale_days)
    given = arguments.dead or arguments.unhealthy or arguments.expired or any(value is not None for value in chosen)
    health = proxy.health_status.value
    if health == "dead" and (arguments.dead or arguments.unhealthy or not given):
        return "dead"
    if health == "unhealthy" and arguments.unhealthy:
        return "unhealthy"
    if proxy.is_expired and (arguments.expired or not given):
        return "expired"
    if arguments.failures is not None and proxy.consecutive_failures >= arguments.failures:
        return f"{proxy.consecutive_failures:,} failures in a row"
    if arguments.success_below is not None and proxy.total_requests >= arguments.requests:
        if proxy.success_rate < arguments.success_below:
            return f"{proxy.success_rate:.0%} of {counted(proxy.total_requests, 'request')}"
    if arguments.stale_days is not None:
        last = proxy.last_success_at or proxy.created_at
        if now - last > timedelta(days=arguments.stale_days):
            return f"no success since {last:%Y-%m-%d}"
    return None
