"""What only the native engine does its own way: interrupts, the connections it keeps, bodies that are pulled."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile_servers import HostileServer, says
from scripted_site import ScriptedSite

from proxywhirl import AsyncProxyRotator, AsyncRotatingTransport, ProxyRotator, RetryPolicy, RotatingTransport
from proxywhirl.exceptions import ProxyConnectionError, ProxyFetchError
from proxywhirl.testing import ProxyFleet, ProxySpec

ONCE = RetryPolicy(max_attempts=1)


def _descriptors() -> int:
    """Those of this process; zero where it is not told."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def hangs() -> HostileServer:
    return HostileServer(says(then=lambda connection: connection.recv(1)))


@pytest.mark.timeout(30)
def test_an_interrupt_ends_a_request_that_waits() -> None:
    server = hangs()
    kill = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with ProxyRotator(proxies=[f"http://127.0.0.1:{server.port}"], engine="native") as rotator:
            kill.start()
            with pytest.raises(KeyboardInterrupt):
                rotator.get("http://site.test/", timeout=600.0)
            (proxy,) = rotator.pool
            assert (proxy.requests_active, proxy.total_failures) == (0, 0)
    finally:
        kill.join()
        server.close()


def test_other_threads_run_while_a_request_waits() -> None:
    server = hangs()
    try:
        with ProxyRotator(proxies=[f"http://127.0.0.1:{server.port}"], engine="native", retry_policy=ONCE) as rotator:
            counted = 0
            done = threading.Event()

            def count() -> None:
                nonlocal counted
                while not done.is_set():
                    counted += 1

            thread = threading.Thread(target=count)
            thread.start()
            with pytest.raises(ProxyConnectionError, match="ReadTimeout"):
                rotator.get("http://site.test/", timeout=0.3)
            done.set()
            thread.join()
            assert counted > 1000
    finally:
        server.close()


def test_an_error_of_the_iterator_that_gives_a_body_is_the_callers() -> None:
    def parts() -> Iterator[bytes]:
        yield b"one"
        raise LookupError("no more")

    with ProxyFleet(2) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        with pytest.raises(LookupError, match="no more"):
            rotator.post(fleet.site_url("shop.test", "/whoami"), content=parts())
        assert all((proxy.requests_active, proxy.total_failures) == (0, 0) for proxy in rotator.pool)


def test_connections_are_kept_by_session_and_end_with_it() -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        counts = rotator._transport.carrier._wire.counts
        session = rotator.session("s")
        for _ in range(3):
            session.get(url)
            rotator.get(url)
        assert counts() == (2, 2)
        session.close()
        assert counts() == (1, 1)
        rotator.close()
        assert counts() == (0, 0)
        assert rotator.get(url).status_code == 200


def test_few_proxies_have_idle_connections() -> None:
    with ProxyFleet(12) as fleet:
        transport = RotatingTransport(fleet.urls, max_proxies=4, engine="native")
        with httpx.Client(transport=transport) as client:
            for _ in range(24):
                client.get(fleet.site_url("shop.test", "/whoami"))
            assert transport.carrier._wire.counts() == (4, 4)
    with pytest.raises(ValueError, match="at least 1"):
        RotatingTransport(["http://a.test:1"], max_proxies=0, engine="native")


def _session_of(number: int) -> dict[str, Any]:
    return {"proxywhirl": {"session_id": f"s{number}"}}


@pytest.mark.parametrize(("sessions", "most"), [(20, 5), pytest.param(10_000, 50, marks=pytest.mark.timeout(120))])
def test_connections_of_many_sessions_are_bounded(sessions: int, most: int) -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet:
        transport = RotatingTransport(fleet.urls, max_proxies=most, max_keepalive_connections=5, engine="native")
        page = fleet.site_url("shop.test", "/whoami")
        with httpx.Client(transport=transport) as client:
            before = _descriptors()
            for number in range(sessions):
                client.get(page, extensions=_session_of(number))
            assert transport.carrier._wire.counts() == (most, most)
            # The fleet, in this process too, has its ends of them, and a few that it has not closed yet.
            assert _descriptors() <= before + 10 * most
            # Each of the last has kept its own.
            connections = fleet.counters()["only"]["connections"]
            for number in range(sessions - most, sessions):
                client.get(page, extensions=_session_of(number))
            assert fleet.counters()["only"]["connections"] == connections
        assert transport.carrier._wire.counts() == (0, 0)


async def test_connections_of_many_sessions_are_bounded_in_an_event_loop() -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet:
        transport = AsyncRotatingTransport(fleet.urls, max_proxies=5, engine="native")
        async with httpx.AsyncClient(transport=transport) as client:
            for number in range(200):
                await client.get(fleet.site_url("shop.test", "/whoami"), extensions=_session_of(number))
            (scope,) = transport.carrier._scopes.values()
            assert scope.wire.counts() == (5, 5)


async def test_idle_connections_that_the_other_side_closes_are_closed() -> None:
    with ProxyFleet(20) as fleet:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            await asyncio.gather(*(rotator.get(fleet.site_url("shop.test", "/whoami")) for _ in range(20)))
            (scope,) = rotator._transport.carrier._scopes.values()
            assert scope.wire.counts()[1] > 0
            fleet.stop()
            for _ in range(3000):
                if scope.wire.counts() == (0, 0):
                    break
                await asyncio.sleep(0.01)
            assert scope.wire.counts() == (0, 0)


def test_connections_of_removed_proxies_are_closed() -> None:
    with ProxyFleet(2) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        for _ in range(2):
            rotator.get(fleet.site_url("shop.test", "/whoami"))
        assert rotator._transport.carrier._wire.counts() == (2, 2)
        rotator.remove_proxy(rotator.pool.get_all_proxies()[0].id)
        assert rotator._transport.carrier._wire.counts() == (1, 1)


def test_a_stream_that_is_left_early_costs_its_connection() -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        counts = rotator._transport.carrier._wire.counts
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/3000000")) as response:
            next(response.iter_raw())
            assert counts() == (1, 0)
        assert counts() == (0, 0)
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/30000")) as response:
            assert sum(map(len, response.iter_raw())) == 30_000
        assert counts() == (1, 1)


def test_a_site_that_closes_after_each_answer_costs_nothing() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
    with ScriptedSite({"/": page}, {"/"}) as site:
        with ProxyRotator(proxies=[site.url], engine="native", retry_policy=ONCE) as rotator:
            assert [rotator.get("http://site.test/").text for _ in range(300)] == ["page"] * 300
            (proxy,) = rotator.pool
            assert (proxy.total_requests, proxy.total_failures) == (300, 0)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors by /proc")
@pytest.mark.timeout(120)
def test_after_many_requests_with_faults_and_cancellations_nothing_is_left() -> None:
    specs = [
        ProxySpec(name="plain"),
        ProxySpec(name="tls", scheme="https"),
        ProxySpec(name="socks", scheme="socks5"),
        ProxySpec(name="resets", fail_with="reset", fail_rate=0.1),
        ProxySpec(name="cuts", fail_with="cut", fail_rate=0.1),
        ProxySpec(name="slow", latency=(0, 20)),
    ]

    async def one(rotator: AsyncProxyRotator, site: str, number: int) -> str:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield b"x" * 1000

        try:
            if number % 5 == 1:
                return (await rotator.post(f"{site}echo", content=parts())).reason_phrase
            if number % 5 == 2:
                async with rotator.stream("GET", f"{site}bytes/300000") as response:
                    async for _ in response.aiter_raw():
                        if number % 2:
                            break
                return "stream"
            return (await rotator.get(f"{site}whoami")).reason_phrase
        except (ProxyConnectionError, ProxyFetchError, httpx.HTTPError) as error:
            return type(error).__name__

    async def many(fleet: ProxyFleet) -> None:
        sites = [fleet.site_url("shop.test"), fleet.site_url("shop.test", https=True)]
        room = asyncio.Semaphore(50)

        async def within(number: int) -> str:
            async with room:
                if number % 50 == 7:
                    task = asyncio.current_task()
                    assert task is not None
                    asyncio.get_running_loop().call_later(number % 9 / 1000, task.cancel)
                return await one(rotator, sites[number % 2], number)

        async with AsyncProxyRotator(proxies=fleet.urls, engine="native", verify=False, proxy_verify=False) as rotator:
            results = await asyncio.gather(*(within(number) for number in range(1000)), return_exceptions=True)
            unexpected = [found for found in results if isinstance(found, Exception)]
            assert not unexpected
            assert sum(isinstance(found, asyncio.CancelledError) for found in results) > 0
            assert results.count("OK") > 500
            (scope,) = rotator._transport.carrier._scopes.values()
            opened, idle = scope.wire.counts()
            assert opened == idle
            for proxy in rotator.pool:
                assert proxy.requests_active == 0
                assert proxy.total_successes + proxy.total_failures <= proxy.total_requests
        assert scope.wire.is_shut

    before = _descriptors()
    with ProxyFleet(specs) as fleet:
        asyncio.run(many(fleet))
    gc.collect()
    assert _descriptors() <= before


async def test_a_response_that_is_dropped_gives_its_connection_back() -> None:
    with ProxyFleet(1) as fleet:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            entered = rotator.stream("GET", fleet.site_url("shop.test", "/bytes/3000000"))
            await entered.__aenter__()
            (scope,) = rotator._transport.carrier._scopes.values()
            assert scope.wire.counts() == (1, 0)
            del entered
            gc.collect()
            for _ in range(10):
                await asyncio.sleep(0)
            assert scope.wire.counts() == (0, 0)


async def test_a_body_that_comes_faster_than_it_is_read_leaves_other_tasks_their_turns() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(640):
            yield b"x" * 1000

    with ProxyFleet(1) as fleet:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            await rotator.get(fleet.site_url("shop.test", "/whoami"))
            task = asyncio.ensure_future(other())
            await rotator.post(fleet.site_url("shop.test", "/echo"), content=parts())
            assert turns >= 640 // 16
            task.cancel()


async def test_one_call_about_a_request_at_a_time() -> None:
    server = hangs()
    try:
        async with AsyncProxyRotator(proxies=[f"http://127.0.0.1:{server.port}"], engine="native") as rotator:
            waiting = asyncio.ensure_future(rotator.get("http://site.test/"))
            for _ in range(3000):
                if server.accepted:
                    break
                await asyncio.sleep(0.01)
            (scope,) = rotator._transport.carrier._scopes.values()
            loop = asyncio.get_running_loop()
            assert scope.wire.counts() == (1, 0)
            with pytest.raises(RuntimeError, match="another call"):
                # The key of the first request.
                scope.wire.pull(1, loop.create_future())
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert scope.wire.counts() == (0, 0)
    finally:
        server.close()


def test_a_loop_of_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main(fleet: ProxyFleet) -> None:
        page = fleet.site_url("shop.test", "/bytes/1000", https=True)
        async with AsyncProxyRotator(proxies=fleet.urls, verify=fleet.ca_file(), engine="native") as rotator:
            responses = await asyncio.gather(*(rotator.get(page) for _ in range(50)))
            assert [response.status_code for response in responses] == [200] * 50
            late = asyncio.ensure_future(rotator.get(fleet.site_url("slow.test", "/delay/5000")))
            await asyncio.sleep(0.05)
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            async with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/300000")) as response:
                assert len(await response.aread()) == 300_000
            # It was the core that sent these: the loop has a wire of its own.
            (scope,) = rotator._transport.carrier._scopes.values()
            assert sum(scope.wire.counts()) > 0
            assert sum(proxy.total_successes for proxy in rotator.pool) == 51
            assert [proxy.requests_active for proxy in rotator.pool] == [0, 0]

    loop = uvloop.new_event_loop()
    try:
        with ProxyFleet(2) as fleet:
            loop.run_until_complete(main(fleet))
    finally:
        loop.close()


def _resident() -> int:
    """KiB of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors by /proc")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_after_thousands_of_requests_descriptors_and_memory_are_as_before(kind: type[Any]) -> None:
    def in_threads(fleet: ProxyFleet, count: int) -> None:
        with ProxyRotator(proxies=fleet.urls, engine="native") as rotator, ThreadPoolExecutor(4) as threads:
            page = fleet.site_url("shop.test", "/bytes/1000")
            assert {*threads.map(lambda _: len(rotator.get(page).content), range(count))} == {1000}
            assert rotator._transport.carrier._wire.counts()[0] <= 4 * len(fleet.urls)

    async def in_tasks(fleet: ProxyFleet, count: int) -> None:
        page = fleet.site_url("shop.test", "/bytes/1000")
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            for _ in range(count // 50):
                answers = await asyncio.gather(*(rotator.get(page) for _ in range(50)))
                assert {len(answer.content) for answer in answers} == {1000}
            (scope,) = rotator._transport.carrier._scopes.values()
            opened, idle = scope.wire.counts()
            assert opened == idle <= 50 * len(fleet.urls)

    def run(count: int) -> tuple[int, int]:
        before = _descriptors()
        with ProxyFleet(4) as fleet:
            if kind is ProxyRotator:
                in_threads(fleet, count)
            else:
                asyncio.run(in_tasks(fleet, count))
        gc.collect()
        return _descriptors() - before, _resident()

    # What is allocated once is there after the first.
    run(500)
    _, before = run(500)
    left, after = run(5000)
    assert left <= 0
    assert after - before < 8_000


def test_only_codings_that_are_decoded_are_asked_for() -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        told = rotator.get(fleet.site_url("shop.test", "/echo")).json()["headers"]
        asked = {name.lower(): value for name, value in told.items()}["accept-encoding"]
        # Each of these is held against its decoder by the core's tests.
        assert {coding.strip() for coding in asked.split(",")} <= {"gzip", "deflate", "br", "zstd"}
