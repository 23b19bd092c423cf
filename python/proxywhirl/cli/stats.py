"""``proxywhirl stats``: a stored pool in numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import masked_url
from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_format, add_pool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.stored_pool import StoredPool, open_pool

if TYPE_CHECKING:
    from proxywhirl import Proxy

HELP = "sum up a stored pool"
DESCRIPTION = "Counts the proxies of a stored pool by state, protocol, country and source, and their requests."
EPILOG = """\
examples:
  proxywhirl stats
  proxywhirl stats --retry --hours 24
  proxywhirl stats --circuit-breaker
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
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--retry", action="store_true", help="attempts and failures of each proxy, the worst first")
    more.add_argument(
        "--circuit-breaker", action="store_true", help="proxies that rest or are banned, where, and until when"
    )
    parser.add_argument("--hours", metavar="N", type=types.AtLeast(1), help="with --retry: only those used so lately")
    add_format(parser)


_MONEY = ("bytes_sent", "bytes_received", "spent", "cost_per_page")


def run(arguments: argparse.Namespace) -> int:
    """Show the numbers; the exit status."""
    with open_pool(arguments, must_exist=True) as stored:
        if arguments.retry:
            return _retries(stored, arguments)
        if arguments.circuit_breaker:
            return _breakers(stored, arguments)
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


def _retries(stored: StoredPool, arguments: argparse.Namespace) -> int:
    since = None if arguments.hours is None else datetime.now(timezone.utc) - timedelta(hours=arguments.hours)
    columns = ("proxy", "attempts", "failures", "failure_rate", "in_a_row", "last_used", "last_error")
    used = []
    for proxy in stored.pool:
        last = max(filter(None, (proxy.last_success_at, proxy.last_failure_at)), default=None)
        if (proxy.requests_started or proxy.total_requests) and (since is None or (last is not None and last >= since)):
            used.append((proxy, last))
    used.sort(key=lambda pair: (-pair[0].total_failures, pair[0].total_requests))
    with Rows(columns, arguments.format, title=str(stored.path)) as rows:
        for proxy, last in used:
            errors = proxy.metadata.get("last_errors") or ()
            rows.add(
                {
                    "proxy": masked_url(proxy),
                    "attempts": max(proxy.requests_started, proxy.total_requests),
                    "failures": proxy.total_failures,
                    "failure_rate": proxy.total_failures / proxy.total_requests if proxy.total_requests else None,
                    "in_a_row": proxy.consecutive_failures,
                    "last_used": None if last is None else _moment(last),
                    "last_error": scrub_text(str(errors[-1].get("error", ""))) if errors else None,
                }
            )
    return 0


def _breakers(stored: StoredPool, arguments: argparse.Namespace) -> int:
    with Rows(("proxy", "site", "state", "until", "level"), arguments.format, title=str(stored.path)) as rows:
        for proxy, site, kind, until, level in stored.pool._standings():
            until_text = None if until is None else _moment(until)
            row = {"proxy": masked_url(proxy), "site": site, "state": kind, "until": until_text, "level": level}
            rows.add(row)
    return 0


def _moment(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


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
