"""What a wheel is trained with: the calls and requests that the compiler makes fast; all else it makes small.

python benches/python/training.py

`make wheel` runs it with a module that counts its branches. Nothing is measured: a module that counts is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import tempfile
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import calls
import supply
from harness import say

from proxywhirl import AsyncProxyRotator, ProxyPool, ProxyRotator
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.validation import Checks

#: Requests of each kind.
REQUESTS = 400
#: As proxies speak: of each the fleet has two.
SPOKEN = ("http", "socks5", "socks4")
PAGES = ("/bytes/1000", "/bytes/60000", "/whoami", "/gzip", "/deflate", "/redirect/1", "/cookies/set?a=1")


def rotation() -> None:
    """Choose, report, lease and add, as the figures of calls are measured."""
    for name, size in itertools.product([*calls.SUBJECTS, *calls.BESIDES], (10, 2_000)):
        calls.one(name, size, quick=True, seconds=0.02)
    for name in calls.ADDING:
        calls.one(name, 1_000, quick=True)


def lists() -> None:
    """Read lists, and write a pool and read it."""
    supply.parsing(50_000)
    rows = [{"ip": f"10.1.{n >> 8}.{n & 255}", "port": 3128, "country": "DE"} for n in range(5_000)]
    as_csv = "ip,port,country\n" + "".join(f"{row['ip']},{row['port']},DE\n" for row in rows)
    pool = ProxyPool(max_pool_size=100_000)
    for text in (json.dumps(rows), as_csv):
        pool.load(text)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("p.json", "p.jsonl", "p.json.gz"):
            file = PoolFile(Path(folder) / name, Vault(None))
            file.save(pool)
            ProxyPool.from_file(file.path)


@contextlib.contextmanager
def fleet() -> Iterator[tuple[ProxyFleet, list[str]]]:
    """Proxies of all kinds, and what is asked for through them, half of it behind TLS."""
    with ProxyFleet([ProxySpec(scheme=name) for name in SPOKEN for _ in range(2)]) as made:
        yield made, [made.site_url("shop.test", page, https=tls) for page in PAGES for tls in (False, True)]


def requests() -> None:
    """Send requests as the drivers can: one at a time, from threads, on an event loop; streamed; checks."""
    with fleet() as (made, pages):
        options: dict[str, Any] = {"proxies": made.urls, "verify": made.ca_file(), "engine": "native"}
        with ProxyRotator(**options) as rotator:

            def work() -> None:
                for page in itertools.islice(itertools.cycle(pages), REQUESTS):
                    if not rotator.get(page).content:
                        raise RuntimeError(f"no answer from {page}")

            work()
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for page in itertools.islice(itertools.cycle(pages), 40):
                rotator.post(page, json={"name": "value"})
                with rotator.stream("GET", page) as answer:
                    for _ in answer.iter_bytes():
                        pass
        asyncio.run(_on_a_loop(options, pages))
        page = made.site_url("shop.test", "/whoami")
        if not any(result.is_valid for result in Checks(made.urls * 300, targets=[page], concurrency=50)):
            raise RuntimeError("no check succeeded")


async def _on_a_loop(options: dict[str, Any], pages: list[str]) -> None:
    async with AsyncProxyRotator(**options) as rotator:
        turn = itertools.islice(itertools.cycle(pages), 10 * REQUESTS)

        async def work() -> None:
            for page in turn:
                answer = await rotator.get(page)
                if not answer.content:
                    raise RuntimeError(f"no answer from {page}")

        await asyncio.gather(*(work() for _ in range(50)))


class _Packed(BaseHTTPRequestHandler):
    """Answers whatever it is asked for itself, as a cache does: with docs/engines.md, packed by Brotli."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    page = Path(__file__).with_name("page.br").read_bytes()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "br")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:
        pass


def packed() -> None:
    """Unpack what the fleet cannot pack."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Packed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with ProxyRotator(proxies=[f"http://127.0.0.1:{server.server_port}"], engine="native") as rotator:
            for _ in range(REQUESTS):
                if b"engine" not in rotator.get("http://shop.test/").content:
                    raise RuntimeError("Brotli was not unpacked")
        server.shutdown()


def main() -> None:
    """Run from the command line."""
    warnings.simplefilter("ignore")
    for part in (rotation, lists, requests, packed):
        # What is found while it counts says nothing.
        with contextlib.redirect_stdout(io.StringIO()):
            part()
        say(f"trained: {part.__name__}")


if __name__ == "__main__":
    main()
