"""Rows for people, for programs and for spreadsheets: a table, JSON Lines, or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TextIO

from proxywhirl._redact import scrub_text
from proxywhirl.cli.terminal import is_terminal, printable

if TYPE_CHECKING:
    import argparse

    from typing_extensions import Self

__all__ = ["FORMATS", "Rows", "add_format", "chosen_format"]

FORMATS = ("text", "json", "csv")
"""What ``--format`` takes."""


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add ``--format`` to a command."""
    parser.add_argument(
        "-f",
        "--format",
        choices=FORMATS,
        help="text: a table; json: one object per line; csv (default: text on a terminal, json in a pipe)",
    )


def chosen_format(given: Optional[str], stream: Optional[TextIO] = None) -> str:
    """The format to write.

    Args:
        given: What the user asked for, if anything.
        stream: Where to; standard output by default.
    """
    if given is not None:
        return given
    return "text" if (sys.stdout if stream is None else stream).isatty() else "json"


class Rows:
    """Writes rows as they come; a table is written at the end, for its columns must fit what is in them.

    Args:
        columns: Names of the columns: keys of the rows.
        format: One of :data:`FORMATS`, or ``None`` for what the stream suggests.
        title: What a table is headed by on a terminal.
        stream: Where to; standard output by default.
    """

    def __init__(
        self,
        columns: Sequence[str],
        format: Optional[str] = None,  # noqa: A002 - the name of the option
        title: Optional[str] = None,
        stream: Optional[TextIO] = None,
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._columns = list(columns)
        self._format = chosen_format(format, self._stream)
        self._title = title
        self._kept: list[list[str]] = []
        self._csv: Any = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row.

        Args:
            row: Values by column; what is not a column is written in JSON only.
        """
        if self._format == "json":
            print(json.dumps(_plain(row)), file=self._stream, flush=True)
        elif self._format == "csv":
            if self._csv is None:
                self._csv = csv.writer(self._stream, lineterminator="\n")
                self._csv.writerow(self._columns)
            self._csv.writerow([_cell(row.get(name)) for name in self._columns])
        else:
            self._kept.append([printable(_cell(row.get(name))) for name in self._columns])

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write several rows."""
        for row in rows:
            self.add(row)

    def close(self) -> None:
        """Write the table, if it is one."""
        if self._format != "text" or not self._kept:
            return
        heads = [name.replace("_", " ") for name in self._columns]
        if is_terminal(self._stream) and _draw(self._stream, heads, self._kept, self._title):
            return
        lines = [heads, *self._kept]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip(), file=self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        # What was found before an interruption is worth its table.
        if exc_type is None or issubclass(exc_type, KeyboardInterrupt):
            self.close()


def _draw(stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str]], title: Optional[str]) -> bool:
    """Draw a table with rich; False where it is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return False
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, head in enumerate(heads):
        numeric = all(_is_number(row[number]) for row in rows)
        table.add_column(head, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(file=stream, markup=False, highlight=False).print(table)
    return True


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").removesuffix(" ms") if hasattr(text, "removesuffix") else text.replace(",", ""))
    except ValueError:
        return text in ("", "-")
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(str(item) for item in value) if isinstance(value, (set, frozenset)) else map(str, value))
    return scrub_text(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 3)
    return scrub_text(str(value))
