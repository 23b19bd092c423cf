"""The way of a warm `rotator.get`: how much Python of this package one request runs through."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import proxywhirl
from proxywhirl import ProxyRotator
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


def test_a_warm_get_runs_through_little_of_this_package() -> None:
    with ProxyFleet(2) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        for _ in range(6):
            assert rotator.get(url).status_code == 200
        found = trace(lambda: rotator.get(url))
    shown = f"{len(found.files)} files, {found.hops} hops, {len(found.calls)} calls:\n" + "\n".join(found.calls)
    print(shown)
    # The trace has seen the way from the call to the answer.
    assert {"rotator/sync.py", "transport/_drive.py", "_httpx/carrier.py"} <= found.files, shown
    assert len(found.files) <= 21, shown
    assert found.hops <= 46, shown
    assert len(found.calls) <= 73, shown
