"""Whatever lists say and users do: the pool holds what the user added and what some list names, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxywhirl import Proxy, ProxyPool
from proxywhirl.sources._supply.roster import Roster

LISTS = st.sampled_from(["a", "b", "c"])
URLS = st.sampled_from([f"http://p{n}.test:80" for n in range(6)])


class RosterMachine(RuleBasedStateMachine):
    """A roster beside a model that keeps a set of lists for each proxy; ``None`` stands for the user."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ProxyPool(max_pool_size=1000)
        self.roster = Roster(self.pool)
        self.model: dict[str, set[str] | None] = {}
        self.editions: dict[str, set[str]] = {"a": set(), "b": set(), "c": set()}
        self.objects: dict[str, Any] = {}

    @rule(key=LISTS, urls=st.lists(URLS, max_size=8))
    def edition(self, key: str, urls: list[str]) -> None:
        unknown = self.roster.note(key, urls, {f"site:{key}"})
        assert {urls[index] for index in unknown} == set(urls) - set(self.model)
        added = self.roster.add(key, [Proxy(url=urls[index], source="file") for index in unknown]).added
        assert {proxy.url for proxy in added} == set(urls) - set(self.model)
        for url in urls:
            owners = self.model.setdefault(url, set())
            if owners is not None:
                owners.add(key)
        removed = self.roster.keep_only(key, urls)
        gone = set()
        for url in list(self.model):
            owners = self.model[url]
            if owners is not None and url not in urls and key in owners:
                owners.discard(key)
                if not owners:
                    gone.add(url)
                    del self.model[url]
        assert {proxy.url for proxy in removed} == gone

    @rule(url=URLS)
    def user_adds(self, url: str) -> None:
        proxy = Proxy(url=url)
        self.pool.add_proxy(proxy)
        self.roster.disown([proxy])
        self.model[url] = None

    @rule(url=URLS)
    def user_removes(self, url: str) -> None:
        proxy = self.pool.get_proxy_by_url(url)
        if proxy is not None:
            self.pool.remove_proxy(proxy.id)
        self.model.pop(url, None)

    @rule(url=URLS)
    def found_dead(self, url: str) -> None:
        proxy = self.pool.get_proxy_by_url(url)
        if proxy is None:
            return
        removed = self.roster.remove([proxy])
        if self.model[url] is None:
            assert removed == []
        else:
            assert removed == [proxy]
            del self.model[url]

    @invariant()
    def the_pool_is_the_model(self) -> None:
        assert {proxy.url for proxy in self.pool} == set(self.model)

    @invariant()
    def who_stays_is_the_same_object(self) -> None:
        now = {proxy.url: proxy for proxy in self.pool}
        for url in now.keys() & self.objects.keys():
            assert self.objects[url] is now[url]
        self.objects = now

    @rule()
    def owned(self) -> None:
        assert {proxy.url for proxy in self.roster.owned()} == {
            url for url, owners in self.model.items() if owners is not None
        }


TestRoster = RosterMachine.TestCase
TestRoster.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
