"""The short way of simple requests: what it leaves to the layers above, and that a change of settings holds at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, BanPolicy, Outcome, ProxyRotator, RetryPolicy, _core
from proxywhirl._core import StatusJudge
from proxywhirl._httpx import engine as engines
from proxywhirl._httpx.cookies import OneJar
from proxywhirl.exceptions import ProxyBannedError, ProxyConnectionError
from proxywhirl.testing import ProxyFleet

KINDS = ("sync", "async")


class Rotator:
    """A rotator of either kind, used without ``await``; counts what went the short way."""

    def __init__(self, kind: str, fleet: ProxyFleet, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        made: Any = ProxyRotator if kind == "sync" else AsyncProxyRotator
        self.own: Any = made(**{"proxies": fleet.urls, "engine": "native", **options})
        self.is_sync = kind == "sync"
        self.shop = fleet.site_url("shop.test", "/whoami")
        # The first opens the client, and the connections of the loop.
        assert self.get().status_code == 200

    def get(self, url: str | None = None, **kwargs: Any) -> httpx.Response:
        got = self.own.get(self.shop if url is None else url, **kwargs)
        response: httpx.Response = got if self.is_sync else self.loop.run_until_complete(got)
        return response

    def is_short(self, **kwargs: Any) -> bool:
        """Whether a request now goes the short way to its end."""
        way = self.own._short
        found = way.send if self.is_sync else way.submit
        if self.is_sync:
            return type(found("GET", self.shop, kwargs)) is httpx.Response

        async def run() -> bool:
            begun = way.submit("GET", self.shop, kwargs)
            return type(begun) is tuple and type(await begun[1]) is httpx.Response

        return self.loop.run_until_complete(run())

    def close(self) -> None:
        if self.is_sync:
            self.own.close()
        else:
            self.loop.run_until_complete(self.own.aclose())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


Make = Callable[..., Rotator]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet(3) as fleet:
        yield fleet


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, fleet: ProxyFleet) -> Iterator[Make]:
    made: list[Rotator] = []

    def make(**options: Any) -> Rotator:
        made.append(Rotator(request.param, fleet, **options))
        return made[-1]

    yield make
    for rotator in made:
        rotator.close()


@pytest.fixture
def rotator(make: Make) -> Rotator:
    return make()


def test_most_requests_go_the_short_way(rotator: Rotator) -> None:
    assert rotator.is_short()
    assert rotator.is_short(headers={"X-A": "1"}, params={"a": "1"}, timeout=5.0, follow_redirects=True)
    assert rotator.is_short(timeout=httpx.Timeout(5.0, read=1.0), content=None, headers=None, params=None)
    assert rotator.is_short(timeout=None, content=b"page")
    rotator.own._transport.retry_policy = RetryPolicy(timeout=60.0)
    # The first request with a policy compiles it.
    rotator.get()
    assert rotator.is_short()


@pytest.mark.parametrize(
    "given",
    [
        {"context": {"session_id": "a"}},
        {"retry_policy": RetryPolicy()},
        {"ban_policy": BanPolicy()},
        {"cookies": {"a": "1"}},
        {"files": {"a": b"1"}},
        {"auth": ("a", "b")},
        {"extensions": {"proxywhirl": {}}},
        {"headers": {"Proxy-Authorization": "Basic YTpi"}},
        {"params": {}},
    ],
    ids=str,
)
def test_what_asks_for_more_goes_another_way(rotator: Rotator, given: dict[str, Any]) -> None:
    started = sum(proxy.requests_started for proxy in rotator.own.pool)
    assert not rotator.is_short(**given)
    # Nothing was done about it.
    assert sum(proxy.requests_started for proxy in rotator.own.pool) == started


@pytest.mark.parametrize(
    "options",
    [
        {"cookies": "shared"},
        {"cookies": {"a": "1"}},
        {"auth": ("user", "secret")},
        {"allow_direct": True},
        {"enable_profiling": True},
        {"event_hooks": {"request": [], "response": []}, "auth": ("a", "b")},
        {"ban_policies": {"shop.test": BanPolicy(body=("no",))}},
    ],
    ids=str,
)
def test_rotators_that_do_more_have_their_requests_go_another_way(make: Make, options: dict[str, Any]) -> None:
    assert not make(**options).is_short()


def test_the_request_says_what_was_asked(rotator: Rotator) -> None:
    response = rotator.get(params={"a": "1"}, headers={"X-Part": "x"}, timeout=7.5)
    assert str(response.request.url) == f"{rotator.shop}?a=1"
    assert response.request.headers["x-part"] == "x"
    assert response.request.extensions == {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), 7.5)}
    facts = response.extensions["proxywhirl"]
    assert (facts["outcome"], facts["attempts"]) == (Outcome.SUCCESS, 1)
    assert rotator.own.pool.get_proxy_by_id(facts["proxy_id"]).total_successes >= 1
    assert facts["elapsed_ms"] / 1e3 <= response.elapsed.total_seconds()


def test_a_swapped_strategy_holds_at_once(rotator: Rotator) -> None:
    rotator.own.set_strategy("random")
    before = rotator.own.strategy
    rotator.get()
    rotator.own.set_strategy("least-used")
    assert rotator.own.strategy is not before
    assert rotator.is_short()


def test_added_and_removed_proxies_are_seen_at_once(rotator: Rotator) -> None:
    first, *others = [str(proxy.id) for proxy in rotator.own.pool]
    for proxy_id in others:
        removed = rotator.own.remove_proxy(proxy_id)
        if removed is not None:
            rotator.loop.run_until_complete(removed)
    assert {str(rotator.get().extensions["proxywhirl"]["proxy_id"]) for _ in range(4)} == {first}


def test_headers_of_the_client_hold_at_once(rotator: Rotator) -> None:
    rotator.own._client.headers["X-New"] = "new"
    assert rotator.get().request.headers["x-new"] == "new"
    assert rotator.is_short()


def test_a_hook_is_called_from_the_next_request_on(rotator: Rotator) -> None:
    seen: list[Any] = []

    async def hook_async(response: Any) -> None:
        seen.append(response)

    rotator.own._client.event_hooks = {"response": [seen.append if rotator.is_sync else hook_async]}
    assert rotator.get() is seen[0]
    rotator.own._client.event_hooks = {}
    assert rotator.is_short()


def test_a_listener_is_called_from_the_next_request_on(rotator: Rotator) -> None:
    seen: list[Any] = []
    stop = rotator.own.on("request_success", seen.append)
    rotator.get()
    assert [event.status_code for event in seen] == [200]
    stop()
    rotator.get()
    assert len(seen) == 1
    assert rotator.is_short()


def test_a_changed_policy_holds_at_once(rotator: Rotator, fleet: ProxyFleet) -> None:
    url = fleet.site_url("shop.test", "/status/500")
    policy = rotator.own._transport.retry_policy = RetryPolicy(max_attempts=2, base_delay=0.001)
    assert rotator.get(url).extensions["proxywhirl"]["attempts"] == 1
    # In its place, which no attribute tells of.
    policy.retry_status_codes.append(500)
    with pytest.raises(ProxyConnectionError) as caught:
        rotator.get(url)
    assert caught.value.attempt_count == 2


def test_what_is_learned_is_that_of_the_long_way(make: Make) -> None:
    def learned(rotator: Rotator) -> list[tuple[int, int, int]]:
        for _ in range(6):
            rotator.get()
        pool = rotator.own.pool
        return [(proxy.total_requests, proxy.total_successes, proxy.requests_active) for proxy in pool]

    short, long = make(enable_metrics=True), make(enable_metrics=True)
    long.own._short = None
    assert learned(short) == learned(long)
    assert short.own.get_metrics()["total_requests"] == 7
    attempts = [[attempt.outcome for attempt in made.own.retry_metrics.current_attempts] for made in (short, long)]
    assert attempts[0] == attempts[1]
    assert len(attempts[0]) == 7


def test_a_ban_goes_on_through_another_proxy(rotator: Rotator, fleet: ProxyFleet) -> None:
    facts = rotator.get(fleet.site_url("shop.test", "/status/403")).extensions["proxywhirl"]
    assert (facts["outcome"], facts["attempts"]) == (Outcome.BANNED, 3)
    assert all(proxy.requests_active == 0 for proxy in rotator.own.pool)


def test_a_dead_proxy_is_passed_over(make: Make, fleet: ProxyFleet) -> None:
    rotator = make(retry_policy=RetryPolicy(base_delay=0.001))
    add = rotator.own.add_proxy("http://127.0.0.1:1")
    if add is not None:
        rotator.loop.run_until_complete(add)
    attempts = [rotator.get().extensions["proxywhirl"]["attempts"] for _ in range(8)]
    assert sorted(set(attempts)) == [1, 2]


def test_redirects_are_followed_if_they_are_to_be(rotator: Rotator, fleet: ProxyFleet) -> None:
    url = fleet.site_url("shop.test", "/redirect/2")
    left = rotator.get(url, follow_redirects=False)
    assert left.status_code == 302
    assert left.next_request is not None
    followed = rotator.get(url, follow_redirects=True)
    assert [response.status_code for response in followed.history] == [302, 302]


def test_the_log_of_the_client_is_told(rotator: Rotator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="httpx"):
        rotator.get()
    (record,) = [record for record in caplog.records if record.name == "httpx"]
    assert record.getMessage() == f'HTTP Request: GET {rotator.shop} "HTTP/1.1 200 OK"'
    assert rotator.is_short()


def test_a_mock_is_noticed_at_once(rotator: Rotator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines.methods
    _package, cls, method, _own = engines.methods[0]
    with monkeypatch.context() as patch:
        patch.setattr(cls, method, lambda *arguments: None)
        assert not rotator.is_short()
    assert rotator.is_short()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cookies", OneJar()),
        ("first_cookies", [1]),
        ("first_cookies", []),
        ("timeout_for", lambda proxy: None),
        ("allow_direct", True),
        ("read_bodies", False),
        ("_judges_alike", False),
        ("carrier", object()),
        ("chooser", object()),
        ("_judge", object()),
        ("retry_policy", object()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_setting_of_the_transport_is_seen_at_once(rotator: Rotator, name: str, value: Any) -> None:
    assert rotator.is_short()
    before = getattr(rotator.own._transport, name)
    setattr(rotator.own._transport, name, value)
    assert not rotator.is_short()
    setattr(rotator.own._transport, name, before)
    assert rotator.is_short()


def test_a_deleted_setting_of_the_transport_is_seen_at_once(rotator: Rotator) -> None:
    rotator.own._transport.cookies = OneJar()
    assert not rotator.is_short()
    # What is left is the one of the class.
    del rotator.own._transport.cookies
    assert rotator.is_short()


def test_another_bound_of_bodies_holds_at_once(rotator: Rotator, fleet: ProxyFleet) -> None:
    url = fleet.site_url("shop.test", "/bytes/1000")
    assert rotator.get(url).status_code == 200
    rotator.own._transport.max_body = 999
    with pytest.raises(ProxyConnectionError):
        rotator.get(url)
    rotator.own._transport.max_body = None
    assert rotator.get(url).status_code == 200


def test_raising_on_bans_holds_at_once(rotator: Rotator, fleet: ProxyFleet) -> None:
    assert rotator.is_short()
    rotator.own._transport.raise_on_ban = True
    with pytest.raises(ProxyBannedError):
        rotator.get(fleet.site_url("shop.test", "/status/403"))


def test_another_chooser_and_judge_are_used_at_once(make: Make) -> None:
    rotator, other = make(), make()
    rotator.own._transport.chooser = other.own._transport.chooser
    counted = [sum(proxy.requests_started for proxy in made.own.pool) for made in (rotator, other)]
    assert rotator.is_short()
    counts = [sum(proxy.requests_started for proxy in made.own.pool) for made in (rotator, other)]
    assert [after - before for before, after in zip(counted, counts)] == [0, 1]
    # By these rules, a page that was found is a ban.
    rotator.own._transport._judge = StatusJudge(BanPolicy(statuses=(200,)), None)
    assert not rotator.is_short()


def test_a_policy_whose_class_was_changed_is_asked_at_once(rotator: Rotator, monkeypatch: pytest.MonkeyPatch) -> None:
    rotator.own._transport.retry_policy = RetryPolicy()
    # With the first request, the core has the policy.
    rotator.get()
    assert rotator.is_short()
    with monkeypatch.context() as patch:
        patch.setattr(RetryPolicy, "calculate_delay", lambda *arguments: 0.0)
        assert not rotator.is_short()
    assert rotator.is_short()


def test_a_method_that_a_subclass_inherits_is_noticed_at_once(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Base:
        def handle(self) -> None: ...

    class Derived(Base): ...

    monkeypatch.setattr(engines, "methods", [*engines.methods, ("httpx", Derived, "handle", Base.handle)])
    assert rotator.is_short()
    assert rotator.is_short()
    monkeypatch.setattr(Base, "handle", lambda self: None)
    assert not rotator.is_short()


def test_a_closed_client_is_noticed_at_once(rotator: Rotator) -> None:
    client = rotator.own._client
    if rotator.is_sync:
        client.close()
    else:
        rotator.loop.run_until_complete(client.aclose())
    assert not rotator.is_short()


def test_a_closed_rotator_opens_again(rotator: Rotator) -> None:
    if rotator.is_sync:
        rotator.own.close()
    else:
        rotator.loop.run_until_complete(rotator.own.aclose())
    assert rotator.own._short is None
    assert rotator.get().status_code == 200
    assert rotator.is_short()


def test_a_cancelled_request_gives_its_proxy_back(fleet: ProxyFleet) -> None:
    async def run() -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            await rotator.get(url)
            counts = [(proxy.total_requests, proxy.total_failures) for proxy in rotator.pool]
            for _ in range(20):
                task = asyncio.ensure_future(rotator.get(url))
                await asyncio.sleep(0)
                assert sum(proxy.requests_active for proxy in rotator.pool) == 1
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert sum(proxy.requests_active for proxy in rotator.pool) == 0
            assert [(proxy.total_requests, proxy.total_failures) for proxy in rotator.pool] == counts

    asyncio.run(run())


def test_one_that_is_handed_over_and_not_taken_gives_its_proxy_back(fleet: ProxyFleet) -> None:
    async def run() -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
            url = fleet.site_url("shop.test", "/status/403")
            await rotator.get(fleet.site_url("shop.test", "/whoami"))
            way: Any = rotator._short
            scope, future, key = way.submit("GET", url, {})
            assert type(await future) is _core.HandedOver
            assert sum(proxy.requests_active for proxy in rotator.pool) == 1
            scope.abandon(future, key)
            assert sum(proxy.requests_active for proxy in rotator.pool) == 0

    asyncio.run(run())


def test_a_rotator_is_collected_without_the_collector(fleet: ProxyFleet) -> None:
    gc.collect()
    gc.disable()
    try:
        rotator = ProxyRotator(proxies=fleet.urls, engine="native")
        rotator.get(fleet.site_url("shop.test", "/whoami"))
        gone = weakref.ref(rotator)
        del rotator
        assert gone() is None
    finally:
        gc.enable()
