"""What the measuring scripts share: how time is taken, how pools are made, and how results become tables.

A script measures one subject, prints its tables, and with ``--json FILE`` writes them for `report.py`, which puts all
of them on one page. Nothing here asserts anything: a figure is measured, compared with its target, and shown.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from proxywhirl import Proxy, ProxyPool, RoundRobinStrategy

SIZES = (10, 1_000, 100_000, 1_000_000)
COUNTRIES = ("US", "DE", "FR", "GB", "NL")

# ----------------------------------------------------------------------------------------------------------------------
# Tables
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One figure.

    Attributes:
        value: What was measured, in the table's unit; the median where there were several.
        target: What it may be at most; `None` where nothing was promised.
        note: Shown behind the figure.
    """

    value: float
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether there is no target, or the figure, rounded as it is shown, does not exceed it."""
        return self.target is None or float(_digits(self.value)) <= self.target


@dataclass
class Row:
    """One line of a table: what was measured, and a figure per column, `None` where there is none."""

    name: str
    cells: list[Cell | None]


@dataclass
class Table:
    """Figures of one kind.

    Attributes:
        title: What they are about.
        unit: Of all figures.
        columns: Heads of the columns behind the first.
        rows: The lines.
        text: How it was measured; Markdown, shown above the table.
    """

    title: str
    unit: str
    columns: list[str]
    rows: list[Row] = field(default_factory=list)
    text: str = ""

    def add(self, name: str, *cells: Cell | float | None) -> None:
        """Add a line; a bare number is a figure without a target."""
        self.rows.append(Row(name, [Cell(float(c)) if isinstance(c, (int, float)) else c for c in cells]))

    def missed(self) -> Iterator[tuple[str, str, Cell]]:
        """Row, column and figure of each target that is not met."""
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells):
                if cell is not None and not cell.met:
                    yield row.name, column, cell

    def markdown(self) -> str:
        """The table as Markdown, with its title and text."""
        lines = [f"### {self.title}", ""]
        if self.text:
            lines += [self.text, ""]
        lines.append(f"| {self.unit} |" + "".join(f" {column} |" for column in self.columns))
        lines.append("|---|" + "---:|" * len(self.columns))
        for row in self.rows:
            lines.append(f"| {row.name} |" + "".join(f" {_shown(cell)} |" for cell in row.cells))
        return "\n".join(lines) + "\n"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Table:
        """The table that `asdict` was given."""
        rows = [Row(row["name"], [None if c is None else Cell(**c) for c in row["cells"]]) for row in data["rows"]]
        return cls(data["title"], data["unit"], data["columns"], rows, data["text"])


def _digits(value: float) -> str:
    """Three digits, or all of those before the point."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 3)}f}"


def _grouped(text: str) -> str:
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole.isdigit() else text


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    text = _grouped(_digits(cell.value)) + (f" {cell.note}" if cell.note else "")
    if cell.target is None:
        return text
    target = _grouped(f"{cell.target:g}" if cell.target < 1000 else f"{cell.target:.0f}")
    return f"{text} of {target}" if cell.met else f"**{text} of {target}, missed**"


def size_name(size: int) -> str:
    """Head of the column for a pool of this size."""
    return f"{size:,}"


# ----------------------------------------------------------------------------------------------------------------------
# Time
# ----------------------------------------------------------------------------------------------------------------------


def per_call(
    statement: str,
    names: dict[str, Any],
    *,
    calls: int = 1,
    repetitions: int = 7,
    seconds: float = 0.03,
    timer: Callable[[], float] = time.process_time,
) -> list[float]:
    """Time a statement.

    The clock is the processor time of this process: what other programs do in the meantime does not count, what threads
    of the library's own do counts. The loop of `timeit` (5 to 9 ns a turn) is left in. Garbage collection is off.

    Args:
        statement: What to time.
        names: What it refers to.
        calls: How many calls of interest one execution makes, 1 or more.
        repetitions: How many figures are wanted, 1 or more.
        seconds: About how long each may take.
        timer: The clock, in seconds.

    Returns:
        Nanoseconds per call, one figure per repetition.
    """
    timed = timeit.Timer(statement, globals=names, timer=timer)
    once = max(timed.timeit(1), 1e-9)
    # The first execution builds what is built on first use; the second estimate is of the rest.
    count = max(1, min(1000, int(seconds / 4 / once)))
    number = max(1, int(seconds / max(timed.timeit(count) / count, 1e-9)))
    return [value / number / calls * 1e9 for value in timed.repeat(repetitions, number)]


def medians(runs: Sequence[Sequence[float]]) -> float:
    """The median of the runs' medians: one run with unlucky addresses, or a busy minute, does not decide."""
    return statistics.median(statistics.median(run) for run in runs)


def in_process(script: str, *arguments: Any) -> Any:
    """Run one of the scripts in a fresh interpreter, so that nothing measured before has shaped the heap.

    Args:
        script: Its `__file__`.
        *arguments: Of its command line.

    Returns:
        What it printed, as JSON.
    """
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


# ----------------------------------------------------------------------------------------------------------------------
# Pools
# ----------------------------------------------------------------------------------------------------------------------


def address(number: int) -> str:
    """The URL of proxy number `number`: IPv4, as most lists have it."""
    return f"http://10.{number >> 16}.{number >> 8 & 255}.{number & 255}:8080"


def cold_pool(size: int) -> ProxyPool:
    """A pool of proxies of which none was asked for yet."""
    pool = ProxyPool(name="bench", max_pool_size=size + 1_000)
    pool.add_many(address(number) for number in range(size))
    return pool


def used_pool(size: int, *, countries: bool = False) -> ProxyPool:
    """A pool in which each proxy was chosen once and succeeded, in order, as in a rotation's first round.

    Latencies are spread log-normally around 80 ms. The Python object of each proxy exists and stays.

    Args:
        size: How many proxies.
        countries: Whether each has one of five countries, in turn.

    Returns:
        The pool.
    """
    pool = cold_pool(size)
    strategy = RoundRobinStrategy()
    rng = random.Random(7)
    # A prime number of them, so that they fall together with nothing else that repeats.
    times = [80.0 * math.exp(rng.gauss(0.0, 0.6)) for _ in range(1_021)]
    for number in range(size):
        proxy = strategy.select(pool)
        strategy.record_result(proxy, True, times[number % len(times)])
        if countries:
            proxy.country_code = COUNTRIES[number % len(COUNTRIES)]
    return pool


def shuffled(pool: ProxyPool, *, at_least: int = 10_000, at_most: int = 200_000) -> list[Proxy]:
    """Proxies of a pool in random order.

    Args:
        pool: The pool.
        at_least: They are repeated until there are so many, to make a loop worth while.
        at_most: Of more than that, a random part: going through it takes several times what the caches hold.

    Returns:
        The proxies.
    """
    order = list(pool)
    random.Random(11).shuffle(order)
    del order[at_most:]
    return order * max(1, math.ceil(at_least / len(order)))


# ----------------------------------------------------------------------------------------------------------------------
# Command line
# ----------------------------------------------------------------------------------------------------------------------


def say(text: str = "") -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every script understands."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--quick", action="store_true", help="fewer sizes and repetitions: does it work at all?")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    return made


def publish(tables: Sequence[Table], options: argparse.Namespace) -> None:
    """Print the tables, and write them where the command line says."""
    for table in tables:
        say(table.markdown())
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(table) for table in tables], indent=1), encoding="utf-8")


def hand_over(result: Any) -> NoReturn:
    """Write a result for `in_process`, and end this process."""
    say(json.dumps(result))
    # Taking down a million objects one by one would take longer than the measurement.
    os._exit(0)


def quiet_heap() -> None:
    """Collect what is garbage, and collect no more: for processes that measure one thing and end."""
    gc.collect()
    gc.disable()
