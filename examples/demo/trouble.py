"""The scenes in which things go wrong: a site that bans, one that throttles, an outage that heals."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from demo.crowd import fetch
from demo.stage import Verdict
from demo.stats import Stats
from proxywhirl import RandomStrategy, ResilienceConfig
from proxywhirl.models import CircuitBreakerConfig

if TYPE_CHECKING:
    from demo.fleet import Site
    from demo.plan import Plan
    from demo.stage import Stage
    from proxywhirl import ProxyRotator

__all__ = ["bans", "outage", "throttling"]

_STRICT, _BUSY, _USUAL = "strict.test", "busy.test", "shop.test"
_PAGES = 60
# Answers per second that the busy site gives through each proxy before it says 429. Not the same number for all: a
# request that meets a 429 at every single proxy is handed the last one, as no proxy is left to try.
_ALLOWED = (4, 6, 8)
# What is down is tried again after 50 to 100 ms, then after twice that, and so on up to half a second; a breaker that
# has opened meanwhile lets a request through after half a second, too.
_REST = ResilienceConfig(rest_base=0.1, rest_cap=0.5)
_BREAKER = CircuitBreakerConfig(timeout_duration=0.5)


def bans(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """A proxy that one site bans stays in service for the others."""
    carriers = _honest(site)
    banned = carriers[: len(carriers) // 2]
    for name in banned:
        site.fleet[name].set_behaviour(ban_after={_STRICT: 2})
    stage.say(f"{_STRICT} bans {_listed(banned)} after two pages each; {_USUAL} bans none.")
    strict, usual = Stats(), Stats()
    try:
        # Not in turns: two sites used in turns would meet the same half of the proxies each.
        with site.rotator(RandomStrategy(seed=plan.seed), set(carriers)) as rotator:
            for page in range(_PAGES):
                strict.add(fetch(site, rotator, page, host=_STRICT))
                usual.add(fetch(site, rotator, page))
            _show_bans(site, rotator, stage, _STRICT)
            still = {name for name in carriers if usual.by_proxy[name]}
            asked = sum(site.fleet[name].counters()["faults"].get("ban", 0) for name in banned)
    finally:
        _restore(site, banned)
    stage.say(
        f"{_STRICT} was asked {asked} times through a proxy it had banned; {_USUAL} was read through {len(still)}."
    )
    return Verdict(
        "bans",
        "no page is lost, and a ban at one site costs the others nothing",
        f"{strict.arrived + usual.arrived} of {2 * _PAGES} pages, {len(still)} of {len(carriers)} proxies at {_USUAL}",
        strict.arrived == usual.arrived == _PAGES and len(still) == len(carriers),
    )


def throttling(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """A site that answers 429 is used again when it said, and through other proxies meanwhile."""
    del plan
    carriers = _honest(site)[:3]
    for name, allowed in zip(carriers, _ALLOWED):
        site.fleet[name].set_behaviour(rate_limit=(allowed, 1.0))
    stage.say(
        f"{_BUSY} answers 4 to 8 pages a second through each of {len(carriers)} proxies, then 429 with Retry-After."
    )
    stats = Stats()
    # Two seconds' worth and a little more.
    pages = 2 * sum(_ALLOWED) + len(carriers)
    try:
        with site.rotator("round-robin", set(carriers)) as rotator:
            for page in range(pages):
                if page == pages // 2 + 1:
                    _show_bans(site, rotator, stage, _BUSY)
                stats.add(fetch(site, rotator, page, host=_BUSY))
        refused = sum(site.fleet[name].counters()["faults"].get("rate_limit", 0) for name in carriers)
    finally:
        _restore(site, carriers)
    # One 429 per proxy and window is how the limit is found.
    most = 4 * len(carriers)
    return Verdict(
        "throttling",
        f"no page is lost, and at most {most} requests meet a 429",
        f"{stats.arrived} of {pages} pages, {refused} met a 429, {stats.per_second:,.0f} requests/s",
        stats.arrived == pages and refused <= most,
    )


def outage(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """What was down comes back by itself."""
    del plan
    carriers = _honest(site)
    stage.say(f"{len(carriers)} proxies work, then all of them are down, then all of them work again.")
    before, during, after = Stats(), Stats(), Stats()
    try:
        with site.rotator("round-robin", set(carriers), resilience=_REST, circuit_breaker=_BREAKER) as rotator:
            for page in range(2 * len(carriers)):
                before.add(fetch(site, rotator, page))
            for name in carriers:
                site.fleet[name].fail("reset")
            for page in range(len(carriers)):
                during.add(fetch(site, rotator, page))
            _show_bans(site, rotator, stage, _USUAL)
            for name in carriers:
                site.fleet[name].heal()
            healed = time.perf_counter()
            while time.perf_counter() - healed < 10 and fetch(site, rotator, 0).proxy is None:
                time.sleep(0.01)
            back = time.perf_counter() - healed
            # Until the last one's rest is over.
            time.sleep(0.6)
            for page in range(4 * len(carriers)):
                after.add(fetch(site, rotator, page))
            _show_bans(site, rotator, stage, _USUAL)
    finally:
        _restore(site, carriers)
    used = len(after.by_proxy)
    return Verdict(
        "outage",
        "the first page within a second after the outage, and all proxies in service again",
        f"after {back * 1000:.0f} ms, {used} of {len(carriers)} proxies, {after.arrived} of {4 * len(carriers)} pages",
        back < 1.0 and used == len(carriers) and after.arrived == 4 * len(carriers),
    )


def _honest(site: Site) -> list[str]:
    """The names of the proxies that are quick and do not fail by themselves."""
    return sorted(site.named("fast") | site.named("login"))


def _restore(site: Site, names: Iterable[str]) -> None:
    for name in names:
        site.fleet[name].restore()


def _show_bans(site: Site, rotator: ProxyRotator, stage: Stage, host: str) -> None:
    """A table of the proxies at a site: eligible or not, why, and for how long."""
    now = datetime.now(timezone.utc)
    rows = []
    for verdict in rotator.explain(site.url(1, host)):
        left = "" if verdict.until is None else f"{max((verdict.until - now).total_seconds(), 0.0):.1f} s"
        why = ", ".join(verdict.reasons) or "eligible"
        rows.append((site.name_of(verdict.proxy), verdict.proxy.health_status.value, why, left))
    stage.table(("proxy", "health", f"at {host}", "for another"), rows)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
