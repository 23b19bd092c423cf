"""What a rotator adds to a request of httpx: the engine "httpx" beside httpx rotated by hand over the same proxies.

What the native engine costs is measured by `engines.py`.

    python benches/python/rotator.py [--quick] [--json FILE]

The proxies and the origin run in a process of their own, so that only the client's time is counted. Both clients take
turns, block by block, and each pair of blocks gives one ratio: what disturbs the machine disturbs both.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from harness import Cell, Table, in_process, parser, publish, say, size_name

from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl.testing import ProxyFleet

SIZES = (4, 1_000)
#: Ways to send: at most so many at once, and whether on an event loop.
WAYS = {
    "ProxyRotator, one at a time": (1, False),
    "AsyncProxyRotator, one at a time": (1, True),
    "AsyncProxyRotator, 32 at a time": (32, True),
}
#: A rotator's request may cost so many times one of httpx by hand.
TARGET = 1.10
# Connections stay open as long as a rotator's do, or the first pool to be swept would decide.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=300.0)


@dataclass
class Served:
    """Where the fleet is."""

    urls: list[str]
    page: str


def serve(size: int) -> None:
    """Be the fleet, until standard input closes."""
    with ProxyFleet(size) as fleet:
        say(json.dumps({"urls": fleet.urls, "page": fleet.site_url("shop.test", "/bytes/256")}))
        sys.stdin.read()


@contextmanager
def fleet(size: int) -> Iterator[Served]:
    """A fleet in another process.

    Args:
        size: How many proxies, all perfect, speaking HTTP.

    Yields:
        Where it is.
    """
    command = [sys.executable, __file__, "--serve", str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the fleet has no pipes")
        yield Served(**json.loads(process.stdout.readline()))
        process.stdin.close()


def _check(response: httpx.Response) -> None:
    if response.status_code != 200 or len(response.content) != 256:
        raise RuntimeError(f"the fleet answered {response.status_code} with {len(response.content)} bytes")


Block = Callable[[int], float]


def _sync(served: Served) -> tuple[Block, Block, Callable[[], None]]:
    rotator = ProxyRotator(proxies=served.urls, strategy="round-robin", engine="httpx")
    shared = ssl.create_default_context()
    clients = [httpx.Client(proxy=url, verify=shared, trust_env=False, limits=LIMITS) for url in served.urls]
    turn = itertools.cycle(clients)
    page = served.page

    def ours(count: int) -> float:
        begin = time.process_time()
        for _ in range(count):
            _check(rotator.get(page))
        return time.process_time() - begin

    def by_hand(count: int) -> float:
        begin = time.process_time()
        for _ in range(count):
            _check(next(turn).get(page))
        return time.process_time() - begin

    def close() -> None:
        rotator.close()
        for client in clients:
            client.close()

    return ours, by_hand, close


def _async(served: Served, at_once: int) -> tuple[Block, Block, Callable[[], None]]:
    loop = asyncio.new_event_loop()
    rotator = AsyncProxyRotator(proxies=served.urls, strategy="round-robin", engine="httpx")
    shared = ssl.create_default_context()
    clients = [httpx.AsyncClient(proxy=url, verify=shared, trust_env=False, limits=LIMITS) for url in served.urls]
    turn = itertools.cycle(clients)
    page = served.page

    async def many(count: int, send: Callable[[], Awaitable[httpx.Response]]) -> float:
        begin = time.process_time()
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                _check(await send())

        await asyncio.gather(*(worker() for _ in range(at_once)))
        return time.process_time() - begin

    def ours(count: int) -> float:
        return loop.run_until_complete(many(count, lambda: rotator.get(page)))

    def by_hand(count: int) -> float:
        return loop.run_until_complete(many(count, lambda: next(turn).get(page)))

    async def shut() -> None:
        await rotator.aclose()
        for client in clients:
            await client.aclose()

    def close() -> None:
        loop.run_until_complete(shut())
        loop.close()

    return ours, by_hand, close


def one(way: str, size: int, seconds: float) -> dict[str, Any]:
    """Compare both clients.

    Args:
        way: A key of `WAYS`.
        size: How many proxies.
        seconds: About how long, after the first requests.

    Returns:
        `ours` and `by_hand`, microseconds of processor time per request, `ratio`, the median over the pairs, and the
        number of `pairs`.
    """
    at_once, on_loop = WAYS[way]
    block = 100
    with fleet(size) as served:
        ours, by_hand, close = _async(served, at_once) if on_loop else _sync(served)
        # Every proxy gets its connections first.
        warm = max(2 * size, 4 * at_once)
        ours(warm)
        by_hand(warm)
        pairs: list[tuple[float, float]] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(pairs) < 4:
            # The order alternates, because the second run finds other data in the caches.
            if len(pairs) % 2:
                second = by_hand(block)
                pairs.append((ours(block), second))
            else:
                first = ours(block)
                pairs.append((first, by_hand(block)))
        close()
    each = 1e6 / block
    return {
        "ours": statistics.median(mine for mine, _ in pairs) * each,
        "by_hand": statistics.median(other for _, other in pairs) * each,
        "ratio": statistics.median(mine / other for mine, other in pairs),
        "pairs": len(pairs),
    }


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    sizes = (4, 100) if quick else SIZES
    ratios = Table("Requests", "processor time, rotator over httpx by hand", [f"{size_name(n)} proxies" for n in sizes])
    times = Table("Requests, absolute", "us of processor time per request", ratios.columns)
    count = 0
    for way in WAYS:
        found = [in_process(__file__, "--one", way, size, "--seconds", 1 if quick else 8) for size in sizes]
        ratios.add(way, *(Cell(result["ratio"], TARGET) for result in found))
        times.add(way, *(result["ours"] for result in found))
        client = "httpx.AsyncClient" if WAYS[way][1] else "httpx.Client"
        times.add(f"{client} by hand, {way.partition(', ')[2]}", *(result["by_hand"] for result in found))
        count += sum(result["pairs"] for result in found)
    ratios.text = (
        'The rotator carries its requests by httpx here (`engine="httpx"`); for the native engine see `engines.py`. '
        "By hand is the best that httpx offers: a client per proxy, kept open, all with one TLS context, "
        "`next(cycle(clients)).get(url)`, no retries, no counts. 256 bytes over plain HTTP, connections open before, "
        "no latency: with real proxies the client's share is the same and everything else is waiting. Blocks of 100 "
        f"requests in turns, the median of the pairs' ratios, {count} pairs in all."
    )
    return [ratios, times]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--serve", type=int, metavar="SIZE", help="be the fleet")
    command.add_argument("--one", nargs=2, metavar=("WAY", "SIZE"), help="print one result as JSON")
    command.add_argument("--seconds", type=float, default=8.0, help="with --one: how long")
    options = command.parse_args()
    if options.serve is not None:
        serve(options.serve)
    elif options.one:
        way, size = options.one
        say(json.dumps(one(way, int(size), options.seconds)))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
