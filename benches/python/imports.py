"""What importing costs, above a bare interpreter.

    python benches/python/imports.py [--quick] [--json FILE]

Interpreters are started in turns, one for each row, and the medians' differences shown.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from harness import Cell, Table, parser, publish

from proxywhirl.testing import ProxyFleet

BARE = "pass"
#: What is executed, and how many milliseconds above the bare interpreter it may take.
STATEMENTS = {
    "import proxywhirl": 30.0,
    "from proxywhirl import ProxyPool, RoundRobinStrategy": None,
    "from proxywhirl import ProxyRotator": None,
    "from proxywhirl import ProxyRotator; ProxyRotator(proxies=['http://127.0.0.1:9'])": None,
    "import httpx": None,
    "import pydantic": None,
}
#: The first page of a process: by httpx alone, and by a rotator, which may take so many milliseconds more.
FIRST = {
    "httpx.Client(proxy=...).get(...)": "import httpx; httpx.Client(proxy=PROXY).get(PAGE).raise_for_status()",
    "ProxyRotator(...).get(...)": (
        "from proxywhirl import ProxyRotator; ProxyRotator(proxies=[PROXY]).get(PAGE).raise_for_status()"
    ),
}
FIRST_TARGET = 25.0
HEAVY = ("httpx", "pydantic", "asyncio", "ssl", "rich")


def _start(statement: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - begin) * 1e3


def _first_pages(rounds: int) -> Table:
    table = Table("The first page of a process", "ms", ["from start to end", "above httpx"])
    times: dict[str, list[float]] = {name: [] for name in FIRST}
    with ProxyFleet(1) as fleet:
        where = f"PROXY = {fleet.urls[0]!r}; PAGE = {fleet.site_url('shop.test', '/bytes/1000')!r}; "
        for number in range(rounds + 1):
            for name, code in FIRST.items():
                took = _start(where + code)
                if number:
                    times[name].append(took)
    by_hand, ours = (statistics.median(values) for values in times.values())
    names = list(FIRST)
    table.add(f"`{names[0]}`", by_hand, None)
    table.add(f"`{names[1]}`", ours, Cell(ours - by_hand, FIRST_TARGET))
    table.text = f"An interpreter starts, imports, asks for a page over plain HTTP, and ends: {rounds} times, in turns."
    return table


def _brings_in(statement: str) -> str:
    code = f"{statement}\nimport sys, json\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return ", ".join(json.loads(done.stdout)) or "none of them"


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    table = Table("Importing", "ms above the bare interpreter", ["each"])
    times: dict[str, list[float]] = {statement: [] for statement in (BARE, *STATEMENTS)}
    # The first start compiles to bytecode and reads from the disk.
    for statement in times:
        _start(statement)
    for _ in range(5 if quick else 25):
        for statement, values in times.items():
            values.append(_start(statement))
    bare = statistics.median(times[BARE])
    for statement, target in STATEMENTS.items():
        table.add(f"`{statement}`", Cell(statistics.median(times[statement]) - bare, target))
    loaded = "; ".join(f"`{statement}`: {_brings_in(statement)}" for statement in list(STATEMENTS)[:3])
    table.text = (
        f"Median of {len(times[BARE])} starts each, in turns; the bare interpreter takes {bare:.1f} ms. "
        f"Of {', '.join(HEAVY)}, these bring in: {loaded}."
    )
    return [table, _first_pages(5 if quick else 25)]


def main() -> None:
    """Run from the command line."""
    options = parser(__doc__).parse_args()
    publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
