"""``StrategyConfig.window_duration_seconds`` is the counting window of the proxies that a strategy chooses from."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    CompositeStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    Proxy,
    ProxyPool,
    ProxyRotator,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    StrategyConfig,
)

URLS = [f"http://192.0.2.{number}:8080" for number in range(1, 4)]


class Mine:
    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        return pool.get_healthy_proxies()[0]

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """The adapter counts."""


def windows(pool: ProxyPool) -> set[int]:
    return {proxy.window_duration_seconds for proxy in pool}


MAKERS: list[Callable[[], Any]] = [
    LeastUsedStrategy,
    RoundRobinStrategy,
    lambda: CompositeStrategy(filters=["geo"], selector="least-used"),
    lambda: GeoTargetedStrategy(secondary_strategy="least-used"),
    lambda: SessionPersistenceStrategy(fallback_strategy="least-used"),
    Mine,
]


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
@pytest.mark.parametrize("make", MAKERS)
def test_a_rotators_proxies_have_it_at_once_and_later_ones_too(make: Callable[[], Any], kind: Any) -> None:
    rotator = kind(URLS[:2], strategy=make(), config=StrategyConfig(window_duration_seconds=7200))
    assert windows(rotator.pool) == {7200}
    rotator.pool.add_proxy(URLS[2])
    rotator.pool.proxies.append(Proxy(url="http://192.0.2.9:8080", window_duration_seconds=60))
    rotator.pool.load("192.0.2.10:8080\n192.0.2.11:8080\n")
    assert len(rotator.pool) == 6
    assert windows(rotator.pool) == {7200}


def test_by_a_mapping_and_by_name() -> None:
    config = {"strategy_name": "least-used", "window_duration_seconds": 30}
    assert windows(ProxyRotator(URLS, config=config).pool) == {30}


def test_configured_by_hand_the_next_selection_brings_it() -> None:
    pool = ProxyPool(proxies=[Proxy(url=url) for url in URLS])
    strategy = LeastUsedStrategy()
    strategy.configure(StrategyConfig(window_duration_seconds=90))
    assert windows(pool) == {3600}
    strategy.select(pool)
    assert windows(pool) == {90}
    pool.add_proxy("http://192.0.2.9:8080")
    assert windows(pool) == {90}
    strategy.configure({"window_duration_seconds": 45})
    strategy.select(pool, SelectionContext())
    assert windows(pool) == {45}


def test_a_strategy_swapped_in_brings_its_own() -> None:
    rotator = ProxyRotator(URLS)
    assert windows(rotator.pool) == {3600}
    strategy = LeastUsedStrategy()
    strategy.configure(StrategyConfig(window_duration_seconds=120))
    rotator.set_strategy(strategy)
    assert windows(rotator.pool) == {120}


def test_not_named_it_leaves_the_proxies_as_they_are() -> None:
    given = [Proxy(url=URLS[0], window_duration_seconds=77), Proxy(url=URLS[1])]
    rotator = ProxyRotator(given, strategy="least-used", config=StrategyConfig(ema_alpha=0.3))
    rotator.lease().release()
    assert [proxy.window_duration_seconds for proxy in rotator.pool] == [77, 3600]


@pytest.mark.parametrize("seconds", [10, 7200])
def test_counters_start_anew_when_that_window_is_over(seconds: int) -> None:
    rotator = ProxyRotator(URLS[:2], strategy="least-used", config=StrategyConfig(window_duration_seconds=seconds))
    busy, idle = rotator.pool
    for _ in range(5):
        busy.start_request()
        busy.complete_request(True, 1.0)
    assert rotator.get_proxy_sync() is idle
    # The window of the busy one is over; that of the other is not.
    busy.window_start = datetime.now(timezone.utc) - timedelta(seconds=seconds + 1)
    idle.window_start = datetime.now(timezone.utc) - timedelta(seconds=seconds - 5)
    assert busy.is_window_expired()
    assert not idle.is_window_expired()
    assert rotator.get_proxy_sync() is busy
    assert busy.requests_started == 1


def test_zero_and_less_are_refused() -> None:
    for seconds in (0, -1):
        with pytest.raises(ValueError, match="window_duration_seconds"):
            StrategyConfig(window_duration_seconds=seconds)
