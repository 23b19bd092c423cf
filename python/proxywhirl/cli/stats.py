"""``proxywhirl stats``: a stored pool in numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from proxywhirl.cli.options import add_format, add_pool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.stored_pool import open_pool

if TYPE_CHECKING:
    from proxywhirl import Proxy

HELP = "sum up a stored pool"
DESCRIPTION = "Counts the proxies of a stored pool by state, protocol, country and source, and their requests."
EPILOG = """\
examples:
  proxywhirl stats
  proxywhirl stats --pool proxies.json --by country --format csv

exit status:
  0    done
  1    there is no such pool
  2    wrong usage
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument(
        "--by", choices=("health", "protocol", "country", "source", "tag"), default="health", help="default health"
    )
    add_format(parser)


_MONEY = ("bytes_sent", "bytes_received", "spent", "cost_per_page")


def run(arguments: argparse.Namespace) -> int:
    """Show the numbers; the exit status."""
    with open_pool(arguments, must_exist=True) as stored:
        groups: dict[str, list[Proxy]] = {}
        for proxy in stored.pool:
            for key in _keys(proxy, arguments.by):
                groups.setdefault(key, []).append(proxy)
        columns = (arguments.by, "proxies", "requests", "successes", "failures", "latency_ms", *_MONEY)
        with Rows(columns, arguments.format, title=str(stored.path)) as rows:
            for key in sorted(groups, key=lambda key: (-len(groups[key]), key)):
                rows.add({arguments.by: key, **_sums(groups[key])})
            if arguments.by != "tag" and len(groups) > 1:
                rows.add({arguments.by: "all", **_sums(stored.pool)})
    return 0


def _keys(proxy: Proxy, by: str) -> list[str]:
    if by == "tag":
        return sorted(proxy.tags) or ["-"]
    value = {
        "health": proxy.health_status.value,
        "protocol": proxy.protocol,
        "country": proxy.country_code,
        "source": proxy.source.value,
    }[by]
    return [value or "-"]


def _sums(proxies: Iterable[Proxy]) -> dict[str, Any]:
    listed = list(proxies)
    latencies = [proxy.average_response_time_ms for proxy in listed if proxy.average_response_time_ms is not None]
    successes = sum(proxy.total_successes for proxy in listed)
    spent = math.fsum(proxy.spent for proxy in listed)
    return {
        "proxies": len(listed),
        "requests": sum(proxy.total_requests for proxy in listed),
        "successes": successes,
        "failures": sum(proxy.total_failures for proxy in listed),
        "latency_ms": sum(latencies) / len(latencies) if latencies else None,
        "bytes_sent": sum(proxy.bytes_sent for proxy in listed),
        "bytes_received": sum(proxy.bytes_received for proxy in listed),
        "spent": spent,
        "cost_per_page": spent / successes if successes else None,
    }
