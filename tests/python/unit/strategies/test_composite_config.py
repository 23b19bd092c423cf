"""``CompositeStrategy.from_config``: what it fills in, and what it refuses."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from proxywhirl import CompositeStrategy, Proxy, ProxyPool, ProxyRotator, RandomStrategy, RoundRobinStrategy


@pytest.fixture
def pool() -> ProxyPool:
    return ProxyPool(proxies=[Proxy(url=f"http://192.0.2.{number}:80") for number in range(1, 4)])


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"filters": []},
        {"filters": None},
        {"selector": None},
        {"filters": [], "selector": None},
        {"filters": (), "fallback": "random"},
        {"name": "composite"},
        {"name": "Composite", "filters": []},
        OrderedDict(),
        MappingProxyType({}),
    ],
)
def test_the_selector_is_by_default_each_in_turn(config: Any, pool: ProxyPool) -> None:
    strategy = CompositeStrategy.from_config(config)
    assert isinstance(strategy.selector, RoundRobinStrategy)
    assert strategy.filters == []
    assert [strategy.select(pool) for _ in range(4)] == [*pool.proxies, pool.proxies[0]]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"filter": ["geo"]}, "Unknown key 'filter'"),
        ({"filters": ["geo"], "Selector": "random"}, "Unknown key 'Selector'"),
        ({"selector": "random", 5: 6}, "Unknown key 5"),
        ({"name": "random"}, "Unknown key 'name'"),
        ({"filters": "geo"}, "filters must be a list of strategies, not one str"),
        ({"filters": {"name": "geo"}}, "filters must be a list of strategies, not one dict"),
        ({"strategies": "geo"}, "strategies must be a list of strategies, not one str"),
        ({"strategies": []}, "at least one filter or a selector"),
        ({"strategies": ["geo"], "selector": "random"}, "either strategies, or filters and selector"),
        ({"selector": "nope"}, "Unknown strategy name 'nope'"),
        ({"selector": ""}, "Unknown strategy name"),
        ({"filters": ["geo", "nope"]}, "Unknown strategy name 'nope'"),
        ({"selector": "random", "fallback": "nope"}, "Unknown strategy name 'nope'"),
        ({"filters": [{}]}, "needs its name"),
        ({"selector": {}}, "needs its name"),
        ({"filters": [{"name": None}]}, "needs its name"),
        ({"selector": {"name": "composite"}}, "at least one filter or a selector"),
        ({"filters": [{"name": "composite", "strategies": []}]}, "at least one filter or a selector"),
    ],
)
def test_what_is_no_configuration(config: dict[Any, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CompositeStrategy.from_config(config)


@pytest.mark.parametrize("config", [None, [], "composite", 5, ["geo"]])
def test_no_mapping_at_all(config: Any) -> None:
    with pytest.raises(TypeError, match="config must be a dict"):
        CompositeStrategy.from_config(config)


@pytest.mark.parametrize("config", [{"filters": [5]}, {"selector": 5}, {"filters": [None]}, {"filters": 5}])
def test_parts_that_are_no_strategies(config: Any) -> None:
    with pytest.raises(TypeError):
        CompositeStrategy.from_config(config)


def test_nested(pool: ProxyPool) -> None:
    inner = {
        "name": "composite",
        "filters": [{"name": "cost-aware", "max_cost_per_request": 1.0}],
        "selector": "random",
    }
    strategy = CompositeStrategy.from_config({"filters": ["geo"], "selector": inner})
    assert isinstance(strategy.selector, CompositeStrategy)
    assert isinstance(strategy.selector.selector, RandomStrategy)
    assert strategy.select(pool) in pool


def test_the_constructor_still_wants_something() -> None:
    for arguments in ({}, {"filters": []}, {"strategies": []}, {"filters": [], "selector": None}):
        with pytest.raises(ValueError, match="at least one filter or a selector"):
            CompositeStrategy(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not one str"):
        CompositeStrategy(filters="geo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one filter or a selector"):
        ProxyRotator(strategy="composite")
