"""Strategies written in Python: four shapes, errors contained, one start and one completion (api 7)."""

from __future__ import annotations

import functools
import logging
import random
import typing
from collections.abc import Sequence
from typing import Any, Callable
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest

from proxywhirl import (
    CompositeStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    RotationStrategy,
    RoundRobinStrategy,
    SelectionContext,
    StrategyConfig,
    StrategyMetadataError,
    StrategyRegistry,
)
from proxywhirl.models import ProxyMetadata
from proxywhirl.strategies._adapter import Adapter, adapt
from proxywhirl.strategies._metadata import PoolMetadata

MakePool = Callable[..., ProxyPool]


def counts(proxy: Proxy) -> tuple[int, int, int]:
    return (proxy.requests_started, proxy.requests_completed, proxy.requests_active)


def totals(pool: ProxyPool) -> tuple[int, int, int]:
    each = [counts(proxy) for proxy in pool.proxies]
    return tuple(sum(column) for column in zip(*each))  # type: ignore[return-value]


def adapted(strategy: Any, **options: Any) -> Adapter:
    adapter = adapt(strategy, **options)
    assert isinstance(adapter, Adapter)
    return adapter


# --- The four shapes --------------------------------------------------------------------------------------------


class Plan:
    """Shape A, as in SN-08."""

    @property
    def requires_metadata(self) -> set[str]:
        return set()

    def validate_requirements(self, pool: ProxyPool, metadata: dict[UUID, ProxyMetadata]) -> bool:
        return True

    def select(
        self,
        pool: ProxyPool,
        metadata: dict[UUID, ProxyMetadata],
        context: SelectionContext | None = None,
    ) -> Proxy:
        return min(pool.get_healthy_proxies(), key=lambda proxy: metadata[proxy.id].requests_started)

    def record_result(self, proxy: Proxy, metadata: ProxyMetadata, success: bool, response_time_ms: float) -> None:
        metadata.record_completion(success, response_time_ms)


class Tasks:
    """Shape B."""

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        proxy = pool.get_healthy_proxies()[-1]
        proxy.start_request()
        return proxy

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        proxy.complete_request(success=success, response_time_ms=response_time_ms)


class Research:
    """Shape C."""

    def select_proxy(self, pool: list[Proxy]) -> Proxy:
        assert type(pool) is list
        return pool[0]


class ResearchInheriting(RotationStrategy):
    """Shape C as in SN-14."""

    def select_proxy(self, pool: list[Proxy]) -> Proxy:
        return pool[-1]


class CallableInstance:
    def __call__(self, pool: ProxyPool) -> Proxy:
        return pool.get_healthy_proxies()[0]


def of_pool(pool: ProxyPool) -> Proxy:
    return pool.get_healthy_proxies()[0]


def of_pool_and_context(pool: ProxyPool, context: SelectionContext | None) -> Proxy:
    return pool.get_healthy_proxies()[0]


def of_list(proxies: Any) -> Proxy:
    assert type(proxies) is list
    return proxies[0]  # type: ignore[no-any-return]


SHAPES: list[Any] = [
    Plan(),
    Plan,
    Tasks(),
    Tasks,
    Research(),
    Research,
    ResearchInheriting(),
    ResearchInheriting,
    CallableInstance(),
    CallableInstance,
    of_pool,
    of_pool_and_context,
    of_list,
    lambda pool: pool.get_all_proxies()[1],
    functools.partial(lambda index, pool: pool.get_all_proxies()[index], 2),
    random.Random(3).choice,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: getattr(shape, "__name__", type(shape).__name__))
def test_every_shape_makes_one_start_and_one_completion(shape: Any, make_pool: MakePool) -> None:
    pool = make_pool(3)
    adapter = adapted(shape)
    for round_number in range(1, 6):
        proxy = adapter.select(pool)
        assert proxy in pool
        assert totals(pool) == (round_number, round_number - 1, 1)
        adapter.record_result(proxy, round_number % 2 == 0, 10.0)
        assert totals(pool) == (round_number, round_number, 0)
    assert sum(proxy.total_successes for proxy in pool.proxies) == 2
    assert sum(proxy.total_failures for proxy in pool.proxies) == 3


def test_plan_gets_the_live_metadata(make_pool: MakePool) -> None:
    pool, seen = make_pool(2), []

    class Strategy:
        def select(self, pool: ProxyPool, metadata: Any, context: Any = None) -> Proxy:
            seen.append((metadata, context))
            return pool.get_all_proxies()[0]

        def record_result(self, proxy: Proxy, metadata: Any, success: bool, response_time_ms: float) -> None:
            seen.append((metadata, success, response_time_ms))

    adapter, context = adapted(Strategy()), SelectionContext(session_id="s")
    proxy = adapter.select(pool, context)
    (metadata, given) = seen.pop()
    assert given is context
    assert isinstance(metadata, PoolMetadata)
    assert list(metadata) == [each.id for each in pool.proxies]
    assert metadata[proxy.id].requests_started == 1
    adapter.record_result(proxy, True, 25.0)
    (view, success, elapsed) = seen.pop()
    assert (success, elapsed) == (True, 25.0)
    assert view.proxy_id == proxy.id
    assert view.requests_completed == proxy.requests_completed == 1
    assert isinstance(view, ProxyMetadata)


def test_a_third_required_argument_is_the_context_of_a_plan(make_pool: MakePool) -> None:
    pool, seen = make_pool(1), []

    class Strategy:
        def select(self, p: Any, m: Any, c: Any) -> Proxy:
            seen.append((type(m), c))
            return p.get_all_proxies()[0]  # type: ignore[no-any-return]

        def record_result(self, p: Any, m: Any, s: Any, t: Any) -> None:
            seen.append((m.proxy_id, s, t))

    adapter = adapted(Strategy())
    proxy = adapter.select(pool)
    adapter.record_result(proxy, True, 1.5)
    assert seen == [(PoolMetadata, None), (proxy.id, True, 1.5)]


@pytest.mark.parametrize(
    "select",
    [
        lambda self, *args: self.saw(args),
        lambda self, *args, **kwargs: self.saw(args),
        lambda self, pool, *args: self.saw((pool, *args)),
        lambda self, pool, context: self.saw((pool, context)),
        lambda self, pool, context=None: self.saw((pool, context)),
        lambda self, pool, ctx=None: self.saw((pool, ctx)),
        lambda self, pool, _context=None: self.saw((pool, _context)),
        lambda self, pool, *, context: self.saw((pool, context)),
        lambda self, pool, **kwargs: self.saw((pool, kwargs["context"])),
        lambda self, pool, other=1, *, context=None: self.saw((pool, context)),
    ],
)
def test_the_context_arrives_however_it_is_declared(select: Any, make_pool: MakePool) -> None:
    pool, context, seen = make_pool(1), SelectionContext(session_id="s"), []

    def saw(self: Any, arguments: Any) -> Proxy:
        seen.append(arguments)
        return pool.get_all_proxies()[0]

    strategy = type("Strategy", (), {"select": select, "saw": saw})()
    adapted(strategy).select(pool, context)
    assert seen == [(pool, context)]


def test_defaults_of_the_authors_own_are_left_alone(make_pool: MakePool) -> None:
    pool = make_pool(3)
    adapter = adapted(lambda pool, place=2: pool.get_all_proxies()[place])
    assert adapter.select(pool, SelectionContext()) is pool.proxies[2]
    assert adapter.failures == 0


LIST_ANNOTATIONS = [
    list,
    list[Proxy],
    typing.List[Proxy],  # noqa: UP006 - users still write it
    Sequence[Proxy],
    "list[Proxy]",
    "typing.List[Proxy]",
]


@pytest.mark.parametrize("annotation", LIST_ANNOTATIONS)
def test_an_annotated_list_is_given(annotation: Any, make_pool: MakePool) -> None:
    def strategy(pool: Any) -> Proxy:
        assert type(pool) is list
        return pool[0]  # type: ignore[no-any-return]

    strategy.__annotations__["pool"] = annotation
    adapter = adapted(strategy)
    adapter.select(make_pool(2))
    assert adapter.failures == 0


@pytest.mark.parametrize("annotation", [ProxyPool, "ProxyPool", "models.ProxyPool", "'ProxyPool'"])
def test_an_annotated_pool_is_given(annotation: Any, make_pool: MakePool) -> None:
    def strategy(proxies: Any) -> Proxy:
        assert type(proxies) is ProxyPool
        return proxies.get_all_proxies()[0]

    strategy.__annotations__["proxies"] = annotation
    adapter = adapted(strategy)
    adapter.select(make_pool(2))
    assert adapter.failures == 0


def test_record_result_in_any_order_and_keyword_only(make_pool: MakePool) -> None:
    pool, seen = make_pool(1), []

    class Turned(Research):
        def record_result(self, proxy: Proxy, response_time_ms: float, success: bool) -> None:
            seen.append((success, response_time_ms))

    class KeywordOnly(Research):
        def record_result(self, proxy: Proxy, *, success: bool, response_time_ms: float) -> None:
            seen.append((success, response_time_ms))

    class Open(Research):
        def record_result(self, *args: Any, **kwargs: Any) -> None:
            seen.append(args[1:])

    class Keywords(Research):
        def record_result(self, proxy: Proxy, **kwargs: Any) -> None:
            seen.append((kwargs["success"], kwargs["response_time_ms"]))

    class PlanTurned(Research):
        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float, metadata: Any) -> None:
            assert metadata.proxy_id == proxy.id
            seen.append((success, response_time_ms))

    for cls in (Turned, KeywordOnly, Open, Keywords, PlanTurned):
        adapter = adapted(cls)
        adapter.record_result(adapter.select(pool), True, 7.0)
        assert adapter.failures == 0
    assert seen == [(True, 7.0)] * 5
    assert counts(pool.proxies[0]) == (5, 5, 0)


def test_mocks_work(make_pool: MakePool) -> None:
    pool, mock = make_pool(2), Mock()
    mock.select.return_value = pool.proxies[1]
    adapter = adapted(mock)
    assert adapter.select(pool) is pool.proxies[1]
    adapter.record_result(pool.proxies[1], True, 1.0)
    mock.select.assert_called_once_with(pool, None)
    mock.record_result.assert_called_once_with(pool.proxies[1], True, 1.0)
    assert totals(pool) == (1, 1, 0)


# --- What is adapted, and how often -----------------------------------------------------------------------------


def test_native_strategies_are_used_as_they_are() -> None:
    strategy = RoundRobinStrategy()
    assert adapt(strategy) is strategy
    assert type(adapt(LeastUsedStrategy)) is LeastUsedStrategy

    class Named(RoundRobinStrategy):
        nickname = "rr"

    named = Named()
    assert adapt(named) is named


def test_native_strategies_that_are_overridden_are_adapted(make_pool: MakePool) -> None:
    pool = make_pool(3)

    class Louder(RoundRobinStrategy):
        calls = 0

        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            self.calls += 1
            return super().select(pool, context)

    louder = Louder()
    adapter = adapted(louder)
    chosen = [adapter.select(pool) for _ in range(6)]
    assert louder.calls == 6
    assert chosen == list(pool.proxies) * 2
    assert totals(pool) == (6, 0, 6)
    for proxy in chosen:
        adapter.record_result(proxy, True, 5.0)
    assert totals(pool) == (6, 6, 0)
    assert sum(proxy.total_successes for proxy in pool.proxies) == 6


@pytest.mark.parametrize("module", ["proxywhirl_extras", "scraper"])
def test_a_lease_asks_a_subclass_from_any_module(module: str, make_pool: MakePool) -> None:
    pool = make_pool(3)

    class Last(RoundRobinStrategy):
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            return pool.proxies[-1]

    Last.__module__ = module
    strategy = Last()
    leases = [pool.lease(strategy) for _ in range(2)]
    assert [lease.proxy for lease in leases] == [pool.proxies[-1]] * 2
    for lease in leases:
        lease.success(5.0)
    assert totals(pool) == (2, 2, 0)


def test_an_adapter_is_not_adapted_again() -> None:
    adapter = adapted(Research)
    assert adapt(adapter) is adapter


def test_the_adapter_gives_the_user_back() -> None:
    strategy = Tasks()
    adapter = adapted(strategy)
    assert adapter.user is strategy
    assert adapter.name == "Tasks"
    assert adapted(of_pool).user is of_pool
    assert adapted(of_pool).name == "of_pool"


def test_signatures_are_looked_at_once(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect

    pool, adapter = make_pool(2), adapted(Plan())

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("inspected while selecting")

    monkeypatch.setattr(inspect, "signature", never)
    adapter.record_result(adapter.select(pool), True, 1.0)


# --- What is refused --------------------------------------------------------------------------------------------


class Empty:
    pass


class OnlyResults:
    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...


class NeedsArguments:
    def __init__(self, wanted: int) -> None: ...

    def select(self, pool: ProxyPool) -> Proxy: ...  # type: ignore[empty-body]


class NoPool:
    def select(self) -> Proxy: ...  # type: ignore[empty-body]


class TooMany:
    def select(self, pool: Any, metadata: Any, context: Any, more: Any) -> Proxy: ...  # type: ignore[empty-body]


class Waits:
    async def select(self, pool: ProxyPool) -> Proxy: ...  # type: ignore[empty-body]


class HalfResult(Research):
    def record_result(self, proxy: Proxy) -> None: ...


class OnlyInherits(RotationStrategy):
    pass


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (Empty, "missing required methods: select, record_result"),
        (Empty(), "missing required methods: select, record_result"),
        (OnlyInherits, "missing required methods: select, record_result"),
        (OnlyInherits(), "missing required methods: select, record_result"),
        (OnlyResults(), "missing required methods: select"),
        (3, "missing required methods: select, record_result"),
        (None, "missing required methods: select, record_result"),
        (NeedsArguments, "without arguments"),
        (NoPool(), "cannot be used as a strategy"),
        (TooMany(), "cannot be used as a strategy"),
        (lambda: None, "cannot be used as a strategy"),
        (Waits(), "coroutine"),
        (HalfResult(), "record_result"),
    ],
)
def test_what_has_no_shape_is_a_type_error(what: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        adapt(what)


def test_select_alone_is_enough_when_handed_over_directly(make_pool: MakePool) -> None:
    class OnlySelect:
        def select(self, pool: ProxyPool) -> Proxy:
            return pool.get_all_proxies()[0]

    pool, adapter = make_pool(1), adapted(OnlySelect())
    adapter.record_result(adapter.select(pool), False, 3.0)
    assert counts(pool.proxies[0]) == (1, 1, 0)
    assert pool.proxies[0].total_failures == 1


# --- The protocol -----------------------------------------------------------------------------------------------


def test_isinstance_asks_for_the_two_methods() -> None:
    for strategy in (RoundRobinStrategy(), Plan(), Tasks(), ResearchInheriting()):
        assert isinstance(strategy, RotationStrategy)
    for other in (Research(), Empty(), OnlyResults(), of_pool, 3):
        assert not isinstance(other, RotationStrategy)


def test_inherited_stand_ins_say_so_when_called(make_pool: MakePool) -> None:
    strategy = ResearchInheriting()
    with pytest.raises(NotImplementedError, match="ResearchInheriting"):
        strategy.select(make_pool(1))
    with pytest.raises(NotImplementedError, match="record_result"):
        strategy.record_result(make_pool(1).proxies[0], True, 1.0)


# --- What is chosen ---------------------------------------------------------------------------------------------


def test_lists_hold_only_what_may_be_chosen(make_pool: MakePool) -> None:
    pool, seen = make_pool(5, health_status=["healthy", "dead", "unknown", "unhealthy", "degraded"]), []

    def strategy(proxies: list[Proxy]) -> Proxy:
        seen.append(list(proxies))
        return proxies[0]

    first, third, fifth = pool.proxies[0], pool.proxies[2], pool.proxies[4]
    adapter = adapted(strategy)
    adapter.select(pool)
    assert seen.pop() == [first, third, fifth]
    adapter.select(pool, SelectionContext(failed_proxy_ids=[str(first.id)], exclude_proxy_ids={fifth.id}))
    assert seen.pop() == [third]


def test_an_empty_list_never_arrives(make_pool: MakePool) -> None:
    seen: list[Any] = []
    adapter = adapted(lambda proxies: seen.append(proxies))
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        adapter.select(make_pool(0))
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        adapter.select(make_pool(2, health_status="dead"))
    pool = make_pool(2)
    with pytest.raises(ProxyPoolEmptyError, match="failed proxies"):
        adapter.select(pool, SelectionContext(exclude_proxy_ids={proxy.id for proxy in pool.proxies}))
    assert seen == []
    assert adapter.failures == 0


@pytest.mark.parametrize("value", [3, "http://proxy0.test:8000", object(), [], True])
def test_other_values_are_a_metadata_error(value: Any, make_pool: MakePool) -> None:
    pool = make_pool(2)
    with pytest.raises(StrategyMetadataError, match="instead of a Proxy"):
        adapted(lambda pool: value).select(pool)
    assert totals(pool) == (0, 0, 0)


def test_a_foreign_proxy_is_a_metadata_error(make_pool: MakePool, make_proxy: Callable[..., Proxy]) -> None:
    pool, foreign = make_pool(2), make_proxy(77)

    def strategy(pool: ProxyPool) -> Proxy:
        foreign.start_request()
        return foreign

    with pytest.raises(StrategyMetadataError, match="not in the pool"):
        adapted(strategy).select(pool)
    assert totals(pool) == (0, 0, 0)
    assert counts(foreign) == (0, 0, 0)


def test_none_is_no_proxy_either(make_pool: MakePool) -> None:
    with pytest.raises(ProxyPoolEmptyError, match="returned NoneType instead of a Proxy"):
        adapted(lambda pool: None).select(make_pool(2))


def test_a_proxy_removed_in_between_is_chosen_anew(make_pool: MakePool) -> None:
    pool = make_pool(2)

    def strategy(pool: ProxyPool) -> Proxy:
        proxy = pool.get_all_proxies()[0]
        if len(pool) == 2:
            pool.remove_proxy(proxy.id)  # as another thread might
        return proxy

    proxy = adapted(strategy).select(pool)
    assert pool.get_all_proxies() == [proxy]
    assert counts(proxy) == (1, 0, 1)


def test_what_may_not_serve_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool(3)
    first, second, third = pool.get_all_proxies()
    # In a rotator; by hand it is an error.
    adapter = adapt(lambda pool, context: pool.get_all_proxies()[0], warm_up=True)
    assert adapter.select(pool, SelectionContext(failed_proxy_ids=[str(first.id)])) is second
    first.health_status = "dead"
    # A detour for a request that excludes the proxy due takes no proxy's turn.
    assert [adapter.select(pool), adapter.select(pool)] == [second, third]
    assert counts(first) == (0, 0, 0)
    assert totals(pool) == (3, 0, 3)


def test_a_context_of_ones_own_need_not_have_everything(make_pool: MakePool) -> None:
    pool = make_pool(2)
    first, second = pool.get_all_proxies()

    class Own:
        exclude_proxy_ids = (first.id,)

    adapter = adapted(lambda proxies: proxies[0])
    assert adapter.select(pool, Own()) is second  # type: ignore[arg-type]
    assert adapter.failures == 0


def test_starts_on_others_are_taken_back(make_pool: MakePool) -> None:
    pool = make_pool(3)

    def strategy(pool: ProxyPool) -> Proxy:
        for proxy in pool.proxies:
            proxy.start_request()
        pool.proxies[1].start_request()
        return pool.proxies[1]

    proxy = adapted(strategy).select(pool)
    assert [counts(each) for each in pool.proxies] == [(0, 0, 0), (1, 0, 1), (0, 0, 0)]
    assert proxy is pool.proxies[1]


def test_starts_by_another_strategy_inside_count_once(make_pool: MakePool) -> None:
    pool, inner = make_pool(3), LeastUsedStrategy()

    class Wrapper:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            inner.select(pool)
            return inner.select(pool, context)

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            inner.record_result(proxy, success, response_time_ms)

    adapter = adapted(Wrapper())
    for _ in range(3):
        adapter.record_result(adapter.select(pool), True, 1.0)
    assert totals(pool) == (3, 3, 0)
    assert sum(proxy.total_requests for proxy in pool.proxies) == 3


def test_adapters_nest(make_pool: MakePool) -> None:
    pool, inner = make_pool(3), adapted(Tasks())

    class Wrapper:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            return inner.select(pool, context)

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            inner.record_result(proxy, success, response_time_ms)

    adapter = adapted(Wrapper())
    proxy = adapter.select(pool)
    assert totals(pool) == (1, 0, 1)
    adapter.record_result(proxy, True, 1.0)
    assert totals(pool) == (1, 1, 0)


# --- Results ----------------------------------------------------------------------------------------------------


def test_completion_by_metadata_and_by_proxy_count_once(make_pool: MakePool) -> None:
    pool = make_pool(1)

    class Neither(Research):
        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...

    for strategy in (Plan(), Tasks(), Neither(), Research()):
        adapter = adapted(strategy)
        adapter.record_result(adapter.select(pool), True, 100.0)
    assert counts(pool.proxies[0]) == (4, 4, 0)
    assert pool.proxies[0].total_successes == 4
    assert pool.proxies[0].ema_response_time_ms == pytest.approx(100.0)


def test_completing_another_proxy_leaves_ours_to_complete(make_pool: MakePool) -> None:
    pool = make_pool(2)
    first, second = pool.get_all_proxies()
    second.start_request()

    class Confused(Research):
        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            second.complete_request(True, 1.0)

    adapter = adapted(Confused())
    adapter.record_result(adapter.select(pool), True, 1.0)
    assert counts(first) == (1, 1, 0)


def test_alpha_comes_from_the_configuration_if_it_was_given(make_pool: MakePool) -> None:
    pool, adapter = make_pool(1), adapted(Research())
    (proxy,) = pool.get_all_proxies()
    proxy.ema_response_time_ms = 100.0
    adapter.configure(StrategyConfig(window_duration_seconds=60))
    adapter.record_result(adapter.select(pool), True, 50.0)
    assert proxy.ema_response_time_ms == pytest.approx(90.0)  # the proxy's own 0.2
    proxy.ema_response_time_ms = 100.0
    adapter.configure(StrategyConfig(ema_alpha=0.5))
    adapter.record_result(adapter.select(pool), True, 50.0)
    assert proxy.ema_response_time_ms == pytest.approx(75.0)


# --- Errors -----------------------------------------------------------------------------------------------------


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
        for proxy in pool.proxies:
            proxy.start_request()
        raise self.error

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        raise self.error


def test_errors_are_logged_and_round_robin_serves(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool, adapter = make_pool(3), adapted(Failing(RuntimeError("broken strategy")))
    with caplog.at_level(logging.WARNING, logger="proxywhirl.strategies"):
        chosen = [adapter.select(pool) for _ in range(6)]
    assert chosen == list(pool.proxies) * 2
    assert totals(pool) == (6, 0, 6)
    assert "broken strategy" in caplog.records[0].getMessage()
    assert "Failing" in caplog.records[0].getMessage()
    assert caplog.records[0].levelno == logging.ERROR
    with caplog.at_level(logging.WARNING, logger="proxywhirl.strategies"):
        for proxy in chosen:
            adapter.record_result(proxy, True, 1.0)
    assert totals(pool) == (6, 6, 0)
    assert adapter.failures == 12
    # The 1st, 2nd, 4th and 8th failure.
    assert len(caplog.records) == 4


def test_logged_errors_hide_credentials(caplog: pytest.LogCaptureFixture) -> None:
    pool = ProxyPool(proxies=[Proxy(url="http://user:hunter2@a.test:1")])

    def strategy(pool: ProxyPool) -> Proxy:
        raise RuntimeError(f"do not like {pool.proxies[0].url}")

    with caplog.at_level(logging.DEBUG):
        adapted(strategy).select(pool)
    assert "do not like" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_configured_fallback_serves(make_pool: MakePool) -> None:
    pool, adapter = make_pool(3), adapted(Failing(RuntimeError()))
    adapter.configure(StrategyConfig(fallback_strategy="least-used"))
    pool.proxies[0].requests_started = pool.proxies[1].requests_started = 5
    assert adapter.select(pool) is pool.proxies[2]
    assert type(adapter.fallback) is LeastUsedStrategy


def test_an_unknown_fallback_is_refused_and_changes_nothing() -> None:
    adapter = adapted(Research())
    with pytest.raises(ValueError, match="Unknown strategy"):
        adapter.configure({"fallback_strategy": "no-such"})
    assert adapter.config is None
    assert adapter.fallback is None


@pytest.mark.parametrize("error", [ProxyPoolEmptyError("all gone"), StrategyMetadataError("no data", strategy="x")])
def test_our_own_errors_pass(error: Exception, make_pool: MakePool) -> None:
    pool = make_pool(2)
    with pytest.raises(type(error)) as caught:
        adapted(Failing(error)).select(pool)
    assert caught.value is error
    assert totals(pool) == (0, 0, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_interrupts_pass_and_leave_the_counts_right(error: BaseException, make_pool: MakePool) -> None:
    pool, adapter = make_pool(2), adapted(Failing(error))
    with pytest.raises(type(error)):
        adapter.select(pool)
    assert totals(pool) == (0, 0, 0)
    proxy = pool.proxies[0]
    proxy.start_request()
    with pytest.raises(type(error)):
        adapter.record_result(proxy, True, 1.0)
    assert counts(proxy) == (1, 1, 0)


def test_failure_on_an_empty_pool_is_the_documented_error(make_pool: MakePool) -> None:
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        adapted(lambda pool: pool.get_healthy_proxies()[0]).select(make_pool(0))


# --- Required metadata ------------------------------------------------------------------------------------------


class NeedsSpeed(Plan):
    requires_metadata = {"ema_response_time_ms", "country_code"}  # type: ignore[assignment]


class Refuses(Plan):
    def validate_requirements(self, pool: ProxyPool, metadata: Any) -> bool:
        return False


def test_missing_metadata_is_named(make_pool: MakePool) -> None:
    pool, adapter = make_pool(2), adapted(NeedsSpeed())
    with pytest.raises(StrategyMetadataError) as caught:
        adapter.select(pool)
    assert caught.value.missing_fields == ["country_code", "ema_response_time_ms"]
    assert caught.value.strategy == "NeedsSpeed"
    assert not adapter.validate_metadata(pool)
    pool.proxies[1].country_code = "US"
    with pytest.raises(StrategyMetadataError) as caught:
        adapter.select(pool)
    assert caught.value.missing_fields == ["ema_response_time_ms"]
    pool.proxies[0].ema_response_time_ms = 10.0
    assert adapter.validate_metadata(pool)
    assert adapter.select(pool) in pool


def test_what_the_user_attached_counts_as_metadata(make_pool: MakePool) -> None:
    class NeedsRack(Plan):
        requires_metadata = {"rack"}  # type: ignore[assignment]

    pool, adapter = make_pool(2), adapted(NeedsRack())
    with pytest.raises(StrategyMetadataError):
        adapter.select(pool)
    pool.proxies[0].metadata["rack"] = "b7"
    adapter.select(pool)


def test_unmet_requirements(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool, adapter = make_pool(3), adapted(Refuses())
    with pytest.raises(StrategyMetadataError):
        adapter.select(pool)
    assert not adapter.validate_metadata(pool)
    adapter.configure({"fallback_strategy": "round-robin"})
    with caplog.at_level(logging.WARNING, logger="proxywhirl.strategies"):
        assert [adapter.select(pool) for _ in range(3)] == list(pool.proxies)
    assert len(caplog.records) >= 1
    assert caplog.records[0].levelno == logging.WARNING
    adapter.configure({"fallback_strategy": "round-robin", "enable_fallback": False})
    with pytest.raises(StrategyMetadataError):
        adapter.select(pool)


def test_warming_up_serves_until_it_is_configured(make_pool: MakePool) -> None:
    pool, adapter = make_pool(3), adapted(NeedsSpeed(), warm_up=True)
    assert [adapter.select(pool) for _ in range(3)] == list(pool.proxies)
    adapter.configure(StrategyConfig())
    with pytest.raises(StrategyMetadataError):
        adapter.select(pool)


# --- configure and validate_metadata ----------------------------------------------------------------------------


def test_configure_and_validate_reach_the_user(make_pool: MakePool) -> None:
    seen: list[Any] = []

    class Strategy(Tasks):
        def configure(self, config: Any) -> None:
            seen.append(config)

        def validate_metadata(self, pool: ProxyPool) -> bool:
            return len(pool) > 1

    adapter, config = adapted(Strategy()), StrategyConfig()
    adapter.configure(config)
    assert seen == [config]
    assert adapter.config is config
    assert adapter.validate_metadata(make_pool(2))
    assert not adapter.validate_metadata(make_pool(1))
    assert adapted(Research()).validate_metadata(make_pool(0))


# --- As a filter ------------------------------------------------------------------------------------------------


def test_own_filter(make_pool: MakePool) -> None:
    class OnlyEven:
        def select(self, pool: ProxyPool) -> Proxy:
            return pool.get_all_proxies()[0]

        def filter(self, candidates: list[Proxy], context: Any) -> list[Proxy]:
            return candidates[::-2]

    pool = make_pool(5)
    content = pool.get_all_proxies()
    assert adapted(OnlyEven()).filter(content, None) == content[::2]
    composite = CompositeStrategy(filters=[OnlyEven()], selector=RoundRobinStrategy())
    assert [composite.select(pool) for _ in range(3)] == content[::2]
    assert totals(pool) == (3, 0, 3)


@pytest.mark.parametrize("shape", [Tasks, Plan, Research, of_pool, of_list])
def test_without_a_filter_the_country_of_its_choice_stays(shape: Any, make_pool: MakePool) -> None:
    pool = make_pool(4, country_code=["US", "DE", "US", "DE"])
    content = pool.get_all_proxies()
    kept = adapted(shape).filter(content, None)
    assert kept in ([content[0], content[2]], [content[1], content[3]])
    assert totals(pool) == (0, 0, 0)
    for proxy in content:
        proxy.country_code = None
    assert adapted(shape).filter(content, None) == content
    assert adapted(shape).filter([], None) == []


def test_a_failing_filter_is_passed_over(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Tasks):
        def filter(self, candidates: list[Proxy], context: Any) -> list[Proxy]:
            raise RuntimeError("broken filter")

    content = make_pool(3).get_all_proxies()
    with caplog.at_level(logging.WARNING, logger="proxywhirl.strategies"):
        assert adapted(Broken()).filter(content, None) == content
    assert "broken filter" in caplog.text


def test_a_filter_may_leave_nothing(make_pool: MakePool) -> None:
    class None_(Tasks):
        def filter(self, candidates: list[Proxy], context: Any = None) -> list[Proxy]:
            return []

    pool = make_pool(3)
    with pytest.raises(ProxyPoolEmptyError, match="None_"):
        CompositeStrategy(filters=[None_()], selector="round-robin").select(pool)
    assert totals(pool) == (0, 0, 0)


def test_inside_a_composite_everything_counts_once(make_pool: MakePool) -> None:
    pool = make_pool(4, country_code=["US", "DE", "US", "DE"])
    composite = CompositeStrategy(filters=[Tasks()], selector=Plan())
    for _ in range(6):
        proxy = composite.select(pool)
        assert proxy.country_code == "DE"
        composite.record_result(proxy, True, 20.0)
    assert totals(pool) == (6, 6, 0)
    assert sum(proxy.total_successes for proxy in pool.proxies) == 6


# --- As a part of native strategies -----------------------------------------------------------------------------


def test_as_the_fallback_of_a_native_strategy(make_pool: MakePool) -> None:
    pool = make_pool(3)
    StrategyRegistry().register_strategy("third", lambda pool: pool.get_all_proxies()[2])
    strategy = PerformanceBasedStrategy(exploration_count=0)
    strategy.configure(StrategyConfig(fallback_strategy="third"))
    assert strategy.select(pool) is pool.proxies[2]
    assert totals(pool) == (1, 0, 1)


# --- The live metadata ------------------------------------------------------------------------------------------


def test_metadata_mapping_follows_the_pool(make_pool: MakePool, make_proxy: Callable[..., Proxy]) -> None:
    pool = make_pool(2)
    metadata = PoolMetadata(pool)
    assert len(metadata) == 2
    first = pool.proxies[0]
    assert first.id in metadata
    assert str(first.id) in metadata
    assert metadata[str(first.id)].proxy_id == first.id
    assert uuid4() not in metadata
    assert None not in metadata
    with pytest.raises(KeyError):
        metadata[uuid4()]
    new = make_proxy(9)
    pool.add_proxy(new)
    pool.remove_proxy(first.id)
    assert set(metadata) == {proxy.id for proxy in pool.proxies}
    assert new.id in metadata
    metadata[new.id].increment_started()
    assert counts(new) == (1, 0, 1)
    metadata[new.id].record_completion(True, 12.0)
    assert counts(new) == (1, 1, 0)
    assert new.ema_response_time_ms == 12.0
    assert dict(metadata.items()).keys() == set(metadata)
