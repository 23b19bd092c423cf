"""Many requests over a fleet in which everything fails now and then; afterwards the books must balance.

    python tests/soak/soak.py [--requests 200000] [--seconds 900]

Threads on :class:`ProxyRotator` and tasks on :class:`AsyncProxyRotator` fetch pages while proxies die, heal, hang, ban and
throttle at random. Ends with status 1 if a counter is off, memory has grown, a thread or a socket is left, or a request
ended with something else than an answer or a documented error.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from proxywhirl import AsyncProxyRotator, ProxyRotator, ProxyWhirlError, ResilienceConfig
from proxywhirl.testing import ProxyFleet, ProxySpec

PROXIES = 12
THREADS = 4
TASKS = 16
SITES = ("a.test", "b.test", "c.test")
# Short rests, so that a run sees thousands of them.
SETTINGS = ResilienceConfig(rest_base=0.05, rest_cap=0.5, bench_base=0.1, bench_cap=1.0)
# Growth from the middle to the end that is more than noise of the allocator.
ALLOWED_GROWTH_KIB = 12_000


def trouble(random_: random.Random) -> dict[str, Any]:
    """One of the things that can happen to a proxy."""
    kinds: list[dict[str, Any]] = [
        {},
        {},
        {"fault": "refuse"},
        {"fault": "reset"},
        {"fault": "502"},
        {"fault": "cut"},
        {"fail_rate": 0.3},
        {"fail_rate": 0.2, "fail_with": "reset"},
        {"ban_after": {random_.choice(SITES): random_.randrange(30)}},
        {"rate_limit": (random_.randrange(20, 60), 1.0)},
        {"flap": (20, 5)},
    ]
    return random_.choice(kinds)


class Chaos(threading.Thread):
    """Changes how the proxies behave until it is stopped; always leaves some of them alone."""

    def __init__(self, fleet: ProxyFleet, seed: int) -> None:
        super().__init__(name="chaos", daemon=True)
        self.over = threading.Event()
        self.changes = 0
        self._fleet = fleet
        self._random = random.Random(seed)

    def run(self) -> None:
        while not self.over.wait(0.02):
            proxy = self._fleet[self._random.randrange(3, PROXIES)]
            proxy.heal()
            changes = trouble(self._random)
            if changes:
                proxy.set_behaviour(**changes)
            self.changes += 1


def outcome_of(call: Any) -> str:
    """What came of one request, in a word."""
    try:
        response = call()
    except ProxyWhirlError as error:
        return type(error).__name__
    except httpx.HTTPError as error:
        return f"httpx.{type(error).__name__}"
    return str(response.status_code)


def resident_kib() -> int:
    """What this process has in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def sockets() -> int:
    """Open sockets of this process."""
    number = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            number += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
        except OSError:
            continue
    return number


def by_threads(rotator: ProxyRotator, urls: list[str], number: int) -> Counter[str]:
    """So many requests by several threads."""
    left = iter(range(number))
    lock = threading.Lock()

    def work() -> Counter[str]:
        seen: Counter[str] = Counter()
        while True:
            with lock:
                turn = next(left, None)
            if turn is None:
                return seen
            seen[outcome_of(lambda turn=turn: rotator.get(urls[turn % len(urls)]))] += 1

    with ThreadPoolExecutor(THREADS) as executor:
        return sum((future.result() for future in [executor.submit(work) for _ in range(THREADS)]), Counter())


async def by_tasks(rotator: AsyncProxyRotator, urls: list[str], number: int) -> Counter[str]:
    """So many requests by several tasks, one in fifty of them cancelled on the way."""
    seen: Counter[str] = Counter()
    left = iter(range(number))
    chance = random.Random(11)

    async def one(turn: int) -> None:
        try:
            seen[str((await rotator.get(urls[turn % len(urls)])).status_code)] += 1
        except ProxyWhirlError as error:
            seen[type(error).__name__] += 1
        except httpx.HTTPError as error:
            seen[f"httpx.{type(error).__name__}"] += 1

    async def work() -> None:
        for turn in left:
            if chance.random() >= 0.02:
                await one(turn)
                continue
            task = asyncio.create_task(one(turn))
            await asyncio.sleep(chance.random() * 0.005)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                seen["cancelled"] += 1

    await asyncio.gather(*(work() for _ in range(TASKS)))
    return seen


def check(rotator: Any, problems: list[str]) -> None:
    """The books of a rotator at rest."""
    for proxy in rotator.pool:
        if proxy.requests_active or proxy.requests_started != proxy.requests_completed:
            problems.append(
                f"{proxy.host}:{proxy.port}: {proxy.requests_started} started, {proxy.requests_completed} completed, "
                f"{proxy.requests_active} active"
            )
        if proxy.total_successes + proxy.total_failures > proxy.total_requests:
            problems.append(f"{proxy.host}:{proxy.port}: more results than requests")


def main() -> int:
    """Run; the exit status."""
    parser = argparse.ArgumentParser(description="Many requests, many faults; then the books.")
    parser.add_argument("--requests", type=int, default=200_000, help="default 200000")
    parser.add_argument("--seconds", type=float, default=900.0, help="stop after this many (default 900)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    problems: list[str] = []
    seen: Counter[str] = Counter()
    threads_before = set(threading.enumerate())
    begun = time.perf_counter()
    memory: list[int] = []
    with ProxyFleet([ProxySpec(name=f"p{i}") for i in range(PROXIES)], seed=options.seed) as fleet:
        chaos = Chaos(fleet, options.seed)
        chaos.start()
        urls = [fleet.site_url(site, "/echo?page=1") for site in SITES]
        config = {"timeout": 2, "pool_timeout": 2}
        # Rounds, so that memory can be looked at between them.
        rounds = 8
        each = max(options.requests // rounds // 2, 1)
        with ProxyRotator(fleet.urls, resilience=SETTINGS, config=config) as rotator:
            async_rotator = AsyncProxyRotator(fleet.urls, resilience=SETTINGS, config=config)

            async def tasks_round() -> Counter[str]:
                return await by_tasks(async_rotator, urls, each)

            async def close() -> None:
                await async_rotator.aclose()

            for number in range(rounds):
                seen += by_threads(rotator, urls, each)
                seen += asyncio.run(tasks_round())
                gc.collect()
                memory.append(resident_kib())
                done = sum(seen.values())
                print(
                    f"{done:,} requests, {memory[-1] / 1024:.1f} MiB, {time.perf_counter() - begun:.0f} s", flush=True
                )
                if time.perf_counter() - begun > options.seconds:
                    problems.append(f"out of time after round {number + 1} of {rounds}")
                    break
            chaos.over.set()
            chaos.join()
            check(rotator, problems)
            check(async_rotator, problems)
            asyncio.run(close())
    gc.collect()
    time.sleep(0.2)
    left = set(threading.enumerate()) - threads_before
    if left:
        problems.append(f"threads left: {', '.join(thread.name for thread in left)}")
    if sockets():
        problems.append(f"{sockets()} sockets left")
    growth = memory[-1] - memory[len(memory) // 2 - 1] if len(memory) > 1 else 0
    if growth > ALLOWED_GROWTH_KIB:
        problems.append(f"memory has grown by {growth} KiB in the second half")
    strange = [name for name in seen if name.startswith("httpx.")]
    if strange:
        problems.append(f"errors that are not documented: {', '.join(strange)}")
    print(", ".join(f"{number:,} {name}" for name, number in seen.most_common()))
    print(f"{chaos.changes:,} changes of behaviour; memory {growth:+,} KiB in the second half")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("soak: " + ("failed" if problems else "passed"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
