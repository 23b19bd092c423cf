"""Admission over real exchanges: caps, waiting, failing at once, a proxy that hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, ProxyPoolEmptyError, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec


class Watched:
    """The most requests that were ever under way on any proxy of a rotator."""

    def __init__(self, rotator: Any) -> None:
        self.most = 0
        self._pool = rotator.pool

    def look(self) -> None:
        self.most = max(self.most, *(proxy.requests_active for proxy in self._pool))


def test_a_cap_is_never_exceeded_by_tasks() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, max_in_flight=8) as rotator:
            watched = Watched(rotator)
            url = fleet.site_url("shop.test", "/delay/2")

            async def one() -> int:
                response = await rotator.get(url)
                watched.look()
                return int(response.status_code)

            assert set(await asyncio.gather(*(one() for _ in range(200)))) == {200}
            assert watched.most <= 8
            assert rotator._chooser.admission.waiting == 0
            assert [proxy.requests_active for proxy in rotator.pool] == [0, 0]

    with ProxyFleet(2) as fleet:
        asyncio.run(main(fleet))


def test_a_cap_is_never_exceeded_by_threads() -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, max_in_flight=3) as rotator:
        watched = Watched(rotator)
        statuses: list[int] = []

        def work() -> None:
            for _ in range(5):
                statuses.append(rotator.get(fleet.site_url("shop.test", "/delay/1")).status_code)
                watched.look()

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert statuses == [200] * 100
        assert watched.most <= 3


def test_leases_and_requests_stand_in_one_line() -> None:
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, max_in_flight=1) as rotator:
        lease = rotator.lease()
        with pytest.raises(ProxyPoolEmptyError) as caught:
            rotator.lease()
        assert caught.value.may_free
        assert caught.value.reasons == {"at_capacity": 1}
        assert "Hint" not in str(caught.value)
        with pytest.raises(ProxyPoolEmptyError):
            rotator.lease(timeout=0.05)
        threading.Timer(0.05, lease.release).start()
        began = time.monotonic()
        assert rotator.get(fleet.site_url("shop.test")).status_code == 200
        assert time.monotonic() - began > 0.03
        with pytest.raises(ValueError, match="timeout"):
            rotator.lease(timeout=-1)


def test_waiting_for_the_dead_is_of_no_use() -> None:
    with ProxyFleet([ProxySpec.dead()] * 2) as fleet:
        policy = RetryPolicy(max_attempts=2)
        with ProxyRotator(proxies=fleet.urls, retry_policy=policy, max_in_flight=4) as rotator:
            began = time.monotonic()
            for _ in range(5):
                with pytest.raises(Exception):  # noqa: B017 - whichever it is, it comes soon
                    rotator.get(fleet.site_url("shop.test"))
            # Each would wait for thirty seconds.
            assert time.monotonic() - began < 60


def test_no_request_queues_behind_a_hanging_proxy() -> None:
    async def main(fleet: ProxyFleet) -> None:
        config = {"pool_connections": 2, "timeout": 1.0}
        async with AsyncProxyRotator(proxies=fleet.urls, config=config) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            answers = await asyncio.gather(*(rotator.get(url) for _ in range(60)))
            assert {answer.json()["proxy"] for answer in answers} == {"good"}
            # Two requests at a time meet the hanging proxy, until it rests; no request waits for it in a line of its own.
            assert fleet[0].counters()["connections"] <= 4
            assert [proxy.requests_active for proxy in rotator.pool] == [0, 0]

    with ProxyFleet([ProxySpec.hanging(), ProxySpec(name="good")]) as fleet:
        asyncio.run(main(fleet))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"max_in_flight": 0}, ValueError),
        ({"max_in_flight": -1}, ValueError),
        ({"max_in_flight": 1.5}, TypeError),
        ({"max_in_flight": True}, TypeError),
        ({"site_rate_limit": 3}, TypeError),
        ({"resilience": {}}, TypeError),
        ({"ban_policy": 3}, TypeError),
        ({"ban_policies": []}, TypeError),
        ({"ban_policies": {"": None}}, ValueError),
    ],
)
def test_bad_settings(options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ProxyRotator(**options)


BAD = [*[ProxySpec(fault="refuse")] * 3, ProxySpec.hanging(), ProxySpec(fault="502"), ProxySpec(fault="407")]


def to_the_bad(fleet: ProxyFleet) -> int:
    return sum(proxy.counters()["connections"] for proxy in fleet.proxies[-len(BAD) :])


def test_a_mixed_fleet_one_after_the_other() -> None:
    with ProxyFleet([*[ProxySpec()] * 4, *BAD]) as fleet:
        with ProxyRotator(proxies=fleet.urls, config={"timeout": 0.5}) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            assert [rotator.get(url).status_code for _ in range(100)] == [200] * 100
            assert to_the_bad(fleet) <= 12


def test_a_mixed_fleet_twenty_at_a_time() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, config={"timeout": 0.5}) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            at_once = asyncio.Semaphore(20)

            async def one() -> int:
                async with at_once:
                    return int((await rotator.get(url)).status_code)

            assert await asyncio.gather(*(one() for _ in range(300))) == [200] * 300
            # Not all of the first twenty requests try the same dead proxy.
            assert to_the_bad(fleet) <= 12
            assert all(proxy.requests_active == 0 for proxy in rotator.pool)

    with ProxyFleet([*[ProxySpec()] * 4, *BAD]) as fleet:
        asyncio.run(main(fleet))


def test_proxies_that_fail_at_random() -> None:
    with ProxyFleet([ProxySpec(fail_rate=0.2)] * 10, seed=5) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        assert [rotator.get(url).status_code for _ in range(200)].count(200) >= 199
