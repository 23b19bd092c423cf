"""Bytes of a lease, a proxy, a site and a rotator are those that a relay in front of the proxy has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from counting_relay import CountingRelay

from proxywhirl import AsyncProxyRotator, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

ONCE = RetryPolicy(max_attempts=1)
KINDS = {
    "plain": (ProxySpec(name="only"), False),
    "tunnel": (ProxySpec(name="only"), True),
    "socks": (ProxySpec(name="only", scheme="socks5", auth=("u", "p")), True),
    "tls to the proxy": (ProxySpec(name="only", scheme="https"), True),
}


@pytest.fixture(params=sorted(KINDS))
def relayed(request: pytest.FixtureRequest) -> Iterator[tuple[ProxyFleet, CountingRelay, bool]]:
    spec, https = KINDS[request.param]
    with ProxyFleet([spec]) as fleet, CountingRelay(fleet.urls[0]) as relay:
        yield fleet, relay, https


def options(relay: CountingRelay, engine: str = "native") -> dict[str, object]:
    return {
        "proxies": [relay.url],
        "engine": engine,
        "verify": False,
        "proxy_verify": False,
        "retry_policy": ONCE,
        "enable_metrics": True,
    }


def assert_counted(rotator: ProxyRotator | AsyncProxyRotator, relay: CountingRelay) -> None:
    counted = relay.settled()
    (proxy,) = rotator.pool
    assert (proxy.bytes_sent, proxy.bytes_received) == counted
    assert (rotator.bytes_sent, rotator.bytes_received) == counted
    for counts in (
        rotator.get_metrics(),
        *rotator.get_metrics(by="site").values(),
        *rotator.get_metrics(by="proxy").values(),
    ):
        assert (counts["bytes_sent"], counts["bytes_received"]) == counted


def test_whole_answers_uploads_and_streams(relayed: tuple[ProxyFleet, CountingRelay, bool]) -> None:
    fleet, relay, https = relayed
    site = fleet.site_url("shop.test", https=https)
    with ProxyRotator(**options(relay)) as rotator:
        for size in (0, 1000, 300_000):
            rotator.get(f"{site}bytes/{size}")
        assert_counted(rotator, relay)
        rotator.post(f"{site}echo", content=b"x" * 200_000)
        rotator.post(f"{site}echo", content=iter([b"y" * 70_000] * 3))
        assert_counted(rotator, relay)
        with rotator.stream("GET", f"{site}bytes/2000000") as response:
            assert sum(len(part) for part in response.iter_raw()) == 2_000_000
        assert_counted(rotator, relay)


def test_whole_answers_uploads_and_streams_of_event_loops(relayed: tuple[ProxyFleet, CountingRelay, bool]) -> None:
    fleet, relay, https = relayed
    site = fleet.site_url("shop.test", https=https)

    async def parts() -> object:
        for _ in range(3):
            yield b"y" * 70_000

    async def main() -> None:
        async with AsyncProxyRotator(**options(relay)) as rotator:
            for size in (0, 1000, 300_000):
                await rotator.get(f"{site}bytes/{size}")
            await asyncio.gather(*(rotator.get(f"{site}bytes/5000") for _ in range(20)))
            assert_counted(rotator, relay)
            await rotator.post(f"{site}echo", content=b"x" * 200_000)
            await rotator.post(f"{site}echo", content=parts())
            assert_counted(rotator, relay)
            async with rotator.stream("GET", f"{site}bytes/2000000") as response:
                assert sum([len(part) async for part in response.aiter_raw()]) == 2_000_000
            assert_counted(rotator, relay)

    asyncio.run(main())


def test_the_httpx_engine_counts_what_it_says_outside_of_tls() -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet, CountingRelay(fleet.urls[0]) as relay:
        site = fleet.site_url("shop.test")
        with ProxyRotator(**options(relay, "httpx")) as rotator:
            rotator.get(f"{site}bytes/300000")
            rotator.post(f"{site}echo", content=b"x" * 200_000)
            with rotator.stream("GET", f"{site}bytes/2000000") as response:
                assert sum(len(part) for part in response.iter_raw()) == 2_000_000
            assert_counted(rotator, relay)


async def test_the_httpx_engine_counts_in_event_loops_too() -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet, CountingRelay(fleet.urls[0]) as relay:
        site = fleet.site_url("shop.test")
        async with AsyncProxyRotator(**options(relay, "httpx")) as rotator:
            await rotator.get(f"{site}bytes/300000")
            await rotator.post(f"{site}echo", content=b"x" * 200_000)
            async with rotator.stream("GET", f"{site}bytes/2000000") as response:
                assert sum([len(part) async for part in response.aiter_raw()]) == 2_000_000
            assert_counted(rotator, relay)


@pytest.mark.parametrize("engine", ["native", "httpx"])
def test_a_stream_that_is_left_early_counts_what_was_read(engine: str) -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, engine=engine) as rotator:
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/30000000")) as response:
            read = len(next(response.iter_raw()))
            (proxy,) = rotator.pool
            assert proxy.bytes_received >= read
        assert read <= rotator.bytes_received < 30_000_000
        assert proxy.bytes_received == rotator.bytes_received


def test_failed_attempts_count() -> None:
    with ProxyFleet([ProxySpec(name="banned", fault="403"), ProxySpec(name="good")]) as fleet:
        with ProxyRotator(proxies=fleet.urls) as rotator:
            rotator.get(fleet.site_url("shop.test", "/bytes/100"))
            assert all(proxy.bytes_sent > 0 and proxy.bytes_received > 0 for proxy in rotator.pool)


async def test_a_cancelled_request_counts_what_it_has_sent() -> None:
    with ProxyFleet([ProxySpec(name="slow", latency=5000)]) as fleet:
        async with AsyncProxyRotator(proxies=fleet.urls, enable_metrics=True) as rotator:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(rotator.get(fleet.site_url("shop.test", "/bytes/100")), 0.3)
            (proxy,) = rotator.pool
            assert (proxy.bytes_sent, proxy.requests_active) == (rotator.bytes_sent, 0)
            assert proxy.bytes_sent > 0
            assert rotator.get_metrics(by="site")["shop.test"]["bytes_sent"] == proxy.bytes_sent


def test_a_lease_in_another_client_counts_what_it_reports() -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, enable_metrics=True) as rotator:
        lease = rotator.lease("http://shop.test/")
        lease.report(200, bytes_sent=120, bytes_received=3400)
        assert (lease.bytes_sent, lease.bytes_received) == (120, 3400)
        assert (rotator.bytes_sent, rotator.bytes_received) == (120, 3400)
        assert rotator.get_metrics(by="site")["shop.test"]["bytes_received"] == 3400


def test_a_transport_in_a_client_of_httpx_counts() -> None:
    from proxywhirl import RotatingTransport

    with ProxyFleet(1) as fleet:
        transport = RotatingTransport(fleet.urls)
        with httpx.Client(transport=transport) as client:
            client.get(fleet.site_url("shop.test", "/bytes/1000"))
            (proxy,) = transport.chooser.pool
            assert proxy.bytes_received > 1000
