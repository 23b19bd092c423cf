"""What one call costs from Python: choosing, recording, leasing, adding.

    python benches/python/calls.py [--quick] [--json FILE]
    python benches/python/calls.py --one "select: random" 100000    # one row, one size: for a profiler

Each figure is taken in processes of its own.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from harness import (
    SIZES,
    Cell,
    Table,
    address,
    hand_over,
    in_process,
    medians,
    parser,
    per_call,
    publish,
    quiet_heap,
    shuffled,
    size_name,
    used_pool,
)

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyRotator,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    WeightedStrategy,
)


@dataclass
class Case:
    """Something to time: a statement, what it refers to, and how many calls it makes."""

    statement: str
    names: dict[str, Any]
    calls: int = 1


Builder = Callable[[int], Case]
#: Nanoseconds at 10 and 1,000, at 100,000, and at 1,000,000 proxies.
Targets = tuple[float, float, float]


@dataclass
class Subject:
    """One row.

    Attributes:
        build: Makes what is timed, for a pool of a size.
        targets: What it may cost; `None` where nothing was promised.
        largest: The largest pool it is tried on.
    """

    build: Builder
    targets: Targets | None = None
    largest: int = SIZES[-1]

    def target(self, size: int) -> float | None:
        """The target at a size, in nanoseconds."""
        if self.targets is None:
            return None
        return self.targets[0 if size <= 1_000 else 1 if size <= 100_000 else 2]


# ----------------------------------------------------------------------------------------------------------------------
# Choosing
# ----------------------------------------------------------------------------------------------------------------------


def _select(make: Callable[[ProxyPool], Any]) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size)
        return Case("select(pool)", {"select": make(pool).select, "pool": pool})

    return build


def _weights(pool: ProxyPool) -> WeightedStrategy:
    rng = random.Random(3)
    return WeightedStrategy({proxy.url: rng.uniform(0.5, 8.0) for proxy in pool})


def _with_context(make: Callable[[], Any], context: Callable[[ProxyPool], SelectionContext]) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size, countries=True)
        return Case("select(pool, context)", {"select": make().select, "pool": pool, "context": context(pool)})

    return build


def _german(pool: ProxyPool) -> SelectionContext:
    del pool
    return SelectionContext(target_country="DE")


def _fifty_excluded(pool: ProxyPool) -> SelectionContext:
    # A pool of ten keeps five to choose from: then most of the ids are unknown to it.
    order = list(pool)
    ids = [proxy.id for proxy in random.Random(5).sample(order, min(50, len(order) // 2))]
    return SelectionContext(exclude_proxy_ids=ids + [uuid4() for _ in range(50 - len(ids))])


def _session_hit(most: int) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size)
        strategy = SessionPersistenceStrategy(fallback_strategy="random")
        contexts = [SelectionContext(session_id=f"customer-{number}") for number in range(min(most, max(100, size)))]
        for context in contexts:
            strategy.select(pool, context)
        random.Random(13).shuffle(contexts)
        names = {"select": strategy.select, "pool": pool, "contexts": contexts}
        return Case("for context in contexts: select(pool, context)", names, len(contexts))

    return build


# ----------------------------------------------------------------------------------------------------------------------
# Recording
# ----------------------------------------------------------------------------------------------------------------------


def _record(make: Callable[[ProxyPool], Any], *, first: bool = True) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size, countries=True)
        strategy = make(pool)
        if first:
            # What the strategy keeps about the pool is made by its first choice, and kept up to date from then on.
            strategy.select(pool, SelectionContext(session_id="customer", target_country="DE"))
        order = shuffled(pool)
        names = {"record": strategy.record_result, "order": order}
        return Case("for proxy in order: record(proxy, True, 80.0)", names, len(order))

    return build


def _record_in_order(size: int) -> Case:
    pool = used_pool(size)
    order = list(pool) * max(1, 10_000 // size)
    names = {"record": RoundRobinStrategy().record_result, "order": order}
    return Case("for proxy in order: record(proxy, True, 80.0)", names, len(order))


def _record_varied(size: int) -> Case:
    pool = used_pool(size)
    strategy = PerformanceBasedStrategy()
    strategy.select(pool)
    order = shuffled(pool)
    rng = random.Random(17)
    # Few enough to stay in the cache; a prime number, so that no proxy meets the same one every time.
    times = [rng.uniform(20.0, 2_000.0) for _ in range(1_021)]
    names = {"record": strategy.record_result, "order": order, "times": itertools.cycle(times), "zip": zip}
    return Case("for proxy, ms in zip(order, times): record(proxy, True, ms)", names, len(order))


def _pair(make: Callable[[ProxyPool], Any]) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size)
        strategy = make(pool)
        names = {"select": strategy.select, "record": strategy.record_result, "pool": pool}
        return Case("record(select(pool), True, 80.0)", names)

    return build


# ----------------------------------------------------------------------------------------------------------------------
# Leasing
# ----------------------------------------------------------------------------------------------------------------------


def _lease(make: Callable[[], Any]) -> Builder:
    def build(size: int) -> Case:
        pool = used_pool(size)
        return Case("lease(strategy).finish('success', 80.0)", {"lease": pool.lease, "strategy": make()})

    return build


def _rotator_lease(size: int) -> Case:
    rotator = ProxyRotator(strategy="round-robin")
    rotator.pool.add_many(address(number) for number in range(size))
    for _ in range(size):
        rotator.lease("http://shop.test/").success(80.0)
    return Case("lease('http://shop.test/').success(80.0)", {"lease": rotator.lease})


# ----------------------------------------------------------------------------------------------------------------------
# By hand
# ----------------------------------------------------------------------------------------------------------------------


class _Plain:
    """A proxy as a script of twenty lines has it."""

    __slots__ = ("healthy", "started", "url", "weight")

    def __init__(self, url: str) -> None:
        self.url = url
        self.healthy = True
        self.started = 0
        self.weight = 1.0


def _by_hand(statement: str, **names: Any) -> Builder:
    def build(size: int) -> Case:
        proxies = [_Plain(address(number)) for number in range(size)]
        made = {name: make(proxies) for name, make in names.items()}
        return Case(statement, {"proxies": proxies, "choice": random.choice, "choices": random.choices, **made})

    return build


SUBJECTS: dict[str, Subject] = {
    "select: round-robin": Subject(_select(lambda pool: RoundRobinStrategy()), (60, 70, 80)),
    "select: random": Subject(_select(lambda pool: RandomStrategy()), (60, 220, 260)),
    "select: weighted, a weight per URL": Subject(_select(_weights), (120, 300, 400)),
    "select: weighted, by success rate": Subject(_select(lambda pool: WeightedStrategy()), (120, 300, 400)),
    "select: performance-based": Subject(_select(lambda pool: PerformanceBasedStrategy()), (120, 300, 400)),
    "select: least-used": Subject(_select(lambda pool: LeastUsedStrategy()), (120, 300, 400)),
    "select with context: session hit": Subject(_session_hit(10_000), (150, 320, 420)),
    "select with context: geo": Subject(_with_context(GeoTargetedStrategy, _german), (150, 320, 420)),
    "select with context: random, 50 excluded ids": Subject(
        _with_context(RandomStrategy, _fifty_excluded), (150, 320, 420)
    ),
    "select with context: composite geo + performance": Subject(
        _with_context(lambda: CompositeStrategy([GeoTargetedStrategy()], PerformanceBasedStrategy()), _german),
        (200, 350, 450),
    ),
    "record_result: round-robin": Subject(_record(lambda pool: RoundRobinStrategy()), (60, 120, 200)),
    "record_result: random": Subject(_record(lambda pool: RandomStrategy()), (60, 120, 200)),
    "record_result: weighted, by success rate": Subject(_record(lambda pool: WeightedStrategy()), (60, 120, 200)),
    "record_result: performance-based": Subject(_record(lambda pool: PerformanceBasedStrategy()), (60, 120, 200)),
    "record_result: least-used": Subject(_record(lambda pool: LeastUsedStrategy()), (60, 120, 200)),
    "record_result: session": Subject(_record(lambda pool: SessionPersistenceStrategy()), (60, 120, 200)),
    "record_result: geo": Subject(_record(lambda pool: GeoTargetedStrategy()), (60, 120, 200)),
    "record_result: cost-aware": Subject(_record(lambda pool: CostAwareStrategy()), (60, 120, 200)),
    "record_result: composite geo + performance": Subject(
        _record(lambda pool: CompositeStrategy([GeoTargetedStrategy()], PerformanceBasedStrategy())), (60, 120, 200)
    ),
    "lease + finish: round-robin": Subject(_lease(RoundRobinStrategy), (250, 400, 500)),
    "lease + finish: random": Subject(_lease(RandomStrategy), (250, 400, 500)),
}

BESIDES: dict[str, Subject] = {
    "select, then record_result: round-robin": Subject(_pair(lambda pool: RoundRobinStrategy())),
    "select, then record_result: random": Subject(_pair(lambda pool: RandomStrategy())),
    "select, then record_result: performance-based": Subject(_pair(lambda pool: PerformanceBasedStrategy())),
    "select, then record_result: least-used": Subject(_pair(lambda pool: LeastUsedStrategy())),
    "select with context: session hit, 100 sessions in all": Subject(_session_hit(100)),
    "select: cost-aware": Subject(_select(lambda pool: CostAwareStrategy())),
    "record_result: round-robin, proxies in order": Subject(_record_in_order),
    "record_result: performance-based, times from 20 to 2,000 ms": Subject(_record_varied),
    "rotator.lease(url), then success": Subject(_rotator_lease),
}

BY_HAND: dict[str, Subject] = {
    "`next(cycle(proxies))`": Subject(_by_hand("next(turn)", turn=itertools.cycle)),
    "`random.choice(proxies)`": Subject(_by_hand("choice(proxies)")),
    "`random.choice([p for p in proxies if p.healthy])`": Subject(
        _by_hand("choice([p for p in proxies if p.healthy])")
    ),
    "`random.choices(proxies, weights)`": Subject(
        _by_hand("choices(proxies, weights)", weights=lambda proxies: [p.weight for p in proxies])
    ),
    "`min(proxies, key=started)`": Subject(_by_hand("min(proxies, key=started)", started=lambda _: _started)),
}


def _started(proxy: _Plain) -> int:
    return proxy.started


# ----------------------------------------------------------------------------------------------------------------------
# Adding: timed by hand, since each repetition needs new pools
# ----------------------------------------------------------------------------------------------------------------------


def _add_url(pool: ProxyPool, urls: list[str], proxies: list[Proxy]) -> None:
    del proxies
    add = pool.add_proxy
    for url in urls:
        add(url)


def _add_made(pool: ProxyPool, urls: list[str], proxies: list[Proxy]) -> None:
    del urls
    add = pool.add_proxy
    for proxy in proxies:
        add(proxy)


def _add_making(pool: ProxyPool, urls: list[str], proxies: list[Proxy]) -> None:
    del proxies
    add = pool.add_proxy
    for url in urls:
        add(Proxy(url=url))


def _add_many(pool: ProxyPool, urls: list[str], proxies: list[Proxy]) -> None:
    del proxies
    pool.add_many(urls)


ADDING: dict[str, tuple[Callable[[ProxyPool, list[str], list[Proxy]], None], float | None]] = {
    "pool.add_proxy(proxy)": (_add_made, 2_000),
    "pool.add_proxy(url)": (_add_url, 2_000),
    "pool.add_proxy(Proxy(url=url))": (_add_making, None),
    "pool.add_many(urls)": (_add_many, 500),
}


def _adding(name: str, size: int, repetitions: int) -> list[float]:
    """Nanoseconds per proxy, from an empty pool to a full one."""
    fill, _ = ADDING[name]
    urls = [address(number) for number in range(size)]
    # Several small pools at once, so that the clock is read seldom.
    batch = max(1, 20_000 // size)
    values = []
    for _ in range(repetitions):
        ready = [
            (ProxyPool(max_pool_size=size), urls, [Proxy(url=url) for url in urls] if fill is _add_made else [])
            for _ in range(batch)
        ]
        begin = time.process_time()
        for work in ready:
            fill(*work)
        values.append((time.process_time() - begin) / size / batch * 1e9)
    return values


# ----------------------------------------------------------------------------------------------------------------------
# Contexts
# ----------------------------------------------------------------------------------------------------------------------


def _contexts(quick: bool) -> Table:
    table = Table("Building a context", "ns", ["each"])
    names = {"make": SelectionContext, "ids": [uuid4() for _ in range(50)], "url": "http://shop.test/page"}
    repetitions = 3 if quick else 9

    def cell(statement: str, target: float | None = None) -> Cell:
        return Cell(medians([per_call(statement, names, repetitions=repetitions)]), target)

    table.add("`SelectionContext()`", cell("make()", 200))
    table.add("`SelectionContext(session_id=...)`", cell("make(session_id='customer-7')", 200))
    table.add(
        "`SelectionContext(session_id=..., target_url=..., target_country=...)`",
        cell("make(session_id='customer-7', target_url=url, target_country='DE')", 200),
    )
    table.add("`SelectionContext(exclude_proxy_ids=...)`, 50 of them", cell("make(exclude_proxy_ids=ids)"))
    return table


# ----------------------------------------------------------------------------------------------------------------------


def one(name: str, size: int, *, quick: bool, seconds: float | None = None) -> list[float]:
    """Measure one row at one size, in this process.

    Args:
        name: A key of `SUBJECTS`, `BESIDES`, `BY_HAND` or `ADDING`.
        size: How many proxies.
        quick: Fewer repetitions.
        seconds: About how long a repetition takes.

    Returns:
        Nanoseconds per call, one figure per repetition.
    """
    quiet_heap()
    if name in ADDING:
        return _adding(name, size, 1 if size >= 1_000_000 else 3 if quick or size >= 100_000 else 7)
    case = {**SUBJECTS, **BESIDES, **BY_HAND}[name].build(size)
    quiet_heap()
    # At random order a large pool takes longer until the caches are as they will be.
    span = seconds or (0.02 if quick else 0.03 if size <= 1_000 else 0.1)
    return per_call(case.statement, case.names, calls=case.calls, repetitions=3 if quick else 7, seconds=span)


def _measured(name: str, size: int, quick: bool) -> float:
    promised = name in SUBJECTS or name in ADDING
    processes = 1 if quick or not promised or size >= 1_000_000 else 2 if size >= 100_000 else 3
    flags = ["--quick"] if quick else []
    return medians([in_process(__file__, "--one", name, size, *flags) for _ in range(processes)])


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    sizes = (1_000, 100_000) if quick else SIZES
    columns = [size_name(size) for size in sizes]

    def cell(name: str, size: int, subject: Subject) -> Cell | None:
        return Cell(_measured(name, size, quick), subject.target(size)) if size <= subject.largest else None

    calls = Table(
        "Calls",
        "ns per call, by size of the pool",
        columns,
        text="Every proxy was used once before, in order. `select` counts a start. `record_result` meets the proxies "
        "in random order, so at 100,000 and more each is a cache miss; the pairs below report the proxy just chosen. "
        "There is a session per proxy, at most 10,000, in random order; geo picks one country of five; "
        "at ten proxies, five of the 50 excluded ids are of the pool.",
    )
    for name, subject in SUBJECTS.items():
        calls.add(name, *(cell(name, size, subject) for size in sizes))

    adding = Table("Adding", "ns per proxy, by size of the pool when full", columns)
    adding.text = "From an empty pool to a full one, the cost spread over all. `proxy` is made before."
    for name, (_, target) in ADDING.items():
        adding.add(name, *(Cell(_measured(name, size, quick), target) for size in sizes))

    shown = [calls, adding, _contexts(quick)]
    if quick:
        return shown
    besides = Table("More calls, without a target", "ns per call, by size of the pool", columns)
    for name, subject in BESIDES.items():
        besides.add(name, *(cell(name, size, subject) for size in sizes))
    by_hand = Table(
        "The same by hand",
        "ns per choice, by size of the list",
        columns,
        text="What a script without a library does, on a list of plain objects; it counts nothing and takes no lock.",
    )
    for name, subject in BY_HAND.items():
        by_hand.add(name, *(cell(name, size, subject) for size in sizes))
    return [*shown, besides, by_hand]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--one", nargs=2, metavar=("ROW", "SIZE"), help="print the figures of one row as JSON")
    command.add_argument("--seconds", type=float, help="with --one: how long each repetition takes")
    options = command.parse_args()
    if options.one:
        name, size = options.one
        hand_over(one(name, int(size), quick=options.quick, seconds=options.seconds))
    publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
