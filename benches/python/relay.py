"""The local relay: requests and bytes through it, beside the same through the proxy itself; and 10,000 connections.

    python benches/python/relay.py [--quick] [--json FILE]

Proxy, relay and client are processes of their own, on loopback. Processor time is the relay's alone.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness import Cell, Table, parser, publish, say

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END = b"\r\n\r\n"
TUNNEL = b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n"
FORWARD = b"GET http://shop.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n"
INSIDE = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


def _more_descriptors() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve() -> None:
    """Be a proxy, and what is behind it: every head is answered, a tunnel's with its opening."""
    _more_descriptors()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    say(str(listener.getsockname()[1]))
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                continue
            connection = key.fileobj  # type: ignore[assignment]
            try:
                got = connection.recv(65_536)
            except OSError:
                got = b""
            if not got:
                selector.unregister(connection)
                connection.close()
            elif got.startswith(b"CONNECT"):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                connection.sendall(ANSWER * got.count(END))


def relay(proxy: str) -> None:
    """Be the relay; a line of input asks for processor time and memory."""
    from proxywhirl import Relay

    _more_descriptors()
    with Relay([proxy], auth=False, idle_timeout=600) as running:
        say(str(running.port))
        for _ in sys.stdin:
            used = resource.getrusage(resource.RUSAGE_SELF)
            with open("/proc/self/statm") as statm:
                pages = int(statm.read().split()[1])
            say(json.dumps([used.ru_utime + used.ru_stime, pages * resource.getpagesize()]))


@contextmanager
def _process(*arguments: str) -> Iterator[tuple[int, Any]]:
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def _used(process: Any) -> tuple[float, float]:
    process.stdin.write("\n")
    process.stdin.flush()
    seconds, memory = json.loads(process.stdout.readline())
    return seconds, memory


def _read(connection: socket.socket, end: bytes) -> None:
    got = b""
    while not got.endswith(end):
        part = connection.recv(65_536)
        if not part:
            raise ConnectionError(got)
        got += part


def _connect(port: int, *, tunnel: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tunnel:
        connection.sendall(TUNNEL)
        _read(connection, END)
    return connection


def _rate(port: int, rounds: int, *, tunnel: bool, connections: int = 64) -> float:
    """Seconds per request over kept connections, one request at a time on each."""
    message, answer = (INSIDE if tunnel else FORWARD), ANSWER
    opened = [_connect(port, tunnel=tunnel) for _ in range(connections)]
    started = time.perf_counter()
    for _ in range(rounds):
        for connection in opened:
            connection.sendall(message)
        for connection in opened:
            _read(connection, answer[-2:])
    seconds = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return seconds / (rounds * connections)


def tables(quick: bool) -> list[Table]:
    """Measure, and return the tables."""
    rounds = 50 if quick else 300
    cost = Table("The relay", "us per request", ["proxy itself", "through the relay", "relay's processor time"])
    held = Table("The relay, connections", "MiB", ["10,000 tunnels"])
    with _process("--serve") as (proxy, _), _process("--relay", f"http://127.0.0.1:{proxy}") as (port, running):
        for name, tunnel in (("in kept tunnels", True), ("forwarded", False)):
            for warm in (proxy, port):
                _rate(warm, 5, tunnel=tunnel)
            before = _used(running)[0]
            through = _rate(port, rounds, tunnel=tunnel)
            spent = (_used(running)[0] - before) / (rounds * 64)
            itself = _rate(proxy, rounds, tunnel=tunnel)
            cost.add(name, Cell(itself * 1e6), Cell(through * 1e6), Cell(spent * 1e6, 50.0))
        _more_descriptors()
        before = _used(running)[1]
        # Each needs two descriptors of the relay's.
        room = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 300) // 2
        count = 2_000 if quick else min(10_000, room)
        opened = [_connect(port, tunnel=True) for _ in range(count)]
        grown = (_used(running)[1] - before) / (1 << 20) * 10_000 / count
        held.add("memory of the relay", Cell(grown, 200.0))
        for connection in opened:
            connection.close()
    cost.text = "64 kept connections, a request at a time on each; 50 us of a core are 20,000 requests/s on one of two."
    return [cost, held]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--serve", action="store_true", help="be the proxy")
    command.add_argument("--relay", metavar="PROXY", help="be the relay")
    options = command.parse_args()
    if options.serve:
        serve()
    elif options.relay:
        relay(options.relay)
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
