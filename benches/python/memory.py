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


#: Proxies with an idle connection each.
IDLE = 1_000
#: What the process may take then, in MiB, and one connection, in KiB: plain, and with TLS to the site.
IDLE_TARGET = 30.0
EACH_TARGET = {False: 8.0, True: 40.0}


def idle(urls: str, page: str, ca: str) -> dict[str, float]:
    """Ask for a page through each proxy, and look at the difference.

    Args:
        urls: The proxies, with spaces between them.
        page: What is asked for.
        ca: Certificates that are accepted.

    Returns:
        MiB: `bare` of the interpreter, `httpx` with httpx imported, `all` in the end; and `each` connection's KiB.
    """
    bare = resident()
    import httpx  # noqa: F401 - for its memory

    with_httpx = resident()
    from proxywhirl import ProxyRotator

    proxies = urls.split()
    rotator = ProxyRotator(proxies=proxies[:3], verify=ca, engine="native")
    for _ in range(6):
        rotator.get(page)
    for url in proxies[3:]:
        rotator.add_proxy(url)
    before = resident()
    for _ in proxies:
        rotator.get(page)
    _, kept = rotator._transport.carrier._wire.counts()
    after = resident()
    result = {"bare": bare / 2**20, "httpx": with_httpx / 2**20, "all": after / 2**20}
    return {**result, "each": (after - before) / (kept - 3) / 1024, "kept": kept}


def idle_table() -> Table:
    """1,000 proxies with an idle connection each."""
    table = Table(
        "Idle connections",
        f"{IDLE:,} proxies, a connection each",
        ["bare interpreter, MiB", "httpx imported, MiB", "in all, MiB", "above httpx, MiB", "KiB per connection"],
        text="Resident memory of a process in which each proxy of a rotator has fetched a page. The target of the last "
        "column but one is for what a rotator adds.",
    )
    with ProxyFleet(IDLE) as fleet:
        for tls, each in EACH_TARGET.items():
            page = fleet.site_url("shop.test", "/bytes/1000", https=tls)
            found = in_process(__file__, "--idle", " ".join(fleet.urls), page, fleet.ca_file())
            if found["kept"] < IDLE:
                raise RuntimeError(f"only {found['kept']:.0f} connections were kept: too few descriptors?")
            above = found["all"] - found["httpx"]
            name = "TLS to the site" if tls else "plain"
            cells = (found["bare"], found["httpx"], found["all"], Cell(above, IDLE_TARGET), Cell(found["each"], each))
            table.add(name, *cells)
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
    command.add_argument("--idle", nargs=3, metavar=("PROXIES", "PAGE", "CA"), help="the same, of idle connections")
    options = command.parse_args()
    if options.idle:
        hand_over(idle(*options.idle))
    if options.one:
        state, size = options.one
        hand_over(one(state, int(size)))
    publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
