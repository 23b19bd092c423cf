"""Rotators whose proxies come from lists: when lists are read, what changes, and what stays."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from proxywhirl import AsyncProxyRotator, BootstrapConfig, Proxy, ProxyPoolEmptyError, ProxyRotator, ProxyValidator
from proxywhirl.fetchers import ProxyFetcher
from proxywhirl.testing import ProxyFleet

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[ProxyFleet]:
    with ProxyFleet(4) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: ProxyFleet) -> ProxyFleet:
    return running


@pytest.fixture
def target(fleet: ProxyFleet) -> str:
    return fleet.site_url("shop.test", "/whoami")


def write(path: Path, urls: list[str]) -> Path:
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{url}\n" for url in urls))
    os.replace(fresh, path)
    return path


def lists(*sources: Any, **options: Any) -> ProxyFetcher:
    return ProxyFetcher(sources, **{"allow_local": True, "validate_before_add": False, "backoff": 0.01, **options})


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "proxywhirl-supply"]


def hosts(rotator: Any) -> list[str]:
    return sorted(proxy.host for proxy in rotator.pool)


class Gate:
    """A validator that lets no proxy through before it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.seen = 0

    async def validate_batch(self, proxies: list[Any], progress_callback: Any = None) -> list[Any]:
        del progress_callback
        self.seen += len(proxies)
        while not self.open.is_set():  # noqa: ASYNC110  # it is opened by another thread
            await asyncio.sleep(0.01)
        return proxies


class TestBeginning:
    def test_nothing_at_construction(self, tmp_path: Path, web: Any) -> None:
        before = threads()
        rotator = ProxyRotator(auto_fetch_sources=[web.text("/list", "1.1.1.1:80"), tmp_path / "none"], bootstrap=True)
        time.sleep(0.05)
        assert web.asked == []
        assert threads() == before
        assert len(rotator.pool) == 0
        rotator.close()

    def test_the_first_request_waits_in_an_empty_pool(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[:2])
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            seen = {rotator.get(target).json()["proxy"] for _ in range(4)}
        assert seen == {fleet.proxies[0].name, fleet.proxies[1].name}

    async def test_the_same_of_the_async_class(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[:1])
        async with AsyncProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            answers = await asyncio.gather(*(rotator.get(target) for _ in range(5)))
            async with rotator.lease(target) as lease:
                assert lease.url == fleet.urls[0]
        assert {answer.json()["proxy"] for answer in answers} == {fleet.proxies[0].name}

    def test_it_does_not_wait_when_a_proxy_is_there(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        gate = Gate()
        path = write(tmp_path / "list.txt", fleet.urls[1:2])
        fetcher = lists(path, validate_before_add=True, validator=gate)
        with ProxyRotator(proxies=fleet.urls[:1], auto_fetch_sources=fetcher) as rotator:
            assert rotator.get(target).json()["proxy"] == fleet.proxies[0].name
            assert len(rotator.pool) == 1
            gate.open.set()
            eventually(lambda: len(rotator.pool) == 2)

    def test_leases_and_sessions_wait_too(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[:1])
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator, rotator.lease(target) as lease:
            assert lease.url == fleet.urls[0]
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            assert rotator.get_proxy().url == fleet.urls[0]
        with (
            ProxyRotator(auto_fetch_sources=lists(path)) as rotator,
            rotator.session("a", timeout_seconds=60) as session,
        ):
            assert session.get(target).status_code == 200

    def test_an_empty_pool_tells_why(self, web: Any, target: str) -> None:
        gone = web.text("/gone?key=hunter2", "", status=404)
        with ProxyRotator(auto_fetch_sources=[gone]) as rotator:
            with pytest.raises(ProxyPoolEmptyError, match=r"could not be read.*404") as caught:
                rotator.get(target)
            assert "hunter2" not in str(caught.value)
            # It was in vain a moment ago, so it is not tried again at once.
            with pytest.raises(ProxyPoolEmptyError):
                rotator.get(target)
            assert len(web.asked) == 1

    def test_a_dead_proxy_does_not_join(self, web: Any, fleet: ProxyFleet, target: str) -> None:
        url = web.text("/list", "\n".join([*fleet.urls, "127.0.0.1:1"]))
        with ProxyRotator(auto_fetch_sources=[url], allow_local=True) as rotator:
            assert rotator.get(target).status_code == 200
            assert sorted(proxy.url for proxy in rotator.refresh_proxies()) == sorted(fleet.urls)

    def test_the_error_says_how_to_get_proxies(self, target: str) -> None:
        with (
            ProxyRotator() as rotator,
            pytest.raises(ProxyPoolEmptyError, match="auto-bootstrap is disabled") as caught,
        ):
            rotator.get(target)
        assert "bootstrap=True" in str(caught.value)

    def test_local_addresses_need_leave(self, web: Any, target: str) -> None:
        url = web.text("/list", "127.0.0.1:1\n")
        with ProxyRotator(auto_fetch_sources=[url]) as rotator:
            with pytest.raises(ProxyPoolEmptyError, match="no usable proxies"):
                rotator.get(target)
        source = {"url": url, "trusted": True}
        with ProxyRotator(auto_fetch_sources=[source], allow_local=True) as rotator:
            assert len(rotator.refresh_proxies()) == 1


class TestRefresh:
    def test_it_is_a_difference(self, web: Any) -> None:
        web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n")
        with ProxyRotator(auto_fetch_sources=lists(web.url("/list"))) as rotator:
            first = rotator.refresh_proxies()
            assert [proxy.host for proxy in first.added] == ["1.1.1.1", "1.1.1.2"]
            kept, gone = first
            kept.record_success(12.0)
            web.text("/list", "1.1.1.1:80\n1.1.1.3:80\n")
            second = rotator.refresh_proxies()
            assert hosts(rotator) == ["1.1.1.1", "1.1.1.3"]
            assert rotator.pool.get_proxy_by_id(kept.id) is kept
            assert kept.total_successes == 1
            assert [proxy.host for proxy in second.added] == ["1.1.1.3"]
            assert second.removed == [gone]
            assert second == list(second)
            assert second[0] in second
            assert "added=1" in repr(second)

    def test_removed_ones_drain(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[:1])
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            lease = rotator.lease(target)
            write(path, fleet.urls[1:2])
            rotator.refresh_proxies()
            assert lease.proxy.requests_active == 1
            assert rotator.get(target).json()["proxy"] == fleet.proxies[1].name
            lease.success(5.0)
            assert lease.proxy.requests_active == 0
            assert lease.proxy.total_successes == 1

    def test_what_the_user_added_stays(self, web: Any) -> None:
        web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n1.1.1.3:80\n")
        with ProxyRotator(proxies=["http://1.1.1.1:80"], auto_fetch_sources=lists(web.url("/list"))) as rotator:
            rotator.refresh_proxies()
            rotator.add_proxy("http://1.1.1.2:80")  # it is there, but now it is the user's
            web.text("/list", "1.1.1.9:80\n")
            rotator.refresh_proxies()
            assert hosts(rotator) == ["1.1.1.1", "1.1.1.2", "1.1.1.9"]

    def test_what_was_kept_from_an_earlier_run_belongs_to_its_list(self, web: Any, tmp_path: Path) -> None:
        url = web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n1.1.1.3:80\n")
        path = tmp_path / "pool.json"
        with ProxyRotator(auto_fetch_sources=lists(url)) as rotator:
            rotator.refresh_proxies()
            rotator.save(path)
        web.text("/list", "1.1.1.1:80\n")
        with ProxyRotator.from_file(path, proxies=["http://1.1.1.2:80"], auto_fetch_sources=lists(url)) as rotator:
            assert len(rotator.pool) == 3
            refresh = rotator.refresh_proxies()
            assert [proxy.host for proxy in refresh] == ["1.1.1.1"]
            assert hosts(rotator) == ["1.1.1.1", "1.1.1.2"]

    def test_two_lists_share_a_proxy(self, web: Any) -> None:
        sources = [web.text("/a", "1.1.1.1:80\n1.1.1.2:80\n"), web.text("/b", "1.1.1.1:80\n")]
        with ProxyRotator(auto_fetch_sources=lists(*sources)) as rotator:
            assert len(rotator.refresh_proxies()) == 2
            web.text("/a", "1.1.1.2:80\n")
            rotator.refresh_proxies()
            assert hosts(rotator) == ["1.1.1.1", "1.1.1.2"]
            web.text("/b", "1.1.1.2:80\n")
            rotator.refresh_proxies()
            assert hosts(rotator) == ["1.1.1.2"]

    @pytest.mark.parametrize("answer", [(503, "busy"), (200, "<html>maintenance</html>")])
    def test_a_list_that_fails_keeps_its_proxies(self, web: Any, answer: tuple[int, str]) -> None:
        web.text("/list", "1.1.1.1:80\n")
        with ProxyRotator(auto_fetch_sources=lists(web.url("/list"), max_attempts=1)) as rotator:
            rotator.refresh_proxies()
            web.text("/list", answer[1], status=answer[0])
            result = rotator.refresh_proxies()
            assert hosts(rotator) == ["1.1.1.1"]
            assert list(result.errors) == [web.url("/list")]

    def test_unchanged_lists_change_nothing(self, web: Any) -> None:
        url = web.text("/list", "1.1.1.1:80\n", ETag='"1"')
        with ProxyRotator(auto_fetch_sources=lists(url)) as rotator:
            (before,) = rotator.refresh_proxies()
            (after,) = rotator.refresh_proxies()
            assert after is before

    def test_the_dead_leave_when_asked(self, web: Any) -> None:
        web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n")
        for remove in (False, True):
            with ProxyRotator(
                proxies=["http://1.1.1.3:80"],
                auto_fetch_sources=lists(web.url("/list")),
                remove_dead_on_refresh=remove,
            ) as rotator:
                rotator.refresh_proxies()
                for proxy in rotator.pool.get_all_proxies():
                    if proxy.host != "1.1.1.2":
                        for _ in range(5):
                            proxy.record_failure("refused")
                rotator.refresh_proxies()
                assert ("1.1.1.1" in hosts(rotator)) is not remove
                assert "1.1.1.3" in hosts(rotator)  # the user's own

    def test_expired_ones_leave(self, web: Any) -> None:
        def parser(text: str) -> list[dict[str, Any]]:
            return [{"url": f"http://{text}", "ttl": 1}]

        source = {"url": web.text("/list", "1.1.1.1:80"), "custom_parser": parser, "refresh_interval": 1}
        with ProxyRotator(auto_fetch_sources=lists(source)) as rotator:
            rotator.refresh_proxies()
            assert len(rotator.pool) == 1
            web.text("/list", "1.1.1.2:80")
            eventually(lambda: hosts(rotator) == ["1.1.1.2"])

    def test_expired_ones_leave_though_their_list_is_read_once(self, web: Any) -> None:
        def parser(text: str) -> list[dict[str, Any]]:
            return [{"url": f"http://{text}", "ttl": 1}]

        source = {"url": web.text("/list", "1.1.1.1:80"), "custom_parser": parser}
        with ProxyRotator(auto_fetch_sources=lists(source)) as rotator:
            rotator.refresh_proxies()
            eventually(lambda: len(rotator.pool) == 0)
            eventually(lambda: threads() == [])

    async def test_awaited_on_the_sync_class(self, web: Any) -> None:
        gate = Gate()
        fetcher = lists(web.text("/list", "1.1.1.1:80\n"), validate_before_add=True, validator=gate)
        with ProxyRotator(auto_fetch_sources=fetcher) as rotator:
            result = rotator.refresh_proxies()
            with pytest.raises(RuntimeError, match="await"):
                len(result)
            assert repr(result) == "<Refresh under way>"
            asyncio.get_running_loop().call_later(0.05, gate.open.set)
            assert await result is result
            assert [proxy.host for proxy in result] == ["1.1.1.1"]
            assert [proxy.host for proxy in await rotator.refresh_proxies()] == ["1.1.1.1"]

    async def test_on_the_async_class(self, web: Any) -> None:
        async with AsyncProxyRotator(auto_fetch_sources=lists(web.text("/list", "1.1.1.1:80\n"))) as rotator:
            assert [proxy.host for proxy in await rotator.refresh_proxies()] == ["1.1.1.1"]

    async def test_giving_up_disturbs_no_other(self, web: Any) -> None:
        gate = Gate()
        fetcher = lists(web.text("/list", "1.1.1.1:80\n"), validate_before_add=True, validator=gate)
        async with AsyncProxyRotator(auto_fetch_sources=fetcher) as rotator:
            first = asyncio.create_task(rotator.refresh_proxies())
            second = asyncio.create_task(rotator.refresh_proxies())
            await asyncio.sleep(0.05)
            first.cancel()
            gate.open.set()
            assert len(await second) == 1

    def test_without_lists(self) -> None:
        with ProxyRotator(proxies=["http://1.1.1.1:80"]) as rotator:
            assert list(rotator.refresh_proxies()) == []
            assert len(rotator.pool) == 1

    def test_only_new_ones_are_checked(self, web: Any) -> None:
        gate = Gate()
        gate.open.set()
        url = web.text("/list", "1.1.1.1:80\n")
        with ProxyRotator(auto_fetch_sources=lists(url, validate_before_add=True, validator=gate)) as rotator:
            rotator.refresh_proxies()
            web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n")
            rotator.refresh_proxies()
            assert gate.seen == 2


class TestEvents:
    def test_what_happened_is_reported(self, web: Any) -> None:
        events: list[Any] = []
        good, gone = web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n"), web.text("/gone?key=hunter2", "", status=404)
        with ProxyRotator(auto_fetch_sources=lists(good, gone)) as rotator:
            rotator.on("fetch_complete", events.append)
            rotator.on("proxy_removed", events.append)
            rotator.refresh_proxies()
            read, failed = sorted(events, key=lambda event: not event.success)
            assert (read.name, read.url, read.metadata["added"]) == ("fetch_complete", good, 2)
            assert read.duration_ms > 0
            assert "404" in str(failed.error)
            assert "hunter2" not in str(events)
            web.text("/list", "1.1.1.1:80\n")
            events.clear()
            rotator.refresh_proxies()
            assert sorted(event.name for event in events) == ["fetch_complete", "fetch_complete", "proxy_removed"]


class TestStayingFresh:
    def test_interval(self, web: Any) -> None:
        web.text("/list", "1.1.1.1:80\n")
        with ProxyRotator(auto_fetch_sources=lists(web.url("/list")), refresh_interval=0.1) as rotator:
            rotator.refresh_proxies()
            web.text("/list", "1.1.1.2:80\n")
            eventually(lambda: hosts(rotator) == ["1.1.1.2"])
        count = len(web.asked)
        time.sleep(0.3)
        assert len(web.asked) == count
        assert threads() == []

    def test_without_an_interval_the_thread_ends(self, web: Any) -> None:
        with ProxyRotator(auto_fetch_sources=lists(web.text("/list", "1.1.1.1:80\n"))) as rotator:
            rotator.refresh_proxies()
            eventually(lambda: threads() == [])

    def test_files_are_watched(self, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", ["1.1.1.1:80"])
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            rotator.refresh_proxies()
            assert rotator._lists.supply is not None
            rotator._lists.supply._file_look = 0.05
            rotator.refresh_proxies()
            write(path, ["1.1.1.2:80", "1.1.1.3:80"])
            eventually(lambda: hosts(rotator) == ["1.1.1.2", "1.1.1.3"])
            path.write_text("what is this\n")  # read once, found useless, and not read again and again
            time.sleep(0.3)
            assert hosts(rotator) == ["1.1.1.2", "1.1.1.3"]
            path.unlink()
            time.sleep(0.2)
            write(path, ["1.1.1.4:80"])
            eventually(lambda: hosts(rotator) == ["1.1.1.4"])

    def test_a_dropped_rotator_takes_its_thread_along(self, web: Any) -> None:
        rotator = ProxyRotator(auto_fetch_sources=lists(web.text("/list", "1.1.1.1:80\n")), refresh_interval=60)
        rotator.refresh_proxies()
        assert len(threads()) == 1
        gone = weakref.ref(rotator)
        del rotator
        gc.collect()
        assert gone() is None
        eventually(lambda: threads() == [])

    def test_closing_interrupts(self, web: Any) -> None:
        gate = Gate()
        fetcher = lists(web.text("/list", "1.1.1.1:80\n"), validate_before_add=True, validator=gate)
        rotator = ProxyRotator(auto_fetch_sources=fetcher)
        refresh = rotator._lists.refresh()
        eventually(lambda: gate.seen == 1)
        began = time.monotonic()
        rotator.close()
        assert time.monotonic() - began < 30
        assert threads() == []
        with pytest.raises(RuntimeError, match="closed"):
            refresh.wait(1)

    def test_used_again_after_closing(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        rotator = ProxyRotator(auto_fetch_sources=lists(write(tmp_path / "list.txt", fleet.urls[:1])))
        assert rotator.get(target).status_code == 200
        rotator.close()
        assert rotator.get(target).status_code == 200
        assert len(rotator.refresh_proxies()) == 1
        rotator.close()

    def test_an_empty_pool_is_filled_again(
        self, fleet: ProxyFleet, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("proxywhirl.sources._supply.supply._DRY_PAUSE", 0.0)
        path = write(tmp_path / "list.txt", fleet.urls[:1])
        with ProxyRotator(auto_fetch_sources=lists(path)) as rotator:
            rotator.get(target)
            for proxy in rotator.pool.get_all_proxies():
                rotator.remove_proxy(proxy.id)
            assert rotator.get(target).status_code == 200

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_in_the_child_of_a_fork(self, web: Any) -> None:
        url = web.text("/list", "1.1.1.1:80\n")
        rotator = ProxyRotator(auto_fetch_sources=lists(url), refresh_interval=60)
        rotator.refresh_proxies()
        child = os.fork()
        if child == 0:
            try:
                code = 0 if len(rotator.refresh_proxies().wait(5)) == 1 else 1
            except BaseException:
                code = 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        rotator.close()


class TestBootstrap:
    def test_from_given_lists(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls)
        config = BootstrapConfig(
            sources=[path.as_uri()], validate_proxies=False, max_proxies=2, show_progress=False, sample_size=3
        )
        with ProxyRotator(bootstrap=config) as rotator:
            assert rotator.get(target).status_code == 200
            assert len(rotator.pool) == 2
            assert rotator._bootstrap_config == config

    def test_what_does_not_work_does_not_join(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", [*fleet.urls, "http://127.0.0.1:1"])
        config = BootstrapConfig(sources=[path.as_uri()], show_progress=False)
        fetcher = ProxyFetcher([], ProxyValidator(timeout=2.0, test_url=target))
        with ProxyRotator(auto_fetch_sources=fetcher, bootstrap=config) as rotator:
            assert rotator.get(target).status_code == 200
            eventually(lambda: len(rotator.pool) == len(fleet.urls))

    def test_only_for_empty_pools(self, fleet: ProxyFleet, target: str, tmp_path: Path) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[1:])
        config = BootstrapConfig(sources=[path.as_uri()], validate_proxies=False)
        with ProxyRotator(proxies=fleet.urls[:1], bootstrap=config) as rotator:
            rotator.get(target)
            time.sleep(0.1)
            assert len(rotator.pool) == 1

    def test_off_unless_asked_for(self) -> None:
        for off in (None, False, BootstrapConfig(enabled=False)):
            assert ProxyRotator(bootstrap=off)._lists.supply is None
        with pytest.raises(TypeError, match="bootstrap"):
            ProxyRotator(bootstrap="yes")  # type: ignore[arg-type]


class TestArguments:
    def test_bad_ones(self) -> None:
        with pytest.raises(TypeError, match="auto_fetch_sources"):
            ProxyRotator(auto_fetch_sources="http://a.test/")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="refresh_interval"):
            ProxyRotator(refresh_interval=0)
        with pytest.raises(ValueError, match="url"):
            ProxyRotator(auto_fetch_sources=["ftp://a.test/"])

    def test_proxies_of_lists_are_distinguished(self, web: Any) -> None:
        url = web.text("/list", "1.1.1.1:80\n")
        with ProxyRotator(user_proxies=["http://1.1.1.2:80"], auto_fetch_sources=lists(url)) as rotator:
            rotator.refresh_proxies()
            tags = {proxy.host: set(proxy.tags) for proxy in rotator.pool}
        assert tags == {"1.1.1.1": {"source:fetched", "site:127.0.0.1"}, "1.1.1.2": {"source:user"}}

    @pytest.mark.parametrize("engine", ["httpx", "native"])
    def test_connections_of_removed_proxies_are_closed(
        self, fleet: ProxyFleet, target: str, tmp_path: Path, engine: str
    ) -> None:
        path = write(tmp_path / "list.txt", fleet.urls[:1])
        with ProxyRotator(auto_fetch_sources=lists(path), engine=engine) as rotator:
            rotator.get(target)
            write(path, fleet.urls[1:2])
            rotator.refresh_proxies()
            rotator.get(target)
            carrier = rotator._transport.carrier
            assert (len(carrier.routes._routes) if engine == "httpx" else carrier._wire.counts()[0]) == 1
            assert isinstance(rotator.pool.get_all_proxies()[0], Proxy)
