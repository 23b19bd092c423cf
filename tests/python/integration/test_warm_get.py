"""The way of a warm `rotator.get`: how much Python of this package one request runs through."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

import proxywhirl
from proxywhirl import AsyncProxyRotator, Outcome, Proxy, ProxyRotator, RateLimiter, RetryPolicy
from proxywhirl._httpx.selection import LeaseAcquirer, Selection
from proxywhirl.rate_limiting import RateLimit
from proxywhirl.retry.policy import rotation_of
from proxywhirl.testing import ProxyFleet

HERE = str(Path(proxywhirl.__file__).parent)


class Trace(NamedTuple):
    """What one call runs through: files of this package, calls from one file into another of them, calls of its functions."""

    files: set[str]
    hops: int
    calls: list[str]


def trace(function: Callable[[], Any]) -> Trace:
    files: set[str] = set()
    calls: list[str] = []
    hops = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal hops
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(HERE):
            return
        files.add(name[len(HERE) + 1 :])
        calls.append(f"{name[len(HERE) + 1 :]}:{frame.f_code.co_name}")
        hops += frame.f_back is None or frame.f_back.f_code.co_filename != name

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return Trace(files, hops, calls)


@pytest.mark.parametrize(
    ("engine", "seen", "files", "hops", "calls"),
    [
        ("httpx", {"rotator/sync.py", "transport/_drive.py", "_httpx/carrier.py"}, 21, 47, 72),
        ("native", {"rotator/sync.py"}, 2, 2, 2),
    ],
)
def test_a_warm_get_runs_through_little_of_this_package(
    engine: str, seen: set[str], files: int, hops: int, calls: int
) -> None:
    with ProxyFleet(2) as fleet, ProxyRotator(proxies=fleet.urls, engine=engine) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        for _ in range(6):
            assert rotator.get(url).status_code == 200
        found = trace(lambda: rotator.get(url))
    shown = f"{len(found.files)} files, {found.hops} hops, {len(found.calls)} calls:\n" + "\n".join(found.calls)
    print(shown)
    # The trace has seen the way from the call to the answer.
    assert seen <= found.files, shown
    assert len(found.files) <= files, shown
    assert found.hops <= hops, shown
    assert len(found.calls) <= calls, shown


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        ({"json": {"a": [1, None], "ü": 2.5}}, 2),
        ({"data": {"a": ["1", "2"], "b": 3}}, 2),
        ({"content": "text"}, 2),
        ({"params": [("a", "1"), ("a", "2")]}, 2),
        ({"timeout": 5.0}, 2),
        ({"country": "DE"}, 4),
        ({"tags": ["fast"], "json": {}}, 4),
        # Selection, identity, cookies.
        ({"session_id": "a"}, 15),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_warm_post_runs_through_little_of_this_package(kind: str, given: dict[str, Any], calls: int) -> None:
    loop = asyncio.new_event_loop()
    with ProxyFleet(2) as fleet:
        made: Any = ProxyRotator if kind == "sync" else AsyncProxyRotator
        proxies = [Proxy(url=url, country_code="DE", tags={"fast"}) for url in fleet.urls]
        rotator = made(proxies=proxies, engine="native")
        url = fleet.site_url("shop.test", "/whoami")

        def post() -> Any:
            answer = rotator.post(url, **given)
            return answer if kind == "sync" else loop.run_until_complete(answer)

        for _ in range(6):
            assert post().status_code == 200
        found = trace(post)
        if kind == "sync":
            rotator.close()
        else:
            loop.run_until_complete(rotator.aclose())
            loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    # By function: to go on after the wait in an event loop counts as another call.
    shown = "\n".join(dict.fromkeys(found.calls))
    print(shown)
    assert len(shown.splitlines()) <= calls, shown


def test_a_warm_get_in_an_event_loop_runs_through_as_little() -> None:
    loop = asyncio.new_event_loop()
    with ProxyFleet(2) as fleet:
        rotator = AsyncProxyRotator(proxies=fleet.urls, engine="native")
        url = fleet.site_url("shop.test", "/whoami")
        for _ in range(6):
            assert loop.run_until_complete(rotator.get(url)).status_code == 200
        found = trace(lambda: loop.run_until_complete(rotator.get(url)))
        loop.run_until_complete(rotator.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    # Going on after the wait counts as a call.
    assert found.calls[:2] == ["rotator/_verbs.py:get", "rotator/async_.py:request"]
    assert set(found.calls) == set(found.calls[:2])


@pytest.mark.parametrize(
    "limiter",
    [None, RateLimiter(1000), RateLimiter(global_limit=RateLimit(max_requests=1000, time_window=1))],
    ids=["no limiter", "a rate for each proxy", "a limit for all"],
)
@pytest.mark.parametrize("selection", [None, Selection(session_id="a"), Selection(country="DE")])
def test_leases_are_taken_without_a_python_call(limiter: Any, selection: Any) -> None:
    url = "http://shop.test/"
    proxies = [{"url": f"http://10.0.0.{number}:80", "country_code": "DE"} for number in (1, 2, 3)]
    with ProxyRotator(proxies=proxies, rate_limiter=limiter) as rotator:

        def rotation() -> Any:
            taking = LeaseAcquirer(rotator._chooser, url, selection, method="GET", connects=True, time_left=60)
            return rotation_of(RetryPolicy(), taking, "GET", url)

        first = rotation()
        assert first.start() == "send"
        assert first.answered(Outcome.SUCCESS, 200, 1.0) == "deliver"
        steps: list[str] = []
        second = rotation()
        assert trace(lambda: steps.append(second.start())).calls == []
        # The log is told of the ban; the second lease is taken in the step after that.
        steps.append(second.answered(Outcome.BANNED, 403, 1.0))
        assert trace(lambda: steps.append(second.done())).calls == []
        steps.append(second.done())
        assert steps == ["send", "renew", "discard", "send"]
        assert second.attempts == 2
        second.close()
