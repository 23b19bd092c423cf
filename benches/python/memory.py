"""How many bytes a proxy takes, unused and used, and a connection that is kept idle.

    python benches/python/memory.py [--quick] [--json FILE]

What the operating system counts as resident, before and after, in a process of its own for each figure. Needs Linux.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

from harness import Cell, Table, address, hand_over, in_process, parser, publish, size_name

from proxywhirl import ProxyPool, RoundRobinStrategy
from proxywhirl.testing import ProxyFleet

#: What is done with the pool, and what it may take per proxy at a million.
STATES = {
    "unused": 300.0,
    "each with its Python object, unused": None,
    "each chosen and reported once": 600.0,
    "unused, with user and password": None,
    "each chosen and reported once, with user and password": None,
}


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _urls(size: int, login: bool) -> Iterator[str]:
    for number in range(size):
        url = address(number)
        yield url.replace("://", f"://user{number}:secret{number}@") if login else url


def one(state: str, size: int) -> dict[str, float]:
    """Fill a pool and look at the difference.

    Args:
        state: A key of `STATES`.
        size: How many proxies.

    Returns:
        `bytes` per proxy, and `collect`: milliseconds that one full garbage collection takes with the pool alive.
    """
    # What is allocated once, whatever the size, is there before the first look.
    small = ProxyPool(max_pool_size=10)
    small.add_many(_urls(10, login=True))
    strategy = RoundRobinStrategy()
    strategy.record_result(strategy.select(small), True, 80.0)

    before = resident()
    pool = ProxyPool(max_pool_size=size)
    pool.add_many(_urls(size, "password" in state))
    if "Python object" in state:
        for _ in pool:
            pass
    if "reported" in state:
        for _ in range(size):
            strategy.record_result(strategy.select(pool), True, 80.0)
    after = resident()
    begin = time.perf_counter()
    gc.collect()
    collect = (time.perf_counter() - begin) * 1e3
    return {"bytes": (after - before) / len(pool), "collect": collect}


#: Proxies with an idle connection each, and what looks at them.
IDLE = 1_000
IDLE_SCRIPT = Path(__file__).with_name("idle.py")
#: What the process may take then, in MiB, and one connection, in KiB: plain, and with TLS to the site.
IDLE_TARGET = 30.0
EACH_TARGET = {False: 8.0, True: 40.0}


def idle_table() -> Table:
    """1,000 proxies with an idle connection each."""
    table = Table(
        "Idle connections",
        f"{IDLE:,} proxies, a connection each",
        ["bare interpreter, MiB", "httpx imported", "first page fetched", "in all", "of one, KiB"],
        text="Resident memory of a process that has imported httpx and the rotator and fetched a page through each "
        "proxy, at each step. Half of what there is after the first page are pages of files, code above all, which "
        "processes share.",
    )
    with ProxyFleet(IDLE) as fleet:
        for tls, each in EACH_TARGET.items():
            page = fleet.site_url("shop.test", "/bytes/1000", https=tls)
            found = in_process(str(IDLE_SCRIPT), " ".join(fleet.urls), page, fleet.ca_file())
            if found["kept"] < IDLE:
                raise RuntimeError(f"only {found['kept']:.0f} connections were kept: too few descriptors?")
            name = "TLS to the site" if tls else "plain"
            steps = (found["bare"], found["httpx"], found["first"])
            table.add(name, *steps, Cell(found["all"], IDLE_TARGET), Cell(found["each"], each))
    return table


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    sizes = (100_000,) if quick else (10_000, 100_000, 1_000_000)
    memory = Table(
        "Memory",
        "bytes per proxy, by size of the pool",
        [size_name(size) for size in sizes],
        text="Growth of resident memory over the growth of the pool, added from strings that are not kept. The "
        "target is for a million.",
    )
    collecting = Table(
        "Garbage collection",
        "ms for one full collection, by size of the pool",
        memory.columns,
        text="Python's collector visits the Python object of each proxy in a full collection. A program whose pool "
        "lasts can call `gc.freeze()`.",
    )
    for state, target in STATES.items():
        found = [in_process(__file__, "--one", state, size) for size in sizes]
        cells = [Cell(result["bytes"], target if size >= 1_000_000 else None) for size, result in zip(sizes, found)]
        memory.add(state, *cells)
        if "password" not in state:
            collecting.add(state, *(result["collect"] for result in found))
    return [memory, collecting, idle_table()]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--one", nargs=2, metavar=("STATE", "SIZE"), help="print one result as JSON")
    options = command.parse_args()
    if options.one:
        state, size = options.one
        hand_over(one(state, int(size)))
    publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
