"""Reading lists and checking proxies, beside a plain asyncio checker and one on httpx.

    python benches/python/supply.py [--quick] [--json FILE]

Everything happens on loopback: the fleet runs in a process of its own, every contender in another, and they share the
machine's cores. A rate of checks is shown as the time of one check, so that less is better in every table.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from harness import Cell, Table, parser, publish

FLEET = """
import sys
from proxywhirl.testing import ProxyFleet, ProxySpec
good, hanging = int(sys.argv[1]), int(sys.argv[2])
specs = [ProxySpec() for _ in range(good)] + [ProxySpec(fault="hang") for _ in range(hanging)]
with ProxyFleet(specs) as fleet:
    print(" ".join(proxy.url for proxy in fleet), flush=True)
    sys.stdin.read()
"""
PAGE = "http://shop.test/whoami"


def _lines(count: int) -> str:
    # Distinct, in no order, of the usual length.
    numbers = ((index * 2_654_435_761) & 0xFFFFFFFF for index in range(count))
    return "".join(
        f"{1 + (n >> 24) % 223}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:{1 + n % 65_535}\n" for n in numbers
    )


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def parsing(count: int) -> Table:
    """Reading a list, and loading it into a pool."""
    from proxywhirl import ProxyPool, _core

    data = _lines(count).encode()
    table = Table(f"A list of {count:,} lines of host:port", "s", ["time"])
    scale = count / 1_000_000
    best = []
    for _ in range(3):
        begin = time.perf_counter()
        parsed = _core.parse_proxies(data)
        best.append(time.perf_counter() - begin)
        entries = len(parsed)
        del parsed
    table.add("parsed and deduplicated", Cell(min(best), 0.5 * scale))
    best = []
    for _ in range(3):
        gc.collect()
        before = _resident()
        begin = time.perf_counter()
        pool = ProxyPool(max_pool_size=2 * count)
        pool.load(data)
        best.append(time.perf_counter() - begin)
        kept = (_resident() - before) / len(pool)
        del pool
    table.add("and loaded into a pool", Cell(min(best), 1.5 * scale, f"{kept:.0f} bytes a proxy"))
    text = data.decode()
    begin = time.perf_counter()
    found = dict.fromkeys(line.strip() for line in text.splitlines() if line and not line.startswith("#"))
    plain = {line: (host, int(port)) for line in found for host, _, port in [line.partition(":")]}
    table.add("a dict of Python's, nothing checked", Cell(time.perf_counter() - begin, None, f"{len(plain):,} entries"))
    table.text = f"Best of three. {entries:,} of the lines name a proxy that no line before named."
    return table


async def _by_asyncio(urls: list[str], concurrency: int) -> int:
    """As plain as it gets: no TLS, no SOCKS, no rules."""
    turn = iter(urls)
    good = 0

    async def work() -> None:
        nonlocal good
        for url in turn:
            host, _, port = url.rpartition("/")[2].rpartition(":")
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 5)
            writer.write(f"GET {PAGE} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            good += answer.startswith(b"HTTP/1.1 200")
            writer.close()

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return good


async def _by_httpx(urls: list[str], concurrency: int) -> int:
    import ssl

    import httpx

    turn = iter(urls)
    context = ssl.create_default_context()
    good = 0

    async def work() -> None:
        nonlocal good
        for url in turn:
            async with httpx.AsyncClient(proxy=url, timeout=5, verify=context, trust_env=False) as client:
                answer = await client.get(PAGE)
            good += answer.status_code == 200

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return good


def _natively(urls: list[str], concurrency: int, timeout: float = 5.0) -> int:
    from proxywhirl.validation import Checks

    checks = Checks(urls, targets=[PAGE], concurrency=concurrency, timeout=timeout)
    return sum(result.is_valid for result in checks)


def contend(kind: str, concurrency: int, timeout: float) -> None:
    """Run one contender over the URLs on standard input; for the process started by `_contender`."""
    urls = sys.stdin.read().split()
    begin = time.perf_counter()
    if kind == "asyncio":
        good = asyncio.run(_by_asyncio(urls, concurrency))
    elif kind == "httpx":
        good = asyncio.run(_by_httpx(urls, concurrency))
    else:
        good = _natively(urls, concurrency, timeout)
    elapsed = time.perf_counter() - begin
    # Not getrusage: its maximum is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"elapsed": elapsed, "good": good, "peak_kib": peak}))


def _contender(kind: str, urls: list[str], concurrency: int, timeout: float = 5.0) -> dict[str, float]:
    command = [sys.executable, __file__, "--contend", kind, str(concurrency), str(timeout)]
    done = subprocess.run(command, input="\n".join(urls), stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


class _Fleet:
    def __init__(self, good: int, hanging: int = 0) -> None:
        command = [sys.executable, "-c", FLEET, str(good), str(hanging)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()


def checking(quick: bool) -> Table:
    """Full checks of proxies that work."""
    table = Table("A full HTTP check", "us a check", ["time"])
    sizes = {
        "native": 8_000 if quick else 60_000,
        "asyncio": 4_000 if quick else 20_000,
        "httpx": 300 if quick else 1_500,
    }
    rates: dict[str, float] = {}
    with _Fleet(200) as urls:
        for kind, count in sizes.items():
            runs = [
                _contender(kind, [urls[n % len(urls)] for n in range(count)], 128) for _ in range(1 if quick else 3)
            ]
            assert all(run["good"] == count for run in runs), f"{kind}: some checks failed"
            rates[kind] = count / min(run["elapsed"] for run in runs)
    table.add("`Checks`", Cell(1e6 / rates["native"], 1e6 / 15_000, f"{rates['native']:,.0f} checks/s"))
    for kind, times in (("asyncio", 2), ("httpx", 15)):
        ratio = rates["native"] / rates[kind]
        note = f"{rates[kind]:,.0f} checks/s; `Checks` is {ratio:.1f} times as fast, {times} were promised"
        table.add(f"a plain checker on {kind}", Cell(1e6 / rates[kind], None, note))
    table.text = "128 at a time through 200 proxies of the fleet, whose one thread shares the cores. Best of three."
    return table


def hanging(quick: bool) -> Table:
    """Lists of proxies of which most never answer."""
    count, timeout, concurrency = (1_000, 1.0, 200) if quick else (10_000, 2.0, 1_000)
    table = Table(f"{count:,} proxies, 90 % of which hang", "s", ["time"])
    with _Fleet(count // 100, count // 100 * 9) as urls:
        run = _contender("native", [url for url in urls for _ in range(10)], concurrency, timeout)
    ideal = count * 0.9 / concurrency * timeout
    note = f"{run['peak_kib'] / 1024:.0f} MiB at most (200 were promised), {run['good']:,.0f} good"
    table.add("`Checks`", Cell(run["elapsed"], 1.3 * ideal, note))
    table.text = f"{concurrency:,} at a time with {timeout:g} s for each; hanging proxies cost {ideal:g} s at least."
    return table


def main() -> None:
    """Measure, or run as a measured process."""
    if sys.argv[1:2] == ["--contend"]:
        contend(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        return
    options = parser(__doc__).parse_args()
    publish(
        [parsing(100_000 if options.quick else 1_000_000), checking(options.quick), hanging(options.quick)], options
    )


if __name__ == "__main__":
    main()
