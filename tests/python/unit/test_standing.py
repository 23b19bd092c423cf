"""Standing per proxy and site, as leases see it: a ban is not a death, and is held against a proxy at one site alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from proxywhirl import Outcome, Proxy, ProxyPool, RoundRobinStrategy
from proxywhirl.exceptions import ProxyPoolEmptyError
from proxywhirl.strategies._adapter import adapt

A, B = "https://www.a.com/x", "https://b.org/y"


def pool_of(count: int, **settings: Any) -> ProxyPool:
    pool = ProxyPool(name="standing", max_pool_size=count, proxies=[f"http://10.0.0.{n}:8080" for n in range(count)])
    pool._guard_configure(**settings)
    return pool


def hosts(pool: ProxyPool, strategy: Any, url: str, draws: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(draws):
        lease = pool.lease(strategy, url)
        seen[lease.proxy.url] += 1
        lease.success()
    return seen


def test_a_ban_holds_at_its_site_and_nowhere_else() -> None:
    pool, strategy = pool_of(3), RoundRobinStrategy()
    lease = pool.lease(strategy, A)
    assert lease.site == "a.com"
    banned = lease.proxy
    lease.banned(cooldown=60)
    assert set(hosts(pool, strategy, A, 30)) == {proxy.url for proxy in pool.proxies} - {banned.url}
    assert set(hosts(pool, strategy, B, 30)) == {proxy.url for proxy in pool.proxies}
    # Any host of the domain is the site.
    assert banned.url not in hosts(pool, strategy, "http://api.a.com:8080/", 30)
    ((proxy, site, kind, until, level),) = pool._standings()
    assert (proxy, site, kind, level) == (banned, "a.com", "banned", 1)
    assert until is not None
    assert until.timestamp() - time.time() <= 60.1
    assert banned.is_healthy


def test_the_error_says_when_the_first_ban_ends() -> None:
    pool, strategy = pool_of(3), RoundRobinStrategy()
    for cooldown in (30, 20, 40):
        pool.lease(strategy, A).banned(cooldown=cooldown)
    with pytest.raises(ProxyPoolEmptyError) as caught:
        pool.lease(strategy, A)
    error: Any = caught.value
    assert error.reasons == {"banned_here": 3}
    assert error.retry_after == pytest.approx(20, abs=1)
    assert not error.may_free
    assert pool._next_due() == pytest.approx(20, abs=1)
    reasons = {tuple(verdict.reasons) for verdict in pool.explain(A)}
    assert reasons == {("banned_here",)}
    assert all(verdict.eligible for verdict in pool.explain(B))


def test_a_retry_after_is_held_and_a_probe_is_alone() -> None:
    pool, strategy = pool_of(1), RoundRobinStrategy()
    pool.lease(strategy, A).finish(Outcome.RATE_LIMITED, hold=0.05)
    with pytest.raises(ProxyPoolEmptyError) as caught:
        pool.lease(strategy, A)
    assert caught.value.reasons == {"rate_limited_here": 1}
    time.sleep(0.06)
    pool.lease(strategy, A).banned(cooldown=0)
    probe = pool.lease(strategy, A)
    with pytest.raises(ProxyPoolEmptyError) as caught:
        pool.lease(strategy, A)
    assert caught.value.may_free
    probe.release()
    probe = pool.lease(strategy, A)
    probe.success()
    assert pool._standings() == []
    first, second = pool.lease(strategy, A), pool.lease(strategy, A)
    first.release()
    second.release()


def test_a_rate_per_site_is_kept() -> None:
    pool, strategy = pool_of(2, site_rate=(2, 60.0, 2)), RoundRobinStrategy()
    assert sorted(hosts(pool, strategy, A, 4).values()) == [2, 2]
    with pytest.raises(ProxyPoolEmptyError) as caught:
        pool.lease(strategy, A)
    assert caught.value.reasons == {"rate_limited_here": 2}
    assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert sorted(hosts(pool, strategy, B, 4).values()) == [2, 2]


@pytest.mark.parametrize(
    ("rule", "key"),
    [("all of it", "all of it"), (lambda url: url.split("/")[-1], "x")],
    ids=["a text", "a function"],
)
def test_what_a_site_is_can_be_said(rule: Any, key: str) -> None:
    pool, strategy = pool_of(2, site_key=rule), RoundRobinStrategy()
    lease = pool.lease(strategy, A)
    assert lease.site == key
    lease.banned(cooldown=60)
    assert [row[1] for row in pool._standings()] == [key]


def test_a_strategy_in_python_is_not_offered_proxies_that_the_site_refuses() -> None:
    offered: list[set[str]] = []

    class Mine:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            proxies = pool.get_healthy_proxies()
            offered.append({proxy.url for proxy in proxies})
            return proxies[0]

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            proxy.complete_request(success, response_time_ms)

    pool, strategy = pool_of(3), adapt(Mine())
    lease = pool.lease(strategy, A)
    banned = lease.proxy.url
    lease.banned(cooldown=60)
    offered.clear()
    for _ in range(5):
        lease = pool.lease(strategy, A)
        assert lease.proxy.url != banned
        lease.success()
    assert all(banned not in urls for urls in offered)


def test_threads_send_nothing_to_a_benched_pair_before_its_time() -> None:
    pool, strategy = pool_of(8), RoundRobinStrategy()
    until: dict[str, float] = {}
    wrong: list[str] = []
    under_way: set[str] = set()
    lock = threading.Lock()
    for _ in range(8):
        pool.lease(strategy, A).banned(cooldown=0)

    def work() -> None:
        for _ in range(300):
            try:
                lease = pool.lease(strategy, A)
            except ProxyPoolEmptyError:
                continue
            url = lease.proxy.url
            now = time.monotonic()
            with lock:
                if url in under_way or until.get(url, 0.0) > now:
                    wrong.append(url)
                under_way.add(url)
            time.sleep(0)
            with lock:
                under_way.discard(url)
                until[url] = time.monotonic() + 0.002
            lease.banned(cooldown=0.002)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
