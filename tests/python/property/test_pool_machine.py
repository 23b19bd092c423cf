"""The pool against a list: whatever is done to it, look-ups and selections agree with a model of ten lines."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxywhirl import (
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    RandomStrategy,
    RoundRobinStrategy,
    SelectionContext,
    WeightedStrategy,
)

numbers = st.integers(0, 30)
countries = st.sampled_from([None, "US", "us", "DE", "GB"])
tag_sets = st.sets(st.sampled_from(["a", "b", "c"]))
statuses = st.sampled_from(["unknown", "healthy", "degraded", "unhealthy", "dead"])
SERVING = ("unknown", "healthy", "degraded")


def url_of(number: int) -> str:
    return f"http://proxy{number}.test:80"


class PoolMachine(RuleBasedStateMachine):
    """``self.model`` is the list of proxies as a Python list would be."""

    known = Bundle("known")

    @initialize()
    def begin(self) -> None:
        self.pool = ProxyPool(max_pool_size=20)
        self.model: list[Proxy] = []
        self.others = [
            RandomStrategy(seed=1),
            WeightedStrategy({"a": 0.7, "b": 0.3}, seed=1),
            LeastUsedStrategy(),
            PerformanceBasedStrategy(exploration_count=2, seed=1),
            GeoTargetedStrategy(),
            CostAwareStrategy(seed=1),
            CompositeStrategy(filters=[CostAwareStrategy()], selector=LeastUsedStrategy()),
        ]
        self.round_robin = RoundRobinStrategy()

    # Membership.

    @rule(target=known, number=numbers, country=countries, tags=tag_sets, status=statuses)
    def add(self, number: int, country: str | None, tags: set[str], status: str) -> Proxy:
        proxy = Proxy(url=url_of(number), country_code=country, tags=tags, health_status=status)
        if any(each.url == proxy.url for each in self.model):
            self.pool.add_proxy(proxy)
        elif len(self.model) >= 20:
            with pytest.raises(ValueError, match="maximum capacity"):
                self.pool.add_proxy(proxy)
        else:
            self.pool.add_proxy(proxy)
            self.model.append(proxy)
        return proxy

    @rule(some=st.lists(numbers, max_size=6))
    def add_many(self, some: list[int]) -> None:
        new = [n for n in dict.fromkeys(some) if url_of(n) not in [each.url for each in self.model]]
        if len(self.model) + len(new) > 20:
            return
        report = self.pool.add_many([url_of(n) for n in some])
        assert (report.added, report.duplicates) == (len(new), len(some) - len(new))
        added = self.pool.get_all_proxies()[len(self.model) :]
        assert [proxy.url for proxy in added] == [url_of(n) for n in new]
        self.model += added

    @rule(proxy=known)
    def remove(self, proxy: Proxy) -> None:
        self.pool.remove_proxy(proxy.id)
        self.model = [each for each in self.model if each is not proxy]

    # The list.

    @rule(target=known, number=numbers, place=st.integers(-3, 25))
    def insert(self, number: int, place: int) -> Proxy:
        proxy = Proxy(url=url_of(number))
        if proxy.url not in [each.url for each in self.model]:
            self.pool.proxies.insert(place, proxy)
            self.model.insert(place, proxy)
            self.forget_turns()
        return proxy

    @rule(target=known, number=numbers)
    def append(self, number: int) -> Proxy:
        proxy = Proxy(url=url_of(number))
        if proxy.url not in [each.url for each in self.model]:
            self.pool.proxies.append(proxy)
            self.model.append(proxy)
        return proxy

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def pop(self, data: Any) -> None:
        place = data.draw(st.integers(-len(self.model), len(self.model) - 1))
        assert self.pool.proxies.pop(place) is self.model.pop(place)

    @rule(begin=st.integers(-4, 8), end=st.integers(-4, 8), step=st.sampled_from([1, 1, 2, -1]))
    def delete_slice(self, begin: int, end: int, step: int) -> None:
        del self.pool.proxies[begin:end:step]
        del self.model[begin:end:step]
        self.forget_turns()

    @rule(reverse=st.booleans())
    def sort(self, reverse: bool) -> None:
        self.pool.proxies.sort(key=lambda proxy: proxy.url, reverse=reverse)
        self.model.sort(key=lambda proxy: proxy.url, reverse=reverse)
        self.forget_turns()

    @rule()
    def assign(self) -> None:
        self.model = self.model[1:]
        self.pool.proxies = list(self.model)
        self.forget_turns()

    def forget_turns(self) -> None:
        """After the order was changed by hand nothing is promised about whose turn it is: begin anew."""
        self.round_robin = RoundRobinStrategy()

    # Direct writes; to proxies that are not in the pool too.

    @rule(proxy=known, status=statuses)
    def write_status(self, proxy: Proxy, status: str) -> None:
        proxy.health_status = status

    @rule(proxy=known, past=st.sampled_from([True, False, None]))
    def write_expiry(self, proxy: Proxy, past: bool | None) -> None:
        hour = timedelta(hours=-1 if past else 1)
        proxy.expires_at = None if past is None else datetime.now(timezone.utc) + hour

    @rule(proxy=known, tags=tag_sets)
    def write_tags(self, proxy: Proxy, tags: set[str]) -> None:
        proxy.tags = tags

    @rule(proxy=known, tag=st.sampled_from(["a", "b", "c"]))
    def change_tags(self, proxy: Proxy, tag: str) -> None:
        proxy.tags ^= {tag}

    @rule(proxy=known, country=countries)
    def write_country(self, proxy: Proxy, country: str | None) -> None:
        proxy.country_code = country

    @rule(proxy=known, number=numbers)
    def write_url(self, proxy: Proxy, number: int) -> None:
        if url_of(number) not in [each.url for each in self.model]:
            proxy.url = url_of(number)

    @rule(proxy=known, average=st.sampled_from([None, 1.0, 250.0]), count=st.integers(0, 5))
    def write_measurements(self, proxy: Proxy, average: float | None, count: int) -> None:
        proxy.ema_response_time_ms = average
        proxy.total_requests = proxy.total_successes = count

    @rule(proxy=known)
    def fail(self, proxy: Proxy) -> None:
        proxy.record_failure()

    # Selection.

    def eligible(self) -> list[Proxy]:
        return [each for each in self.model if each.health_status.value in SERVING and not each.is_expired]

    @rule(which=st.integers(0, 6), excluded=st.lists(known, max_size=4), country=countries, success=st.booleans())
    def select(self, which: int, excluded: list[Proxy], country: str | None, success: bool) -> None:
        strategy: Any = self.others[which]
        context = SelectionContext(exclude_proxy_ids={proxy.id for proxy in excluded}, target_country=country)
        left = [each for each in self.eligible() if each not in excluded]
        before = sum(each.requests_started for each in self.model)
        try:
            chosen = strategy.select(self.pool, context)
        except ProxyPoolEmptyError:
            assert left == []
            assert sum(each.requests_started for each in self.model) == before
            return
        assert any(chosen is each for each in left)
        if isinstance(strategy, GeoTargetedStrategy) and country is not None:
            matching = [each for each in left if (each.country_code or "").upper() == country.upper()]
            assert chosen in (matching or left)
        assert sum(each.requests_started for each in self.model) == before + 1
        strategy.record_result(chosen, success, 20.0)
        assert chosen.requests_active == 0

    @rule(times=st.integers(1, 5))
    def go_round(self, times: int) -> None:
        # With a stable set of candidates any strategy new to the pool gives them in order, again and again.
        eligible, strategy = self.eligible(), RoundRobinStrategy()
        for turn in range(times):
            if not eligible:
                break
            chosen = strategy.select(self.pool)
            assert chosen is eligible[turn % len(eligible)]
            chosen.complete_request(True, 5.0)
            eligible = self.eligible()

    @rule()
    def go_on(self) -> None:
        # The strategy that stays gives every proxy a turn before any gets a second one.
        eligible = self.eligible()
        seen = []
        for _ in eligible:
            chosen = self.round_robin.select(self.pool)
            seen.append(chosen)
            chosen.complete_request(True, 5.0)
        assert sorted(proxy.url for proxy in seen) == sorted(proxy.url for proxy in eligible)
        if seen:
            at = eligible.index(seen[0])
            assert seen == eligible[at:] + eligible[:at]

    # What always holds.

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "pool"):
            return
        content = self.pool.get_all_proxies()
        assert len(content) == len(self.model) == len(self.pool) == self.pool.size == len(self.pool.proxies)
        assert all(a is b for a, b in zip(content, self.model))
        for each in self.model:
            assert self.pool.get_proxy_by_id(each.id) is each
            assert self.pool.get_proxy_by_url(each.url) is each
            assert each in self.pool
        assert self.pool.get_healthy_proxies() == self.eligible()
        assert self.pool.filter_by_tags({"a"}) == [each for each in self.model if "a" in each.tags]
        assert self.pool.filter_by_country("us") == [e for e in self.model if (e.country_code or "").upper() == "US"]
        assert self.pool.healthy_count == sum(each.is_healthy for each in self.model)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
