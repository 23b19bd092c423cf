"""Rows for people, for programs and for spreadsheets: a table, JSON Lines, or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TextIO

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.terminal import is_terminal, printable

if TYPE_CHECKING:
    from typing_extensions import Self

FORMATS = ("text", "json", "csv")
"""What ``--format`` takes."""


def chosen_format(given: Optional[str], stream: Optional[TextIO] = None) -> str:
    """The format to write."""
    if given is not None:
        return given
    return "text" if (sys.stdout if stream is None else stream).isatty() else "json"


class Rows:
    """Writes rows as they come, but for a table: its columns must fit what is in them, so it is written at the end.

    Credentials inside URLs are masked.

    Args:
        columns: Names of the columns: keys of the rows.
        format: One of :data:`FORMATS`, or ``None`` for what standard output suggests.
        title: What a table is headed by on a terminal.
        widths: Least widths of the columns. With them the lines of a table are written as they come, too.
        revealed: Keys whose values are written as they are, credentials included, in JSON.
    """

    def __init__(
        self,
        columns: Sequence[str],
        format: Optional[str] = None,
        title: Optional[str] = None,
        widths: Optional[Sequence[int]] = None,
        revealed: Sequence[str] = (),
    ) -> None:
        self._columns = list(columns)
        self._format = chosen_format(format)
        self._title = title
        self._widths = None if widths is None else list(widths)
        self._revealed = frozenset(revealed)
        self._kept: list[list[str]] = []
        self._begun = False

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        if self._format == "json":
            plain = {name: value if name in self._revealed else _plain(value) for name, value in row.items()}
            print(json.dumps(plain), flush=True)
            return
        cells = [_cell(row.get(name)) for name in self._columns]
        if self._format == "csv":
            # Standard output is looked up each time: a bar on the terminal may replace it.
            writer = csv.writer(sys.stdout, lineterminator="\n")
            if not self._begun:
                writer.writerow(self._columns)
            writer.writerow(cells)
        elif self._widths is None:
            self._kept.append([printable(cell) for cell in cells])
        else:
            if not self._begun:
                _print_line(self._heads, self._widths)
            _print_line([printable(cell) for cell in cells], self._widths)
        self._begun = True

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write several rows."""
        for row in rows:
            self.add(row)

    def close(self) -> None:
        """Write the table, if it is one."""
        if not self._kept:
            return
        if is_terminal(sys.stdout) and _draw(self._heads, self._kept, self._title):
            return
        lines = [self._heads, *self._kept]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self._columns))]
        for line in lines:
            _print_line(line, widths)

    @property
    def _heads(self) -> list[str]:
        return [name.replace("_", " ") for name in self._columns]

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


def _print_line(cells: Sequence[str], widths: Sequence[int]) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip(), flush=True)


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]], title: Optional[str]) -> bool:
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
    Console(markup=False, highlight=False).print(table)
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
    if isinstance(value, (set, frozenset)):
        value = sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        return scrub_text(", ".join(map(str, value)))
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
