"""Two threads that choose at the same time, and how long the slowest choices take.

    python benches/python/threads.py [--quick] [--json FILE]

Under the GIL two threads share one processor: over both together, a call takes as long as with one thread, at best; on
a free-threaded build, half as long. What this shows is whether locks in the core add to that.
"""

from __future__ import annotations

import statistics
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from typing import Any

from harness import Table, hand_over, in_process, parser, publish, quiet_heap, size_name, used_pool

from proxywhirl import LeastUsedStrategy, PerformanceBasedStrategy, RandomStrategy, RoundRobinStrategy

STRATEGIES: dict[str, Callable[[], Any]] = {
    "round-robin": RoundRobinStrategy,
    "random": RandomStrategy,
    "performance-based": PerformanceBasedStrategy,
    "least-used": LeastUsedStrategy,
}


def _together(count: int, work: Callable[[], None]) -> float:
    """Seconds from the moment all of `count` threads are ready until the last is done with `work`."""
    barrier = threading.Barrier(count + 1)

    def run() -> None:
        barrier.wait()
        work()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def throughput(name: str, size: int, quick: bool) -> list[float]:
    """Nanoseconds per choice and report, with one thread and with two.

    Args:
        name: A key of `STRATEGIES`.
        size: How many proxies.
        quick: Fewer calls.

    Returns:
        Wall time over all calls of all threads, for one thread and for two.
    """
    pool = used_pool(size)
    strategy = STRATEGIES[name]()
    calls = 50_000 if quick else 300_000

    def work() -> None:
        select, record = strategy.select, strategy.record_result
        for _ in range(calls):
            record(select(pool), True, 80.0)

    work()
    runs = range(3 if quick else 7)
    # In turns, so that a busy minute strikes both.
    found = [(_together(1, work) / calls, _together(2, work) / calls / 2) for _ in runs]
    return [statistics.median(pair[number] for pair in found) * 1e9 for number in (0, 1)]


def latency(name: str, size: int, count: int, quick: bool) -> list[float]:
    """How long single choices take, the reading of the clock included.

    Args:
        name: A key of `STRATEGIES`.
        size: How many proxies.
        count: How many threads choose; the calls of all are taken together.
        quick: Fewer calls.

    Returns:
        Nanoseconds: the median, the 99th and 99.9th percentile, and the worst.
    """
    pool = used_pool(size)
    strategy = STRATEGIES[name]()
    calls = 50_000 if quick else 300_000
    lock = threading.Lock()
    times: list[int] = []

    def work() -> None:
        select, clock = strategy.select, time.perf_counter_ns
        mine = []
        for _ in range(calls):
            begin = clock()
            select(pool)
            mine.append(clock() - begin)
        with lock:
            times.extend(mine)

    work()
    times.clear()
    _together(count, work)
    times.sort()
    return [times[len(times) // 2], times[len(times) * 99 // 100], times[len(times) * 999 // 1000], times[-1]]


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    size = 1_000
    flags = ["--quick"] if quick else []
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    pairs = Table(
        "Two threads",
        "ns of wall time per `select` and `record_result`, over all threads",
        ["one thread", "two threads"],
        text=f"{size_name(size)} proxies, one strategy, one pool; "
        + ("without the GIL." if free else "with the GIL, which lets one of them run at a time."),
    )
    slow = Table(
        "The slowest choices",
        "ns per `select`, reading the clock included",
        ["median", "99 %", "99.9 %", "worst"],
        text=f"{size_name(size)} proxies. With two threads and the GIL, a call in which the other thread gets its turn "
        f"takes {sys.getswitchinterval() * 1e3:g} ms and more; other programs' turns count too.",
    )
    for name in STRATEGIES:
        pairs.add(name, *in_process(__file__, "--throughput", name, size, *flags))
        for count, words in ((1, "one thread"), (2, "two threads")):
            slow.add(f"{name}, {words}", *in_process(__file__, "--latency", name, size, count, *flags))
    return [pairs, slow]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--throughput", nargs=2, metavar=("STRATEGY", "SIZE"), help="print one line as JSON")
    command.add_argument("--latency", nargs=3, metavar=("STRATEGY", "SIZE", "THREADS"), help="print one line as JSON")
    options = command.parse_args()
    if options.throughput:
        quiet_heap()
        hand_over(throughput(options.throughput[0], int(options.throughput[1]), options.quick))
    elif options.latency:
        quiet_heap()
        name, size, count = options.latency
        hand_over(latency(name, int(size), int(count), options.quick))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
