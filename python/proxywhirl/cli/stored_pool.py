"""The pool that commands keep in a file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import masked_url
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.proxy_writer import save_pool
from proxywhirl.cli.settings import configured
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl import Proxy, ProxyPool

COLUMNS = ("proxy", "health", "country", "requests", "success_rate", "latency_ms", "tags")
"""Columns of a table of proxies."""


class StoredPool:
    """A pool and its file."""

    def __init__(self, path: Path) -> None:
        from proxywhirl import ProxyPool

        self.path = path
        try:
            self.pool: ProxyPool = ProxyPool.from_file(path) if path.exists() else ProxyPool(name="stored")
        except (OSError, ValueError) as error:
            raise CommandError(printable(scrub_text(f"{path} cannot be read: {error}"))) from error
        self.pool.max_pool_size = 2**31 - 1

    def save(self) -> None:
        """Write the pool to its file, whole and at once. Raises ``CommandError`` (it cannot be written)."""
        try:
            save_pool(self.path, self.pool)
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror or error}") from error


@contextmanager
def open_pool(arguments: argparse.Namespace, *, must_exist: bool = False) -> Iterator[StoredPool]:
    """The stored pool of a command, locked until the block is left.

    A caller that changes it saves it.

    Raises ``CommandError`` (it cannot be read), ``SystemExit`` (another process holds the lock; status 4).
    """
    from proxywhirl.utils import CLILock

    path = pool_path(arguments)
    if must_exist and not path.exists():
        raise CommandError(f"there is no pool at {path}; make one with: proxywhirl pool add PROXY")
    with nullcontext() if arguments.no_lock else CLILock(path.parent):
        yield StoredPool(path)


def pool_path(arguments: argparse.Namespace) -> Path:
    """Where the stored pool of a command is."""
    if getattr(arguments, "pool", None) is not None:
        return Path(arguments.pool)
    if configured(arguments, "storage_backend") not in (None, "file"):
        raise UsageError("these commands keep their pool in a file; name one with --pool FILE")
    configured_path: Optional[Path] = configured(arguments, "storage_path")
    if configured_path is not None:
        return configured_path.expanduser()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "proxywhirl" / "proxies.json"


def found(pool: ProxyPool, text: str) -> Proxy:
    """The proxy of a pool that a user means. Raises ``CommandError`` (there is none, or more than one)."""
    wanted = text.strip()
    matches = [
        proxy
        for proxy in pool
        if wanted in (str(proxy.id), proxy.url, masked_url(proxy), f"{proxy.host}:{proxy.port}", _bare(proxy))
    ]
    if len(matches) == 1:
        return matches[0]
    shown = printable(scrub_text(wanted))
    if matches:
        raise CommandError(f"{shown} are {len(matches)} proxies; name its id")
    raise CommandError(f"{shown} is not in the pool")


def locate(proxies: ProxyPool, arguments: argparse.Namespace) -> None:
    """Set the countries of proxies that have none, if the settings name a database of them."""
    database = configured(arguments, "geo_database")
    if database is None:
        return
    from proxywhirl import geo

    try:
        geo.locate(proxies, Path(database).expanduser())
    except (ImportError, OSError, ValueError) as error:
        # Countries are a help, and no reason to do without proxies.
        print(f"proxywhirl: geo_database: {printable(scrub_text(str(error)))}", file=sys.stderr)


def row_of(proxy: Proxy) -> dict[str, Any]:
    """What a table shows of a proxy; credentials masked."""
    return {
        "proxy": masked_url(proxy),
        "health": proxy.health_status.value,
        "country": proxy.country_code,
        "requests": proxy.total_requests,
        "success_rate": round(proxy.success_rate, 3) if proxy.total_requests else None,
        "latency_ms": proxy.average_response_time_ms,
        "tags": sorted(proxy.tags),
        "id": str(proxy.id),
    }


def _bare(proxy: Proxy) -> str:
    return f"{proxy.protocol}://{proxy.host}:{proxy.port}"
