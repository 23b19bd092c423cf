"""Runs all of the measuring scripts and writes one page about what they found: ``docs/benchmarks.md``.

    python benches/python/report.py [--quick] [--criterion] [--output FILE]

It takes six to seven minutes, one with ``--quick``, which prints and writes nothing without a path. With
``--criterion`` the page has the medians that `cargo bench` has left in the target folder, too. A target that is
missed is shown as such and is no failure; a script that fails is, and then no page is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import Table, say

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
NOTES = ROOT / "docs" / "benchmarks-notes.md"

#: Script, and the heading over its tables.
SCRIPTS = {
    "calls": "Calls from Python",
    "memory": "Memory",
    "imports": "Importing",
    "rotator": "Requests through a rotator",
    "engines": "The native engine beside other clients",
    "streaming": "Bodies that are streamed",
    "relay": "The local relay",
    "churn": "Pools that change",
    "threads": "Threads",
    "supply": "Lists and checks",
    "keeping": "Saving and loading",
}
PACKAGES = ("proxywhirl-rs", "httpx", "httpcore", "h11", "pydantic")

INTRODUCTION = """\
# Benchmarks

`make bench` measures, prints the tables, and writes this page. Nothing on it is typed by hand but the [notes](#notes),
which it takes from `benchmarks-notes.md`. {standing}

## Method

- Loopback only: where requests are measured, proxies and origin are `proxywhirl.testing.ProxyFleet`, in a process of
  their own.
- A figure is a median: of the repetitions in a process, then of the processes (three up to 1,000 proxies, two at
  100,000, one at a million and where there is no target). Each row and size has processes of its own, so that no heap
  is shaped by what was measured before.
- Calls are timed by processor time, with the garbage collector off, and `timeit`'s loop (5 to 9 ns) left in. Imports,
  threads and single slow calls are timed by the wall clock.
- `75 of 60, missed` means: 75 measured, 60 was the target. A figure alone has no target.
- The same calls at 10 and 1,000 proxies are in `tests/benchmarks`, for `pytest-benchmark` and its comparison of two
  commits.
"""


# ----------------------------------------------------------------------------------------------------------------------
# Conditions
# ----------------------------------------------------------------------------------------------------------------------


def _first_match(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        # Only Linux has these files; the page says less elsewhere.
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _commit() -> str | None:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def _standing() -> str:
    commit = _commit()
    tree = f"commit {commit}" if commit else "a tree without a commit"
    return f"**Measured at {tree}: what has changed since is not in it.**"


def _load() -> str:
    try:
        return f"{os.getloadavg()[0]:.2f}"
    except OSError:
        return "unknown"


def conditions() -> list[str]:
    """What the figures depend on, a line each, the load before the first measurement among them."""
    memory = _first_match("/proc/meminfo", "MemTotal")
    total = f", {int(memory.split()[0]) / 2**20:.0f} GiB of memory" if memory else ""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    commit = _commit()
    return [
        f"{_first_match('/proc/cpuinfo', 'model name') or platform.processor() or 'unknown processor'}, "
        f"{os.cpu_count()} cores, {platform.machine()}{total}",
        f"{platform.system()} {platform.release()}, {platform.python_implementation()} {platform.python_version()}",
        versions + (f", commit {commit}" if commit else ""),
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        f"load average {_load()} before",
    ]


# ----------------------------------------------------------------------------------------------------------------------
# Running
# ----------------------------------------------------------------------------------------------------------------------


def measure(script: str, quick: bool) -> list[Table]:
    """Run a script in a process of its own.

    Args:
        script: Its name without the ending.
        quick: Whether to be quick.

    Returns:
        Its tables.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tables.json"
        path = Path(__file__).with_name(f"{script}.py")
        command = [sys.executable, str(path), "--json", str(file), *(["--quick"] if quick else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [Table.from_json(data) for data in json.loads(file.read_text(encoding="utf-8"))]


# ----------------------------------------------------------------------------------------------------------------------
# Criterion
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class _Estimate:
    group: str
    function: str
    value: str
    nanoseconds: float


def _estimates(folder: Path) -> Iterator[_Estimate]:
    for path in sorted(folder.glob("**/new/estimates.json")):
        about: dict[str, Any] = json.loads(path.with_name("benchmark.json").read_text(encoding="utf-8"))
        median = json.loads(path.read_text(encoding="utf-8"))["median"]["point_estimate"]
        yield _Estimate(about["group_id"], about.get("function_id") or "", about.get("value_str") or "", median)


def _by_number(text: str) -> tuple[float, str]:
    digits = "".join(letter for letter in text if letter.isdigit())
    return (float(digits) if digits else -1.0, text)


def criterion(folder: Path) -> list[Table]:
    """Tables of what `cargo bench` measured last: one per group, a line per function, a column per parameter.

    Args:
        folder: Where Criterion keeps its results.

    Returns:
        The tables; none if there are no results.
    """
    groups: dict[str, list[_Estimate]] = {}
    for found in _estimates(folder):
        groups.setdefault(found.group, []).append(found)
    tables = []
    for group, members in sorted(groups.items()):
        values = sorted({member.value for member in members}, key=_by_number)
        names = [f"{int(value):,}" if value.isdigit() else value or "each" for value in values]
        table = Table(group, "ns, median", names)
        by_place = {(member.function, member.value): member.nanoseconds for member in members}
        for function in dict.fromkeys(member.function for member in members):
            table.add(function or group, *(by_place.get((function, value)) for value in values))
        tables.append(table)
    return tables


def _criterion_folder() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion"


# ----------------------------------------------------------------------------------------------------------------------
# The page
# ----------------------------------------------------------------------------------------------------------------------


def _misses(tables: Sequence[Table], notes: str) -> str:
    rows: dict[str, list[str]] = {}
    for table in tables:
        for name, column, cell in table.missed():
            value = f"{cell.value:,.0f}" if cell.value >= 100 else f"{cell.value:.3g}"
            rows.setdefault(name, []).append(f"{column}: {value} of {cell.target:g}")
    if not rows:
        return "Every target is met.\n"
    lines = ["Missed, see the notes below:", ""]
    for name, cells in rows.items():
        # The notes name a row as its table does, whole or up to a comma, or its group with the colon.
        whole = name.strip("`")
        known = (whole, whole.partition(",")[0], whole.partition(":")[0] + ":")
        explained = any(f"`{words}`" in notes for words in known)
        lines.append(f"- {name} ({'; '.join(cells)})" + ("" if explained else ": **not explained yet**"))
    return "\n".join(lines) + "\n"


def page(sections: dict[str, list[Table]], about: Sequence[str], notes: str) -> str:
    """The whole page.

    Args:
        sections: Tables by heading.
        about: The conditions, a line each.
        notes: What was written by hand, Markdown.

    Returns:
        Markdown.
    """
    parts = [INTRODUCTION.format(standing=_standing()), "## Conditions\n\n" + "".join(f"- {line}\n" for line in about)]
    for heading, tables in sections.items():
        parts.append(f"## {heading}\n")
        parts += [table.markdown() for table in tables]
    parts.append("## Targets\n")
    parts.append(_misses([table for tables in sections.values() for table in tables], notes))
    parts.append("## Notes\n")
    parts.append(notes.strip() + "\n")
    return "\n".join(parts)


def main() -> int:
    """Run from the command line; the exit status."""
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--quick", action="store_true", help="about a minute; prints only, unless --output is there")
    command.add_argument("--criterion", action="store_true", help="with what `cargo bench` measured last")
    command.add_argument("--output", type=Path, metavar="FILE", help=f"instead of {PAGE.relative_to(ROOT)}")
    command.add_argument("--only", nargs="+", choices=list(SCRIPTS), help="run these only; prints only, as --quick")
    options = command.parse_args()

    sections: dict[str, list[Table]] = {}
    about = conditions()
    begin = time.perf_counter()
    for script, heading in SCRIPTS.items():
        if options.only and script not in options.only:
            continue
        since = time.perf_counter()
        sys.stderr.write(f"{script} ... ")
        sys.stderr.flush()
        sections[heading] = measure(script, options.quick)
        sys.stderr.write(f"{time.perf_counter() - since:.0f} s\n")
    about[-1] += f", {_load()} after {time.perf_counter() - begin:.0f} s of measuring"
    if options.quick:
        about.append("measured with `--quick`: too few repetitions to rely on")
    if options.criterion:
        folder = _criterion_folder()
        core = criterion(folder)
        if not core:
            sys.stderr.write(f"{folder} has no results of `cargo bench`; the page goes without\n")
        else:
            sections["The core, from Rust"] = core
    notes = NOTES.read_text(encoding="utf-8") if NOTES.exists() else "None yet."
    text = page(sections, about, notes)
    say(text)
    output = options.output or (None if options.quick or options.only else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        sys.stderr.write(f"written to {output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
