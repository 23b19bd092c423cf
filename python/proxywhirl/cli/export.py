"""``proxywhirl export``: a stored pool as a list."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from proxywhirl._native.urls import client_url, masked_url
from proxywhirl.cli import argument_types as types
from proxywhirl.cli.checking import tell
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.options import add_pool
from proxywhirl.cli.stored_pool import open_pool
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from proxywhirl import Proxy

HELP = "write a stored pool as a list of proxies"
DESCRIPTION = (
    "Writes the proxies of a stored pool in any form of a list: lines, CSV, TSV, JSON, JSON Lines, a table of HTML."
)
EPILOG = """\
Credentials are masked unless --reveal is given; the list is of use to programs with it only. Without --format the name
of the file of -o decides, .gz included; else the list is lines. `proxywhirl fetch` and others read all of these.

examples:
  proxywhirl export
  proxywhirl export --reveal -o proxies.csv.gz
  proxywhirl export --health healthy --country DE --format jsonl
  proxywhirl export --reveal --protocol socks5 | other-program --proxies -

exit status:
  0    some proxies were written
  1    there is no such pool, nothing in it fits, or the file cannot be written
  2    wrong usage
  4    another process holds the lock
"""

_FORMATS = ("lines", "csv", "tsv", "json", "jsonl", "html")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".html": "html",
    ".htm": "html",
}
_COLUMNS = ("protocol", "ip", "port", "username", "password", "country", "tags")
_MASK = "***"


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_pool(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, which only you may read")
    parser.add_argument(
        "-f", "--format", choices=_FORMATS, default=argparse.SUPPRESS, help="default: by the name of FILE, else lines"
    )
    parser.add_argument("--reveal", action="store_true", help="write credentials as they are")
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary")
    choice = parser.add_argument_group("choice")
    choice.add_argument("--health", choices=("unknown", "healthy", "degraded", "unhealthy", "dead"), help="only these")
    choice.add_argument("--protocol", choices=("http", "https", "socks4", "socks5"), help="only these")
    choice.add_argument("--country", metavar="CODE", type=types.country, help="only those of this country")
    choice.add_argument("--tag", metavar="TAG", help="only those with this tag")


def run(arguments: argparse.Namespace) -> int:
    """Write the list; the exit status. Raises ``CommandError`` (there is no pool, or the file cannot be written)."""
    with open_pool(arguments, must_exist=True) as stored:
        proxies = [proxy for proxy in stored.pool if _fits(proxy, arguments)]
        name = str(stored.path)
    if not proxies:
        raise CommandError(f"{name} has no proxy that fits")
    text = _written(proxies, _format(arguments), arguments.reveal)
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    from proxywhirl.utils import atomic_write

    data = text.encode()
    try:
        path = Path(arguments.output)
        atomic_write(path, gzip.compress(data) if path.suffix.lower() == ".gz" else data, mode=0o600)
    except OSError as error:
        raise CommandError(f"{arguments.output} cannot be written: {error.strerror or error}") from error
    tell(f"{counted(len(proxies), 'proxy', 'proxies')} written to {arguments.output}", arguments)
    return 0


def _fits(proxy: Proxy, arguments: argparse.Namespace) -> bool:
    return (
        arguments.health in (None, proxy.health_status.value)
        and arguments.protocol in (None, proxy.protocol)
        and arguments.country in (None, (proxy.country_code or "").upper())
        and (arguments.tag is None or arguments.tag in proxy.tags)
    )


def _format(arguments: argparse.Namespace) -> str:
    given: Optional[str] = arguments.format
    if given is not None:
        return "lines" if given == "text" else given
    suffixes = [suffix.lower() for suffix in Path(arguments.output or "").suffixes if suffix.lower() != ".gz"]
    return _SUFFIXES.get(suffixes[-1], "lines") if suffixes else "lines"


def _written(proxies: Sequence[Proxy], format: str, reveal: bool) -> str:
    if format == "lines":
        return "".join(f"{client_url(proxy) if reveal else masked_url(proxy)}\n" for proxy in proxies)
    rows = [_row(proxy, reveal) for proxy in proxies]
    if format == "json":
        return json.dumps(rows, indent=1) + "\n"
    if format == "jsonl":
        return "".join(f"{json.dumps(row)}\n" for row in rows)
    if format == "html":
        return _table(rows)
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(row.get(name)) for name in _COLUMNS] for row in rows)
    return out.getvalue()


def _row(proxy: Proxy, reveal: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"protocol": proxy.protocol, "ip": proxy.host, "port": proxy.port}
    if proxy.username is not None and proxy.password is not None:
        row["username"] = proxy.username.get_secret_value() if reveal else _MASK
        row["password"] = proxy.password.get_secret_value() if reveal else _MASK
    if proxy.country_code:
        row["country"] = proxy.country_code
    if proxy.tags:
        row["tags"] = sorted(proxy.tags)
    return row


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(value)
    return "" if value is None else str(value)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    from html import escape

    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    lines = ["".join(f"<td>{escape(_cell(row.get(name)))}</td>" for name in _COLUMNS) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<!DOCTYPE html>\n<meta charset="utf-8">\n<table>\n<tr>{head}</tr>\n{body}</table>\n'
