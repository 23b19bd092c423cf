"""``proxywhirl db-stats``: the file or database in which proxies are kept."""

from __future__ import annotations

import argparse
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.options import add_config, add_format
from proxywhirl.cli.output import Rows
from proxywhirl.cli.settings import configured
from proxywhirl.cli.stored_pool import StoredPool, pool_path

HELP = "show size and contents of the database or file of proxies"
DESCRIPTION = "Shows how big the database or file is, what is in it, and how credentials are kept. It is read only."
EPILOG = """\
Without --db: the stored pool, see `proxywhirl pool --help`; with storage_backend = sqlite the file of storage_path.

examples:
  proxywhirl db-stats
  proxywhirl db-stats --db proxies.db --format json

exit status:
  0    done
  1    there is no such file, or it cannot be read
  2    wrong usage
"""

_SQLITE = b"SQLite format 3\0"


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--db", metavar="FILE", help="the database of SQLite, or the file of a pool")
    add_config(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the facts; the exit status. Raises ``CommandError`` (there is no such file, or it cannot be read)."""
    path = _place(arguments)
    try:
        facts = path.stat()
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    with Rows(("fact", "value"), arguments.format, title=str(path)) as rows:
        for name, value in (
            ("path", str(path)),
            ("kind", "sqlite" if is_database else "file"),
            ("bytes", facts.st_size),
            ("mode", f"{stat.S_IMODE(facts.st_mode):04o}"),
            ("changed", datetime.fromtimestamp(facts.st_mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")),
            *(_of_database(path) if is_database else _of_pool(path)),
        ):
            rows.add({"fact": name, "value": value})
    return 0


def _place(arguments: argparse.Namespace) -> Path:
    if arguments.db is not None:
        return Path(arguments.db)
    if configured(arguments, "storage_backend") == "sqlite":
        given = configured(arguments, "storage_path")
        if given is None:
            raise CommandError("storage_path names no database; name one with --db FILE")
        return Path(given).expanduser()
    return pool_path(arguments)


def _of_database(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            # A writer may be at work: what it has not committed is not counted.
            names = database.execute("select name from sqlite_master where type = 'table' order by name").fetchall()
            for (name,) in names:
                if name.startswith("sqlite_"):
                    continue
                quoted = '"' + name.replace('"', '""') + '"'
                yield f"rows of {name}", database.execute(f"select count(*) from {quoted}").fetchone()[0]
            pages, free, size = (
                database.execute(f"pragma {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            yield "bytes in use", (pages - free) * size
            yield "journal", database.execute("pragma journal_mode").fetchone()[0]
    except sqlite3.Error as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _of_pool(path: Path) -> Iterator[tuple[str, Any]]:
    pool = StoredPool(path).pool
    yield "proxies", len(pool)
    yield "with credentials", sum(proxy.username is not None for proxy in pool)
    yield "with country", sum(bool(proxy.country_code) for proxy in pool)
    yield "with requests", sum(proxy.total_requests > 0 for proxy in pool)
    sites = {site for _, site, kind, _, _ in pool._standings() if kind == "banned"}
    yield "sites with bans", len(sites)
    head = path.read_bytes()[:4096] if path.suffix != ".gz" else b""
    for word in (b"encrypted", b"clear", b"omitted"):
        if b'"credentials": "' + word + b'"' in head:
            yield "credentials", word.decode()
