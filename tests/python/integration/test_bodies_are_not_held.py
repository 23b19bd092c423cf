"""Bodies of any length are streamed both ways, with a bounded number of bytes held: counted, by both ends of the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator

URL = "http://site.test/"
PART = b"x" * 65_536
WHOLE = 64 << 20
"""Bytes of a body."""
HELD = 16 << 20
"""Most bytes that may be under way, the buffers of the system included, which are up to 4 MiB on this side."""


class Slow:
    """A site behind a proxy that counts what it moves, and lets a body pass as far as it is told to."""

    def __init__(self, talk: Callable[[Slow, socket.socket], None]) -> None:
        self._talk = talk
        self.moved = 0
        """Bytes of the body that were sent or received."""
        self.may_read = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Inherited by its connections, and not enlarged by the system when they are set.
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._listener.setsockopt(socket.SOL_SOCKET, option, 64 << 10)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536, socket.MSG_PEEK):
                time.sleep(0.01)
            self._talk(self, connection)

    def settled(self) -> int:
        """What it has moved, when it moves no more."""
        before = -1
        while self.moved != before:
            before = self.moved
            time.sleep(0.3)
        return self.moved


def sends(site: Slow, connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % WHOLE)
    while site.moved < WHOLE:
        site.moved += connection.send(PART[: WHOLE - site.moved])


def receives(site: Slow, connection: socket.socket) -> None:
    site.may_read.wait(60)
    end = b""
    while not end.endswith(b"\r\n0\r\n\r\n"):
        part = connection.recv(65536)
        site.moved += len(part)
        end = (end + part)[-16:]
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.timeout(120)
def test_what_the_caller_does_not_take_is_not_read() -> None:
    with Slow(sends) as site, ProxyRotator(proxies=[site.url]) as rotator:
        with rotator.stream("GET", URL) as response:
            taken, most = 0, 0
            for number, part in enumerate(response.iter_raw()):
                taken += len(part)
                if number % 200 == 0:
                    most = max(most, site.settled() - taken)
    assert taken == WHOLE
    assert 0 < most < HELD


@pytest.mark.timeout(120)
def test_what_a_task_does_not_take_is_not_read() -> None:
    async def work() -> tuple[int, int]:
        async with AsyncProxyRotator(proxies=[site.url]) as rotator:
            async with rotator.stream("GET", URL) as response:
                taken, most, number = 0, 0, 0
                async for part in response.aiter_raw():
                    taken += len(part)
                    if number % 200 == 0:
                        # The loop goes on meanwhile.
                        most = max(most, await asyncio.to_thread(site.settled) - taken)
                    number += 1
                return taken, most

    with Slow(sends) as site:
        taken, most = asyncio.run(work())
    assert taken == WHOLE
    assert 0 < most < HELD


@pytest.mark.timeout(120)
def test_what_the_site_does_not_take_is_not_asked_for() -> None:
    given = 0

    def body() -> Iterator[bytes]:
        nonlocal given
        while given < WHOLE:
            given += len(PART)
            yield PART

    def watch() -> None:
        before = -1
        while given != before or not given:
            before = given
            time.sleep(0.3)
        held.append(given)
        site.may_read.set()

    held: list[int] = []
    with Slow(receives) as site, ProxyRotator(proxies=[site.url]) as rotator:
        watcher = threading.Thread(target=watch)
        watcher.start()
        assert rotator.post(URL, content=body()).text == "ok"
        watcher.join()
    assert given == WHOLE
    assert site.moved > WHOLE
    assert 0 < held[0] < HELD


@pytest.mark.timeout(120)
def test_what_the_site_does_not_take_is_not_asked_for_of_a_task() -> None:
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        while given < WHOLE:
            given += len(PART)
            yield PART

    async def work() -> int:
        async with AsyncProxyRotator(proxies=[site.url]) as rotator:
            sending = asyncio.create_task(rotator.post(URL, content=body()))
            before = -1
            while given != before or not given:
                before = given
                await asyncio.sleep(0.3)
            held = given
            site.may_read.set()
            assert (await sending).text == "ok"
            return held

    with Slow(receives) as site:
        held = asyncio.run(work())
    assert given == WHOLE
    assert site.moved > WHOLE
    assert 0 < held < HELD
