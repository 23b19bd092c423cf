"""The stage on a terminal: a live table, drawn with rich. The only module of the demo that imports it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from demo.stage import Verdict, latency_text, overall_text, share_text
from demo.stats import ProxyRow, Stats, rows_of
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from demo.fleet import Site
    from demo.plan import Plan
    from proxywhirl import ProxyPool

__all__ = ["RichStage"]

_REFRESHES_PER_SECOND = 8
_BAR_CELLS = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
# Lines around the rows: progress, an empty one, headings, their rule, and one for those that do not fit.
_LINES_AROUND = 6
_MOST_KEPT_ROWS = 60
_STATES = {"healthy": "green", "degraded": "yellow", "unhealthy": "red", "dead": "bright_black"}
_INDENT = (0, 0, 0, 2)


class RichStage:
    """Shows tables on a terminal.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def opening(self, site: Site, plan: Plan) -> None:
        """Tell what is about to happen."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in site.kinds.items())
        self._console.print()
        self._console.print(Text.assemble(("proxywhirl", "bold cyan"), " demo"))
        self._print(Text(f"{plan.proxies} proxies on this machine: {kinds}", style="dim"))

    def begin(self, number: int, title: str) -> None:
        """Begin a scene."""
        self._console.print()
        self._console.print(Rule(Text(f" {number}  {title} ", style="bold"), style="cyan", align="left"))

    def say(self, text: str) -> None:
        """A sentence."""
        self._print(Text(text))

    def code(self, source: str) -> None:
        """Source code in Python."""
        self._print(Syntax(source.rstrip(), "python", theme="ansi_dark", background_color="default"))

    @contextmanager
    def watch(self, site: Site, pool: ProxyPool, stats: Stats, total: int, label: str = "") -> Iterator[None]:
        """Show the proxies at work."""

        def view() -> RenderableType:
            room = self._console.size.height - _LINES_AROUND
            return Padding(_view(rows_of(site, pool), stats, total, room=room, running=True, label=label), _INDENT)

        with Live(
            get_renderable=view,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield
        if not label:
            self._print(_view(rows_of(site, pool), stats, total, room=_MOST_KEPT_ROWS, running=False))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; the first column is text, the others are numbers."""
        table = _table()
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def verdict(self, verdict: Verdict) -> None:
        """The end of a scene."""
        self._print(Text.assemble(_mark(verdict), " ", verdict.found))

    def summary(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """The end."""
        self._console.print()
        self._console.print(Rule(Text(" Summary ", style="bold"), style="cyan", align="left"))
        table = _table()
        for heading in ("", "scene", "promised", "found"):
            table.add_column(heading)
        for verdict in verdicts:
            table.add_row(_mark(verdict), Text(verdict.scene, style="bold"), verdict.promise, verdict.found)
        self._print(table)
        broken = [verdict.scene for verdict in verdicts if not verdict.kept]
        if broken:
            end = Text(f"Broken: {', '.join(broken)}", style="bold red")
        else:
            end = Text(f"All {counted(len(verdicts), 'promise')} kept", style="bold green")
        self._console.print()
        self._print(end.append(f" in {seconds:.1f} s", style="dim"))

    def _print(self, what: RenderableType) -> None:
        self._console.print(Padding(what, _INDENT))


def _view(
    rows: list[ProxyRow], stats: Stats, total: int, *, room: int, running: bool, label: str = ""
) -> RenderableType:
    table = _table()
    table.add_column("proxy", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", width=_BAR_CELLS, no_wrap=True)
    for heading in ("latency", "ok", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    most = max((row.share for row in rows), default=0.0)
    shown = _fitting(rows, room)
    for row in shown:
        style = _STATES.get(row.state, "dim")
        table.add_row(
            Text(row.name, style="bright_black" if row.state == "dead" else ""),
            Text(row.state, style=style),
            share_text(row),
            Text(_bar(row.share, most), style=style),
            latency_text(row),
            f"{row.successes:,}",
            Text(f"{row.failures:,}", style="red" if row.failures else "dim"),
        )
    parts: list[RenderableType] = [_overall(stats, total, running=running, label=label), Text(), table]
    if len(shown) < len(rows):
        left = counted(len(rows) - len(shown), "more proxy", "more proxies")
        parts.append(Text(f" and {left}; a taller window has room for them" if running else f" and {left}", "dim"))
    return Group(*parts)


def _fitting(rows: list[ProxyRow], room: int) -> list[ProxyRow]:
    """As many rows as there is room for, of every kind as evenly as can be: `fast-9` goes before `slow-1`."""
    if len(rows) <= room:
        return rows
    by_rank = sorted(rows, key=lambda row: int(row.name.rpartition("-")[2]))
    kept = {row.name for row in by_rank[: max(room, 1)]}
    return [row for row in rows if row.name in kept]


def _overall(stats: Stats, total: int, *, running: bool, label: str) -> Text:
    pages, *rest = overall_text(stats, total, running=running, label=label)
    line = Text(no_wrap=True, overflow="ellipsis")
    if running:
        line.append(_bar(stats.done, total) + " ", style="cyan")
    # Two lines at any moment, so that the table below does not jump.
    return line.append(pages, style="bold").append("\n").append(" · ".join(rest))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))


def _bar(part: float, whole: float) -> str:
    """A bar of ``part`` where ``whole`` would fill all cells, in steps of an eighth of a cell."""
    if whole <= 0:
        return " " * _BAR_CELLS
    eighths = math.ceil(min(part / whole, 1.0) * _BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR_CELLS)


def _mark(verdict: Verdict) -> Text:
    return Text("✓", style="bold green") if verdict.kept else Text("✗", style="bold red")
