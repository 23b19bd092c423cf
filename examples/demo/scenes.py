"""The scenes: each shows one thing, promises something about it, and says whether that was kept."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from demo.crowd import fetch, fetch_with_tasks, fetch_with_threads
from demo.speed import speed
from demo.stage import Verdict
from demo.stats import Stats
from demo.strategy import BestOfTwo
from demo.trouble import bans, outage, throttling
from proxywhirl import PerformanceBasedStrategy

if TYPE_CHECKING:
    from demo.fleet import Site
    from demo.plan import Plan
    from demo.stage import Stage
    from proxywhirl import ProxyRotator

__all__ = ["SCENES"]

# A page is lost only when six proxies in a row fail it; with the fleet's mixture that is one in tens of thousands.
_PAGES_THAT_ARRIVE = 0.995
# The lower end of SC-004; the fleet's own numbers would allow for far more.
_TIME_SAVED = 0.15
# BestOfTwo takes a slow proxy only when it draws two of them, for a fleet with a quarter of them once in sixteen times.
_SLOW_PART = 0.5
_SLOW = "slow"


def threads(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """Many threads share one rotator."""
    stage.say(f"{plan.threads} threads fetch pages through one ProxyRotator, round-robin.")
    pages = range(plan.pages // 2)
    stats = Stats()
    with site.rotator("round-robin") as rotator, stage.watch(site, rotator.pool, stats, len(pages)):
        fetch_with_threads(site, rotator, pages, plan.threads, stats)
    return _arrival("threads", stats, len(pages), stage)


def tasks(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """Many tasks share one asynchronous rotator."""
    stage.say(f"{plan.tasks} tasks fetch pages through one AsyncProxyRotator, performance-based.")
    stage.say("They share one event loop and wait for it too, so latencies are longer here.")
    pages = range(plan.pages // 2, plan.pages)
    stats = Stats()

    async def play() -> None:
        strategy = PerformanceBasedStrategy(seed=plan.seed)
        async with site.async_rotator(strategy) as rotator:
            with stage.watch(site, rotator.pool, stats, len(pages)):
                await fetch_with_tasks(site, rotator, pages, plan.tasks, stats)

    asyncio.run(play())
    return _arrival("tasks", stats, len(pages), stage)


def faster(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """Performance-based is faster than round-robin."""
    stage.say(
        f"{plan.measured:,} pages each over the same fleet by {plan.measuring_threads} threads, in turns, "
        "after a warm-up."
    )
    strategies: dict[str, Any] = {
        "round-robin": "round-robin",
        "performance-based": PerformanceBasedStrategy(seed=plan.seed),
    }
    rotators: dict[str, ProxyRotator] = {name: site.rotator(strategy) for name, strategy in strategies.items()}
    measured = {name: Stats() for name in rotators}
    try:
        for name, rotator in rotators.items():
            warm_up = Stats()
            with stage.watch(site, rotator.pool, warm_up, plan.warm_up, f"{name}, warm-up"):
                fetch_with_threads(site, rotator, range(plan.warm_up), plan.threads, warm_up)
        # In turns, so that whatever else the machine does meets both.
        block = plan.measured // plan.rounds
        for turn in range(plan.rounds):
            for name, rotator in rotators.items():
                pages = range(turn * block, (turn + 1) * block)
                with stage.watch(site, rotator.pool, measured[name], plan.measured, name):
                    fetch_with_threads(site, rotator, pages, plan.measuring_threads, measured[name])
    finally:
        for rotator in rotators.values():
            rotator.close()
    rows = [_comparison(name, stats, site) for name, stats in measured.items()]
    stage.table(("strategy", "mean", "p50", "p95", "slow proxies' share", "success"), rows)
    before, after = measured["round-robin"], measured["performance-based"]
    saved = 1.0 - after.mean_ms / before.mean_ms
    arrived = min(before.success_rate, after.success_rate)
    return Verdict(
        "comparison",
        f"performance-based has a mean at least {_TIME_SAVED:.0%} lower than round-robin",
        f"{after.mean_ms:.1f} ms instead of {before.mean_ms:.1f} ms, {saved:.0%} lower "
        f"(ratio {after.mean_ms / before.mean_ms:.2f})",
        saved >= _TIME_SAVED and arrived >= _PAGES_THAT_ARRIVE,
    )


def session(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """A session keeps its proxy."""
    # A session leaves a proxy that fails, which is right but not what is shown here; so only proxies without a failure.
    proven = {site.name_of(proxy) for proxy in site.pools[-1] if proxy.total_successes and not proxy.total_failures}
    number = plan.session_requests
    stage.say(f"{number} requests of one session, each followed by one without a session, over {len(proven)} proxies.")
    in_session, outside = Stats(), Stats()
    with site.rotator("round-robin", proven) as rotator, rotator.session("demo") as sticky:
        for page in range(number):
            in_session.add(fetch(site, rotator, page, sticky.session_id))
            outside.add(fetch(site, rotator, page))
    _tell_troubles(stage, in_session, outside)
    carriers, others = sorted(in_session.by_proxy), sorted(outside.by_proxy)
    stage.say(f"The session used {_listed(carriers)}; the other requests used {len(others)} proxies.")
    return Verdict(
        "session",
        f"{number} requests, one proxy",
        f"{in_session.arrived} requests through {_listed(carriers)}",
        in_session.arrived == number and len(carriers) == 1 and len(others) > 1,
    )


def own_strategy(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """A strategy in a few lines of Python."""
    stage.code(inspect.getsource(BestOfTwo))
    warm_up, stats = Stats(), Stats()
    with site.rotator(BestOfTwo(plan.seed)) as rotator:
        with stage.watch(site, rotator.pool, warm_up, plan.warm_up, "warm-up"):
            fetch_with_threads(site, rotator, range(plan.warm_up), plan.threads, warm_up)
        with stage.watch(site, rotator.pool, stats, plan.own, "BestOfTwo"):
            fetch_with_threads(site, rotator, range(plan.own), plan.measuring_threads, stats)
    stage.table(
        ("strategy", "mean", "p50", "p95", "slow proxies' share", "success"), [_comparison("BestOfTwo", stats, site)]
    )
    _tell_troubles(stage, stats)
    slow = site.named(_SLOW)
    # Part of those that carry pages; the dead and the hanging carry none with any strategy.
    fair = len(slow) / sum(number for kind, number in site.kinds.items() if kind not in ("dead", "hanging"))
    share = stats.share_of(slow)
    return Verdict(
        "own strategy",
        f"slow proxies carry less than {_SLOW_PART:.0%} of their even share",
        f"{share:.1%} instead of {fair:.1%}, mean {stats.mean_ms:.1f} ms, {stats.success_rate:.2%} of the pages",
        share < _SLOW_PART * fair and stats.success_rate >= _PAGES_THAT_ARRIVE,
    )


def books(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """Nothing was lost and nothing went around the proxies."""
    del plan
    proxies = [proxy for pool in site.pools for proxy in pool]
    started = sum(proxy.requests_started for proxy in proxies)
    completed = sum(proxy.requests_completed for proxy in proxies)
    active = sum(proxy.requests_active for proxy in proxies)
    uneven = sum(proxy.requests_started != proxy.requests_completed + proxy.requests_active for proxy in proxies)
    origin = site.fleet.origin.counters()
    stage.say(f"{len(site.pools)} rotators have sent {started:,} attempts, the site has seen {origin['requests']:,}.")
    return Verdict(
        "books",
        "every attempt that was started is completed, none reached the site without a proxy",
        f"{started:,} started, {completed:,} completed, {active:,} open, {origin['direct']:,} without a proxy",
        not uneven and not active and started == completed and not origin["direct"],
    )


SCENES = (
    ("Threads", threads),
    ("Tasks", tasks),
    ("Faster than taking turns", faster),
    ("A session that sticks", session),
    ("A strategy of your own", own_strategy),
    ("A site that bans", bans),
    ("A site that throttles", throttling),
    ("An outage that heals", outage),
    ("Requests per second", speed),
    ("The books", books),
)
"""Title and function of each scene, in order. A function gets the site, the plan and the stage."""


def _arrival(scene: str, stats: Stats, total: int, stage: Stage) -> Verdict:
    _tell_troubles(stage, stats)
    return Verdict(
        scene,
        f"{_PAGES_THAT_ARRIVE:.1%} of the pages arrive",
        f"{stats.arrived:,} of {total:,} pages with {stats.attempts:,} attempts, {stats.per_second:,.0f} requests/s",
        stats.done == total and stats.success_rate >= _PAGES_THAT_ARRIVE,
    )


def _comparison(name: str, stats: Stats, site: Site) -> list[str]:
    median, slow = stats.percentiles(50, 95)
    return [
        name,
        f"{stats.mean_ms:.1f} ms",
        f"{median:.1f} ms",
        f"{slow:.1f} ms",
        f"{stats.share_of(site.named(_SLOW)):.1%}",
        f"{stats.success_rate:.2%}",
    ]


def _tell_troubles(stage: Stage, *all_stats: Stats) -> None:
    for stats in all_stats:
        for trouble in stats.troubles:
            stage.say(f"Lost: {trouble}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
