"""Reading the proxies that a command is given as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxywhirl._redact import scrub_text
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl import ProxyPool

__all__ = ["ListReport", "read_proxies"]

_STANDARD_INPUT = "-"
_MOST_COMPLAINTS = 20


class ListReport(NamedTuple):
    """What became of a list."""

    name: str
    """The file, for people."""
    added: int
    """Proxies found."""
    duplicates: int
    """Lines that name a proxy once more."""
    complaints: list[str]
    """One line of text for each line that cannot be read, the first twenty; credentials are masked."""


def read_proxies(pool: ProxyPool, name: str) -> ListReport:
    """Add the proxies of a file to a pool.

    Args:
        pool: The pool.
        name: The file: one proxy per line, or a pool if the name ends in ``.json``. ``-`` is standard input.

    Returns:
        What became of it.

    Raises:
        UsageError: The file cannot be read, or is no pool.
    """
    try:
        if name.lower().endswith(".json"):
            return _read_pool(pool, name)
        raw = sys.stdin.buffer.read() if name == _STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    # Lists come from anywhere: a stray byte spoils its line, not the list.
    lines = raw.decode("utf-8-sig", errors="replace").splitlines()
    report = pool.add_many(lines, on_error="skip", source="file")
    shown = "standard input" if name == _STANDARD_INPUT else name
    complaints = [
        printable(scrub_text(f"{shown}, line {number}: {reason} ({text})"))
        for number, text, reason in report.errors[:_MOST_COMPLAINTS]
    ]
    rest = len(report.errors) - len(complaints)
    if rest:
        complaints.append(f"{shown}: {rest} more lines cannot be read")
    return ListReport(shown, report.added, report.duplicates, complaints)


def _read_pool(pool: ProxyPool, name: str) -> ListReport:
    from proxywhirl import ProxyPool

    try:
        found = ProxyPool.from_file(name)
    except ValueError as error:
        raise UsageError(printable(scrub_text(str(error)))) from error
    before = len(pool)
    for proxy in found:
        pool.add_proxy(proxy)
    added = len(pool) - before
    return ListReport(name, added, len(found) - added, [])
