"""What a strategy written in Python gets for each attempt, and what follows when it returns something unusable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    CompositeStrategy,
    GeoTargetedStrategy,
    Proxy,
    ProxyConnectionError,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    StrategyConfig,
    StrategyMetadataError,
)
from proxywhirl.testing import ProxyFleet, ProxySpec

Seen = list[Any]


@pytest.fixture
def fleet() -> Iterator[ProxyFleet]:
    # The first two attempts fail, whichever proxies they meet.
    specs = [ProxySpec(name=name, fail_first=1, fail_with="reset") for name in ("a", "b")]
    with ProxyFleet([*specs, ProxySpec(name="c")]) as running:
        yield running


def plan(seen: Seen) -> Any:
    class Plan:
        def select(self, pool: ProxyPool, metadata: Any, context: Any = None) -> Proxy:
            seen.append(context)
            return next(p for p in pool.get_healthy_proxies() if str(p.id) not in context.failed_proxy_ids)

        def record_result(self, proxy: Proxy, metadata: Any, success: bool, response_time_ms: float) -> None:
            metadata.record_completion(success, response_time_ms)

    return Plan()


def report(seen: Seen) -> Any:
    class Report:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            seen.append(context)
            return next(p for p in pool.get_healthy_proxies() if str(p.id) not in context.failed_proxy_ids)

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
            """The adapter counts."""

    return Report()


def by_keyword(seen: Seen) -> Any:
    def choose(pool: ProxyPool, *, context: Any) -> Proxy:
        seen.append(context)
        return next(p for p in pool.get_healthy_proxies() if str(p.id) not in context.failed_proxy_ids)

    return choose


def bare(seen: Seen) -> Any:
    def choose(proxies: list[Proxy], context: Any) -> Proxy:
        seen.append(context)
        return proxies[0]

    return choose


SHAPES = [plan, report, by_keyword, bare]
Shape = Callable[[Seen], Any]


def wrapped_in(name: str, strategy: Any) -> Any:
    if name == "session":
        return SessionPersistenceStrategy(fallback_strategy=strategy)
    if name == "geo":
        return GeoTargetedStrategy(secondary_strategy=strategy)
    if name == "composite":
        return CompositeStrategy(filters=[GeoTargetedStrategy(preferred_countries=["US"])], selector=strategy)
    return strategy


def run(kind: str, strategy: Any, fleet: ProxyFleet, page: str, **wishes: Any) -> tuple[list[Proxy], int]:
    """One request; the proxies in the order of the pool, and the status."""
    policy = RetryPolicy(timeout=25.0)

    def prepared(rotator: Any) -> list[Proxy]:
        for proxy in rotator.pool:
            proxy.country_code = "US"
            proxy.tags = {"fast"}
        return list(rotator.pool)

    if kind == "sync":
        with ProxyRotator(fleet.urls, strategy=strategy, retry_policy=policy) as rotator:
            proxies = prepared(rotator)
            return proxies, rotator.get(page, **wishes).status_code

    async def main() -> tuple[list[Proxy], int]:
        async with AsyncProxyRotator(fleet.urls, strategy=strategy, retry_policy=policy) as rotator:
            proxies = prepared(rotator)
            return proxies, (await rotator.get(page, **wishes)).status_code

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("inside", ["alone", "session", "geo", "composite"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_context_is_complete_at_every_attempt(shape: Shape, inside: str, kind: str, fleet: ProxyFleet) -> None:
    seen: Seen = []
    page = fleet.site_url("shop.test", "/whoami")
    mine = SelectionContext(metadata={"job": 7}, request_priority=4, colour="red")
    proxies, status = run(
        kind,
        wrapped_in(inside, shape(seen)),
        fleet,
        page,
        context=mine,
        country="us",
        tags=["fast"],
        session_id="s-1",
        timeout=9.0,
    )
    assert status == 200
    assert [context.attempt_number for context in seen] == [1, 2, 3]
    ids = [str(proxy.id) for proxy in proxies]
    assert [context.failed_proxy_ids for context in seen] == [[], ids[:1], ids[:2]]
    for context in seen:
        assert context.target_url == page
        assert context.session_id == "s-1"
        assert context.target_country == "us"
        assert context.tags == {"fast"}
        assert context.metadata is mine.metadata
        assert (context.colour, context.request_priority) == ("red", 4)
        assert 0 < context.timeout_ms <= 9000.0
    # The caller's own object is left as it was.
    assert mine == SelectionContext(metadata={"job": 7}, request_priority=4, colour="red")


@pytest.mark.parametrize("shape", SHAPES)
def test_without_any_wish_it_is_complete_too(shape: Shape, fleet: ProxyFleet) -> None:
    seen: Seen = []
    page = fleet.site_url("shop.test", "/whoami")
    proxies, _ = run("sync", shape(seen), fleet, page)
    seen_attempts = [(context.target_url, context.attempt_number, len(context.failed_proxy_ids)) for context in seen]
    assert seen_attempts == [(page, 1, 0), (page, 2, 1), (page, 3, 2)]
    assert all(context.timeout_ms <= 25_000 for context in seen), "what is left of the policy's budget"
    assert len(proxies) == 3


def test_the_callers_own_exclusions_and_attempts_go_on(fleet: ProxyFleet) -> None:
    seen: Seen = []
    with ProxyRotator(fleet.urls, strategy=report(seen)) as rotator:
        first, _, third = rotator.pool
        gone = "00000000-0000-4000-8000-000000000000"
        mine = SelectionContext(
            failed_proxy_ids=[gone], exclude_proxy_ids={third.id}, attempt_number=5, timeout_ms=50.0
        )
        with pytest.raises(ProxyConnectionError, match="failed after 2 attempts"):
            rotator.get(fleet.site_url("shop.test", "/whoami"), context=mine, retry_policy=RetryPolicy(max_attempts=2))
    assert [context.attempt_number for context in seen] == [5, 6]
    assert [context.failed_proxy_ids for context in seen] == [[gone], [gone, str(first.id)]]
    assert all(context.exclude_proxy_ids == {third.id} for context in seen)
    assert seen[0].timeout_ms == 50.0
    assert mine.failed_proxy_ids == [gone]


def test_a_lease_tells_what_the_caller_excludes() -> None:
    seen: Seen = []
    with ProxyRotator(["http://192.0.2.1:80", "http://192.0.2.2:80"], strategy=report(seen)) as rotator:
        first, second = rotator.pool
        with rotator.lease("http://shop.test/a?b=c", exclude=[first.id], session_id=None) as lease:
            assert lease.id == second.id
    (context,) = seen
    assert context.target_url == "http://shop.test/a?b=c"
    assert context.failed_proxy_ids == [str(first.id)]
    assert context.exclude_proxy_ids == {first.id}
    assert context.attempt_number == 1


def test_a_subclass_of_the_context_stays_one(fleet: ProxyFleet) -> None:
    class Mine(SelectionContext):
        note = "none"

    seen: Seen = []
    mine = Mine(metadata={"a": 1})
    mine.note = "kept"
    with ProxyRotator(fleet.urls, strategy=report(seen)) as rotator:
        rotator.get(fleet.site_url("shop.test", "/whoami"), context=mine)
    assert [type(context) for context in seen] == [Mine] * 3
    assert [(context.note, context.attempt_number) for context in seen] == [("kept", 1), ("kept", 2), ("kept", 3)]


def test_what_was_passed_to_select_by_hand_arrives_as_it_is() -> None:
    seen: Seen = []
    pool = ProxyPool(proxies=[Proxy(url="http://192.0.2.1:80")])
    mine = SelectionContext(session_id="s")
    CompositeStrategy(selector=report(seen)).select(pool, mine)
    assert seen[0] is mine


def test_a_strategy_that_delegates_to_a_built_in_one_hands_the_demands_on() -> None:
    round_robin = RoundRobinStrategy()
    pool_urls = [f"http://192.0.2.{number}:80" for number in range(1, 5)]
    with ProxyRotator(pool_urls, strategy=lambda pool, context: round_robin.select(pool, context)) as rotator:
        proxies = list(rotator.pool)
        proxies[2].country_code = "DE"
        for _ in range(3):
            with rotator.lease("http://shop.test/", country="de") as lease:
                assert lease.id == proxies[2].id
        with rotator.lease(exclude=[proxy.id for proxy in proxies[1:]]) as lease:
            assert lease.id == proxies[0].id


# --- Unusable answers -------------------------------------------------------------------------------------------------

STRANGER = Proxy(url="http://198.51.100.9:80")
UNUSABLE: list[tuple[Any, str]] = [
    (None, "NoneType instead of a Proxy"),
    ("http://192.0.2.1:80", "str instead of a Proxy"),
    (5, "int instead of a Proxy"),
    ([], "list instead of a Proxy"),
    (object(), "object instead of a Proxy"),
    (STRANGER, "a proxy that is not in the pool"),
]
POOL = ["http://192.0.2.1:80", "http://192.0.2.2:80"]


@pytest.mark.parametrize("inside", ["alone", "session", "geo", "composite"])
@pytest.mark.parametrize(("answer", "words"), UNUSABLE)
def test_an_unusable_answer_is_logged_once_and_the_fallback_serves(
    answer: Any, words: str, inside: str, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = wrapped_in(inside, lambda pool, context: answer)
    with ProxyRotator([{"url": url, "country_code": "US"} for url in POOL], strategy=strategy) as rotator:
        used = []
        for number in range(4):
            session = f"s-{number}" if inside == "session" else None
            with rotator.lease("http://shop.test/", session_id=session) as lease:
                used.append(lease.proxy.url)
    assert sorted(used) == sorted(POOL * 2), "round-robin serves"
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warned] == ["proxywhirl.strategies"]
    assert words in warned[0].getMessage()


@pytest.mark.parametrize(("answer", "words"), UNUSABLE)
@pytest.mark.parametrize("shape", ["select", "select_proxy", "callable"])
def test_used_by_hand_it_is_an_error(answer: Any, words: str, shape: str) -> None:
    class Chooser:
        def select(self, pool: ProxyPool) -> Any:
            return answer

    class Lister:
        def select_proxy(self, pool: list[Proxy]) -> Any:
            return answer

    strategy: Any = {"select": Chooser(), "select_proxy": Lister(), "callable": lambda pool: answer}[shape]
    pool = ProxyPool(proxies=[Proxy(url=url) for url in POOL])
    with pytest.raises(StrategyMetadataError, match=words) as found:
        CompositeStrategy(selector=strategy).select(pool)
    assert isinstance(found.value, ProxyPoolEmptyError)
    assert sum(proxy.requests_started for proxy in pool) == 0


def test_an_ineligible_or_excluded_choice_is_logged_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    with ProxyRotator(POOL, strategy=lambda pool, context: pool.get_all_proxies()[0]) as rotator:
        first, second = rotator.pool
        for _ in range(3):
            with rotator.lease(exclude=[first.id]) as lease:
                assert lease.id == second.id
        first.health_status = "dead"
        for _ in range(3):
            with rotator.lease() as lease:
                assert lease.id == second.id
        assert first.requests_started == 0
    words = [record.getMessage().split(";")[0] for record in caplog.records if record.levelno >= logging.WARNING]
    assert words == [
        "strategy <lambda> returned a proxy that the request excludes",
        "strategy <lambda> returned a proxy that is not eligible",
    ]


def test_a_strategy_that_cannot_see_the_context_is_not_offered_what_is_excluded(
    fleet: ProxyFleet, caplog: pytest.LogCaptureFixture
) -> None:
    with ProxyRotator(fleet.urls, strategy=lambda pool: pool.get_healthy_proxies()[0]) as rotator:
        assert rotator.get(fleet.site_url("shop.test", "/whoami")).status_code == 200
    assert [record for record in caplog.records if record.name == "proxywhirl.strategies"] == []


def test_a_configured_fallback_serves_and_none_is_asked_where_that_is_off() -> None:
    with ProxyRotator(POOL, strategy=lambda pool: None) as rotator:
        rotator._chooser.strategy.configure(StrategyConfig(fallback_strategy="least-used"))
        with rotator.lease() as lease:
            assert lease.proxy.url in POOL
        rotator._chooser.strategy.configure(StrategyConfig(enable_fallback=False))
        with pytest.raises(StrategyMetadataError, match="NoneType"):
            rotator.lease()
        assert sum(proxy.requests_active for proxy in rotator.pool) == 0
