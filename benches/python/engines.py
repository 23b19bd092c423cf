"""What a request costs in processor time on the native engine, beside other clients over the same proxies.

    python benches/python/engines.py [--quick] [--json FILE]

The fleet runs in a process and, where the machine has two processors, on a processor of its own; only the client's
process is measured. Each figure is taken in a process of its own, and the clients of a row take turns. pyreqwest and
uvloop are measured where they are installed.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import itertools
import json
import os
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from harness import Cell, Table, in_process, parser, publish, say, size_name

SIZES = (4, 100)
BYTES = 1_000
#: Ways to send: the target of the native engine in microseconds, how many at once, and whether the page is behind TLS.
WAYS: dict[str, tuple[float, int, bool]] = {
    "one at a time": (45.0, 1, False),
    "16 threads": (22.0, 16, False),
    "asyncio, 50 at once": (22.0, 50, False),
    "uvloop, 50 at once": (22.0, 50, False),
    "one at a time, TLS through CONNECT": (48.0, 1, True),
    "asyncio, 50 at once, TLS through CONNECT": (25.0, 50, True),
}
CLIENTS = ("proxywhirl, native", "proxywhirl, over httpx", "httpx by hand", "pyreqwest by hand")


@dataclass
class Served:
    """Where the fleet is."""

    urls: list[str]
    plain: str
    secure: str
    authority: str


def serve(size: int) -> None:
    """Be the fleet, until standard input closes."""
    from proxywhirl.testing import ProxyFleet

    with ProxyFleet(size) as fleet:
        path = f"/bytes/{BYTES}"
        plain, secure = fleet.site_url("shop.test", path), fleet.site_url("shop.test", path, https=True)
        say(json.dumps({"urls": fleet.urls, "plain": plain, "secure": secure, "authority": fleet.ca_file()}))
        sys.stdin.read()


@contextmanager
def fleet(size: int) -> Iterator[Served]:
    """A fleet in another process, on the last processor; this process then keeps to the first.

    Args:
        size: How many proxies, all perfect, speaking HTTP.

    Yields:
        Where it is.
    """
    command = [sys.executable, __file__, "--serve", str(size)]
    cores = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the fleet has no pipes")
        os.sched_setaffinity(process.pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        yield Served(**json.loads(process.stdout.readline()))
        process.stdin.close()


def _check(status: int, content: bytes) -> None:
    if status != 200 or len(content) != BYTES:
        raise RuntimeError(f"the fleet answered {status} with {len(content)} bytes")


Send = Callable[[], Any]


def _rotator(served: Served, page: str, engine: str, on_loop: bool) -> tuple[Send, Callable[[], Any]]:
    from proxywhirl import AsyncProxyRotator, ProxyRotator

    kind: Any = AsyncProxyRotator if on_loop else ProxyRotator
    rotator = kind(proxies=served.urls, engine=engine, verify=served.authority)
    if not on_loop:

        def get() -> None:
            answer = rotator.get(page)
            _check(answer.status_code, answer.content)

        return get, rotator.close

    async def get_async() -> None:
        answer = await rotator.get(page)
        _check(answer.status_code, answer.content)

    return get_async, rotator.aclose


def _httpx(served: Served, page: str, on_loop: bool) -> tuple[Send, Callable[[], Any]]:
    import httpx

    context = ssl.create_default_context(cafile=served.authority)
    # Connections stay open, or the first pool to be swept would decide.
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=300.0)
    kind: Any = httpx.AsyncClient if on_loop else httpx.Client
    clients = [kind(proxy=url, verify=context, trust_env=False, limits=limits) for url in served.urls]
    turn = itertools.cycle(clients)
    if not on_loop:

        def get() -> None:
            answer = next(turn).get(page)
            _check(answer.status_code, answer.content)

        def close() -> None:
            for client in clients:
                client.close()

        return get, close

    async def get_async() -> None:
        answer = await next(turn).get(page)
        _check(answer.status_code, answer.content)

    async def close_async() -> None:
        for client in clients:
            await client.aclose()

    return get_async, close_async


def _pyreqwest(served: Served, page: str, on_loop: bool) -> tuple[Send, Callable[[], Any]]:
    from pyreqwest.client import ClientBuilder, SyncClientBuilder
    from pyreqwest.proxy import ProxyBuilder

    with open(served.authority, "rb") as file:
        authority = file.read()
    kind: Any = ClientBuilder if on_loop else SyncClientBuilder
    clients = [
        kind()
        .proxy(ProxyBuilder.all(url))
        .add_root_certificate_pem(authority)
        .pool_idle_timeout(timedelta(seconds=300))
        .build()
        for url in served.urls
    ]
    turn = itertools.cycle(clients)
    if not on_loop:

        def get() -> None:
            answer = next(turn).get(page).build().send()
            _check(answer.status, answer.bytes())

        def close() -> None:
            for client in clients:
                client.close()

        return get, close

    async def get_async() -> None:
        answer = await next(turn).get(page).build().send()
        _check(answer.status, await answer.bytes())

    async def close_async() -> None:
        for client in clients:
            await client.close()

    return get_async, close_async


def _client(name: str, served: Served, page: str, on_loop: bool) -> tuple[Send, Callable[[], Any]]:
    if name == "httpx by hand":
        return _httpx(served, page, on_loop)
    if name == "pyreqwest by hand":
        return _pyreqwest(served, page, on_loop)
    return _rotator(served, page, "native" if name.endswith("native") else "httpx", on_loop)


Block = Callable[[int], list[float]]


def _in_threads(send: Send, threads: int) -> Block:
    def block(count: int) -> list[float]:
        left = iter(range(count))
        took: list[float] = []

        def work() -> None:
            for _ in left:
                began = time.perf_counter()
                send()
                took.append(time.perf_counter() - began)

        if threads == 1:
            work()
            return took
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return took

    return block


def _in_tasks(send: Callable[[], Awaitable[None]], loop: asyncio.AbstractEventLoop, tasks: int) -> Block:
    async def many(count: int) -> list[float]:
        left = iter(range(count))
        took: list[float] = []

        async def work() -> None:
            for _ in left:
                began = time.perf_counter()
                await send()
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(work() for _ in range(tasks)))
        return took

    return lambda count: loop.run_until_complete(many(count))


def one(way: str, client: str, size: int, seconds: float) -> dict[str, float]:
    """Measure one client.

    Args:
        way: A key of `WAYS`.
        client: One of `CLIENTS`.
        size: How many proxies.
        seconds: About how long, after the first requests.

    Returns:
        `cpu`, microseconds of processor time per request, the median of the blocks; `rate`, requests per second;
        `p99`, milliseconds.
    """
    _, at_once, secure = WAYS[way]
    on_loop = "loop" in way or "asyncio" in way
    with fleet(size) as served:
        page = served.secure if secure else served.plain
        send, close = _client(client, served, page, on_loop)
        if on_loop:
            loop = importlib.import_module("uvloop").new_event_loop() if "uvloop" in way else asyncio.new_event_loop()
            block = _in_tasks(send, loop, at_once)
        else:
            block = _in_threads(send, at_once)
        # Every proxy gets its connections first.
        block(max(4 * size, 8 * at_once))
        spent: list[float] = []
        took: list[float] = []
        length = 20 * max(at_once, 10)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds or len(spent) < 5:
            before = time.process_time()
            took += block(length)
            spent.append((time.process_time() - before) / length)
        rate = len(took) / (time.perf_counter() - began)
        if on_loop:
            loop.run_until_complete(close())
            loop.close()
        else:
            close()
    took.sort()
    return {"cpu": statistics.median(spent) * 1e6, "rate": rate, "p99": took[int(len(took) * 0.99)] * 1e3}


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    costs = Table("Engines", "us of processor time per request", [f"{size_name(n)} proxies" for n in SIZES])
    rates = Table("Engines, rate", "requests per second on one processor", costs.columns)
    slowest = Table("Engines, slowest in a hundred", "ms", costs.columns)
    for way, (target, _, _) in WAYS.items():
        if "uvloop" in way and not _is_there("uvloop"):
            continue
        for client in CLIENTS:
            if client.startswith("pyreqwest") and not _is_there("pyreqwest"):
                continue
            seconds = 1 if quick else 2
            found = [in_process(__file__, "--one", way, client, size, "--seconds", seconds) for size in SIZES]
            wanted = target if client.endswith("native") else None
            name = f"{client}: {way}"
            costs.add(name, *(Cell(result["cpu"], wanted) for result in found))
            rates.add(name, *(result["rate"] for result in found))
            slowest.add(name, *(result["p99"] for result in found))
    costs.text = (
        f"{BYTES:,} bytes through forward proxies on loopback, connections open before; the client on one processor, "
        "the fleet on the other. By hand: a client per proxy, kept open, `next(cycle(clients)).get(url)`, no retries, "
        "no counts. Medians of blocks."
    )
    return [costs, rates, slowest]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--serve", type=int, metavar="SIZE", help="be the fleet")
    command.add_argument("--one", nargs=3, metavar=("WAY", "CLIENT", "SIZE"), help="print one result as JSON")
    command.add_argument("--seconds", type=float, default=2.0, help="with --one: how long")
    options = command.parse_args()
    if options.serve is not None:
        serve(options.serve)
    elif options.one:
        way, client, size = options.one
        say(json.dumps(one(way, client, int(size), options.seconds)))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
