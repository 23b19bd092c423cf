"""Rotators without a network: how they are made, what they hold, what they refuse."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxywhirl import (
    AsyncProxyRotator,
    AsyncProxyWhirl,
    PerformanceBasedStrategy,
    Proxy,
    ProxyChain,
    ProxyConfiguration,
    ProxyPoolEmptyError,
    ProxyRotator,
    ProxyValidationError,
    ProxyWhirl,
    RandomStrategy,
    RetryPolicy,
    RoundRobinStrategy,
    SessionNotFoundError,
    StrategyConfig,
)
from proxywhirl.rotator import LRUAsyncClientPool, LRUClientPool, ProxyRotatorBase

BOTH = pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
URLS = ["http://a.test:8000", "http://b.test:8000", "http://c.test:8000"]


def done(value: Any) -> Any:
    """The value, awaited if it must be."""

    async def wait() -> Any:
        return await value

    return asyncio.run(wait()) if inspect.isawaitable(value) else value


def test_names() -> None:
    assert ProxyWhirl is ProxyRotator
    assert AsyncProxyWhirl is AsyncProxyRotator
    assert issubclass(ProxyRotator, ProxyRotatorBase)
    from proxywhirl.rotator import async_, base, client_pool, sync

    assert sync.ProxyRotator is ProxyRotator
    assert async_.AsyncProxyRotator is AsyncProxyRotator
    assert base.ProxyRotatorBase is ProxyRotatorBase
    assert client_pool.LRUClientPool is LRUClientPool


@BOTH
def test_proxies_in_every_form(kind: Any) -> None:
    proxy = Proxy(url=URLS[1])
    rotator = kind([URLS[0], proxy, {"url": URLS[2], "country_code": "DE"}, "http://no-port.test"])
    assert len(rotator.pool) == 4
    assert rotator.pool.get_proxy_by_id(proxy.id) is proxy
    assert rotator.pool.proxies[2].country_code == "DE"


@BOTH
@pytest.mark.parametrize(
    "bad",
    ["ftp://a.test:1", "a.test", "http://a b.test:1", "http://a.test:99999", "http://x:secret-word@a.test:0", ""],
)
def test_a_bad_proxy_is_named_and_nothing_is_half_done(kind: Any, bad: str) -> None:
    with pytest.raises(ProxyValidationError, match="Invalid proxy URL") as caught:
        kind(proxies=[URLS[0], bad])
    assert "secret-word" not in str(caught.value)
    rotator = kind()
    with pytest.raises(ProxyValidationError):
        done(rotator.add_proxies([URLS[0], bad]))
    assert len(rotator.pool) == 0
    with pytest.raises(ProxyValidationError):
        done(rotator.add_proxy(bad))


@BOTH
@pytest.mark.parametrize("wrong", ["http://a.test:1", 7, [7], [None], {"url": "http://a.test:1"}])
def test_what_is_no_list_of_proxies(kind: Any, wrong: Any) -> None:
    with pytest.raises(TypeError):
        kind(proxies=wrong)


@BOTH
def test_user_proxies_are_tagged(kind: Any) -> None:
    rotator = kind(user_proxies=[URLS[0], {"url": URLS[1], "tags": ["mine"]}])
    assert [proxy.tags for proxy in rotator.pool] == [{"source:user"}, {"source:user", "mine"}]


@BOTH
def test_the_environment_is_ignored_unless_trusted(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://env.test:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://env.test:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://env.test:1080")
    assert len(kind().pool) == 0
    assert [proxy.url for proxy in kind(trust_env=True).pool] == ["http://env.test:3128", "socks5://env.test:1080"]


@BOTH
def test_strategies_in_every_form(kind: Any) -> None:
    class Last:
        def select_proxy(self, pool: list[Proxy]) -> Proxy:
            return pool[-1]

    mine = Last()
    assert isinstance(kind().strategy, RoundRobinStrategy)
    assert isinstance(kind(strategy="RANDOM").strategy, RandomStrategy)
    assert isinstance(kind(strategy=RandomStrategy).strategy, RandomStrategy)
    assert isinstance(kind(strategy={"name": "performance-based", "alpha": 0.3}).strategy, PerformanceBasedStrategy)
    rotator = kind(URLS, mine)
    assert rotator.strategy is mine
    assert done(rotator.get_proxy()).url == URLS[2]
    assert kind(URLS, lambda pool: pool.proxies[1]).get_proxy_sync().url == URLS[1]
    with pytest.raises(ValueError, match="Unknown strategy"):
        kind(strategy="best")
    with pytest.raises(TypeError):
        kind(strategy=object())


@BOTH
def test_set_strategy(kind: Any) -> None:
    rotator = kind(URLS)
    assert rotator.set_strategy("random") is None, "a plain method on both"
    assert isinstance(rotator.strategy, RandomStrategy)
    rotator.set_strategy("performance-based", alpha=0.5)
    rotator.strategy = RoundRobinStrategy()
    assert rotator.strategy_version == 3
    with pytest.raises(ValueError, match="Unknown strategy"):
        rotator.set_strategy("best")
    assert isinstance(rotator.strategy, RoundRobinStrategy), "what was there stays"


@BOTH
def test_register_strategy(kind: Any) -> None:
    class Mine:
        @property
        def requires_metadata(self) -> set[str]:
            return set()

        def validate_requirements(self, pool: Any, metadata: Any) -> bool:
            return True

        def select(self, pool: Any, metadata: Any, context: Any = None) -> Proxy:
            first: Proxy = pool.get_healthy_proxies()[0]
            return first

        def record_result(self, proxy: Proxy, metadata: Any, success: bool, response_time_ms: float) -> None:
            metadata.record_completion(success, response_time_ms)

    rotator = kind(URLS)
    rotator.register_strategy("my-custom", Mine)
    rotator.set_strategy("my-custom")
    assert isinstance(rotator.strategy, Mine)


@BOTH
def test_performance_based_begins_cold(kind: Any) -> None:
    rotator = kind(strategy=PerformanceBasedStrategy(alpha=0.25))
    assert done(rotator.add_proxies(URLS[:2])) == 2
    assert rotator.get_proxy_sync().url in URLS


@BOTH
def test_an_empty_rotator_says_why(kind: Any) -> None:
    rotator = kind()
    for call in (rotator.get_proxy_sync, lambda: done(rotator.get("http://site.test/"))):
        with pytest.raises(ProxyPoolEmptyError, match="auto-bootstrap is disabled"):
            call()


@BOTH
def test_all_unhealthy(kind: Any) -> None:
    rotator = kind(URLS)
    for proxy in rotator.pool:
        proxy.health_status = "unhealthy"
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available") as caught:
        done(rotator.get("http://site.test/"))
    assert "auto-bootstrap" not in str(caught.value)


@BOTH
def test_configurations(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind(config=ProxyConfiguration(timeout=7)).config.timeout == 7
    assert kind(config={"timeout": 8, "strategy": "random"}).config.timeout == 8
    assert isinstance(kind(config={"strategy": "random"}).strategy, RandomStrategy)
    rotator = kind(strategy=PerformanceBasedStrategy(), config=StrategyConfig(ema_alpha=0.4))
    assert rotator.strategy.config.ema_alpha == 0.4
    assert isinstance(kind(config=StrategyConfig(strategy_name="random")).strategy, RandomStrategy)
    file = tmp_path / "settings.json"
    file.write_text('{"timeout": 9, "strategy": "random", "proxies": [{"url": "http://f.test:1"}, "http://g.test:1"]}')
    rotator = kind.from_config(str(file))
    assert (rotator.config.timeout, len(rotator.pool)) == (9, 2)
    assert isinstance(rotator.strategy, RandomStrategy)
    assert len(kind.from_config({"proxies": URLS}, strategy="random").pool) == 3
    monkeypatch.setenv("PROXYWHIRL_STRATEGY", "random")
    monkeypatch.setenv("PROXYWHIRL_TIMEOUT", "11")
    assert isinstance(kind().strategy, RandomStrategy)
    assert kind().config.timeout == 11
    for wrong in (7, [1]):
        with pytest.raises(TypeError):
            kind(config=wrong)
    with pytest.raises(ValueError):
        kind(config={"timeout": -1})


@BOTH
def test_capacity(kind: Any) -> None:
    assert len(kind([f"http://p{i}.test:1" for i in range(150)]).pool) == 150
    rotator = kind(URLS[:2], config={"pool_size": 2})
    with pytest.raises(ValueError, match="maximum capacity"):
        done(rotator.add_proxy(URLS[2]))


@BOTH
def test_retries(kind: Any) -> None:
    assert kind().retry_policy.max_attempts == 3
    assert kind(config={"max_retries": 5}).retry_policy.max_attempts == 6
    rotator = kind(retry_policy=RetryPolicy(max_attempts=2))
    assert rotator.retry_policy.max_attempts == 2
    rotator.retry_policy = RetryPolicy(max_attempts=1)
    assert rotator.retry_policy.max_attempts == 1
    with pytest.raises(TypeError):
        kind(retry_policy=3)


@BOTH
def test_unknown_arguments_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(colour="red")
    with pytest.raises(ValueError, match="compat"):
        kind(compat="0.1")
    with pytest.raises(ValueError, match="http must be"):
        kind(http="requests")


@BOTH
def test_removing(kind: Any) -> None:
    rotator = kind(URLS)
    first = rotator.pool.proxies[0]
    session = rotator.create_session("abc", first)
    assert str(session.proxy_id) == str(first.id)
    done(rotator.remove_proxy(str(first.id)))
    done(rotator.remove_proxy(first.id))
    assert len(rotator.pool) == 2
    with pytest.raises(SessionNotFoundError):
        rotator.get_session("abc")
    with pytest.raises(ValueError):
        done(rotator.remove_proxy("not-an-id"))
    rotator.pool.proxies[0].health_status = "dead"
    rotator.pool.proxies[1].health_status = "unhealthy"
    assert done(rotator.clear_unhealthy_proxies()) == 2


@BOTH
def test_sessions(kind: Any) -> None:
    rotator = kind(URLS)
    session = rotator.create_session(timeout_seconds=60)
    assert rotator.get_session(session.session_id).proxy_id == session.proxy_id
    with rotator.lease(session_id=session.session_id) if kind is ProxyRotator else _nothing() as lease:
        if lease is not None:
            assert str(lease.id) == str(session.proxy_id)
    assert rotator.cleanup_expired_sessions() == 0
    for bad in ("", "a b", "x" * 257, "ä", "a\n"):
        with pytest.raises(ValueError):
            rotator.session(bad)
        with pytest.raises(ValueError):
            rotator.create_session(bad)
    with pytest.raises(SessionNotFoundError):
        rotator.get_session("unknown")
    assert all(proxy.requests_started == proxy.requests_completed for proxy in rotator.pool)


class _nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@BOTH
def test_get_proxy_counts_one_start(kind: Any) -> None:
    rotator = kind(URLS)
    for name in ("round-robin", "session", "random", "least-used"):
        rotator.set_strategy(name)
        proxy = rotator.get_proxy_sync()
        assert (proxy.requests_started, proxy.requests_active) == (1, 1)
        rotator.pool.reset_counters()
        proxy.complete_request(success=True, response_time_ms=1.0)
        rotator = kind(URLS)


@BOTH
def test_chains(kind: Any) -> None:
    rotator = kind()
    entry = Proxy(url="http://user:secret-word@entry.test:1")
    chain = ProxyChain(proxies=[entry, Proxy(url=URLS[0])], name="two")
    rotator.add_chain(chain)
    assert rotator.get_chains() == [chain] == rotator.chains
    (only,) = rotator.pool
    assert only is entry
    assert "chain_entry" in only.tags
    assert only.metadata["chain_name"] == "two"
    assert only.metadata["chain_length"] == 2
    assert len(only.metadata["chain_urls"]) == 2
    assert "secret-word" not in str(only.metadata)
    assert rotator.remove_chain("two") is True
    assert rotator.remove_chain("two") is False
    assert len(rotator.pool) == 0


@BOTH
def test_statistics(kind: Any) -> None:
    rotator = kind(URLS)
    good, bad, _ = rotator.pool
    good.start_request()
    good.complete_request(success=True, response_time_ms=5.0)
    for _ in range(2):
        bad.start_request()
        bad.complete_request(success=False, response_time_ms=5.0)
    bad.health_status = "dead"
    assert rotator.get_pool_stats() == {
        "total_proxies": 3,
        "healthy_proxies": 2,
        "unhealthy_proxies": 0,
        "dead_proxies": 1,
        "total_requests": 3,
        "total_successes": 1,
        "total_failures": 2,
        "average_success_rate": 0.5,
        "bytes_sent": 0,
        "bytes_received": 0,
        "spent": 0.0,
        "cost_per_page": 0.0,
    }
    assert rotator.get_statistics()["source_breakdown"] == {"user": 3}


@BOTH
def test_the_url_for_clients_is_quoted(kind: Any) -> None:
    proxy = Proxy(url="http://u%40ser:p%3A%2Fw@[::1]:8080")
    assert kind()._get_proxy_dict(proxy)["https://"] == "http://u%40ser:p%3A%2Fw@[::1]:8080"


def test_the_client() -> None:
    with ProxyRotator(URLS) as rotator:
        assert isinstance(rotator._client, httpx.Client)
        assert rotator._client.timeout.read == 30
        assert rotator._client.follow_redirects

    async def no_blocking() -> None:
        async with AsyncProxyRotator(URLS) as rotator:
            assert isinstance(rotator._client, httpx.AsyncClient)
        await rotator.aclose()
        await rotator.close()

    asyncio.run(no_blocking())
    rotator.close()
    rotator.close()
    asyncio.run(rotator.aclose())


@BOTH
def test_making_one_starts_nothing(kind: Any) -> None:
    threads = threading.active_count()
    made = [kind(URLS) for _ in range(200)]
    assert threading.active_count() == threads
    watched = [weakref.ref(rotator) for rotator in made]
    gc.disable()
    try:
        del made
        # Without the collector: nothing refers to a rotator in a circle.
        assert [ref for ref in watched if ref() is not None] == []
    finally:
        gc.enable()


@BOTH
def test_repr_shows_no_credentials(kind: Any) -> None:
    assert "secret-word" not in repr(kind(["http://user:secret-word@a.test:1"]))


class _Client:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def test_client_pool() -> None:
    pool = LRUClientPool(maxsize=2)
    a, b, c = _Client(), _Client(), _Client()
    pool.put("a", a)
    pool["b"] = b
    assert pool.get("a") is a
    pool.put("c", c)
    assert ("b" in pool, "a" in pool, len(pool), b.closed) == (False, True, 2, 1)
    assert pool["c"] is c
    with pytest.raises(KeyError):
        pool["b"]
    pool.put("c", c)
    assert c.closed == 0
    pool.put("c", b)
    assert c.closed == 1
    pool.remove("a")
    pool.remove("a")
    assert a.closed == 1
    pool.clear()
    assert len(pool) == 0
    with pytest.raises(ValueError):
        LRUClientPool(maxsize=0)


def test_async_client_pool() -> None:
    async def main() -> None:
        pool = LRUAsyncClientPool(maxsize=1)
        a, b = _Client(), _Client()
        await pool.put("a", a)
        await pool.put("b", b)
        assert (a.closed, len(pool), await pool.get("b"), await pool.get("a")) == (1, 1, b, None)
        await pool.remove("b")
        await pool.clear()
        assert b.closed == 1

    asyncio.run(main())
