"""Composite (api 6.9, C-13)."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

import pytest

from proxywhirl import (
    ComposedStrategy,
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    ProxyPool,
    ProxyPoolEmptyError,
    RoundRobinStrategy,
    SelectionContext,
    StrategyConfig,
    WeightedStrategy,
)

MakePool = Callable[..., ProxyPool]


@pytest.fixture
def pool(make_pool: MakePool) -> ProxyPool:
    return make_pool(6, country_code=["US", "DE"] * 3, cost_per_request=[0.0, 0.0, 1.0, 1.0, 2.0, 2.0])


def hosts(strategy: Any, pool: ProxyPool, times: int, context: Any = None) -> str:
    return "".join(strategy.select(pool, context).host[5] for _ in range(times))


def geo(*countries: str) -> GeoTargetedStrategy:
    return GeoTargetedStrategy(preferred_countries=list(countries))


def test_filters_then_selector(pool: ProxyPool) -> None:
    strategy = CompositeStrategy(filters=[geo("US"), CostAwareStrategy(1.0)], selector=RoundRobinStrategy())
    assert hosts(strategy, pool, 4) == "0202"


def test_a_list_of_strategies_the_last_selects(pool: ProxyPool) -> None:
    strategy = CompositeStrategy(strategies=[geo("US"), LeastUsedStrategy()])
    pool.proxies[0].requests_started = pool.proxies[2].requests_started = 9
    assert hosts(strategy, pool, 3) == "444"
    assert isinstance(strategy.selector, LeastUsedStrategy)
    assert len(strategy.filters) == 1
    alone = CompositeStrategy(strategies=[RoundRobinStrategy()])
    assert hosts(alone, pool, 3) == "012"


def test_a_positional_list_is_filters(pool: ProxyPool) -> None:
    strategy = CompositeStrategy([geo("DE")])
    assert hosts(strategy, pool, 4) == "1351"  # without a selector: round-robin
    assert isinstance(strategy.selector, RoundRobinStrategy)


def test_a_selector_alone(pool: ProxyPool) -> None:
    assert hosts(CompositeStrategy(selector="round-robin"), pool, 3) == "012"


@pytest.mark.parametrize("arguments", [{}, {"filters": []}, {"filters": None, "selector": None}, {"strategies": []}])
def test_neither_is_an_error(arguments: Any) -> None:
    with pytest.raises(ValueError, match="at least one filter or a selector"):
        CompositeStrategy(**arguments)


def test_parts_can_be_read_and_replaced(pool: ProxyPool) -> None:
    first, selector = geo("US"), RoundRobinStrategy()
    strategy = CompositeStrategy(filters=[first], selector=selector)
    assert strategy.filters == [first]
    assert strategy.selector is selector
    strategy.filters = [geo("DE")]
    assert hosts(strategy, pool, 2) == "13"
    strategy.selector = LeastUsedStrategy()
    pool.proxies[1].requests_started = pool.proxies[3].requests_started = 9
    assert hosts(strategy, pool, 1) == "5"


def test_the_users_own_parts_are_given_back(pool: ProxyPool) -> None:
    def choose(pool: ProxyPool) -> Any:
        return pool.get_healthy_proxies()[0]

    strategy = CompositeStrategy(filters=[geo("US")], selector=choose)
    assert strategy.selector is choose


def test_unknown_and_degraded_are_candidates(pool: ProxyPool) -> None:
    # B-07: a fresh pool is not empty.
    for proxy in pool.proxies[1::2]:
        proxy.health_status = "degraded"
    assert hosts(CompositeStrategy(filters=[geo("DE")]), pool, 3) == "135"


def test_more_than_a_hundred_candidates(make_pool: MakePool) -> None:
    # B-07: no capacity error.
    pool = make_pool(500, country_code="US")
    strategy = CompositeStrategy(filters=[geo("US")], selector=LeastUsedStrategy())
    for _ in range(500):
        strategy.select(pool)
    assert {proxy.requests_started for proxy in pool.proxies} == {1}


def test_nothing_left_names_the_filter(pool: ProxyPool) -> None:
    strategy = CompositeStrategy(filters=[geo("US"), CostAwareStrategy(0.0), geo("DE")], selector="random")
    with pytest.raises(ProxyPoolEmptyError, match="GeoTargetedStrategy"):
        strategy.select(pool)
    with pytest.raises(ProxyPoolEmptyError, match="CostAwareStrategy"):
        CompositeStrategy(filters=[geo("DE"), CostAwareStrategy(0.5)], selector="random").select(
            pool, SelectionContext(exclude_proxy_ids={pool.proxies[1].id})
        )
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0


@pytest.mark.parametrize("configured", [True, False])
def test_nothing_left_and_a_fallback(configured: bool, pool: ProxyPool) -> None:
    if configured:
        strategy = CompositeStrategy(filters=[geo("JP")], selector="random")
        strategy.configure(StrategyConfig(fallback_strategy="least-used"))
    else:
        strategy = CompositeStrategy(filters=[geo("JP")], selector="random", fallback="least-used")
    for proxy in pool.proxies[:5]:
        proxy.requests_started = 9
    assert hosts(strategy, pool, 3) == "555"
    assert sum(proxy.requests_active for proxy in pool.proxies) == 3


def test_a_result_is_recorded_once(pool: ProxyPool) -> None:
    # B-03
    strategy = CompositeStrategy(
        filters=[geo("US"), CostAwareStrategy(), CompositeStrategy(filters=[geo("US")])],
        selector=PerformanceBasedStrategy(alpha=0.2, exploration_count=5),
    )
    proxy = strategy.select(pool)
    proxy.ema_response_time_ms = 100.0
    strategy.record_result(proxy, True, 50.0)
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (1, 1, 0)
    assert (proxy.total_requests, proxy.total_successes) == (1, 1)
    assert proxy.ema_response_time_ms == pytest.approx(90.0)


def test_nesting(pool: ProxyPool) -> None:
    inner = CompositeStrategy(filters=[CostAwareStrategy(1.0)], selector=LeastUsedStrategy())
    outer = CompositeStrategy(filters=[geo("US")], selector=inner)
    assert sorted(hosts(outer, pool, 4)) == list("0022")
    as_filter = CompositeStrategy(filters=[inner, geo("DE")], selector=RoundRobinStrategy())
    assert hosts(as_filter, pool, 4) == "1313"


def test_strategies_that_do_not_filter_return_their_input(pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    for strategy in (RoundRobinStrategy(), WeightedStrategy(), LeastUsedStrategy(), PerformanceBasedStrategy()):
        assert strategy.filter(content, None) == content
    composite = CompositeStrategy(filters=[geo("US"), CostAwareStrategy(1.0)], selector=RoundRobinStrategy())
    assert composite.filter(content, None) == [content[0], content[2]]


def test_exclusions_reach_every_part(pool: ProxyPool) -> None:
    strategy = CompositeStrategy(filters=[geo("US")], selector=LeastUsedStrategy())
    context = SelectionContext(failed_proxy_ids=[str(pool.proxies[0].id)], exclude_proxy_ids={pool.proxies[2].id})
    assert hosts(strategy, pool, 3, context) == "444"


# configure, validate_metadata.


def test_configure_reaches_every_part(pool: ProxyPool) -> None:
    seen: list[Any] = []

    class Part:
        def select(self, pool: ProxyPool) -> Any:
            return pool.get_healthy_proxies()[0]

        def configure(self, config: Any) -> None:
            seen.append(config)

    target, config = GeoTargetedStrategy(), StrategyConfig(preferred_countries=["DE"])
    strategy = CompositeStrategy(filters=[target, Part()], selector=RoundRobinStrategy())
    strategy.configure(config)
    assert seen == [config]
    assert target.config is config
    assert strategy.selector.config is config
    assert set(hosts(strategy, pool, 6)) <= set("135")


def test_validate_metadata_asks_every_part(pool: ProxyPool, make_pool: MakePool) -> None:
    both = CompositeStrategy(filters=[geo("US")], selector=PerformanceBasedStrategy())
    assert both.validate_metadata(pool) is False  # no proxy has been measured
    pool.proxies[0].ema_response_time_ms = 5.0
    assert both.validate_metadata(pool) is True
    assert both.validate_metadata(make_pool(2, ema_response_time_ms=5.0)) is False  # no proxy has a country
    assert both.requires_metadata >= {"ema_response_time_ms"}


# from_config.


def test_from_config(pool: ProxyPool) -> None:
    strategy = CompositeStrategy.from_config(
        {
            "filters": ["geo-targeted", {"name": "cost_aware", "max_cost_per_request": 1.0}, geo("US")],
            "selector": "LEAST_USED",
        }
    )
    assert [type(part).__name__ for part in strategy.filters] == [
        "GeoTargetedStrategy",
        "CostAwareStrategy",
        "GeoTargetedStrategy",
    ]
    assert isinstance(strategy.selector, LeastUsedStrategy)
    assert sorted(hosts(strategy, pool, 4)) == list("0022")


@pytest.mark.parametrize("name", ["weighted", "cost-aware", "random", "session", "performance-based", "round_robin"])
def test_from_config_knows_every_name(name: str) -> None:
    assert CompositeStrategy.from_config({"selector": name}).selector is not None


def test_from_config_defaults_to_round_robin() -> None:
    strategy = ComposedStrategy.from_config({"filters": ["geo"]})
    assert isinstance(strategy, CompositeStrategy)
    assert isinstance(strategy.selector, RoundRobinStrategy)


@pytest.mark.parametrize(
    "config", [{"filters": ["no-such"]}, {"selector": "no-such"}, {"filters": [{"name": "no-such"}]}]
)
def test_from_config_unknown_name(config: Any) -> None:
    with pytest.raises(ValueError, match="Unknown strategy name"):
        CompositeStrategy.from_config(config)


@pytest.mark.parametrize("part", [3, object(), [1]])
def test_parts_that_are_no_strategy(part: Any) -> None:
    with pytest.raises(TypeError):
        CompositeStrategy(filters=[part])
    with pytest.raises(TypeError):
        CompositeStrategy(selector=part)


# Speed and threads.


def test_it_is_quick(make_pool: MakePool) -> None:
    # SC-007: below 5 ms; the least, because what the machine does besides is not the strategy's.
    pool = make_pool(1000, country_code=["US", "DE"] * 500, ema_response_time_ms=10.0, total_requests=9)
    strategy = CompositeStrategy(filters=[geo("US"), CostAwareStrategy(1.0)], selector=PerformanceBasedStrategy())
    taken = []
    for _ in range(50):
        begin = time.perf_counter()
        strategy.select(pool)
        taken.append(time.perf_counter() - begin)
    assert min(taken) < 0.005


def test_threads(make_pool: MakePool) -> None:
    pool = make_pool(20, country_code=["US", "DE"] * 10)
    strategy = CompositeStrategy(filters=[geo("US")], selector=LeastUsedStrategy())

    def work() -> None:
        for _ in range(100):
            strategy.record_result(strategy.select(pool), True, 1.0)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [proxy.requests_started for proxy in pool.proxies] == [200, 0] * 10
    assert sum(proxy.requests_active for proxy in pool.proxies) == 0
