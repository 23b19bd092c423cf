"""The scene of what a request costs: processor time on either engine, over proxies that cost none themselves."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from demo.stage import Verdict
from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl.testing import ProxyFleet

if TYPE_CHECKING:
    from demo.fleet import Site
    from demo.plan import Plan
    from demo.stage import Stage

__all__ = ["serve", "speed"]

_PROXIES = 4
_BYTES = 1000
_AT_ONCE = 50
_WARM_UP = 100
_ENGINES = ("native", "httpx")


def serve() -> None:
    """Be a fleet of perfect proxies until standard input is closed."""
    with ProxyFleet(_PROXIES) as fleet:
        print(json.dumps({"urls": fleet.urls, "page": fleet.site_url("shop.test", f"/bytes/{_BYTES}")}), flush=True)
        sys.stdin.read()


def speed(site: Site, plan: Plan, stage: Stage) -> Verdict:
    """Processor time of a request, and how many of them a core does in a second."""
    del site
    stage.say(
        f"{plan.timed:,} pages of {_BYTES:,} bytes, through {_PROXIES} proxies in a process of their own: what one "
        "request costs this one."
    )
    rows = []
    arrived = 0
    costs: dict[str, tuple[float, float]] = {}
    with _apart() as (urls, page):
        for engine in _ENGINES:
            count, alone = _one_at_a_time(engine, urls, page, plan.timed)
            more, together = asyncio.run(_many_at_once(engine, urls, page, plan.timed))
            arrived += count + more
            costs[engine] = (alone, together)
            rows.append((engine, *(text for cost in (alone, together) for text in _texts(cost))))
    stage.table(("engine", "one at a time", "on one core", f"asyncio, {_AT_ONCE} at once", "on one core"), rows)
    asked = 2 * len(_ENGINES) * plan.timed
    native, httpx = (min(costs[engine]) for engine in _ENGINES)
    return Verdict(
        "speed",
        "a request costs less processor time on the native engine than with httpx",
        f"{1 / native:,.0f} requests/s on one core, {native * 1e6:.0f} us instead of {httpx * 1e6:.0f} us; "
        f"{arrived:,} of {asked:,} pages",
        arrived == asked and all(a < b for a, b in zip(costs["native"], costs["httpx"])),
    )


def _texts(cost: float) -> tuple[str, str]:
    return f"{cost * 1e6:.0f} us", f"{1 / cost:,.0f} requests/s"


@contextmanager
def _apart() -> Iterator[tuple[list[str], str]]:
    """The fleet, in another process: the addresses of its proxies, and a page."""
    command = [sys.executable, "-c", "from demo.speed import serve; serve()"]
    # In a session of its own, so that an interrupt at the keyboard is this process's alone.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the fleet has no pipes")
        try:
            told: dict[str, Any] = json.loads(process.stdout.readline())
            yield told["urls"], told["page"]
        finally:
            process.stdin.close()


def _is_page(response: Any) -> bool:
    return bool(response.status_code == 200 and len(response.content) == _BYTES)


def _one_at_a_time(engine: str, urls: list[str], page: str, number: int) -> tuple[int, float]:
    """How many pages arrived, and the seconds of processor time for each."""
    with ProxyRotator(urls, engine=engine) as rotator:
        for _ in range(_WARM_UP):
            rotator.get(page)
        started = time.process_time()
        arrived = sum(_is_page(rotator.get(page)) for _ in range(number))
        return arrived, (time.process_time() - started) / number


async def _many_at_once(engine: str, urls: list[str], page: str, number: int) -> tuple[int, float]:
    """The same in tasks."""
    async with AsyncProxyRotator(urls, engine=engine) as rotator:

        async def fetch(left: Iterator[int]) -> int:
            return sum([_is_page(await rotator.get(page)) for _ in left])

        async def fetch_all(pages: int) -> int:
            left = iter(range(pages))
            return sum(await asyncio.gather(*(fetch(left) for _ in range(_AT_ONCE))))

        await fetch_all(_WARM_UP)
        started = time.process_time()
        arrived = await fetch_all(number)
        return arrived, (time.process_time() - started) / number
