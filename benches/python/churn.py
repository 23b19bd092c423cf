"""Whether choosing stays as cheap when much of the pool is down, and after many have come and gone.

    python benches/python/churn.py [--quick] [--json FILE]

Three tables: choosing with none, half and nearly all of the proxies down; choosing before and after many changes of
health; replacing members.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from harness import (
    Table,
    address,
    hand_over,
    in_process,
    medians,
    parser,
    per_call,
    publish,
    quiet_heap,
    size_name,
    used_pool,
)

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    HealthStatus,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    WeightedStrategy,
)

STRATEGIES: dict[str, Callable[[], Any]] = {
    "round-robin": RoundRobinStrategy,
    "random": RandomStrategy,
    "weighted, by success rate": WeightedStrategy,
    "performance-based": PerformanceBasedStrategy,
    "least-used": LeastUsedStrategy,
    "cost-aware": CostAwareStrategy,
    "geo": GeoTargetedStrategy,
    "composite geo + performance": lambda: CompositeStrategy([GeoTargetedStrategy()], PerformanceBasedStrategy()),
}
CHANGES = 100_000


def _ready(name: str, size: int) -> tuple[ProxyPool, list[Proxy], dict[str, Any]]:
    pool = used_pool(size, countries=True)
    order = list(pool)
    random.Random(23).shuffle(order)
    names = {"select": STRATEGIES[name]().select, "pool": pool, "context": SelectionContext(target_country="DE")}
    return pool, order, names


def _cost(names: dict[str, Any], quick: bool) -> float:
    repetitions = 3 if quick else 7
    return medians([per_call("select(pool, context)", names, repetitions=repetitions, seconds=0.03)])


def unhealthy(name: str, size: int, quick: bool) -> list[float]:
    """Nanoseconds per choice with none, half and 99 % of the pool unhealthy.

    Args:
        name: A key of `STRATEGIES`.
        size: How many proxies.
        quick: Fewer repetitions.

    Returns:
        The three figures.
    """
    _, order, names = _ready(name, size)
    costs = []
    begin = 0
    for share in (0.0, 0.5, 0.99):
        end = int(size * share)
        for proxy in order[begin:end]:
            proxy.health_status = HealthStatus.UNHEALTHY
        begin = end
        costs.append(_cost(names, quick))
    return costs


def changed(name: str, size: int, quick: bool) -> list[float]:
    """Nanoseconds per choice before and after many changes of health, and per change.

    Args:
        name: A key of `STRATEGIES`.
        size: How many proxies.
        quick: Fewer repetitions.

    Returns:
        Before, after, and per change.
    """
    _, order, names = _ready(name, size)
    before = _cost(names, quick)
    rng = random.Random(29)
    down = [False] * size
    script = []
    for _ in range(CHANGES):
        number = rng.randrange(size)
        down[number] = not down[number]
        script.append((order[number], HealthStatus.UNHEALTHY if down[number] else HealthStatus.HEALTHY))
    begin = time.process_time()
    for proxy, status in script:
        proxy.health_status = status
    each = (time.process_time() - begin) / CHANGES * 1e9
    for number, is_down in enumerate(down):
        if is_down:
            order[number].health_status = HealthStatus.HEALTHY
    return [before, _cost(names, quick), each]


def replaced(size: int, quick: bool) -> list[float]:
    """Nanoseconds for the removal and addition of one proxy, in a full pool with three strategies at work.

    Args:
        size: How many proxies.
        quick: Fewer changes.

    Returns:
        The mean over all changes, the median, the 99.9th percentile and the worst.
    """
    pool, order, _ = _ready("round-robin", size)
    strategies = [RoundRobinStrategy(), RandomStrategy(), LeastUsedStrategy()]
    for strategy in strategies:
        strategy.select(pool)
    ids = [proxy.id for proxy in order]
    count = 5_000 if quick else 50_000
    times = []
    for number in range(count):
        leaving = ids[number % size] if number < size else pool.get_proxy_by_url(address(size + number - size))
        arriving = address(size + number)
        key = leaving.id if isinstance(leaving, Proxy) else leaving
        if key is None:
            raise RuntimeError("a proxy that was added is not there")
        begin = time.perf_counter_ns()
        pool.remove_proxy(key)
        pool.add_proxy(arriving)
        times.append(time.perf_counter_ns() - begin)
    times.sort()
    return [statistics.fmean(times), times[count // 2], times[count * 999 // 1000], times[-1]]


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    sizes = (1_000,) if quick else (1_000, 100_000)
    flags = ["--quick"] if quick else []
    shares = Table(
        "Much of the pool is down",
        "ns per choice",
        [f"{size_name(n)}, {share} unhealthy" for n in sizes for share in ("none", "half", "99 %")],
        text="The country is one of five, for the strategies that look at it. Fewer candidates also mean fewer cache "
        "misses.",
    )
    changes = Table(
        f"After {CHANGES:,} changes of health",
        "ns",
        [f"{size_name(n)}, {what}" for n in sizes for what in ("before", "after", "per change")],
        text="Random proxies go down and come back, one at a time, by assignment to `health_status`; in the end "
        "every proxy is healthy.",
    )
    for name in STRATEGIES:
        shares.add(name, *(v for n in sizes for v in in_process(__file__, "--unhealthy", name, n, *flags)))
        changes.add(name, *(v for n in sizes for v in in_process(__file__, "--changed", name, n, *flags)))
    turnover = Table(
        "Turnover",
        "ns for one that goes and one that comes, by size of the pool",
        ["mean", "median", "99.9 %", "worst"],
        text="Wall clock. Round-robin, random and least-used have chosen from the pool before, and follow.",
    )
    for n in sizes:
        turnover.add(size_name(n), *in_process(__file__, "--replaced", n, *flags))
    return [shares, changes, turnover]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--unhealthy", nargs=2, metavar=("STRATEGY", "SIZE"), help="print one line as JSON")
    command.add_argument("--changed", nargs=2, metavar=("STRATEGY", "SIZE"), help="print one line as JSON")
    command.add_argument("--replaced", type=int, metavar="SIZE", help="print one line as JSON")
    options = command.parse_args()
    quiet_heap()
    if options.unhealthy:
        hand_over(unhealthy(options.unhealthy[0], int(options.unhealthy[1]), options.quick))
    elif options.changed:
        hand_over(changed(options.changed[0], int(options.changed[1]), options.quick))
    elif options.replaced is not None:
        hand_over(replaced(options.replaced, options.quick))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
