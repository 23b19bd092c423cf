"""Admission over the real pool: caps, benchings, cancellations and threads at random; the books balance afterwards."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time

import pytest

from proxywhirl import AsyncProxyRotator, ProxyPoolEmptyError, ProxyRotator, ResilienceConfig
from proxywhirl._httpx.selection import LeaseAcquirer, Selection

SITES = ("http://a.test/", "http://b.test/", None)


def urls(count: int) -> list[str]:
    return [f"http://10.0.0.{number}:80" for number in range(1, count + 1)]


def assert_at_rest(rotator: ProxyRotator | AsyncProxyRotator) -> None:
    for proxy in rotator.pool:
        assert proxy.requests_active == 0
        assert proxy.requests_started == proxy.requests_completed
    admission = rotator._chooser.admission
    assert admission.waiting == 0
    admission.look()
    assert not admission._groups


def test_threads_at_random() -> None:
    rotator = ProxyRotator(proxies=urls(4), max_in_flight=2)
    caps: list[int] = []
    taken, refused = [0] * 12, [0] * 12

    def work(number: int) -> None:
        draw = random.Random(number)
        for _ in range(150):
            try:
                lease = rotator.lease(draw.choice(SITES), timeout=draw.choice([None, 0.001, 0.05, 1]))
            except ProxyPoolEmptyError:
                refused[number] += 1
                continue
            caps.append(lease.proxy.requests_active)
            if draw.random() < 0.1:
                time.sleep(0.001)
            taken[number] += 1
            kind = draw.randrange(6)
            if kind == 0:
                lease.release()
            elif kind == 1:
                lease.banned(cooldown=0.002)
            elif kind == 2:
                # Dropped without a word.
                del lease
            else:
                lease.success(1.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    gc.collect()
    assert sum(taken) + sum(refused) == 12 * 150
    assert sum(taken) > 12 * 50
    assert max(caps) <= 2
    assert_at_rest(rotator)


async def test_tasks_at_random() -> None:
    rotator = AsyncProxyRotator(proxies=urls(3), max_in_flight=2)
    draw = random.Random(11)
    most = 0

    async def one() -> None:
        nonlocal most
        async with rotator.lease(draw.choice(SITES), timeout=draw.choice([0.01, 1, 5])) as lease:
            most = max(most, lease.proxy.requests_active)
            await asyncio.sleep(draw.random() * 0.002)
            if draw.random() < 0.1:
                lease.banned(cooldown=0.002)

    for _ in range(8):
        tasks = [asyncio.create_task(one()) for _ in range(80)]
        await asyncio.sleep(0.003)
        for task in draw.sample(tasks, 25):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, (asyncio.CancelledError, ProxyPoolEmptyError)), result
        assert_at_rest(rotator)
    assert most <= 2


def test_it_waits_for_the_end_of_a_benching() -> None:
    rotator = ProxyRotator(proxies=urls(1))
    rotator.lease("http://a.test/").banned(cooldown=0.2)
    with pytest.raises(ProxyPoolEmptyError) as caught:
        rotator.lease("http://a.test/")
    assert caught.value.reasons == {"banned_here": 1}
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 0.2
    with pytest.raises(ProxyPoolEmptyError):
        # Known to be of no use, so at once.
        rotator.lease("http://a.test/", timeout=0.01)
    rotator.lease("http://b.test/").success()
    began = time.monotonic()
    rotator.lease("http://www.a.test/", timeout=60).success()
    assert time.monotonic() - began < 30
    assert_at_rest(rotator)


def test_an_added_proxy_serves_waiting_requests() -> None:
    rotator = ProxyRotator(proxies=urls(1), max_in_flight=1)
    held = rotator.lease()
    threading.Timer(0.05, lambda: rotator.add_proxy("http://10.9.9.9:80")).start()
    lease = rotator.lease(timeout=5)
    assert lease.proxy.host == "10.9.9.9"
    lease.release()
    held.release()
    assert_at_rest(rotator)


def test_one_line_for_all_users_of_a_pool() -> None:
    from proxywhirl.transport import RotatingTransport

    rotator = ProxyRotator(proxies=urls(1), max_in_flight=1)
    transport = RotatingTransport(rotator.pool)
    assert transport.chooser is not rotator._chooser

    def refuse() -> None:
        raise ProxyPoolEmptyError(may_free=True)

    place = transport.chooser.admission.join("x", refuse, None, lambda: None)
    assert rotator._chooser.admission.waiting == 1
    place.leave()
    assert rotator._chooser.admission.waiting == 0
    held = rotator.lease()
    threading.Timer(0.05, held.release).start()
    lease = LeaseAcquirer(rotator._chooser, None, Selection()).wait([], 1, 5.0)
    lease.release()


def test_settings_reach_the_pool() -> None:
    rotator = ProxyRotator(proxies=urls(2), resilience=ResilienceConfig(site_key="everything"))
    rotator.lease("http://a.test/").banned(cooldown=60)
    assert len(rotator.explain("http://b.test/").refused) == 1, "one site for all"
