"""Whether a scraper gets its pages from a fleet that fails, bans, throttles and heals, and at what price.

    python benches/python/resilience.py [--quick] [--only NAME]

Prints one table: what was promised, what was found, whether that is kept. Ends with status 1 if a promise was broken.
Everything happens on loopback, between this process and :class:`proxywhirl.testing.ProxyFleet`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxywhirl import (
    AsyncProxyRotator,
    CircuitBreakerConfig,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    RandomStrategy,
    ResilienceConfig,
    RoundRobinStrategy,
)
from proxywhirl.testing import ProxyFleet, ProxySpec

SITE = "shop.test"
OTHER = "news.test"


@dataclass
class Row:
    """One promise."""

    name: str
    wanted: str
    found: str
    kept: bool


@dataclass
class Crawl:
    """What came of many requests."""

    good: int = 0
    errors: Counter[str] = None  # type: ignore[assignment]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.errors = Counter()

    def note(self, result: Any) -> None:
        if isinstance(result, Exception):
            self.errors[type(result).__name__] += 1
        elif result.status_code == 200:
            self.good += 1
        else:
            self.errors[f"status {result.status_code}"] += 1

    def summary(self, total: int) -> str:
        wrong = ", ".join(f"{number} {name}" for name, number in self.errors.items())
        return f"{self.good} of {total} in {self.seconds:.1f} s{'; ' + wrong if wrong else ''}"


def crawl(rotator: ProxyRotator, url: str, number: int) -> Crawl:
    """So many requests, one after the other."""
    result = Crawl()
    begun = time.perf_counter()
    for _ in range(number):
        try:
            result.note(rotator.get(url))
        except Exception as error:  # noqa: BLE001 - an error is a result here, and is shown
            result.note(error)
    result.seconds = time.perf_counter() - begun
    return result


async def crawl_async(rotator: AsyncProxyRotator, url: str, number: int, at_once: int) -> Crawl:
    """So many requests, some at a time."""
    result = Crawl()
    left = iter(range(number))

    async def worker() -> None:
        for _ in left:
            try:
                result.note(await rotator.get(url))
            except Exception as error:  # noqa: BLE001 - as above
                result.note(error)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    result.seconds = time.perf_counter() - begun
    return result


def mixed_fleet() -> list[ProxySpec]:
    """The bad ones first, which is the worst order for a rotation that begins with the first."""
    bad = [ProxySpec.dead(name=f"refuses-{i}") for i in range(3)]
    bad += [ProxySpec.hanging(name="hangs"), ProxySpec(name="502", fault="502"), ProxySpec(name="407", fault="407")]
    return bad + [ProxySpec(name=f"works-{i}") for i in range(4)]


def uses_of_bad(rotator: ProxyRotator | AsyncProxyRotator) -> int:
    """How often one of the six was tried: each try is a connection."""
    return sum(proxy.requests_started for proxy in list(rotator.pool)[:6])


def ten_in_turn(quick: bool) -> list[Row]:
    """Four of ten work."""
    number = 500
    with ProxyFleet(mixed_fleet()) as fleet, ProxyRotator(fleet.urls, config={"timeout": 2}) as rotator:
        result = crawl(rotator, fleet.site_url(SITE), number)
        bad = uses_of_bad(rotator)
    return [
        Row(
            "ten proxies, four work, in turn",
            f"{number} of {number}, no error",
            result.summary(number),
            result.good == number,
        ),
        Row("  tries of the bad six", "at most 12", str(bad), bad <= 12),
        Row("  time", "under 10 s", f"{result.seconds:.1f} s", result.seconds < 10),
    ]


def ten_at_once(quick: bool) -> list[Row]:
    """The same, twenty requests at a time."""
    number = 500

    async def play(fleet: ProxyFleet) -> tuple[Crawl, int]:
        async with AsyncProxyRotator(fleet.urls, config={"timeout": 2}) as rotator:
            return await crawl_async(rotator, fleet.site_url(SITE), number, 20), uses_of_bad(rotator)

    with ProxyFleet(mixed_fleet()) as fleet:
        result, bad = asyncio.run(play(fleet))
    return [
        Row("the same, 20 at a time", f"{number} of {number}, no error", result.summary(number), result.good == number),
        # Twelve of the first twenty are under way to them before any answer, and their failovers choose in the dark.
        Row("  tries of the bad six", "at most 20", str(bad), bad <= 20),
        Row("  time", "under 10 s", f"{result.seconds:.1f} s", result.seconds < 10),
    ]


def bad_luck(quick: bool) -> list[Row]:
    """Ten proxies that fail one time in five."""
    number = 500
    specs = [ProxySpec(name=f"luck-{i}", fail_rate=0.2) for i in range(10)]
    with ProxyFleet(specs, seed=7) as fleet, ProxyRotator(fleet.urls) as rotator:
        result = crawl(rotator, fleet.site_url(SITE), number)
        used = sum(proxy.requests_started > 0 for proxy in rotator.pool)
        opened = Counter(state.state.value for state in rotator.circuit_breakers.values())
    return [
        Row(
            "ten proxies fail 1 in 5 at random",
            f"at least {number - 1} of {number}",
            result.summary(number),
            result.good >= number - 1,
        ),
        Row(
            "  breakers at the end",
            "none open",
            ", ".join(f"{n} {s}" for s, n in opened.items()),
            not opened["open"] and used == 10,
        ),
    ]


def comes_back(quick: bool) -> list[Row]:
    """One of two fails nine requests and then works."""
    specs = [ProxySpec(name="comes back", fail_first=9, fail_with="reset"), ProxySpec(name="works", latency=5.0)]
    settings = ResilienceConfig(rest_base=0.05, rest_cap=0.4)
    breaker = CircuitBreakerConfig(timeout_duration=0.4)
    with ProxyFleet(specs) as fleet, ProxyRotator(fleet.urls, resilience=settings, circuit_breaker=breaker) as rotator:
        url = fleet.site_url(SITE)
        proxy = next(iter(rotator.pool))
        lost, healed, begun = 0, None, time.perf_counter()
        while time.perf_counter() - begun < 20 and proxy.total_successes == 0:
            lost += rotator.get(url).status_code != 200
            if healed is None and sum(fleet["comes back"].counters()["faults"].values()) >= 9:
                healed = time.perf_counter()
        back = time.perf_counter() - (healed or begun)
        share = Counter(rotator.get(url).extensions["proxywhirl"]["proxy_id"] for _ in range(100))[proxy.id]
    return [
        Row("one of two fails nine times, then works", "no page lost", f"{lost} lost", not lost and healed is not None),
        Row("  back in service", "within one backoff (0.4 s)", f"after {back:.2f} s", back <= 0.5),
        Row("  its share afterwards", "half", f"{share} of 100", 40 <= share <= 60),
    ]


def half_banned(quick: bool) -> list[Row]:
    """Five of ten are banned at one site."""
    specs = [ProxySpec(name=f"p{i}", ban_after={SITE: 0} if i < 5 else None) for i in range(10)]
    with ProxyFleet(specs) as fleet, ProxyRotator(fleet.urls) as rotator:
        here = crawl(rotator, fleet.site_url(SITE), 200)
        before = {proxy.id: proxy.requests_started for proxy in rotator.pool}
        there = crawl(rotator, fleet.site_url(OTHER), 100)
        used = sum(proxy.requests_started > before[proxy.id] for proxy in rotator.pool)
        bans = sum(fleet[f"p{i}"].counters()["faults"].get("ban", 0) for i in range(5))
    return [
        Row("half of ten banned at one site", "200 of 200 there", here.summary(200), here.good == 200),
        # Full jitter lets a bench be short, so a probe may follow within the run.
        Row("  asked although banned", "once each, and a probe or two", str(bans), 5 <= bans <= 9),
        Row(
            "  another site",
            "100 of 100 through all ten",
            f"{there.summary(100)} through {used}",
            there.good == 100 and used == 10,
        ),
    ]


def banned_everywhere(quick: bool) -> list[Row]:
    """Every proxy is banned."""
    specs = [ProxySpec(name=f"p{i}", ban_after=0) for i in range(10)]
    # Without the guard against a fault that is not the proxies', and with benches that outlast the run.
    settings = ResilienceConfig(panic_share=1.0, bench_base=3600.0)
    early = 0
    with (
        ProxyFleet(specs) as fleet,
        ProxyRotator(fleet.urls, resilience=settings, config={"pool_timeout": 1}) as rotator,
    ):
        url = fleet.site_url(SITE)
        hits = Counter[Any]()
        refused = 0
        until: dict[Any, float] = {}
        for _ in range(30):
            begun = time.time()
            before = {proxy.id: proxy.total_requests for proxy in rotator.pool}
            try:
                rotator.get(url)
            except ProxyPoolEmptyError:
                refused += 1
            for verdict in rotator.pool.explain(url):
                proxy = verdict.proxy
                if proxy.total_requests > before[proxy.id]:
                    hits[proxy.id] += 1
                    early += begun < until.get(proxy.id, 0.0) - 0.1
                if verdict.until is not None:
                    until[proxy.id] = verdict.until.timestamp()
        text = rotator.pool.explain(url).summary()
    return [
        Row(
            "banned everywhere",
            "no benched pair is used before its time",
            f"{early} too early, {sum(hits.values())} asked, {refused} refused",
            early == 0 and refused > 0,
        ),
        Row("  explained", "every proxy: banned here", text.splitlines()[0][:60], "banned" in text),
    ]


def capped(quick: bool) -> list[Row]:
    """At most eight at a time through each of four, by two hundred tasks."""
    specs = [ProxySpec(name=f"p{i}", latency=(1.0, 8.0)) for i in range(4)]
    number = 1000 if quick else 4000

    async def play(fleet: ProxyFleet) -> tuple[Crawl, int]:
        highest = 0
        async with AsyncProxyRotator(fleet.urls, max_in_flight=8) as rotator:
            done = asyncio.Event()

            async def look() -> None:
                nonlocal highest
                while not done.is_set():
                    highest = max(highest, *(fleet[f"p{i}"].counters()["active_connections"] for i in range(4)))
                    await asyncio.sleep(0.0005)

            watcher = asyncio.create_task(look())
            result = await crawl_async(rotator, fleet.site_url(SITE), number, 200)
            done.set()
            await watcher
            open_ = sum(proxy.requests_active for proxy in rotator.pool)
        return result, max(highest, 10_000 if open_ else 0)

    with ProxyFleet(specs) as fleet:
        result, highest = asyncio.run(play(fleet))
    return [
        Row(
            "at most 8 in flight each, 200 tasks",
            f"{number} of {number}",
            result.summary(number),
            result.good == number,
        ),
        Row("  most connections seen at a proxy", "at most 8", str(highest), 0 < highest <= 8),
    ]


def throttled(quick: bool) -> list[Row]:
    """A site that answers 429 above four requests a second and proxy."""
    specs = [ProxySpec(name=f"p{i}", rate_limit=(4, 1.0)) for i in range(5)]
    number = 60
    with ProxyFleet(specs) as fleet, ProxyRotator(fleet.urls) as rotator:
        result = crawl(rotator, fleet.site_url(SITE), number)
        throttled = sum(fleet[f"p{i}"].counters()["faults"].get("rate_limit", 0) for i in range(5))
    rounds = number // 20
    return [
        Row(
            "a site that throttles (20/s in all)",
            f"{number} of {number}",
            result.summary(number),
            result.good == number,
        ),
        Row(
            "  429 met",
            f"at most one per proxy and window ({5 * (rounds + 1)})",
            str(throttled),
            throttled <= 5 * (rounds + 1),
        ),
    ]


def outage(quick: bool) -> list[Row]:
    """Everything is down for a while and then heals."""
    specs = [ProxySpec(name=f"p{i}") for i in range(6)]
    settings = ResilienceConfig(rest_base=0.1, rest_cap=1.0)
    with ProxyFleet(specs) as fleet, ProxyRotator(fleet.urls, resilience=settings) as rotator:
        url = fleet.site_url(SITE)
        before = crawl(rotator, url, 60)
        for proxy in fleet:
            proxy.fail("reset")
        during = crawl(rotator, url, 5)
        for proxy in fleet:
            proxy.heal()
        begun = time.perf_counter()
        while time.perf_counter() - begun < 10:
            if crawl(rotator, url, 1).good:
                break
        back = time.perf_counter() - begun
        time.sleep(1.2)
        mark = {proxy.id: proxy.requests_started for proxy in rotator.pool}
        after = crawl(rotator, url, 120)
        used = sum(proxy.requests_started > mark[proxy.id] for proxy in rotator.pool)
    return [
        Row(
            "an outage of all six that heals",
            "a page within one backoff (1 s)",
            f"after {back:.2f} s ({during.summary(5)} meanwhile)",
            back <= 1.1,
        ),
        Row(
            "  afterwards",
            "120 of 120 through all six",
            f"{after.summary(120)} through {used}",
            before.good == 60 and after.good == 120 and used == 6,
        ),
    ]


def price(quick: bool) -> list[Row]:
    """What standing and limits add to a lease, of which the breaker is always a part."""
    rows = []
    much = (10**9, 1.0, 10**9)
    url = f"https://www.{SITE}/page"
    for size in (10, 100_000):
        kinds: dict[str, tuple[ProxyPool, str | None]] = {}
        for name, limits in (
            ("plain", {}),
            ("limits", {"proxy_rate": much, "max_in_flight": 100}),
            ("site rate", {"site_rate": much}),
        ):
            pool = ProxyPool(name=name, max_pool_size=size)
            pool.add_many([f"http://10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:8080" for i in range(size)])
            pool._guard_configure(**limits)
            kinds[name] = (pool, None if name == "plain" else url)
        for make in (RoundRobinStrategy, lambda: RandomStrategy(seed=1)):
            number = 20_000 if quick else 60_000
            strategies = {name: make() for name in kinds}
            found: dict[str, list[float]] = {name: [] for name in kinds}
            # In turns, so that whatever else the machine does meets all of them; the first turn warms up.
            for _ in range(3 if quick else 6):
                for name, (pool, target) in kinds.items():
                    found[name].append(ns_a_lease(pool, strategies[name], target, number))
            medians = {name: statistics.median(times[1:]) for name, times in found.items()}
            base = medians["plain"]
            added = medians["limits"] - base
            per_site = medians["site rate"] - base
            rows.append(
                Row(
                    f"a lease, {size:,} proxies, {type(strategies['plain']).__name__}",
                    "site, cap and rate add at most 100 ns",
                    f"{added:+.0f} ns to {base:.0f} ns (a rate per proxy and site: {per_site:+.0f})",
                    added <= 100,
                )
            )
    return rows


def ns_a_lease(pool: ProxyPool, strategy: Any, url: str | None, number: int) -> float:
    """Processor time of taking a lease and finishing it, in nanoseconds."""
    begun = time.process_time()
    for _ in range(number):
        pool.lease(strategy, url).finish("success", 5.0)
    return (time.process_time() - begun) / number * 1e9


SCENES: dict[str, Callable[[bool], list[Row]]] = {
    "ten": ten_in_turn,
    "ten-async": ten_at_once,
    "luck": bad_luck,
    "back": comes_back,
    "half": half_banned,
    "everywhere": banned_everywhere,
    "cap": capped,
    "throttle": throttled,
    "outage": outage,
    "price": price,
}


def show(rows: list[Row]) -> None:
    """The table."""
    lines = [("", "promised", "found", "")] + [
        (r.name, r.wanted, r.found, "kept" if r.kept else "BROKEN") for r in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main() -> int:
    """Play the scenes; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer requests where that changes nothing")
    parser.add_argument("--only", choices=sorted(SCENES), action="append", help="this scene alone; may be repeated")
    options = parser.parse_args()
    rows: list[Row] = []
    for name, scene in SCENES.items():
        if options.only is None or name in options.only:
            rows += scene(options.quick)
    show(rows)
    broken = sum(not row.kept for row in rows)
    print(f"\n{len(rows) - broken} of {len(rows)} promises kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
