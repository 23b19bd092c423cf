"""What ``proxywhirl top`` shows: rows per proxy or per site, from whatever can tell them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from proxywhirl._native.urls import masked_url
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from proxywhirl import ProxyPool

PROXY_COLUMNS = (
    "proxy", "health", "requests", "failures", "success_rate", "latency_ms", "active", "mb", "spent", "benched",
)  # fmt: skip
SITE_COLUMNS = ("site", "banned", "free", "next_free_s")
# Of these the smallest come first, of all other numbers the largest.
_ASCENDING = ("proxy", "site", "health", "success_rate", "free", "next_free_s")


class Snapshot(NamedTuple):
    """What is known at one moment."""

    title: str
    proxies: list[dict[str, Any]]
    """Rows with :data:`PROXY_COLUMNS`."""
    sites: list[dict[str, Any]]
    """Rows with :data:`SITE_COLUMNS`."""


class Origin(Protocol):
    """Where snapshots come from: a saved pool, or whatever runs and can tell the same."""

    def take(self) -> Snapshot:
        """The present one. Raises ``CommandError`` (there is none)."""


class SavedPool:
    """Snapshots of a pool in a file, read again for each: other programs save to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> Snapshot:
        """See :class:`Origin`."""
        from proxywhirl.cli.stored_pool import StoredPool

        if not self._path.exists():
            raise CommandError(f"there is no pool at {self._path}; make one with: proxywhirl pool add PROXY")
        return snapshot_of(StoredPool(self._path).pool, str(self._path))


def snapshot_of(pool: ProxyPool, name: str) -> Snapshot:
    """The snapshot of a pool, saved or in use.

    Args:
        pool: The pool; it is not changed.
        name: What to call it.
    """
    now = datetime.now(timezone.utc)
    banned: dict[str, list[Any]] = {}
    benched: dict[Any, int] = {}
    for proxy, site, kind, until, _ in pool._standings():
        if kind == "banned" and (until is None or until > now):
            banned.setdefault(site, []).append(until)
            benched[proxy.id] = benched.get(proxy.id, 0) + 1
    proxies = [
        {
            "proxy": masked_url(proxy),
            "health": proxy.health_status.value,
            "requests": proxy.total_requests,
            "failures": proxy.total_failures,
            "success_rate": round(proxy.success_rate, 3) if proxy.total_requests else None,
            "latency_ms": proxy.average_response_time_ms,
            "active": proxy.requests_active,
            "mb": (proxy.bytes_sent + proxy.bytes_received) / 1e6,
            "spent": proxy.spent,
            "benched": benched.get(proxy.id, 0),
        }
        for proxy in pool
    ]
    sites = []
    for site, ends in banned.items():
        known = [end for end in ends if end is not None]
        soonest = min(known, default=None)
        sites.append(
            {
                "site": site,
                "banned": len(ends),
                "free": len(proxies) - len(ends),
                "next_free_s": None if soonest is None else max(0, round((soonest - now).total_seconds())),
            }
        )
    usable = sum(row["health"] not in ("dead", "unhealthy") for row in proxies)
    title = f"{name}: {counted(len(proxies), 'proxy', 'proxies')}, {usable:,} usable, {len(sites):,} sites with bans"
    return Snapshot(title, proxies, sites)


def columns_of(by: str) -> tuple[str, ...]:
    """The columns of a view, ``proxy`` or ``site``."""
    return PROXY_COLUMNS if by == "proxy" else SITE_COLUMNS


def sorted_rows(rows: Sequence[dict[str, Any]], column: str, *, reverse: bool = False) -> list[dict[str, Any]]:
    """Rows by a column, what matters first; rows that have nothing there come last.

    Args:
        rows: The rows.
        column: The column.
        reverse: The other way round.
    """
    have = [row for row in rows if row[column] is not None]
    have.sort(key=lambda row: row[column], reverse=(column not in _ASCENDING) != reverse)
    return have + [row for row in rows if row[column] is None]


def sort_column(by: str, given: str | None) -> tuple[str, bool]:
    """The column to sort by, and whether the order is turned round, as ``-`` in front of the name says.

    Raises ``UsageError`` (there is no such column).
    """
    columns = columns_of(by)
    if given is None:
        return columns[2] if by == "proxy" else columns[1], False
    name = given.lstrip("-").replace("-", "_").lower()
    if name not in columns:
        raise UsageError(f"--sort takes one of {', '.join(columns)}, and - in front of it for the other order")
    return name, given.startswith("-")
