"""Checks of proxies, against the fleet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from proxywhirl import Proxy, ProxyPool, ProxyValidator, ValidationLevel, _core
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.validation import Checks, ValidationResult


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [
        ProxySpec(name="http"),
        ProxySpec(name="socks5", scheme="socks5"),
        ProxySpec(name="login", auth=("us er", "p:w")),
        ProxySpec(name="dead", fault="refuse"),
        ProxySpec(name="hanging", fault="hang"),
        ProxySpec(name="teapot", fault="503"),
    ]
    with ProxyFleet(specs) as fleet:
        yield fleet


GOOD = {"http", "socks5", "login"}


def validator(fleet: ProxyFleet, **options: Any) -> ProxyValidator:
    return ProxyValidator(**{"timeout": 0.5, "test_url": fleet.site_url("shop.test", "whoami"), **options})


async def test_batches_keep_type_and_order(fleet: ProxyFleet) -> None:
    seen: list[tuple[int, int, int]] = []
    async with validator(fleet) as checker:
        urls = [proxy.url for proxy in fleet]
        good = [proxy.url for proxy in fleet if proxy.behaviour.name in GOOD]
        assert await checker.validate_batch(urls, progress_callback=lambda *state: seen.append(state)) == good
        assert [state[0] for state in seen] == [1, 2, 3, 4, 5, 6]
        assert seen[-1] == (6, 6, 3)
        dicts: list[dict[str, Any]] = [{"url": url, "x": 1} for url in urls]
        enriched = await checker.validate_batch(dicts)
        assert [entry["url"] for entry in enriched] == good
        assert enriched[0]["status"] == "active"
        assert enriched[0]["total_requests"] == enriched[0]["total_successes"] == 1
        assert enriched[0]["average_response_time_ms"] > 0
        assert "status" not in dicts[0]
        proxies = [Proxy(url=url) for url in urls]
        assert [proxy.url for proxy in await checker.validate_batch(proxies)] == good
        assert proxies[0].total_requests == 0, "books are kept only when asked"


async def test_one_proxy(fleet: ProxyFleet) -> None:
    checker = validator(fleet)
    result = await checker.validate(fleet["http"].url)
    assert result
    assert result.response_time_ms is not None
    assert result.response_time_ms > 0
    assert not await checker.validate(fleet["dead"].url)
    broken = await checker.validate("nothing")
    assert not broken
    assert broken.check is not None
    assert broken.check.stage == "format"
    assert ValidationResult(True, 1.0) == ValidationResult(True, 1.0)


async def test_levels(fleet: ProxyFleet) -> None:
    hanging = fleet["hanging"].url
    assert await validator(fleet, level=ValidationLevel.BASIC).validate(hanging), "it listens"
    assert not await validator(fleet, level=ValidationLevel.STANDARD).validate(hanging)
    full = validator(fleet, level="full", judge_url=fleet.site_url("judge.test", "anything"))
    result = await full.validate(fleet["http"].url)
    assert result.check is not None
    assert result.check.stage == "anonymity"
    assert result.check.anonymity in ("elite", "anonymous", "transparent")
    assert await full.check_anonymity(fleet["http"].url) == result.check.anonymity
    assert await full.check_anonymity(fleet["dead"].url) == "unknown"
    assert await full.check_anonymity() == "transparent"


async def test_https_capability(fleet: ProxyFleet) -> None:
    checker = validator(fleet, test_url=fleet.site_url("shop.test", "whoami", https=True), verify=fleet.ca_pem)
    urls = [proxy.url for proxy in fleet]
    found = await checker.validate_https_capability_batch(urls)
    assert set(found) == {fleet[name].url for name in GOOD}
    assert len(await checker.validate_https_capability_batch(urls, max_results=1)) == 1
    untrusted = validator(fleet, test_url=fleet.site_url("shop.test", "whoami", https=True))
    assert not await untrusted.validate(fleet["http"].url)


def test_results_stream_without_a_loop(fleet: ProxyFleet) -> None:
    options = {"targets": [fleet.site_url("shop.test", "whoami")], "timeout": 3.0}
    with Checks([proxy.url for proxy in fleet], **options) as checks:
        first = next(iter(checks))
        assert first.index != 4, "those that answer do not wait for those that hang"
    all_of_them = Checks([proxy.url for proxy in fleet], **options).collect()
    assert [result.index for result in all_of_them] == list(range(6))
    assert [result.error for result in all_of_them] == [None, None, None, "refused", "timeout", "status"]
    for result in all_of_them[:3]:
        assert 0 < result.connect_ms <= result.connect_ms + result.response_time_ms <= result.total_ms
        assert not result.tunnels_only
    assert all_of_them[3].connect_ms is None
    assert all_of_them[4].total_ms >= 3000
    login = all_of_them[2]
    assert "us%20er" in login.url
    assert "us%20er" not in repr(all_of_them)


async def test_results_stream_to_a_loop_that_goes_on(fleet: ProxyFleet) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    found = []
    checks = Checks([proxy.url for proxy in fleet] * 20, targets=[fleet.site_url("shop.test", "whoami")], timeout=3.0)
    async for result in checks:
        found.append(result)
    ticking.cancel()
    assert len(found) == len(checks) == 120
    assert ticks > 15


def sockets_to(fleet: ProxyFleet) -> int:
    """Connections of this process to proxies of the fleet, as the system sees them: established or being opened."""
    ports = {int(proxy.url.rpartition(":")[2]) for proxy in fleet}
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(1 for row in rows if row[3] in ("01", "02") and int(row[2].rpartition(":")[2], 16) in ports)


@pytest.mark.skipif(not os.path.exists("/proc/self/net/tcp"), reason="needs /proc")
async def test_a_cancelled_task_leaves_no_socket(fleet: ProxyFleet) -> None:
    checker = validator(fleet, timeout=30)
    urls = [fleet["hanging"].url] * 30 + [fleet["http"].url]
    task = asyncio.create_task(checker.validate_batch(urls))
    deadline = time.monotonic() + 60
    while sockets_to(fleet) < 30:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(50):
        if sockets_to(fleet) == 0:
            break
        await asyncio.sleep(0.02)
    assert sockets_to(fleet) == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_what_checks_have_taken_is_given_back(fleet: ProxyFleet) -> None:
    urls = [fleet["http"].url, fleet["dead"].url, fleet["login"].url] * 100
    runs = []

    def polls() -> int:
        """Descriptors of this process by which a thread waits for sockets, or is woken."""
        runs.append(Checks(urls, targets=[fleet.site_url("shop.test", "whoami")], timeout=20))
        assert len(runs[-1].collect()) == len(urls)
        count = 0
        for name in os.listdir("/proc/self/fd"):
            # The fleet closes its own meanwhile.
            with contextlib.suppress(FileNotFoundError):
                count += "event" in os.readlink(f"/proc/self/fd/{name}")
        return count

    # Each run is kept: it has its results still, and nothing else.
    counts = [polls() for _ in range(4)]
    assert counts == counts[:1] * 4


def test_interrupts_keep_what_is_done(fleet: ProxyFleet) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        checks = Checks(
            [fleet["http"].url, fleet["hanging"].url], targets=[fleet.site_url("shop.test", "whoami")], timeout=30
        )
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            checks.collect()
    finally:
        signal.signal(signal.SIGINT, before)
    assert [result.index for result in checks.results] == [0]


def test_books_are_kept_when_asked(fleet: ProxyFleet) -> None:
    pool = ProxyPool(proxies=[Proxy(url=proxy.url) for proxy in fleet])
    Checks(pool, record=True, targets=[fleet.site_url("shop.test", "whoami")], timeout=3.0).collect()
    books = {fleet[index].behaviour.name: proxy for index, proxy in enumerate(pool)}
    assert books["http"].health_status == "healthy"
    assert books["http"].total_successes == 1
    assert books["http"].last_health_check is not None
    assert books["dead"].total_failures == 1
    assert books["dead"].last_health_error == "the proxy refuses connections"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_checks_anew(fleet: ProxyFleet) -> None:
    options = {"targets": [fleet.site_url("shop.test", "whoami")], "timeout": 3.0}
    assert Checks([fleet["http"].url], **options).collect()[0].is_valid
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if Checks([fleet["http"].url], **options).collect()[0].is_valid else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


SHORT_OF_DESCRIPTORS = """
import resource, sys
from proxywhirl.validation import Checks
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
url, page = sys.argv[1:]
results = Checks([url] * 300, targets=[page], concurrency=300, timeout=20).collect()
assert all(results), [result for result in results if not result][:3]
"""


def test_a_shortage_of_descriptors_is_no_proxys_fault(fleet: ProxyFleet) -> None:
    page = fleet.site_url("shop.test", "whoami")
    subprocess.run([sys.executable, "-c", SHORT_OF_DESCRIPTORS, fleet["http"].url, page], check=True, timeout=50)


def test_options_are_checked() -> None:
    for options, message in [
        ({}, "needs the URL of a page"),
        ({"targets": ["ftp://x"]}, "http or https"),
        ({"targets": ["http://x"], "level": "full"}, "judge"),
        ({"targets": ["http://x"], "level": "much"}, "level must be"),
        ({"targets": ["http://x"], "timeout": 0}, "timeout must be positive"),
        ({"targets": ["http://x"], "timeout": float("nan")}, "timeout"),
        ({"targets": ["http://x"], "concurrency": 0}, "concurrency must be positive"),
        ({"targets": ["https://x"], "verify": "no pem"}, "certificates"),
    ]:
        with pytest.raises(ValueError, match=message):
            _core.CheckRun(["1.2.3.4:80"], **options)
    with pytest.raises(TypeError, match="unexpected keyword"):
        _core.CheckRun([], colour=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="must be positive"):
        ProxyValidator(timeout=0)
    assert Checks([], targets=["http://x.test"]).collect() == []
