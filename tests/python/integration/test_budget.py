"""Money: prices, what was spent, the budget and its hard stop."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    Proxy,
    ProxyBudgetExceededError,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
    RotatingTransport,
)
from proxywhirl.exceptions import ProxyErrorCode, ProxyWhirlError
from proxywhirl.testing import LoadTest, ProxyFleet, ProxySpec

ENGINES = ("native", "httpx")


def priced(fleet: ProxyFleet, **prices: Any) -> list[Proxy]:
    return [Proxy(url=url, **prices) for url in fleet.urls]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_attempt_costs_its_price_and_its_bytes(engine: str) -> None:
    with ProxyFleet(1) as fleet:
        proxies = priced(fleet, cost_per_request=0.25, cost_per_gb=1000.0)
        with ProxyRotator(proxies=proxies, engine=engine, enable_metrics=True) as rotator:
            for _ in range(4):
                rotator.get(fleet.site_url("shop.test", "/bytes/5000"))
            (proxy,) = rotator.pool
            bytes_moved = proxy.bytes_sent + proxy.bytes_received
            assert bytes_moved > 20_000
            assert proxy.spent == pytest.approx(4 * 0.25 + bytes_moved * 1000.0 / 1e9, abs=1e-8)
            assert rotator.spent == proxy.spent
            for counts in (rotator.get_metrics(), rotator.get_metrics(by="site")["shop.test"]):
                assert counts["spent"] == proxy.spent
                assert counts["cost_per_page"] == pytest.approx(proxy.spent / 4)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_budget_stops_paid_proxies(engine: str) -> None:
    with ProxyFleet(2) as fleet:
        proxies = priced(fleet, cost_per_request=0.1)
        with ProxyRotator(proxies=proxies, engine=engine, budget=0.3) as rotator:
            for _ in range(3):
                rotator.get(fleet.site_url("shop.test", "/whoami"))
            with pytest.raises(ProxyBudgetExceededError) as caught:
                rotator.get(fleet.site_url("shop.test", "/whoami"))
            assert (caught.value.budget, caught.value.spent) == (0.3, 0.3)
            assert caught.value.error_code is ProxyErrorCode.BUDGET_EXCEEDED
            assert not caught.value.retry_recommended
            for take in (
                lambda: rotator.lease("http://shop.test/"),
                lambda: next(iter(rotator.attempts("http://shop.test/"))),
            ):
                with pytest.raises(ProxyBudgetExceededError):
                    take()
            assert rotator.spent == 0.3
            rotator.budget = 0.4
            assert rotator.get(fleet.site_url("shop.test", "/whoami")).status_code == 200
            rotator.spent = 0.0
            assert rotator.get(fleet.site_url("shop.test", "/whoami")).status_code == 200
            rotator.budget = None
            assert rotator.budget is None


async def test_the_budget_of_an_asynchronous_rotator() -> None:
    with ProxyFleet(2) as fleet:
        proxies = priced(fleet, cost_per_request=0.1)
        async with AsyncProxyRotator(proxies=proxies, budget=0.1) as rotator:
            await rotator.get(fleet.site_url("shop.test", "/whoami"))
            with pytest.raises(ProxyBudgetExceededError):
                await rotator.get(fleet.site_url("shop.test", "/whoami"))
            with pytest.raises(ProxyBudgetExceededError):
                await rotator.lease("http://shop.test/")


def test_free_proxies_go_on() -> None:
    with ProxyFleet(3) as fleet:
        proxies = priced(fleet)
        proxies[0].cost_per_request = 1.0
        proxies[1].cost_per_gb = 1e9
        with ProxyRotator(proxies=proxies, budget=0.5) as rotator:
            for _ in range(12):
                rotator.get(fleet.site_url("shop.test", "/whoami"))
            assert proxies[0].total_requests == 0
            assert proxies[1].total_requests == 1
            assert proxies[2].total_requests == 11
            assert rotator.pool.get_proxy_by_id(proxies[0].id).requests_active == 0
            proxies[2].health_status = "dead"
            # A free proxy is there, and may come back: that it rests is what is told.
            with pytest.raises(ProxyPoolEmptyError):
                rotator.lease("http://shop.test/")
            rotator.remove_proxy(proxies[2].id)
            with pytest.raises(ProxyBudgetExceededError):
                rotator.lease("http://shop.test/")


def test_the_demands_of_a_request_hold_beside_the_budget() -> None:
    proxies = [
        Proxy(url="http://10.0.0.1:1", cost_per_request=1.0, country_code="US"),
        Proxy(url="http://10.0.0.2:1", country_code="DE"),
    ]
    with ProxyRotator(proxies=proxies, budget=0.5) as rotator:
        assert rotator.lease("http://shop.test/", country="DE").proxy.country_code == "DE"
        with pytest.raises(ProxyBudgetExceededError):
            rotator.lease("http://shop.test/", country="US")
        with pytest.raises(ProxyPoolEmptyError):
            rotator.lease("http://shop.test/", country="FR")


def test_a_retry_stops_at_the_budget() -> None:
    with ProxyFleet([ProxySpec(name="a", fault="502"), ProxySpec(name="b", fault="502")]) as fleet:
        policy = RetryPolicy(max_attempts=5, base_delay=0.001)
        with ProxyRotator(proxies=priced(fleet, cost_per_request=1.0), budget=1.0, retry_policy=policy) as rotator:
            with pytest.raises(ProxyBudgetExceededError):
                rotator.get(fleet.site_url("shop.test", "/whoami"))
            assert rotator.spent == 1.0


@pytest.mark.parametrize(
    "strategy", ["round-robin", "random", "weighted", "least-used", "performance-based", "cost-aware"]
)
def test_threads_cannot_exceed_the_budget_by_requests(strategy: str) -> None:
    proxies = [Proxy(url=f"http://10.0.0.{n}:1", cost_per_request=0.01) for n in range(1, 6)]
    with ProxyRotator(proxies=proxies, budget=1.0, strategy=strategy) as rotator:
        for proxy in proxies:
            proxy.ema_response_time_ms = 10.0
        taken: list[Any] = []

        def work() -> None:
            for _ in range(40):
                try:
                    taken.append(rotator.lease("http://shop.test/"))
                except ProxyBudgetExceededError:
                    return

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 100
        for lease in taken[:50]:
            lease.success(1.0)
        for lease in taken[50:]:
            lease.release()
        assert rotator.spent == 0.5
        assert sum(proxy.spent for proxy in proxies) == pytest.approx(0.5)
        assert rotator.lease("http://shop.test/").spent == 0.0


def test_what_is_given_back_is_not_spent_unless_bytes_went_out() -> None:
    with ProxyRotator(proxies=[Proxy(url="http://10.0.0.1:1", cost_per_request=0.5)], budget=1.0) as rotator:
        for _ in range(5):
            rotator.lease("http://shop.test/").release()
        assert rotator.spent == 0.0
        lease = rotator.lease("http://shop.test/")
        lease._count(10, 0)
        lease.release()
        assert (lease.spent, rotator.spent) == (0.5, 0.5)


def test_a_transport_in_a_client_of_httpx_has_the_budget_of_its_rotator() -> None:
    import httpx

    with ProxyFleet(1) as fleet, ProxyRotator(proxies=priced(fleet, cost_per_request=1.0), budget=1.0) as rotator:
        with httpx.Client(transport=RotatingTransport(rotator)) as client:
            client.get(fleet.site_url("shop.test", "/whoami"))
            with pytest.raises(ProxyBudgetExceededError):
                client.get(fleet.site_url("shop.test", "/whoami"))


@pytest.mark.parametrize("budget", [0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_more_than_nothing(budget: float) -> None:
    with pytest.raises(ValueError, match="budget must be more than 0"):
        ProxyRotator(budget=budget)


def test_the_error_can_be_pickled() -> None:
    error = ProxyBudgetExceededError("used up", budget=2.0, spent=1.5)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ProxyWhirlError)
    assert (again.budget, again.spent, again.to_dict()["budget"]) == (2.0, 1.5, 2.0)
    assert "raise rotator.budget" in str(again)


def test_the_load_test_ends_with_the_cost_of_a_page() -> None:
    with ProxyFleet([ProxySpec(name="banned", fault="403"), ProxySpec(name="good")]) as fleet:
        with ProxyRotator(proxies=priced(fleet, cost_per_request=0.01)) as rotator:
            result = LoadTest(
                rotator, fleet.site_url("shop.test", "/bytes/100"), 0.5, requests_per_second=20, concurrent_users=2
            ).run()
            assert result.successes == result.total_requests > 0
            assert result.spent == pytest.approx(rotator.spent)
            assert result.cost_per_page == pytest.approx(result.spent / result.successes)
            assert result.spent > 0.01 * result.successes
            assert result.bytes_received == rotator.bytes_received
            assert "cost per page" in result.table()
