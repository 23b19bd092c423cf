"""``ProxyPool`` (api 4.3)."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable
from uuid import UUID, uuid4

import pydantic
import pytest

from proxywhirl import Proxy, ProxyPool, ProxyPoolEmptyError, RoundRobinStrategy, SelectionContext

MakePool = Callable[..., ProxyPool]
MakeProxy = Callable[..., Proxy]
FIELDS = [
    "id",
    "name",
    "proxies",
    "max_pool_size",
    "auto_remove_dead",
    "dead_proxy_threshold",
    "created_at",
    "updated_at",
]
PAST = datetime(2001, 1, 1, tzinfo=timezone.utc)


def test_defaults() -> None:
    pool = ProxyPool()
    assert isinstance(pool.id, UUID)
    assert (pool.name, pool.max_pool_size, pool.auto_remove_dead, pool.dead_proxy_threshold) == (
        "default",
        100,
        False,
        5,
    )
    assert pool.proxies == []
    assert pool.size == len(pool) == 0
    assert pool.created_at.tzinfo is not None
    assert list(pool.model_dump()) == FIELDS


def test_construction(make_proxy: MakeProxy) -> None:
    proxies = [make_proxy(n) for n in range(150)]
    pool = ProxyPool(name="production", proxies=proxies)  # the constructor knows no capacity
    assert pool.name == "production"
    assert pool.size == 150
    assert all(a is b for a, b in zip(pool.proxies, proxies))
    mixed = ProxyPool(proxies=["http://a.test:1", {"url": "http://b.test:2", "country_code": "US"}])
    assert [proxy.host for proxy in mixed.proxies] == ["a.test", "b.test"]
    assert mixed.proxies[1].country_code == "US"


@pytest.mark.parametrize(
    "fields",
    [{"max_pool_size": 0}, {"max_pool_size": "many"}, {"proxies": ["nonsense"]}, {"proxies": [3]}, {"proxies": 3},
     {"name": 3}, {"id": "x"}],
)  # fmt: skip
def test_bad_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ProxyPool(**fields)


# --- Adding and removing ----------------------------------------------------------------------------------------


def test_adding(make_proxy: MakeProxy) -> None:
    pool, proxy = ProxyPool(), make_proxy(1)
    pool.add_proxy(proxy)
    pool.add_proxy("http://text.test:1")
    assert pool.get_all_proxies()[0] is proxy
    assert pool.get_all_proxies()[1].url == "http://text.test:1"


def test_the_same_url_again_is_ignored(make_proxy: MakeProxy) -> None:
    pool, first = ProxyPool(), make_proxy(1)
    pool.add_proxy(first)
    pool.add_proxy(make_proxy(1))
    pool.add_proxy(first)
    pool.add_proxy(first.url)
    assert pool.get_all_proxies() == [first]


def test_capacity(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(2, pool={"max_pool_size": 3})
    pool.add_proxy(make_proxy(7))
    with pytest.raises(ValueError, match="maximum capacity"):
        pool.add_proxy(make_proxy(8))
    assert pool.size == 3
    pool.add_proxy(make_proxy(7))  # 23.21: a duplicate is a duplicate
    pool.remove_proxy(pool.proxies[0].id)
    pool.add_proxy(make_proxy(8))
    assert pool.size == 3


@pytest.mark.parametrize("value", [None, 3, ["http://a.test:1"]])
def test_adding_something_else(value: Any) -> None:
    with pytest.raises(TypeError):
        ProxyPool().add_proxy(value)


@pytest.mark.parametrize("url", ["nonsense", "", "ftp://a.test"])
def test_adding_a_bad_url(url: str) -> None:
    pool = ProxyPool()
    with pytest.raises(ValueError):
        pool.add_proxy(url)
    assert pool.size == 0


@pytest.mark.parametrize("kind", [str, lambda value: value], ids=["text", "UUID"])
def test_removing(kind: Any, make_pool: MakePool) -> None:
    pool = make_pool(3)
    content = pool.get_all_proxies()
    pool.remove_proxy(kind(content[1].id))
    pool.remove_proxy(kind(uuid4()))
    assert pool.get_all_proxies() == [content[0], content[2]]
    assert pool.get_proxy_by_id(content[1].id) is None


def test_a_removed_proxy_can_come_back(make_pool: MakePool) -> None:
    pool = make_pool(2)
    proxy = pool.proxies[0]
    pool.remove_proxy(proxy.id)
    proxy.start_request()
    pool.add_proxy(proxy)
    assert pool.get_all_proxies()[1] is proxy
    assert pool.get_proxy_by_url(proxy.url) is proxy


def test_add_many() -> None:
    pool = ProxyPool(max_pool_size=1000)
    lines = [f"http://p{n}.test:80" for n in range(500)] + ["http://p0.test:80"]
    report = pool.add_many(lines, source="file", tags=["bulk"])
    assert (report.added, report.duplicates, report.errors) == (500, 1, [])
    assert pool.size == 500
    assert {proxy.source.value for proxy in pool.proxies} == {"file"}
    assert all(proxy.tags == {"bulk"} for proxy in pool.proxies)
    assert len({proxy.id for proxy in pool.proxies}) == 500
    assert pool.proxies[3] is pool.proxies[3]


def test_add_many_with_errors() -> None:
    lines = ["http://a.test:1", "nonsense", "http://b.test:2", "http://c.test:99999"]
    pool = ProxyPool()
    with pytest.raises(ValueError) as caught:
        pool.add_many(lines)
    assert pool.size == 0
    assert "2" in str(caught.value)
    assert "nonsense" not in str(caught.value), "what is refused may be a password"
    assert "line 2 (<word>)" in str(caught.value)
    report = pool.add_many(lines, on_error="skip")
    assert (report.added, report.duplicates) == (2, 0)
    assert [(line, text) for line, text, _ in report.errors] == [(2, "<word>"), (4, "http://<name>:<number>")]
    assert all(reason for _, _, reason in report.errors)
    assert [proxy.host for proxy in pool.proxies] == ["a.test", "b.test"]
    with pytest.raises(ValueError, match="on_error"):
        pool.add_many(lines, on_error="shrug")  # type: ignore[arg-type]


def test_add_many_hides_credentials() -> None:
    pool = ProxyPool()
    report = pool.add_many(["http://user:hunter2@a.test:99999"], on_error="skip")
    assert "hunter2" not in str(report.errors) + repr(report)
    with pytest.raises(ValueError) as caught:
        pool.add_many(["http://user:hunter2@a.test:99999"])
    assert "hunter2" not in str(caught.value)


def test_add_many_of_a_failing_iterable_adds_nothing() -> None:
    def lines() -> Any:
        yield "http://a.test:1"
        raise RuntimeError("file went away")

    pool = ProxyPool()
    with pytest.raises(RuntimeError, match="went away"):
        pool.add_many(lines())
    assert pool.size == 0


def test_update_proxy(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(3)
    old = pool.proxies[1]
    new = make_proxy(7, id=old.id)
    pool.update_proxy(new)
    assert pool.proxies[1] is new
    assert pool.get_proxy_by_id(old.id) is new
    assert pool.get_proxy_by_url(new.url) is new
    assert pool.get_proxy_by_url(old.url) is None
    with pytest.raises(KeyError):
        pool.update_proxy(make_proxy(8))


# --- Looking up -------------------------------------------------------------------------------------------------


def test_look_ups(make_pool: MakePool) -> None:
    pool = make_pool(
        3, country_code=["US", "de", "US"], tags=[{"a"}, {"a", "b"}, set()], source=["user", "api", "user"]
    )
    first, second, third = pool.get_all_proxies()
    assert pool.get_proxy_by_id(first.id) is first
    assert pool.get_proxy_by_id(str(first.id)) is first
    assert pool.get_proxy_by_id(uuid4()) is None
    assert pool.get_proxy_by_id("nonsense") is None
    assert pool.get_proxy_by_url(second.url) is second
    assert pool.get_proxy_by_url("http://unknown.test:1") is None
    assert pool.filter_by_tags({"a"}) == [first, second]
    assert pool.filter_by_tags({"a", "b"}) == [second]
    assert pool.filter_by_tags({"c"}) == []
    assert pool.filter_by_tags(set()) == [first, second, third]
    assert pool.filter_by_source("user") == [first, third]
    assert pool.filter_by_country("us") == [first, third]
    assert pool.filter_by_country("DE") == [second]
    assert pool.get_source_breakdown() == {"user": 2, "api": 1}


def test_membership(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(2)
    proxy = pool.proxies[0]
    for there in (proxy, proxy.id, str(proxy.id), proxy.url):
        assert there in pool
    for absent in (make_proxy(7), uuid4(), "http://unknown.test:1", "nonsense", 3, None):
        assert absent not in pool
    assert list(pool) == pool.get_all_proxies()


def test_writes_are_seen_by_the_look_ups(make_pool: MakePool) -> None:
    pool = make_pool(2)
    proxy = pool.proxies[0]
    old_url, old_id, new_id = proxy.url, proxy.id, uuid4()
    proxy.url = "http://new.test:1"
    assert pool.get_proxy_by_url("http://new.test:1") is proxy
    assert pool.get_proxy_by_url(old_url) is None
    proxy.id = new_id
    assert pool.get_proxy_by_id(new_id) is proxy
    assert pool.get_proxy_by_id(old_id) is None
    proxy.tags.add("x")
    proxy.country_code = "FR"
    proxy.source = "api"  # type: ignore[assignment]
    assert pool.filter_by_tags({"x"}) == pool.filter_by_country("FR") == pool.filter_by_source("api") == [proxy]


def test_healthy_and_counts(make_pool: MakePool) -> None:
    pool = make_pool(6, health_status=["healthy", "unknown", "degraded", "unhealthy", "dead", "healthy"])
    content = pool.get_all_proxies()
    content[5].expires_at = PAST
    assert pool.get_healthy_proxies() == content[:3]
    assert pool.healthy_count == 2
    assert pool.unhealthy_count == 4
    content[4].health_status = "healthy"
    assert pool.get_healthy_proxies() == [*content[:3], content[4]]


def test_lists_are_copies(make_pool: MakePool) -> None:
    pool = make_pool(2)
    pool.get_all_proxies().clear()
    pool.get_healthy_proxies().clear()
    assert pool.size == 2


def test_clearing(make_pool: MakePool) -> None:
    pool = make_pool(5, health_status=["healthy", "unhealthy", "dead", "unknown", "degraded"])
    content = pool.get_all_proxies()
    content[0].expires_at = PAST
    assert pool.clear_expired() == 1
    assert pool.clear_expired() == 0
    assert pool.clear_unhealthy() == 2
    assert pool.get_all_proxies() == content[3:]


def test_totals(make_pool: MakePool) -> None:
    pool = make_pool(2, total_requests=[10, 30], total_successes=[10, 0])
    assert pool.total_requests == 40
    assert pool.overall_success_rate == 0.25
    assert ProxyPool().overall_success_rate == 0.0


def test_reset_counters(make_pool: MakePool) -> None:
    pool = make_pool(2, requests_started=5, requests_completed=3, requests_active=2)
    pool.reset_counters()
    for proxy in pool.proxies:
        assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (0, 0, 2)
        assert proxy.window_start is not None


# --- Selecting --------------------------------------------------------------------------------------------------


def test_select_next(make_pool: MakePool) -> None:
    pool = make_pool(4)
    pool.proxies[1].health_status = "dead"
    assert [pool.select_next().host[5] for _ in range(5)] == list("02302")
    with pytest.raises(ProxyPoolEmptyError, match="No healthy proxies available"):
        ProxyPool().select_next()


def test_auto_remove_dead(make_pool: MakePool) -> None:
    # 23.20
    pool = make_pool(2, pool={"auto_remove_dead": True, "dead_proxy_threshold": 5})
    proxy = pool.proxies[0]
    for _ in range(4):
        proxy.record_failure()
    assert proxy in pool
    proxy.record_failure()
    assert proxy not in pool
    keeping = make_pool(1)
    for _ in range(10):
        keeping.proxies[0].record_failure()
    assert keeping.size == 1


def test_one_proxy_in_two_pools(make_pool: MakePool) -> None:
    pool = make_pool(3)
    other, shared = ProxyPool(proxies=[pool.proxies[1]]), pool.proxies[1]
    assert RoundRobinStrategy().select(other) is shared
    shared.health_status = "dead"
    with pytest.raises(ProxyPoolEmptyError):
        RoundRobinStrategy().select(other)
    strategy = RoundRobinStrategy()
    assert [strategy.select(pool).host[5] for _ in range(3)] == list("020")
    pool.remove_proxy(shared.id)
    shared.health_status = "healthy"
    assert RoundRobinStrategy().select(other) is shared


def test_the_lock_is_reentrant(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool, order = make_pool(1), []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with pool:
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with pool as entered:
        assert entered is pool
        inside.set()
        with pool:
            pool.add_proxy(make_proxy(5))
            pool.select_next()
        thread.join(0.05)
        order.append("mine")
    thread.join()
    assert order == ["mine", "other"]


# --- Leases -----------------------------------------------------------------------------------------------------


def counts(proxy: Proxy) -> tuple[int, int, int]:
    return (proxy.requests_started, proxy.requests_completed, proxy.requests_active)


def test_a_lease(make_pool: MakePool) -> None:
    pool, strategy = make_pool(2), RoundRobinStrategy()
    lease = pool.lease(strategy)
    proxy = lease.proxy
    assert proxy is pool.proxies[0]
    assert lease.id == proxy.id
    assert lease.url == "http://proxy0.test:8000"
    assert not lease.closed
    assert counts(proxy) == (1, 0, 1)
    lease.success(elapsed_ms=25.0)
    assert lease.closed
    assert counts(proxy) == (1, 1, 0)
    assert (proxy.total_successes, proxy.ema_response_time_ms) == (1, 25.0)
    for again in (lease.success, lease.failure, lease.release, lease.banned):
        with pytest.raises(RuntimeError):
            again()
    assert counts(proxy) == (1, 1, 0)


def test_failure_and_release(make_pool: MakePool) -> None:
    pool, strategy = make_pool(1), RoundRobinStrategy()
    (proxy,) = pool.get_all_proxies()
    pool.lease(strategy).failure("refused")
    assert (counts(proxy), proxy.total_failures) == ((1, 1, 0), 1)
    pool.lease(strategy).release()  # 23.6: as if never chosen
    assert (counts(proxy), proxy.total_requests) == ((1, 1, 0), 1)


def test_leaving_the_block(make_pool: MakePool) -> None:
    pool, strategy = make_pool(1), RoundRobinStrategy()
    (proxy,) = pool.get_all_proxies()
    with pool.lease(strategy) as lease:
        assert lease.proxy is proxy
    assert (counts(proxy), proxy.total_successes) == ((1, 1, 0), 1)
    with pytest.raises(ConnectionRefusedError), pool.lease(strategy):
        raise ConnectionRefusedError
    assert (counts(proxy), proxy.total_failures) == ((2, 2, 0), 1)
    with pytest.raises(KeyError), pool.lease(strategy):
        raise KeyError
    assert (counts(proxy), proxy.total_requests) == ((2, 2, 0), 2)
    with pool.lease(strategy) as lease:
        lease.failure()
    assert proxy.total_failures == 2


def test_a_dropped_lease_is_released(make_pool: MakePool) -> None:
    import gc

    pool = make_pool(1)
    lease = pool.lease(RoundRobinStrategy())
    assert counts(pool.proxies[0]) == (1, 0, 1)
    del lease
    gc.collect()
    assert counts(pool.proxies[0]) == (0, 0, 0)


async def test_an_async_lease(make_pool: MakePool) -> None:
    pool = make_pool(1)
    async with pool.lease(RoundRobinStrategy()) as lease:
        assert lease.proxy is pool.proxies[0]
    assert counts(pool.proxies[0]) == (1, 1, 0)


def test_a_lease_with_wishes(make_pool: MakePool) -> None:
    pool = make_pool(4, country_code=["US", "DE", "US", "DE"], tags=[{"a"}, {"a", "b"}, {"a", "b"}, {"b"}])
    content, strategy = pool.get_all_proxies(), RoundRobinStrategy()

    def chosen(**wishes: Any) -> set[Proxy]:
        found = set()
        for _ in range(12):
            lease = pool.lease(strategy, "https://site.test/", **wishes)
            found.add(lease.proxy)
            lease.release()
        return found

    assert chosen() == set(content)
    assert chosen(country="us") == {content[0], content[2]}
    assert chosen(tags=["a", "b"]) == {content[1], content[2]}
    assert chosen(tags={"a"}, country="DE") == {content[1]}
    assert chosen(exclude=[content[0].id, str(content[1].id)]) == {content[2], content[3]}
    context = SelectionContext(failed_proxy_ids=[str(content[3].id)])
    assert chosen(context=context, exclude=[content[0].id]) == {content[1], content[2]}
    assert context.exclude_proxy_ids == set()
    for impossible in ({"tags": ["z"]}, {"exclude": [proxy.id for proxy in content]}):
        with pytest.raises(ProxyPoolEmptyError):
            pool.lease(strategy, **impossible)  # type: ignore[arg-type]
    assert sum(proxy.requests_started for proxy in content) == 0


def test_a_lease_under_a_python_strategy(make_pool: MakePool) -> None:
    from proxywhirl.strategies._adapter import adapt

    pool = make_pool(4, country_code=["US", "DE", "US", "DE"], tags=[{"a"}, {"a", "b"}, {"a", "b"}, {"b"}])
    content, last = pool.get_all_proxies(), adapt(lambda proxies: proxies[-1])
    for wishes, expected in [
        ({}, content[3]),
        ({"country": "US"}, content[2]),
        ({"tags": ["a"]}, content[2]),
        ({"tags": ["a"], "country": "DE"}, content[1]),
        ({"exclude": [content[3].id]}, content[2]),
    ]:
        lease = pool.lease(last, **wishes)  # type: ignore[arg-type]
        assert lease.proxy is expected, wishes
        lease.success(5.0)
    assert sum(proxy.requests_started for proxy in content) == 5
    assert sum(proxy.total_successes for proxy in content) == 5
    stubborn = adapt(lambda pool: pool.get_all_proxies()[0])
    lease = pool.lease(stubborn, tags=["b"])
    assert "b" in lease.proxy.tags
    lease.release()


def test_lease_urls() -> None:
    pool = ProxyPool(proxies=[Proxy(url="http://p.test:1", username="us er", password="p@ss/word")])
    lease = pool.lease(RoundRobinStrategy())
    assert lease.url == "http://us%20er:p%40ss%2Fword@p.test:1"
    assert lease.requests_proxies == {"http": lease.url, "https": lease.url}
    assert lease.playwright_proxy == {"server": "http://p.test:1", "username": "us er", "password": "p@ss/word"}
    assert "word" not in repr(lease)
    lease.release()


@pytest.mark.parametrize("strategy", [None, 3, "round-robin-ish", object()])
def test_a_lease_needs_a_strategy(strategy: Any, make_pool: MakePool) -> None:
    with pytest.raises((TypeError, ValueError)):
        make_pool(1).lease(strategy)


# --- Copies and files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p)), lambda p: p.model_copy(deep=True),
     lambda p: ProxyPool(**p.model_dump(reveal=True)),
     lambda p: ProxyPool.model_validate_json(p.model_dump_json(reveal=True))],
    ids=["deepcopy", "pickle", "deep model_copy", "dump", "json"],
)  # fmt: skip
def test_deep_copies(duplicate: Any, make_pool: MakePool) -> None:
    pool = make_pool(
        3, country_code=["US", None, "DE"], total_requests=[1, 2, 3], pool={"name": "n", "max_pool_size": 7}
    )
    made = duplicate(pool)
    assert made == pool
    assert [proxy.model_dump() for proxy in made.proxies] == [proxy.model_dump() for proxy in pool.proxies]
    assert made.proxies[0] is not pool.proxies[0]
    made.remove_proxy(made.proxies[0].id)
    assert pool.size == 3
    assert RoundRobinStrategy().select(made) is made.proxies[0]


def test_shallow_copies_share_proxies(make_pool: MakePool) -> None:
    pool = make_pool(2)
    for made in (copy.copy(pool), pool.model_copy()):
        assert made.proxies[0] is pool.proxies[0]
        made.proxies.clear()
    assert pool.size == 2


@pytest.mark.parametrize("form", ["object", "list", "lines"])
@pytest.mark.parametrize("lazy", [True, False])
def test_from_file(form: str, lazy: bool, tmp_path: Path, make_pool: MakePool) -> None:
    # C-22: the seed's object, the published bare list, JSON lines; names of enumerations in either case.
    source = make_pool(5, country_code="US", total_requests=[1, 2, 3, 4, 5])
    dumps = [json.loads(proxy.model_dump_json(reveal=True)) for proxy in source.proxies]
    for dump in dumps[:2]:
        dump["health_status"], dump["source"] = "HEALTHY", "USER"
    path = tmp_path / "pool.json"
    if form == "object":
        config = {"strategy": "round-robin", "max_pool_size": 7, "auto_remove_dead": True}
        path.write_text(json.dumps({"version": "1.0", "pool_name": "mine", "proxies": dumps, "config": config}))
    elif form == "list":
        path.write_text(json.dumps(dumps))
    else:
        path.write_text("\n".join(json.dumps(dump) for dump in dumps))
    pool = ProxyPool.from_file(path, lazy=lazy)
    assert pool.size == 5
    if form == "object":
        assert (pool.name, pool.max_pool_size, pool.auto_remove_dead) == ("mine", 7, True)
    assert [pool.select_next().url for _ in range(5)] == [proxy.url for proxy in source.proxies]
    assert [proxy.id for proxy in pool.proxies] == [proxy.id for proxy in source.proxies]
    assert [proxy.total_requests for proxy in pool.proxies] == [1, 2, 3, 4, 5]
    assert pool.proxies[0].is_healthy


def test_from_file_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProxyPool.from_file(tmp_path / "absent.json")
    bad = tmp_path / "bad.json"
    for text in ("{", '{"proxies": 3}', '[{"url": "nonsense"}]'):
        bad.write_text(text)
        with pytest.raises(ValueError):
            ProxyPool.from_file(bad)


def test_as_a_field_of_a_users_model(make_pool: MakePool) -> None:
    class Job(pydantic.BaseModel):
        pool: ProxyPool

    pool = make_pool(2)
    job = Job(pool=pool)
    assert job.pool is pool
    assert Job.model_validate_json(job.model_dump_json()).pool == pool
