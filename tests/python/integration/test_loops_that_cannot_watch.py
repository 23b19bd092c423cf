"""The native engine in event loops without ``add_reader``, as the proactor of Windows: a thread wakes them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, Callable

import pytest
from hostile_servers import HostileServer, says

from proxywhirl import AsyncProxyRotator, RetryPolicy, _core
from proxywhirl.testing import ProxyFleet

has_threads_listed = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="lists threads by /proc")


class Unwatching(asyncio.SelectorEventLoop):
    """Refuses to watch descriptors, and counts how often another thread has woken it."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.woken = 0

    def add_reader(self, *arguments: Any) -> None:
        raise NotImplementedError

    def call_soon_threadsafe(self, callback: Any, *arguments: Any, **keywords: Any) -> Any:
        self.woken += threading.get_ident() != self.thread
        return super().call_soon_threadsafe(callback, *arguments, **keywords)


def watchers() -> int:
    """How many threads of this process wake loops."""
    count = 0
    for path in Path("/proc/self/task").iterdir():
        try:
            # The system cuts names off behind 15 bytes.
            count += (path / "comm").read_text().strip() == "proxywhirl-watc"
        except OSError:
            # It has ended.
            continue
    return count


def watchers_soon(count: int) -> int:
    """How many there are when they have had the time to be so many: a thread names itself, and ends by itself."""
    until = time.monotonic() + 20
    while watchers() != count and time.monotonic() < until:
        time.sleep(0.02)
    return watchers()


def run(work: Callable[[Unwatching], Awaitable[Any]], loop: Unwatching | None = None) -> Any:
    loop = loop or Unwatching()

    async def main() -> Any:
        return await asyncio.wait_for(work(loop), 50)

    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_ENGINE", raising=False)


def native_wire(rotator: AsyncProxyRotator) -> _core.LoopedWire:
    carrier = rotator._transport.carrier
    assert carrier._other is None, "httpx has carried a request"
    (scope,) = carrier._scopes.values()
    return scope.wire


@has_threads_listed
def test_requests_are_carried_and_the_thread_ends_with_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def work(loop: Unwatching) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native", verify=False) as rotator:
            for secure in (False, True):
                url = fleet.site_url("shop.test", "/whoami", https=secure)
                pages = await asyncio.gather(*(rotator.get(url) for _ in range(200)))
                assert [page.status_code for page in pages] == [200] * 200
            assert watchers_soon(1) == 1
            assert loop.woken > 0
            assert native_wire(rotator).fileno() is None

    with ProxyFleet(4) as fleet, caplog.at_level(logging.INFO, logger="proxywhirl.rotation"):
        run(work)
    assert watchers_soon(0) == 0
    assert "httpx carries" not in caplog.text


def test_bodies_go_both_ways() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    async def work(loop: Unwatching) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            async with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/5000000")) as response:
                assert sum([len(part) async for part in response.aiter_bytes()]) == 5_000_000
            answer = await rotator.post(fleet.site_url("shop.test", "/echo"), content=parts())
            assert answer.status_code == 200
            assert native_wire(rotator).counts()[0] == 1

    with ProxyFleet(1) as fleet:
        run(work)


def test_all_that_comes_while_the_loop_is_busy_is_one_call() -> None:
    async def work(loop: Unwatching) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            await asyncio.gather(*(rotator.get(url) for _ in range(50)))
            first = loop.woken
            tasks = [asyncio.create_task(rotator.get(url)) for _ in range(50)]
            # They are sent, and the loop does nothing else while the answers come.
            await asyncio.sleep(0)
            before = loop.woken
            time.sleep(0.5)  # noqa: ASYNC251 - the loop is to be kept busy
            assert loop.woken - before <= 1
            assert loop.woken > first
            assert [page.status_code for page in await asyncio.gather(*tasks)] == [200] * 50

    with ProxyFleet(4) as fleet:
        run(work)


def test_time_runs_out_and_requests_are_given_up() -> None:
    server = HostileServer(says(then=lambda connection: connection.recv(1)))

    async def work(loop: Unwatching) -> None:
        async with AsyncProxyRotator(
            proxies=[f"http://127.0.0.1:{server.port}"], engine="native", retry_policy=RetryPolicy(max_attempts=1)
        ) as rotator:
            with pytest.raises(Exception, match=r"(?i)timed? ?out"):
                await rotator.get("http://site.test/", timeout=0.3)
            task = asyncio.create_task(rotator.get("http://site.test/"))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert native_wire(rotator).counts() == (0, 0)

    try:
        run(work)
    finally:
        server.close()


@has_threads_listed
def test_a_loop_that_is_closed_without_a_word_leaves_no_thread() -> None:
    loop = Unwatching()

    async def get() -> int:
        return (await rotator.get(url)).status_code

    with ProxyFleet(1) as fleet:
        rotator = AsyncProxyRotator(proxies=fleet.urls, engine="native")
        url = fleet.site_url("shop.test", "/whoami")
        assert loop.run_until_complete(get()) == 200
        assert watchers_soon(1) == 1
        loop.close()
        # The rotator lives on, and holds what belonged to the loop.
        assert watchers_soon(0) == 0
        assert run(lambda _: get()) == 200
        assert watchers_soon(0) == 0


@has_threads_listed
async def test_a_wire_that_is_dropped_ends_its_thread() -> None:
    wire = _core.LoopedWire(asyncio.get_running_loop(), keepalive=None, keepalive_seconds=None, proxies=1)
    wire.watch()
    wire.watch()
    assert watchers_soon(1) == 1
    del wire
    gc.collect()
    assert watchers_soon(0) == 0
    shut = _core.LoopedWire(asyncio.get_running_loop(), keepalive=None, keepalive_seconds=None, proxies=1)
    shut.shut()
    with pytest.raises(RuntimeError):
        shut.watch()


@has_threads_listed
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_has_a_loop_and_a_thread_of_its_own() -> None:
    url = ""

    async def work(loop: Unwatching) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            assert (await rotator.get(url)).status_code == 200
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    os._exit(in_child(rotator))
                _, status = await asyncio.to_thread(os.waitpid, child, 0)
                assert os.waitstatus_to_exitcode(status) == 0 if hasattr(os, "waitstatus_to_exitcode") else status == 0
                pages = await asyncio.gather(*(rotator.get(url) for _ in range(20)))
                assert [page.status_code for page in pages] == [200] * 20
            assert watchers_soon(1) == 1

    def in_child(rotator: AsyncProxyRotator) -> int:
        asyncio._set_running_loop(None)

        async def again(loop: Unwatching) -> int:
            pages = await asyncio.gather(*(rotator.get(url) for _ in range(5)))
            return [page.status_code for page in pages].count(200)

        try:
            return 0 if watchers() == 0 and run(again) == 5 and watchers_soon(0) == 0 else 1
        except BaseException:
            return 2

    with ProxyFleet(2) as fleet:
        url = fleet.site_url("shop.test", "/whoami")
        run(work)
