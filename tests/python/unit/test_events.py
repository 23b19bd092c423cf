"""Events: names, callbacks of every kind, and what happens to those that misbehave."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from typing import Any

import pytest

from proxywhirl._core import Proxy
from proxywhirl.events import EVENTS, EventHub, ProxyEvent, ProxyView

SECRET = "http://user:s3cret@10.0.0.1:8080"


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def no_event_threads() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "proxywhirl-events"]


class TestNames:
    @pytest.mark.parametrize("name", EVENTS)
    def test_both_forms_are_the_same_event(self, name: str) -> None:
        hub, seen = EventHub(), []
        hub.on(name, seen.append)
        hub.on(f"on_{name}", seen.append)
        hub.emit(name)
        assert [event.name for event in seen] == [name, name]

    @pytest.mark.parametrize("name", ["", "on_", "proxy_select", "PROXY_SELECTED", "on_on_proxy_selected", None, 3])
    def test_an_unknown_name_lists_the_known(self, name: Any) -> None:
        with pytest.raises(ValueError, match="request_complete") as caught:
            EventHub().on(name, print)
        assert "Unknown event" in str(caught.value)
        with pytest.raises(ValueError, match="Unknown event"):
            EventHub().off(name, print)

    @pytest.mark.parametrize("callback", [3, "print", object()])
    def test_a_callback_must_be_callable(self, callback: Any) -> None:
        with pytest.raises(TypeError, match="callable"):
            EventHub().on("proxy_selected", callback)


class TestSubscribing:
    def test_unsubscribing_removes_only_this_one(self) -> None:
        hub, seen = EventHub(), []
        first = hub.on("proxy_selected", seen.append)
        hub.on("proxy_selected", seen.append)
        first()
        first()
        hub.emit("proxy_selected")
        assert len(seen) == 1

    def test_off(self) -> None:
        hub, seen = EventHub(), []
        hub.on("proxy_selected", seen.append)
        assert hub.off("on_proxy_selected", seen.append) is True
        assert hub.off("proxy_selected", seen.append) is False
        hub.emit("proxy_selected")
        assert seen == []
        assert not hub

    def test_a_callback_may_subscribe_and_unsubscribe(self) -> None:
        hub, seen = EventHub(), []

        def once(event: ProxyEvent) -> None:
            seen.append(event)
            hub.off("proxy_selected", once)
            hub.on("proxy_selected", lambda event: None)

        hub.on("proxy_selected", once)
        hub.emit("proxy_selected")
        hub.emit("proxy_selected")
        assert len(seen) == 1

    def test_no_event_is_made_without_a_listener(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*args: Any, **kwargs: Any) -> None:
            raise AssertionError("an event was made")

        monkeypatch.setattr("proxywhirl.events.ProxyEvent", never)
        hub = EventHub()
        hub.on("request_success", print)
        hub.emit("request_failure", error="x")


class TestContent:
    def test_nothing_shows_a_credential(self) -> None:
        event = ProxyEvent(
            "request_failure",
            proxy=Proxy(url=SECRET),  # type: ignore[arg-type]
            error=ConnectionError(f"cannot reach {SECRET}"),
            url="https://me:s3cret@example.com/?token=s3cret",
            metadata={"via": SECRET, "all": [SECRET]},
        )
        assert event.proxy is not None
        for shown in (repr(event), str(event), str(event.error), event.url, event.proxy.url, repr(event.proxy)):
            assert "s3cret" not in str(shown)
        assert event.proxy.url == "http://10.0.0.1:8080"
        assert "s3cret" not in str(event.metadata)

    def test_an_innocent_exception_is_handed_on_itself(self) -> None:
        error = ConnectionError("refused")
        assert ProxyEvent("request_failure", error=error).error is error

    def test_the_proxy_is_a_view(self) -> None:
        proxy = Proxy(url=SECRET, country_code="DE")
        view = ProxyView(proxy)
        assert (view.id, view.country_code, view.total_requests) == (proxy.id, "DE", 0)
        assert view == proxy
        assert view == ProxyView(proxy)
        assert hash(view) == hash(ProxyView(proxy))
        assert view != Proxy(url=SECRET)
        proxy.record_success(10.0)
        assert view.total_requests == 1
        with pytest.raises(AttributeError, match="view"):
            view.country_code = "FR"
        with pytest.raises(AttributeError):
            _ = view.nonsense


class TestMisbehaviour:
    def test_an_exception_is_logged_once_and_stops_no_listener(self, caplog: pytest.LogCaptureFixture) -> None:
        hub, seen = EventHub(), []

        def broken(event: ProxyEvent) -> None:
            raise RuntimeError("no")

        hub.on("proxy_selected", broken)
        hub.on("proxy_selected", seen.append)
        with caplog.at_level(logging.INFO, "proxywhirl"):
            for _ in range(3):
                hub.emit("proxy_selected")
        assert len(seen) == 3
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "broken" in caplog.records[0].__dict__["callback"]

    def test_a_hanging_listener_delays_no_other(self) -> None:
        hub, go, seen = EventHub(), threading.Event(), []
        hub.on("proxy_selected", lambda event: go.wait(20))
        stuck = threading.Thread(target=hub.emit, args=("proxy_selected",))
        stuck.start()
        try:
            remove = hub.on("request_success", seen.append)
            hub.emit("request_success")
            remove()
            assert len(seen) == 1
        finally:
            go.set()
            stuck.join()

    def test_interruption_is_not_swallowed(self) -> None:
        hub = EventHub()

        def interrupted(event: ProxyEvent) -> None:
            raise KeyboardInterrupt

        hub.on("proxy_selected", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hub.emit("proxy_selected")


class TestCoroutinesWithoutALoop:
    def test_they_run_on_a_thread_that_ends(self) -> None:
        hub, seen = EventHub(), []

        async def callback(event: ProxyEvent) -> None:
            await asyncio.sleep(0.01)
            seen.append((event.name, threading.current_thread().name))

        hub.on("proxy_selected", callback)
        for _ in range(20):
            hub.emit("proxy_selected")
        wait_until(lambda: len(seen) == 20)
        assert set(seen) == {("proxy_selected", "proxywhirl-events")}
        wait_until(no_event_threads)
        hub.emit("proxy_selected")
        wait_until(lambda: len(seen) == 21)
        hub.close()
        assert no_event_threads()

    def test_an_exception_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        hub = EventHub()

        async def broken(event: ProxyEvent) -> None:
            raise RuntimeError("no")

        hub.on("proxy_selected", broken)
        with caplog.at_level(logging.INFO, "proxywhirl"):
            hub.emit("proxy_selected")
            wait_until(lambda: bool(caplog.records))
            hub.close()
        assert caplog.records[0].getMessage() == "event callback raised"

    def test_those_that_hang_are_bounded_and_end_with_the_hub(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("proxywhirl.events._courier.MOST_PENDING", 3)
        monkeypatch.setattr("proxywhirl.events._hub.MOST_PENDING", 3)
        monkeypatch.setattr("proxywhirl.events._courier._LINGER", 0.05)
        hub, started, cancelled = EventHub(), [], []

        async def hanging(event: ProxyEvent) -> None:
            started.append(event)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(event)
                raise

        hub.on("proxy_selected", hanging)
        with caplog.at_level(logging.WARNING, "proxywhirl"):
            for _ in range(5):
                hub.emit("proxy_selected")
        wait_until(lambda: len(started) == 3)
        assert [record.getMessage() for record in caplog.records] == [
            "event dropped: too many callbacks are still running"
        ] * 2
        begun = time.monotonic()
        hub.close()
        assert time.monotonic() - begun < 30, "the callbacks hang for longer"
        wait_until(lambda: len(cancelled) == 3)
        wait_until(no_event_threads)

    def test_a_hub_that_is_collected_leaves_no_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxywhirl.events._courier._LINGER", 0.05)
        hub, started = EventHub(), []

        async def hanging(event: ProxyEvent) -> None:
            started.append(event)
            await asyncio.sleep(60)

        hub.on("proxy_selected", hanging)
        hub.emit("proxy_selected")
        wait_until(lambda: bool(started))
        del hub
        gc.collect()
        wait_until(no_event_threads)

    def test_many_threads(self) -> None:
        hub, seen = EventHub(), []

        async def callback(event: ProxyEvent) -> None:
            seen.append(event)

        hub.on("proxy_selected", callback)

        def work() -> None:
            for _ in range(20):
                hub.emit("proxy_selected")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(seen) == 160)
        hub.close()


class TestCoroutinesInALoop:
    async def test_they_become_tasks(self) -> None:
        hub, seen = EventHub(use_running_loop=True), []

        async def callback(event: ProxyEvent) -> None:
            seen.append((asyncio.get_running_loop(), threading.current_thread()))

        hub.on("proxy_selected", callback)
        hub.emit("proxy_selected")
        assert seen == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == [(asyncio.get_running_loop(), threading.current_thread())]

    async def test_those_that_hang_are_bounded(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("proxywhirl.events._courier.MOST_PENDING", 2)
        monkeypatch.setattr("proxywhirl.events._hub.MOST_PENDING", 2)
        hub, started = EventHub(use_running_loop=True), []

        async def hanging(event: ProxyEvent) -> None:
            started.append(event)
            await asyncio.sleep(60)

        hub.on("proxy_selected", hanging)
        for _ in range(4):
            hub.emit("proxy_selected")
        await asyncio.sleep(0.01)
        assert len(started) == 2
        assert len(caplog.records) == 2
        for task in list(hub._tasks):
            task.cancel()
        await asyncio.sleep(0)

    def test_without_a_loop_they_run_on_the_thread(self) -> None:
        hub, seen = EventHub(use_running_loop=True), []

        async def callback(event: ProxyEvent) -> None:
            seen.append(event)

        hub.on("proxy_selected", callback)
        hub.emit("proxy_selected")
        wait_until(lambda: len(seen) == 1)
        hub.close()
