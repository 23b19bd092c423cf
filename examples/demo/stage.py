"""Where the demo is shown: what a stage can do, and the plain one, which prints lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from demo.stats import ProxyRow, Stats, rows_of
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from demo.fleet import Site
    from demo.plan import Plan
    from proxywhirl import ProxyPool

__all__ = ["PlainStage", "Stage", "Verdict", "latency_text", "overall_text", "share_text"]

_LINE_EVERY_S = 1.0


class Verdict(NamedTuple):
    """What a scene promised and what came of it."""

    scene: str
    promise: str
    found: str
    kept: bool


class Stage(Protocol):
    """What scenes can show."""

    def opening(self, site: Site, plan: Plan) -> None:
        """Tell what is about to happen."""

    def begin(self, number: int, title: str) -> None:
        """Begin a scene."""

    def say(self, text: str) -> None:
        """A sentence."""

    def code(self, source: str) -> None:
        """Source code in Python."""

    def watch(
        self, site: Site, pool: ProxyPool, stats: Stats, total: int, label: str = ""
    ) -> AbstractContextManager[None]:
        """Show how pages come in, until the block is left.

        Args:
            site: The site.
            pool: The pool of the rotator at work.
            stats: The pages so far.
            total: How many pages there will be.
            label: What the pages are for. Without one they are the scene itself, and what came of them stays visible.
        """
        ...

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; the first column is text, the others are numbers."""

    def verdict(self, verdict: Verdict) -> None:
        """The end of a scene."""

    def summary(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """The end."""


def share_text(row: ProxyRow) -> str:
    """A proxy's share for people."""
    return f"{row.share * 100:.1f} %"


def latency_text(row: ProxyRow) -> str:
    """A proxy's latency average for people."""
    return "-" if row.latency_ms is None else f"{row.latency_ms:.1f} ms"


def overall_text(stats: Stats, total: int, *, running: bool, label: str = "") -> list[str]:
    """The overall numbers for people.

    Args:
        stats: The pages.
        total: How many there will be.
        running: Whether more will come.
        label: What they are for.
    """
    median, slow = stats.percentiles(50, 95, recent=running)
    parts = [f"{label + ': ' if label else ''}{stats.done:,} of {counted(total, 'page')}"]
    if stats.done:
        parts += [f"{stats.per_second:,.0f} requests/s", f"{stats.success_rate * 100:.2f} % success"]
    if stats.arrived:
        parts += [f"p50 {median:.1f} ms", f"p95 {slow:.1f} ms"]
    return parts


class PlainStage:
    """Prints lines, in ASCII and without control characters, for files, pipes and logs.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def opening(self, site: Site, plan: Plan) -> None:
        """Tell what is about to happen."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in site.kinds.items())
        self._print(f"Demo: {plan.proxies} proxies on this machine ({kinds}), {plan.pages:,} pages")
        if site.listed:
            self._print(f"A list names {site.listed:,} addresses; a check found {len(site.names)} that answer.")

    def begin(self, number: int, title: str) -> None:
        """Begin a scene."""
        self._print("")
        self._print(f"{number}. {title}")

    def say(self, text: str) -> None:
        """A sentence."""
        self._print(f"   {text}".rstrip())

    def code(self, source: str) -> None:
        """Source code in Python."""
        for line in source.splitlines():
            self.say(f" {line}".rstrip())

    @contextmanager
    def watch(self, site: Site, pool: ProxyPool, stats: Stats, total: int, label: str = "") -> Iterator[None]:
        """Print a line every second, and at the end one for every proxy."""
        over = threading.Event()

        def tell() -> None:
            # The reader of the lines may be gone; the main thread notices that by itself.
            with suppress(BrokenPipeError):
                while not over.wait(_LINE_EVERY_S):
                    self.say(", ".join(overall_text(stats, total, running=True, label=label)))

        teller = threading.Thread(target=tell, name="demo-teller", daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()
        if label:
            return
        self.say(", ".join(overall_text(stats, total, running=False)))
        rows = [
            (row.name, row.state, share_text(row), latency_text(row), f"{row.successes:,}", f"{row.failures:,}")
            for row in rows_of(site, pool)
        ]
        self.table(("proxy", "state", "share", "latency", "successes", "failures"), rows)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; the first column is text, the others are numbers."""
        lines = [headings, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            self.say(f"{'  '.join(cells)}".rstrip())

    def verdict(self, verdict: Verdict) -> None:
        """The end of a scene."""
        self.say(f"{_mark(verdict)}: {verdict.found}")

    def summary(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """The end."""
        self._print("")
        self._print("Summary")
        for verdict in verdicts:
            self.say(f"{_mark(verdict):6}  {verdict.scene}: {verdict.promise}: {verdict.found}")
        broken = [verdict.scene for verdict in verdicts if not verdict.kept]
        end = f"broken: {', '.join(broken)}" if broken else f"all {len(verdicts)} promises kept"
        self._print(f"{end}, in {seconds:.1f} s")

    def _print(self, line: str) -> None:
        # Line by line, so that a log being followed shows where the demo is.
        print(line, file=self._stream, flush=True)


def _mark(verdict: Verdict) -> str:
    return "kept" if verdict.kept else "BROKEN"
