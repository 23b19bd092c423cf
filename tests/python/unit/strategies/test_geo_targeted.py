"""Geo-targeted (api 6.7, C-13, C-28, 23.28)."""

from __future__ import annotations

import random
from typing import Any, Callable

import pytest

from proxywhirl import (
    CompositeStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    SelectionContext,
    StrategyConfig,
)

MakePool = Callable[..., ProxyPool]


@pytest.fixture
def pool(make_pool: MakePool) -> ProxyPool:
    return make_pool(
        7,
        country_code=["US", "us", "DE", "GB", None, "UK", "FR"],
        region=["California", "Texas", "Bavaria", None, "california", None, None],
    )


def places(strategy: Any, pool: ProxyPool, context: Any = None, times: int = 20) -> set[int]:
    order = {proxy.id: place for place, proxy in enumerate(pool.proxies)}
    return {order[strategy.select(pool, context).id] for _ in range(times)}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"target_country": "US"}, {0, 1}),
        ({"target_country": "us"}, {0, 1}),
        ({"target_country": "UK"}, {5}),
        ({"preferred_country": "DE"}, {2}),
        ({"target_country": "DE", "preferred_country": "US"}, {2}),
        ({"preferred_country": "DE", "target_region": "Texas"}, {2}),
        ({"target_region": "california"}, {0, 4}),
        ({"target_region": "TEXAS"}, {1}),
        ({"target_country": "US", "target_region": "Bavaria"}, {0, 1}),
        ({"target_region": "FR"}, {6}),  # two letters and no region of that name: a country
    ],
)
def test_targets_of_the_context(context: dict[str, str], expected: set[int], pool: ProxyPool) -> None:
    assert places(GeoTargetedStrategy(), pool, SelectionContext(**context)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("constructor", "config", "expected"),
    [
        ({"preferred_countries": ["US", "FR"]}, None, {0, 1, 6}),
        ({"preferred_countries": ["us"]}, None, {0, 1}),
        ({"preferred_regions": ["bavaria"]}, None, {2}),
        ({"preferred_countries": ["FR"], "preferred_regions": ["bavaria"]}, None, {6}),
        ({}, {"preferred_countries": ["GB"]}, {3}),
        ({}, {"geo_preferences": ["GB", "DE"]}, {2, 3}),
        ({}, {"preferred_regions": ["texas"]}, {1}),
        ({"preferred_countries": ["FR"]}, {"preferred_countries": ["GB"]}, {6}),
        ({}, None, set(range(7))),
    ],
)
def test_own_and_configured_targets(constructor: Any, config: Any, expected: set[int], pool: ProxyPool) -> None:
    strategy = GeoTargetedStrategy(**constructor)
    if config is not None:
        strategy.configure(StrategyConfig(**config))
    assert places(strategy, pool) == expected


def test_the_context_beats_the_strategys_own(pool: ProxyPool) -> None:
    strategy = GeoTargetedStrategy(preferred_countries=["US"])
    assert places(strategy, pool, SelectionContext(target_country="DE")) == {2}
    assert places(strategy, pool) == {0, 1}


def test_two_letters_that_are_a_region_are_a_region(make_pool: MakePool) -> None:
    pool = make_pool(2, country_code=["CA", "US"], region=[None, "CA"])
    assert places(GeoTargetedStrategy(), pool, SelectionContext(target_region="ca")) == {1}


def test_the_secondary_strategy_keeps_its_place(pool: ProxyPool) -> None:
    strategy = GeoTargetedStrategy(preferred_countries=["US", "DE"])
    assert [strategy.select(pool).host[5] for _ in range(6)] == list("012012")


@pytest.mark.parametrize("secondary", ["least-used", LeastUsedStrategy(), LeastUsedStrategy, {"name": "least_used"}])
def test_secondary_strategies(secondary: Any, make_pool: MakePool) -> None:
    pool = make_pool(4, country_code=["US", "DE", "US", "US"], requests_started=[5, 0, 1, 5])
    strategy = GeoTargetedStrategy(preferred_countries=["US"], secondary_strategy=secondary)
    assert [strategy.select(pool) for _ in range(4)] == [pool.proxies[2]] * 4


def test_configured_secondary_strategy(make_pool: MakePool) -> None:
    pool = make_pool(3, country_code="US", requests_started=[5, 5, 0])
    strategy = GeoTargetedStrategy(preferred_countries=["US"])
    strategy.configure(StrategyConfig(geo_secondary_strategy="least_used"))
    assert {strategy.select(pool) for _ in range(4)} == {pool.proxies[2]}
    with pytest.raises(ValueError, match="Unknown strategy"):
        strategy.configure(StrategyConfig(geo_secondary_strategy="no-such"))


def test_each_request_starts_once(pool: ProxyPool) -> None:
    # B-04
    strategy = GeoTargetedStrategy(preferred_countries=["US"])
    for number in range(1, 11):
        strategy.select(pool)
        assert sum(proxy.requests_started for proxy in pool.proxies) == number


# No match.


def test_without_a_match_any_proxy_serves_by_default(pool: ProxyPool) -> None:
    assert places(GeoTargetedStrategy(preferred_countries=["JP"]), pool) == set(range(7))


def test_without_a_match_the_fallback_chooses(make_pool: MakePool) -> None:
    pool = make_pool(3, country_code="US", requests_started=[5, 0, 5])
    strategy = GeoTargetedStrategy(preferred_countries=["JP"], fallback_strategy="least-used")
    assert strategy.select(pool) is pool.proxies[1]
    strategy = GeoTargetedStrategy(["JP"], "least-used")
    assert strategy.select(pool) is pool.proxies[1]


@pytest.mark.parametrize("configured", [True, False])
def test_without_a_match_and_without_fallback_it_is_an_error(configured: bool, pool: ProxyPool) -> None:
    if configured:
        strategy = GeoTargetedStrategy(preferred_countries=["JP"])
        strategy.configure(StrategyConfig(geo_fallback_enabled=False))
    else:
        strategy = GeoTargetedStrategy(preferred_countries=["JP"], fallback_enabled=False)
    with pytest.raises(ProxyPoolEmptyError, match="JP"):
        strategy.select(pool)
    with pytest.raises(ProxyPoolEmptyError, match=r"(?i)Atlantis"):
        strategy.select(pool, SelectionContext(target_region="Atlantis"))
    assert sum(proxy.requests_started for proxy in pool.proxies) == 0


def test_excluded_and_unhealthy_are_no_match(pool: ProxyPool) -> None:
    strategy = GeoTargetedStrategy(preferred_countries=["US"], fallback_enabled=False)
    pool.proxies[0].health_status = "dead"
    assert places(strategy, pool) == {1}
    with pytest.raises(ProxyPoolEmptyError):
        strategy.select(pool, SelectionContext(exclude_proxy_ids={pool.proxies[1].id}))


def test_the_fallback_leaves_the_excluded_out(pool: ProxyPool) -> None:
    context = SelectionContext(exclude_proxy_ids={proxy.id for proxy in pool.proxies[:5]})
    assert places(GeoTargetedStrategy(preferred_countries=["DE"]), pool, context) == {5, 6}


# As a filter.


def test_as_a_filter_it_never_falls_back(pool: ProxyPool) -> None:
    content = pool.get_all_proxies()
    assert GeoTargetedStrategy(preferred_countries=["US"]).filter(content, None) == content[:2]
    assert GeoTargetedStrategy(preferred_countries=["JP"]).filter(content, None) == []
    assert GeoTargetedStrategy().filter(content, SelectionContext(target_country="FR")) == [content[6]]
    assert GeoTargetedStrategy().filter(content, None) == content


def test_no_match_inside_a_composite_is_an_error_not_another_country(make_pool: MakePool) -> None:
    # B-33
    pool = make_pool(4, country_code=["GB", "DE", "GB", "DE"])
    strategy = CompositeStrategy(filters=[GeoTargetedStrategy(preferred_countries=["US"])], selector="round-robin")
    with pytest.raises(ProxyPoolEmptyError, match="GeoTargetedStrategy"):
        strategy.select(pool)


# Writes.


def test_countries_written_later_count(pool: ProxyPool) -> None:
    strategy = GeoTargetedStrategy(preferred_countries=["JP"], fallback_enabled=False)
    with pytest.raises(ProxyPoolEmptyError):
        strategy.select(pool)
    pool.proxies[4].country_code = "JP"
    assert places(strategy, pool) == {4}
    pool.proxies[4].country_code = None
    pool.proxies[3].country_code = "jp"
    assert places(strategy, pool) == {3}


def test_geo_location_counts(pool: ProxyPool) -> None:
    from proxywhirl import GeoLocation

    pool.proxies[6].geo_location = GeoLocation(country_code="JP", region="Kanto")
    assert places(GeoTargetedStrategy(preferred_countries=["JP"]), pool) == {6}
    assert places(GeoTargetedStrategy(preferred_regions=["kanto"]), pool) == {6}


def test_metadata(pool: ProxyPool, make_pool: MakePool) -> None:
    bare = make_pool(2)
    assert GeoTargetedStrategy().validate_metadata(bare) is True
    assert GeoTargetedStrategy(preferred_countries=["US"]).validate_metadata(bare) is False
    assert GeoTargetedStrategy(preferred_countries=["JP"]).validate_metadata(pool) is True


@pytest.mark.parametrize("seed", range(20))
def test_the_country_is_always_right_when_there_is_one(seed: int, make_pool: MakePool) -> None:
    # SC-006, over random pools.
    generator = random.Random(seed)
    countries = ["US", "DE", "GB", None, "FR"]
    pool = make_pool(
        30,
        country_code=[generator.choice(countries) for _ in range(30)],
        health_status=[generator.choice(["healthy", "unknown", "dead"]) for _ in range(30)],
    )
    strategy = GeoTargetedStrategy(fallback_enabled=False)
    for _ in range(200):
        wanted = generator.choice(["US", "DE", "GB", "FR", "JP"])
        excluded = {proxy.id for proxy in generator.sample(pool.get_all_proxies(), 10)}
        matching = [p for p in pool.get_healthy_proxies() if p.country_code == wanted and p.id not in excluded]
        context = SelectionContext(target_country=wanted, exclude_proxy_ids=excluded)
        if matching:
            chosen: Proxy = strategy.select(pool, context)
            assert chosen in matching
        else:
            with pytest.raises(ProxyPoolEmptyError):
                strategy.select(pool, context)
