"""Rows for people, for programs and for spreadsheets: a table, JSON Lines, or CSV."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TextIO
from unicodedata import east_asian_width

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.terminal import is_terminal, printable

if TYPE_CHECKING:
    from typing_extensions import Self

FORMATS = ("text", "json", "csv")
"""What ``--format`` takes."""
_ANY = 10**9
# What the last column, which is of any width, must have room for.
_LAST = 8


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
        # Where lines are cut by others, as in a pipe, they may be of any length.
        self._room = shutil.get_terminal_size().columns if sys.stdout.isatty() else _ANY

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
        elif sum(self._widths) + 2 * len(self._widths) + _LAST > self._room:
            _print_entry(self._heads, [printable(cell) for cell in cells], self._room)
        else:
            if not self._begun:
                _print_line(self._heads, self._widths, self._room)
            _print_line([printable(cell) for cell in cells], self._widths, self._room)
        self._begun = True

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write several rows."""
        for row in rows:
            self.add(row)

    def close(self) -> None:
        """Write the table, if it is one."""
        if not self._kept:
            return
        lines = [self._heads, *self._kept]
        widths = [max(map(_width, column)) for column in zip(*lines)]
        if sum(widths) + 2 * (len(widths) - 1) > self._room:
            for row in self._kept:
                _print_entry(self._heads, row, self._room)
            return
        if is_terminal(sys.stdout) and _draw(self._heads, self._kept, self._title):
            return
        for line in lines:
            _print_line(line, widths, self._room)

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


def _print_line(cells: Sequence[str], widths: Sequence[int], room: int) -> None:
    line = "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths)).rstrip()
    if _width(line) > room:
        line = "\n".join(textwrap.wrap(line, room, subsequent_indent="    ", break_on_hyphens=False))
    print(line, flush=True)


def _print_entry(heads: Sequence[str], cells: Sequence[str], room: int) -> None:
    """A row whose table is wider than the terminal: what it is about, and below that the rest, named."""
    facts = ", ".join(f"{head} {cell}" for head, cell in zip(heads[1:], cells[1:]) if cell)
    for text, indent in ((cells[0] or "-", ""), (facts, "  ")):
        for line in textwrap.wrap(
            text, room, initial_indent=indent, subsequent_indent=indent or "    ", break_on_hyphens=False
        ):
            print(line, flush=True)


def _width(text: str) -> int:
    """Columns of the terminal."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


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
