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
HEAVY = ("httpx", "pydantic", "asyncio", "ssl", "rich")


def _start(statement: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - begin) * 1e3


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
    return [table]


def main() -> None:
    """Run from the command line."""
    options = parser(__doc__).parse_args()
    publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
