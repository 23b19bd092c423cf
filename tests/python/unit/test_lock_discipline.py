"""No lock of the core is held while Python runs: not by a call, not by a finaliser, not by the garbage collector."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from proxywhirl import (
    CompositeStrategy,
    GeoTargetedStrategy,
    InternalError,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    SessionManager,
    SessionPersistenceStrategy,
    WeightedStrategy,
    _core,
)
from proxywhirl.strategies._adapter import adapt

pytestmark = pytest.mark.skipif(_core._locks_held() is None, reason="a release build does not count locks")


def urls(start: int, count: int) -> list[str]:
    return [f"http://10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:80" for n in range(start, start + count)]


class Watched(Proxy):
    """A proxy whose finaliser runs Python."""

    def __del__(self) -> None:
        found.append(_core._locks_held())


found: list[int | None] = []


class Written:
    """A strategy in Python, which is called by the core."""

    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        proxy = next(iter(pool.get_healthy_proxies()))
        proxy.start_request()
        return proxy

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        proxy.complete_request(success, response_time_ms)

    def filter(self, proxies: list[Proxy], context: Any = None) -> list[Proxy]:
        return proxies


@pytest.fixture
def watch() -> Iterator[list[int | None]]:
    """How many locks were held whenever Python was called, in every thread, with the collector at work all the time."""
    found.clear()

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found.append(_core._locks_held())

    before = gc.get_threshold()
    gc.set_threshold(3, 2, 2)
    sys.setprofile(look)
    threading.setprofile(look)
    yield found
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]
    gc.set_threshold(*before)


STRATEGIES = [
    RoundRobinStrategy,
    RandomStrategy,
    WeightedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    SessionPersistenceStrategy,
    lambda: GeoTargetedStrategy(preferred_countries=["DE"]),
    lambda: CompositeStrategy(filters=[adapt(Written()), GeoTargetedStrategy()], selector="random"),
    lambda: adapt(Written()),
]


def use(pool: ProxyPool, make: Any) -> None:
    strategy = make()
    for n in range(6):
        context = SelectionContext(session_id=f"s{n % 2}", target_country="DE" if n % 2 else None)
        try:
            with pool.lease(strategy, "http://shop.test/", context=context) as lease:
                if n % 3 == 0:
                    lease.finish("proxy_down")
                elif n % 3 == 1:
                    lease.finish("banned")
        except ProxyPoolEmptyError:
            continue


def every_call(pool: ProxyPool) -> None:
    proxy = pool.get_all_proxies()[0]
    assert pool.get_proxy_by_id(proxy.id) is proxy
    assert pool.get_proxy_by_url(proxy.url) is proxy
    pool.filter_by_tags(["odd"])
    pool.filter_by_country("DE")
    pool.filter_by_source("user")
    pool.get_source_breakdown()
    pool.explain("http://shop.test/")
    proxy.metadata["key"] = "value"
    proxy.tags.add("odd")
    proxy.url = proxy.url
    pool.update_proxy(proxy)
    repr(pool), len(pool), proxy in pool, pool == pool
    pool.model_copy(deep=True)
    manager = SessionManager()
    manager.create_session("one", proxy)
    manager.get_session("one")
    pool.proxies.insert(0, "http://10.9.9.9:80")
    del pool.proxies[0]


def test_in_every_use_of_a_pool(watch: list[int | None]) -> None:
    pool = ProxyPool(max_pool_size=100_000, auto_remove_dead=True, dead_proxy_threshold=1)
    events: list[str] = []
    pool._set_notice(lambda name, proxy, facts: events.append(name))

    def ask() -> Any:
        events.append("asked")
        raise ProxyPoolEmptyError(may_free=True)

    place = pool._waiting_line().join("x", ask, None, lambda: events.append("woken"))
    pool._guard_configure(max_in_flight=2, slow_start=True)
    for url in urls(0, 40):
        pool.add_proxy(Watched(url=url, country_code="DE"))
    for make in STRATEGIES:
        use(pool, make)
        every_call(pool)
        pool.load("\n".join(urls(1_000, 200)), allow_local=True)
        pool.add_many(urls(2_000, 200))
        for proxy in pool.get_all_proxies()[40:]:
            pool.remove_proxy(proxy.id)
        pool.clear_unhealthy()
        pool.clear_expired()
    pool.proxies = list(pool)[:3]
    pool.proxies.clear()
    place.leave()
    del pool, proxy, place
    gc.collect()
    assert len(watch) > 1_000
    assert "asked" in events
    assert set(watch) == {0}


@pytest.mark.parametrize("way", ["attach", "detach", "wait"])
def test_the_border_is_not_crossed_with_a_lock_held(way: str) -> None:
    with pytest.raises(InternalError, match="with a lock held"):
        _core._cross_locked(way)
    assert _core._locks_held() == 0
