"""``explain`` says of every proxy what a request would find at that moment, for each of the documented reasons."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Callable

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    CircuitBreaker,
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    PerformanceBasedStrategy,
    ProxyConfiguration,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyRotator,
    RateLimiter,
    RoundRobinStrategy,
    SelectionContext,
    StrategyConfig,
)
from proxywhirl.rate_limiting import RateLimit
from proxywhirl.testing import ProxyFleet, ProxySpec

URLS = [f"http://192.0.2.{number}:8080" for number in range(1, 5)]
PAGE = "http://shop.test/page"
# Slow enough that nothing comes back while a test runs.
SLOW = {"max_requests": 1, "time_window": 3600.0}
KINDS = [ProxyRotator, AsyncProxyRotator]


def taken(rotator: Any, url: str | None, **wishes: Any) -> Any:
    """A lease taken now, on either class."""
    if isinstance(rotator, ProxyRotator):
        return rotator.lease(url, **wishes)

    async def main() -> Any:
        return await rotator.lease(url, **wishes)

    return asyncio.run(main())


def served(rotator: Any, url: str | None = PAGE, **wishes: Any) -> list[Any]:
    """Ids of the proxies that a lease can have now, in order: each is asked for alone, and given back."""
    ids = [proxy.id for proxy in rotator.pool]
    already = list(wishes.pop("exclude", ()))
    found = []
    for proxy_id in ids:
        others = [other for other in ids if other != proxy_id]
        try:
            lease = taken(rotator, url, exclude=[*others, *already], **wishes)
        except (ProxyPoolEmptyError, ProxyConnectionError):
            continue
        found.append(lease.id)
        lease.release()
    return found


def agree(rotator: Any, reasons: list[list[str]], url: str | None = PAGE, **wishes: Any) -> None:
    """Both say the same, and it is what is expected."""
    verdicts = list(rotator.explain(url, **wishes))
    assert [verdict.reasons for verdict in verdicts] == reasons
    assert [verdict.proxy.id for verdict in verdicts if verdict.eligible] == served(rotator, url, **wishes)


def unhealthy(rotator: Any) -> None:
    rotator.pool.proxies[0].health_status = "dead"
    rotator.pool.proxies[1].health_status = "unhealthy"


def expired(rotator: Any) -> None:
    proxy = rotator.pool.proxies[0]
    proxy.expires_at = proxy.created_at - timedelta(seconds=1)


def resting(rotator: Any) -> None:
    others = [proxy.id for proxy in rotator.pool.proxies[1:]]
    while rotator.pool.get_healthy_proxies()[0] is rotator.pool.proxies[0]:
        taken(rotator, None, exclude=others).failure()


def breaker_open(rotator: Any) -> None:
    breaker = rotator.circuit_breakers[str(rotator.pool.proxies[0].id)]
    for _ in range(breaker.failure_threshold):
        breaker.record_failure()


def banned_here(rotator: Any) -> None:
    taken(rotator, PAGE).banned()


def rate_limited_here(rotator: Any) -> None:
    taken(rotator, PAGE).report(status=429, headers={"Retry-After": "600"})


SINGLE: list[tuple[Callable[[Any], None], list[list[str]]]] = [
    (unhealthy, [["unhealthy"], ["unhealthy"], [], []]),
    (expired, [["expired"], [], [], []]),
    (resting, [["resting"], [], [], []]),
    (breaker_open, [["breaker_open"], [], [], []]),
    (banned_here, [["banned_here"], [], [], []]),
    (rate_limited_here, [["rate_limited_here"], [], [], []]),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("happen", "reasons"), SINGLE)
def test_what_happens_to_a_proxy(happen: Callable[[Any], None], reasons: list[list[str]], kind: Any) -> None:
    rotator = kind(URLS)
    agree(rotator, [[], [], [], []])
    happen(rotator)
    agree(rotator, reasons)
    here = {"banned_here", "rate_limited_here"}
    elsewhere = [[reason for reason in given if reason not in here] for given in reasons]
    agree(rotator, elsewhere, "http://news.test/")
    agree(rotator, elsewhere, None)


@pytest.mark.parametrize("kind", KINDS)
def test_in_flight_limit(kind: Any) -> None:
    rotator = kind(URLS, max_in_flight=1)
    leases = [taken(rotator, PAGE), taken(rotator, PAGE)]
    agree(rotator, [["at_capacity"], ["at_capacity"], [], []])
    leases[1].release()
    agree(rotator, [["at_capacity"], [], [], []])
    leases[0].success(1.0)
    agree(rotator, [[], [], [], []])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_the_rate(kind: Any) -> None:
    rotator = kind(URLS, rate_limiter=RateLimiter(requests_per_second=0.001, burst_size=1))
    taken(rotator, PAGE).success(1.0)
    verdicts = list(rotator.explain(PAGE))
    assert [verdict.reasons for verdict in verdicts] == [["no_tokens"], [], [], []]
    assert verdicts[0].until is not None
    assert served(rotator) == [proxy.id for proxy in rotator.pool.proxies[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_one_proxys_own_limit(kind: Any) -> None:
    limiter = RateLimiter()
    rotator = kind(URLS, rate_limiter=limiter)
    limiter.set_proxy_limit(rotator.pool.proxies[2].id, RateLimit(**SLOW))
    agree(rotator, [[], [], [], []])
    # Asking for it has taken its one token.
    verdicts = list(rotator.explain(PAGE))
    assert [verdict.reasons for verdict in verdicts] == [[], [], ["no_tokens"], []]
    assert verdicts[2].until is not None
    assert 3000 < (verdicts[2].until - verdicts[2].proxy.created_at).total_seconds() <= 3700
    agree(rotator, [[], [], ["no_tokens"], []])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_all_together(kind: Any) -> None:
    rotator = kind(URLS, rate_limiter=RateLimiter(global_limit=RateLimit(**SLOW)))
    assert len(rotator.explain(PAGE).eligible) == 4
    taken(rotator, PAGE).success(1.0)
    agree(rotator, [["no_tokens"]] * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_rate_of_a_site(kind: Any) -> None:
    rotator = kind(URLS, site_rate_limit=RateLimit(**SLOW))
    taken(rotator, PAGE).success(1.0)
    assert [verdict.reasons for verdict in rotator.explain(PAGE)] == [["rate_limited_here"], [], [], []]
    agree(rotator, [[], [], [], []], None)


PLACES = [
    {"url": URLS[0], "country_code": "US", "tags": ["fast", "new"], "cost_per_request": 0.5},
    {"url": URLS[1], "country_code": "us", "region": "Texas", "tags": ["fast"]},
    {"url": URLS[2], "country_code": "DE", "region": "Bavaria", "cost_per_request": 0.1},
    {"url": URLS[3]},
]
NO, YES = ["filtered"], []
WISHES: list[tuple[dict[str, Any], list[list[str]]]] = [
    ({"country": "US"}, [YES, YES, NO, NO]),
    ({"country": "de"}, [NO, NO, YES, NO]),
    ({"country": "FR"}, [NO, NO, NO, NO]),
    ({"region": "texas"}, [NO, YES, NO, NO]),
    ({"tags": ["fast"]}, [YES, YES, NO, NO]),
    ({"tags": {"fast", "new"}}, [YES, NO, NO, NO]),
    ({"country": "US", "tags": ["new"]}, [YES, NO, NO, NO]),
    ({"country": "DE", "tags": ["new"]}, [NO, NO, NO, NO]),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["round-robin", "random", "least-used", "geo-targeted"])
@pytest.mark.parametrize(("wishes", "reasons"), WISHES)
def test_demands_of_a_request(wishes: dict[str, Any], reasons: list[list[str]], strategy: str, kind: Any) -> None:
    rotator = kind([dict(place) for place in PLACES], strategy=strategy)
    if strategy == "geo-targeted" and set(wishes) == {"region"}:
        # It reads regions itself, and goes elsewhere when the region has no proxy.
        assert [verdict.reasons for verdict in rotator.explain(PAGE, **wishes)] == reasons
        return
    agree(rotator, reasons, **wishes)


STRATEGIES: list[tuple[Callable[[], Any], list[list[str]]]] = [
    (lambda: GeoTargetedStrategy(preferred_countries=["US"], fallback_enabled=False), [YES, YES, NO, NO]),
    (lambda: GeoTargetedStrategy(preferred_countries=["FR"], fallback_enabled=False), [NO, NO, NO, NO]),
    (lambda: CostAwareStrategy(max_cost_per_request=0.2), [NO, YES, YES, YES]),
    (lambda: CompositeStrategy(filters=[GeoTargetedStrategy(preferred_countries=["DE"])]), [NO, NO, YES, NO]),
    (
        lambda: CompositeStrategy(
            filters=[GeoTargetedStrategy(preferred_countries=["US"]), CostAwareStrategy(0.2)], selector="random"
        ),
        [NO, YES, NO, NO],
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "reasons"), STRATEGIES)
def test_what_a_strategy_passes_over(make: Callable[[], Any], reasons: list[list[str]], kind: Any) -> None:
    rotator = kind([dict(place) for place in PLACES], strategy=make())
    verdicts = list(rotator.explain(PAGE))
    assert [verdict.reasons for verdict in verdicts] == reasons
    ids = {verdict.proxy.id for verdict in verdicts if verdict.eligible}
    met = set()
    for _ in range(40):
        try:
            lease = taken(rotator, PAGE)
        except ProxyPoolEmptyError:
            assert not ids
            return
        met.add(lease.id)
        lease.release()
    assert met <= ids


def test_a_strategy_that_serves_beyond_its_target_passes_no_proxy_over() -> None:
    rotator = ProxyRotator([dict(place) for place in PLACES], strategy=GeoTargetedStrategy(preferred_countries=["FR"]))
    agree(rotator, [YES, YES, YES, YES])


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_of_a_strategy(kind: Any) -> None:
    strategy = RoundRobinStrategy()
    strategy.configure(StrategyConfig(max_response_time_ms=100.0))
    rotator = kind(URLS, strategy=strategy)
    rotator.pool.proxies[0].ema_response_time_ms = 500.0
    agree(rotator, [["filtered"], [], [], []])
    milder = SelectionContext(max_response_time_ms=900.0)
    assert len(rotator.explain(PAGE, context=milder).eligible) == 4


def test_a_cold_performance_strategy_passes_no_proxy_over() -> None:
    agree(ProxyRotator(URLS, strategy=PerformanceBasedStrategy()), [[], [], [], []])


@pytest.mark.parametrize("kind", KINDS)
def test_exclusions(kind: Any) -> None:
    rotator = kind(URLS)
    first, second, *_ = (proxy.id for proxy in rotator.pool)
    agree(rotator, [["excluded"], [], [], []], exclude=[first])
    agree(rotator, [["excluded"], ["excluded"], [], []], exclude=[str(first), second])
    verdicts = rotator.explain(PAGE, exclude=[first], context=SelectionContext(exclude_proxy_ids={second}))
    assert [verdict.reasons for verdict in verdicts] == [["excluded"], ["excluded"], [], []]


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_stays_with_its_proxy_as_long_as_that_may_serve(kind: Any) -> None:
    rotator = kind(URLS)
    first, second, *_ = rotator.pool
    assert [verdict.reasons for verdict in rotator.explain(PAGE, session_id="s")] == [[], [], [], []]
    rotator.create_session("s", second)
    assert [verdict.reasons for verdict in rotator.explain(PAGE, session_id="s")] == [NO, YES, NO, NO]
    assert [verdict.reasons for verdict in rotator.explain(PAGE, context=SelectionContext(session_id="s"))] == [
        NO,
        YES,
        NO,
        NO,
    ]
    lease = taken(rotator, PAGE, session_id="s")
    assert lease.id == second.id
    lease.release()
    second.health_status = "dead"
    assert [verdict.reasons for verdict in rotator.explain(PAGE, session_id="s")] == [[], ["unhealthy"], [], []]
    assert taken(rotator, PAGE, session_id="s").id != second.id
    assert first.requests_started in (0, 1)


# --- Connections in use -----------------------------------------------------------------------------------------------


@pytest.fixture
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec.hanging(name="hang"), ProxySpec(name="good")]) as running:
        yield running


CONFIG = ProxyConfiguration(pool_connections=1, pool_timeout=1, timeout=20)


def test_connections_in_use(fleet: ProxyFleet) -> None:
    page = fleet.site_url("shop.test", "/whoami")
    with ProxyRotator([fleet["hang"].url], config=CONFIG) as rotator:

        def hold() -> None:
            with contextlib.suppress(ProxyConnectionError):
                rotator.get(page, timeout=5.0)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        while not fleet["hang"].counters()["connections"]:
            pass
        (verdict,) = rotator.explain(page)
        assert verdict.reasons == ["at_capacity"]
        assert "1 at capacity" in rotator.explain(page).summary()
        with pytest.raises(ProxyPoolEmptyError) as found:
            rotator.get(page)
        assert found.value.reasons == {"at_capacity": 1}
        assert found.value.may_free
        # A lease for another client needs none of these connections.
        with rotator.lease(page) as lease:
            assert lease.proxy.url == fleet["hang"].url
        rotator.add_proxy(fleet["good"].url)
        assert [verdict.reasons for verdict in rotator.explain(page)] == [["at_capacity"], []]
        assert rotator.get(page).json()["proxy"] == "good"
        holder.join(30)
        assert [verdict.reasons for verdict in rotator.explain(page)][1] == []


def test_connections_in_use_in_an_event_loop(fleet: ProxyFleet) -> None:
    page = fleet.site_url("shop.test", "/whoami")

    async def main() -> None:
        async with AsyncProxyRotator([fleet["hang"].url, fleet["good"].url], config=CONFIG) as rotator:
            held = asyncio.ensure_future(rotator.get(page, timeout=5.0))
            while not fleet["hang"].counters()["connections"]:  # noqa: ASYNC110 - the fleet has no event to wait for
                await asyncio.sleep(0)
            assert [verdict.reasons for verdict in rotator.explain(page)] == [["at_capacity"], []]
            assert (await rotator.get(page)).json()["proxy"] == "good"
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
            assert [verdict.reasons for verdict in rotator.explain(page)] == [[], []]

    asyncio.run(main())


def test_requests_in_line(fleet: ProxyFleet) -> None:
    page = fleet.site_url("shop.test", "/whoami")
    with ProxyRotator([fleet["good"].url], max_in_flight=1) as rotator:
        lease = rotator.lease(page)
        assert rotator.explain(page).waiting == 0
        waiting = threading.Thread(target=rotator.get, args=(page,), daemon=True)
        waiting.start()
        while not rotator.explain(page).waiting:
            pass
        verdicts = rotator.explain(page)
        assert verdicts.summary() == "0 of 1 eligible; 1 at capacity; 1 request waits in line"
        lease.release()
        waiting.join(30)
        assert rotator.explain(page).waiting == 0


def test_a_breaker_of_ones_own_template() -> None:
    rotator = ProxyRotator(URLS[:1], circuit_breaker=CircuitBreaker(failure_threshold=2, timeout=60))
    breaker = rotator.circuit_breakers[str(rotator.pool.proxies[0].id)]
    breaker.record_failure()
    agree(rotator, [[]])
    breaker.record_failure()
    agree(rotator, [["breaker_open"]])
