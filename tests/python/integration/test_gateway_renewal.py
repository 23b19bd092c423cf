"""A gateway's proxies are replaced at the moment they are needed: requests and leases neither pause nor go without."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, ProxyPoolEmptyError, ProxyRotator, RetryPolicy
from proxywhirl.gateways import Gateway
from proxywhirl.testing import ProxyFleet, ProxySpec

SIZES = [1, 2, 10]
# What the gateway does at first; the number of attempts that it costs.
FAULTS = [
    ({"fail_first": 1, "fail_with": "reset"}, 2),
    ({"fail_first": 1, "fail_with": "refuse"}, 2),
    ({"fail_first": 1, "fail_with": "cut"}, 2),
    ({"fail_first": 1, "fail_with": "502"}, 2),
    ({"fail_first": 1, "fail_with": "407"}, 2),
    ({"fail_first": 2, "fail_with": "502"}, 3),
    ({"fail_first": 3, "fail_with": "reset"}, 4),
]


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> float:
        raise AssertionError("a pause before a proxy that was not tried yet")

    monkeypatch.setattr(RetryPolicy, "calculate_delay", refuse)


def gateway_of(fleet: ProxyFleet, size: int, **options: Any) -> Gateway:
    return Gateway(f"http://user-{{session}}:word@127.0.0.1:{fleet['gw'].port}", size=size, **options)


@pytest.fixture(scope="module")
def steady() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name="gw")]) as running:
        yield running


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("fault", "attempts"), FAULTS)
def test_another_exit_is_tried_at_once(fault: dict[str, Any], attempts: int, size: int) -> None:
    with ProxyFleet([ProxySpec(name="gw", **fault)]) as fleet:
        with ProxyRotator(gateway_of(fleet, size)) as rotator:
            response = rotator.get(fleet.site_url("shop.test", "/whoami"))
        assert response.status_code == 200
        assert response.extensions["proxywhirl"]["attempts"] == attempts


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("size", SIZES)
def test_asynchronously_as_well(size: int) -> None:
    async def main(fleet: ProxyFleet) -> int:
        async with AsyncProxyRotator(gateway_of(fleet, size)) as rotator:
            return (await rotator.get(fleet.site_url("shop.test", "/whoami"))).status_code

    with ProxyFleet([ProxySpec(name="gw", fail_first=size, fail_with="reset")]) as fleet:
        if size < 10:
            assert asyncio.run(main(fleet)) == 200


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", ["banned", "failure"])
def test_a_lease_always_finds_a_proxy_while_the_gateway_may_renew(steady: ProxyFleet, size: int, end: str) -> None:
    page = steady.site_url("shop.test", "/whoami")
    with ProxyRotator(gateway_of(steady, size)) as rotator:
        # Every proxy once, and as many again as the gateway may replace while nothing succeeds.
        for _ in range(size + max(size, 10)):
            getattr(rotator.lease(page), end)()
        assert len(rotator.pool) == size


@pytest.mark.parametrize("size", SIZES)
def test_bans_between_successes_never_use_up_the_renewals(steady: ProxyFleet, size: int) -> None:
    page = steady.site_url("shop.test", "/whoami")
    used = set()
    with ProxyRotator(gateway_of(steady, size)) as rotator:
        for _ in range(60):
            rotator.lease(page).success(5.0)
            lease = rotator.lease(page)
            used.add(lease.proxy.url)
            lease.banned()
    assert len(used) == 60, "every ban met another session"


def test_a_gateway_that_carries_nothing_is_renewed_so_often_and_no_more(steady: ProxyFleet) -> None:
    page = steady.site_url("shop.test", "/whoami")
    with ProxyRotator(gateway_of(steady, 2)) as rotator:

        def use_up() -> None:
            for _ in range(1000):
                rotator.lease(page).banned()

        with pytest.raises(ProxyPoolEmptyError) as found:
            use_up()
    assert found.value.reasons == {"banned_here": 2}


@pytest.mark.parametrize("size", SIZES)
def test_expired_sessions_are_replaced_by_the_next_lease(steady: ProxyFleet, size: int) -> None:
    page = steady.site_url("shop.test", "/whoami")
    with ProxyRotator(gateway_of(steady, size, ttl=3600)) as rotator:
        for _ in range(5):
            before = {proxy.id for proxy in rotator.pool}
            for proxy in rotator.pool:
                proxy.expires_at = proxy.created_at
            with rotator.lease(page) as lease:
                assert lease.id not in before
            assert rotator.get(page).status_code == 200
            assert len(rotator.pool) == size


def test_many_threads_in_need_at_once_each_get_a_proxy(steady: ProxyFleet) -> None:
    page = steady.site_url("shop.test", "/whoami")
    threads = 8
    found: list[Any] = []
    with ProxyRotator(gateway_of(steady, 1)) as rotator:
        for _ in range(5):
            rotator.lease(page).success(5.0)
            rotator.lease(page).banned()
            start = threading.Barrier(threads)

            def take(start: threading.Barrier = start) -> None:
                start.wait(30)
                try:
                    found.append(rotator.lease(page))
                except ProxyPoolEmptyError as error:
                    found.append(error)

            takers = [threading.Thread(target=take) for _ in range(threads)]
            for taker in takers:
                taker.start()
            for taker in takers:
                taker.join(30)
    assert [error for error in found if isinstance(error, Exception)] == []
    assert len(found) == 5 * threads


def test_what_the_caller_excludes_is_not_thrown_away(steady: ProxyFleet) -> None:
    with ProxyRotator(gateway_of(steady, 1)) as rotator:
        (proxy,) = rotator.pool
        with pytest.raises(ProxyPoolEmptyError):
            rotator.lease(exclude=[proxy.id])
        assert list(rotator.pool) == [proxy]


def test_a_proxy_at_capacity_is_waited_for_and_not_replaced(steady: ProxyFleet) -> None:
    with ProxyRotator(gateway_of(steady, 1), max_in_flight=1) as rotator:
        (proxy,) = rotator.pool
        with rotator.lease(), pytest.raises(ProxyPoolEmptyError) as found:
            rotator.lease()
        assert found.value.reasons == {"at_capacity": 1}
        assert list(rotator.pool) == [proxy]
