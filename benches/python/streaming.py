"""A gigabyte streamed through a rotator, both ways: how long it takes, and how much memory it is held in.

    python benches/python/streaming.py [--quick] [--json FILE]

The other end is a process of its own that speaks as a forwarding proxy does; only the client's process is measured, on
loopback. Each figure is taken in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

from harness import Cell, Table, in_process, parser, publish, say

PART = bytes(65_536)
WAYS = ("download", "download, asyncio", "upload", "upload, asyncio")


def serve() -> None:
    """Be the other end: answer every request with as many bytes as its path says, or take that many and say so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(str(listener.getsockname()[1]))
        while True:
            connection, _ = listener.accept()
            with connection:
                while _answer(connection):
                    pass


def _answer(connection: socket.socket) -> bool:
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65_536)
        if not part:
            return False
        head += part
    size = length = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
    if head.startswith(b"POST"):
        left = size - (len(head) - head.index(b"\r\n\r\n") - 4)
        into = bytearray(1 << 20)
        while left > 0:
            left -= connection.recv_into(into) or left
        length = 0
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    part = bytes(1 << 20)
    for at in range(0, length, len(part)):
        connection.sendall(part[: length - at])
    return True


def _parts(size: int) -> Iterator[bytes]:
    for at in range(0, size, len(PART)):
        yield PART[: size - at]


async def _parts_async(size: int) -> AsyncIterator[bytes]:
    for part in _parts(size):
        yield part


def _once(proxy: str, way: str, size: int) -> tuple[float, float]:
    """Processor time and time by the clock of one body, in seconds."""
    from proxywhirl import AsyncProxyRotator, ProxyRotator

    url, headers = f"http://site.test/{size}", {"Content-Length": str(size)}
    if "asyncio" in way:

        async def work() -> tuple[float, float]:
            async with AsyncProxyRotator(proxies=[proxy], timeout=120) as rotator:
                began, before = time.perf_counter(), time.process_time()
                if way.startswith("upload"):
                    await rotator.post(url, content=_parts_async(size), headers=headers)
                else:
                    async with rotator.stream("GET", url) as response:
                        _check(sum([len(part) async for part in response.aiter_raw()]), size)
                return time.process_time() - before, time.perf_counter() - began

        return asyncio.run(work())
    with ProxyRotator(proxies=[proxy], timeout=120) as rotator:
        began, before = time.perf_counter(), time.process_time()
        if way.startswith("upload"):
            rotator.post(url, content=_parts(size), headers=headers)
        else:
            with rotator.stream("GET", url) as response:
                _check(sum(map(len, response.iter_raw())), size)
        return time.process_time() - before, time.perf_counter() - began


def _check(found: int, size: int) -> None:
    if found != size:
        raise RuntimeError(f"{found} bytes came, not {size}")


def _most_memory() -> float:
    """The most that this process has had in memory, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(way: str, size: int) -> dict[str, float]:
    """Measure one way.

    Args:
        way: One of `WAYS`.
        size: Bytes of the body.

    Returns:
        `cpu` and `clock`, milliseconds; `memory`, MiB by which the body made the process grow.
    """
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the other end has no pipe")
        proxy = f"http://127.0.0.1:{int(process.stdout.readline())}"
        # What any first body brings along is there before.
        _once(proxy, way, 16 << 20)
        before = _most_memory()
        cpu, clock = _once(proxy, way, size)
        grown = _most_memory() - before
        process.terminate()
    return {"cpu": cpu * 1e3, "clock": clock * 1e3, "memory": grown}


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    size = (1 << 28) if quick else (1 << 30)
    share = size / (1 << 30)
    took = Table("Streaming", "ms per GiB", ["by the clock", "processor time"])
    grown = Table("Streaming, memory", "MiB by which the process grows", [f"{size >> 20} MiB"])
    for way in WAYS:
        found = in_process(__file__, "--one", way, size)
        took.add(way, Cell(found["clock"] / share, 1_000.0), Cell(found["cpu"] / share, 500.0))
        grown.add(way, Cell(found["memory"]))
    took.text = (
        "One body through one proxy on loopback, in parts of 64 KiB, the native engine; the other end in a process."
    )
    return [took, grown]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--serve", action="store_true", help="be the other end")
    command.add_argument("--one", nargs=2, metavar=("WAY", "BYTES"), help="print one result as JSON")
    options = command.parse_args()
    if options.serve:
        serve()
    elif options.one:
        way, size = options.one
        say(json.dumps(one(way, int(size))))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
