"""``StrategyRegistry`` and the ways to name a strategy (api 5, 6.11)."""

from __future__ import annotations

import logging
import sys
import threading
import types
from importlib import metadata
from typing import Any

import pytest

import proxywhirl
from proxywhirl import Proxy, ProxyPool, RoundRobinStrategy, StrategyRegistry, WeightedStrategy, _core, strategies
from proxywhirl.config import CLIConfig
from proxywhirl.strategies import _registry
from proxywhirl.strategies._adapter import Adapter
from proxywhirl.strategies._registry import resolve


class First:
    """The smallest complete strategy."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset

    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        return pool.get_healthy_proxies()[self.offset]

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        proxy.complete_request(success, response_time_ms)


class NoResult:
    def select(self, pool: ProxyPool) -> Proxy:
        return pool.get_healthy_proxies()[0]


class NoSelect:
    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...


class OnlySelectProxy:
    def select_proxy(self, pool: list[Proxy]) -> Proxy:
        return pool[0]


class Nothing:
    pass


def test_there_is_one_registry_until_it_is_reset() -> None:
    registry = StrategyRegistry()
    assert StrategyRegistry() is registry
    registry.register_strategy("mine", First)
    StrategyRegistry.reset()
    assert StrategyRegistry() is not registry
    assert StrategyRegistry().list_strategies() == []


def test_threads_get_the_same_registry() -> None:
    found: list[StrategyRegistry] = []
    barrier = threading.Barrier(20)

    def work() -> None:
        barrier.wait()
        found.append(StrategyRegistry())

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(registry) for registry in found}) == 1


def test_register_get_list_unregister() -> None:
    registry = StrategyRegistry()
    registry.register_strategy("My_Own", First)
    assert registry.get_strategy("My_Own") is First
    assert registry.get_strategy("my-own") is First
    assert registry.list_strategies() == ["My_Own"]
    assert registry.create_strategy("MY-OWN", offset=2).offset == 2
    registry.unregister_strategy("my_own")
    assert registry.list_strategies() == []
    with pytest.raises(KeyError, match="not found in registry"):
        registry.get_strategy("my-own")
    with pytest.raises(KeyError, match="not found in registry"):
        registry.unregister_strategy("my-own")


def test_an_instance_stays_the_instance() -> None:
    registry, strategy = StrategyRegistry(), First()
    registry.register_strategy("shared", strategy)
    assert registry.get_strategy("shared") is strategy
    assert registry.create_strategy("shared") is strategy
    with pytest.raises(TypeError, match="offset"):
        registry.create_strategy("shared", offset=1)


def test_replacing_warns(caplog: pytest.LogCaptureFixture) -> None:
    registry = StrategyRegistry()
    with caplog.at_level(logging.WARNING, logger="proxywhirl.strategies"):
        registry.register_strategy("mine", First)
        assert caplog.records == []
        registry.register_strategy("MINE", OnlySelectProxy)
    assert registry.get_strategy("mine") is OnlySelectProxy
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("what", "missing"),
    [
        (NoResult, "record_result"),
        (NoSelect, "select"),
        (Nothing, "select, record_result"),
        (3, "select, record_result"),
    ],
)
def test_incomplete_strategies_are_refused(what: Any, missing: str) -> None:
    with pytest.raises(TypeError, match=f"missing required methods: {missing}$"):
        StrategyRegistry().register_strategy("bad", what)
    assert StrategyRegistry().list_strategies() == []


def test_validation_can_be_left_out() -> None:
    StrategyRegistry().register_strategy("loose", NoResult, validate=False)
    assert StrategyRegistry().get_strategy("loose") is NoResult


@pytest.mark.parametrize("what", [OnlySelectProxy, RoundRobinStrategy, lambda pool: pool.get_all_proxies()[0]])
def test_other_shapes_are_complete(what: Any) -> None:
    StrategyRegistry().register_strategy("fine", what)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        StrategyRegistry().register_strategy(name, First)


# Names of built-in strategies.


def test_the_registry_has_every_name_of_the_native_list() -> None:
    for name in _core.builtin_strategy_classes():
        cls = StrategyRegistry().get_strategy(name)
        if cls is _core.CompositeStrategy:
            continue  # not made without parts
        made = resolve(name)
        assert type(made) is cls
        assert repr(made) == f"{cls.__name__}()"


def test_a_class_of_the_package_has_a_name_and_is_exported() -> None:
    named = set(_core.builtin_strategy_classes().values())
    own = {cls for cls in vars(_core).values() if isinstance(cls, type) and issubclass(cls, _core.Strategy)}
    assert named == own - {_core.Strategy}
    assert named <= {getattr(strategies, name) for name in strategies.__all__}
    assert {cls.__name__ for cls in named} <= set(strategies.__all__) & set(proxywhirl.__all__)


def test_an_error_lists_every_name() -> None:
    for name in _core.builtin_strategy_classes():
        with pytest.raises(ValueError, match=rf"[ ,]{name}\b"):
            resolve("no-such")


def test_the_settings_of_the_command_line_take_what_the_list_says() -> None:
    for name in _core.builtin_strategy_classes():
        if name in _core.settings_strategy_names():
            assert CLIConfig(rotation_strategy=name).rotation_strategy == name
        else:
            with pytest.raises(ValueError, match="rotation_strategy must be one of round-robin, "):
                CLIConfig(rotation_strategy=name)


@pytest.mark.parametrize("name", ["round-robin", "ROUND_ROBIN", "Round-Robin", " round_robin "])
def test_case_and_dashes_do_not_matter(name: str) -> None:
    assert type(resolve(name)) is RoundRobinStrategy
    assert StrategyRegistry().get_strategy(name) is RoundRobinStrategy


def test_arguments_are_forwarded() -> None:
    strategy = resolve("least-used", tie_breaker="random")
    assert type(strategy) is _core.LeastUsedStrategy
    with pytest.raises(TypeError):
        resolve("least-used", no_such_argument=1)


def test_a_strategy_as_data() -> None:
    strategy = resolve({"name": "composite", "filters": ["geo"], "selector": {"name": "least-used"}})
    assert isinstance(strategy, _core.CompositeStrategy)
    assert isinstance(resolve({"name": "weighted", "weights": {"tag": 1.0}}), WeightedStrategy)
    with pytest.raises(ValueError, match="name"):
        resolve({"weights": {}})


@pytest.mark.parametrize("name", ["no-such", "", "no.such.module:Thing", "collections:NoSuchThing", ":", "a:b:c"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"^Unknown strategy"):
        resolve(name)


def test_unknown_names_are_answered_with_the_valid_ones() -> None:
    StrategyRegistry().register_strategy("mine", First)
    with pytest.raises(ValueError, match="Unknown strategy 'round-robbin'") as caught:
        resolve("round-robbin")
    for name in ("round-robin", "least-used", "geo-targeted", "mine"):
        assert name in str(caught.value)
    assert "Did you mean 'round-robin'" in str(caught.value)


# Names of one's own.


def test_registered_names_resolve() -> None:
    StrategyRegistry().register_strategy("mine", First)
    adapter = resolve("MINE", offset=1)
    assert isinstance(adapter, Adapter)
    assert type(adapter.user) is First
    assert adapter.user.offset == 1


def test_paths_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("plugin_for_test")
    module.First = First
    monkeypatch.setitem(sys.modules, "plugin_for_test", module)
    adapter = resolve("plugin_for_test:First")
    assert isinstance(adapter, Adapter)
    assert type(adapter.user) is First


def test_entry_points_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("Plugged_In", f"{__name__}:First", "proxywhirl.strategies")
    monkeypatch.setattr(_registry, "_entry_points", lambda: [point])
    # What an entry point loads is looked up by module name, and test modules need not have an importable one.
    monkeypatch.setitem(sys.modules, __name__, sys.modules[First.__module__])
    adapter = resolve("plugged-in")
    assert isinstance(adapter, Adapter)
    assert type(adapter.user) is First
    with pytest.raises(ValueError, match="Plugged_In"):
        resolve("something-else")


def test_real_entry_points_can_be_listed() -> None:
    assert all(point.group == "proxywhirl.strategies" for point in _registry._entry_points())


def test_classes_instances_and_adapters_resolve() -> None:
    native = RoundRobinStrategy()
    assert resolve(native) is native
    assert type(resolve(RoundRobinStrategy)) is RoundRobinStrategy
    adapter = resolve(First())
    assert resolve(adapter) is adapter


def test_native_constructors_take_registered_names(make_pool: Any) -> None:
    StrategyRegistry().register_strategy("mine", First)
    strategy = _core.GeoTargetedStrategy(preferred_countries=["US"], secondary_strategy="mine")
    pool = make_pool(3, country_code=["DE", "US", "US"])
    assert strategy.select(pool) is pool.proxies[1]
