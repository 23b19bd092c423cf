"""Pages of nginx, through proxies that others wrote and through the fleet: both engines receive what nginx sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator, RetryPolicy
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.testing import ProxyFleet

ONCE = RetryPolicy(max_attempts=1)
TEXT = "Ein schöner Text über nichts.\n" * 400
LARGE = bytes(range(256)) * 80_000
WAYS = ("tinyproxy", "microsocks", "dante", "fleet")
Ask = Callable[[Any], Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[str]:
    with ProxyFleet(1) as running:
        yield running.urls[0]


@pytest.fixture(params=WAYS)
def proxy(request: pytest.FixtureRequest) -> str:
    """A proxy of one kind."""
    found: Any = request.getfixturevalue(request.param)
    if request.param == "microsocks":
        return f"socks5://{found['open']}"
    return found if request.param == "fleet" else f"{'socks5' if request.param == 'dante' else 'http'}://{found}"


@pytest.fixture(params=["http", "https"])
def base(request: pytest.FixtureRequest, nginx: dict[str, str]) -> str:
    return nginx[request.param]


@pytest.fixture
def rotator(proxy: str, certificate: tuple[Path, Path]) -> Iterator[ProxyRotator]:
    with ProxyRotator(proxies=[proxy], verify=str(certificate[0]), retry_policy=ONCE) as made:
        yield made


def test_a_page_in_each_coding(rotator: ProxyRotator, base: str) -> None:
    for coding in ("gzip", "identity"):
        response = rotator.get(f"{base}/text.txt", headers={"Accept-Encoding": coding})
        assert (response.status_code, response.text, response.encoding) == (200, TEXT, "utf-8")
        assert response.headers.get("content-encoding", "identity") == coding
        if coding == "gzip" and base.startswith("https"):
            # Compressed on the way, so nginx does not know how long it will be.
            assert response.headers["transfer-encoding"] == "chunked"
            assert response.num_bytes_downloaded < len(TEXT) / 10
    assert rotator.get(f"{base}/small.json").json() == {"a": [1, None]}
    assert rotator.get(f"{base}/empty.txt").content == b""


def test_head_and_what_has_no_body(rotator: ProxyRotator, base: str) -> None:
    for _ in range(2):
        response = rotator.head(f"{base}/large.bin")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == str(len(LARGE))
        assert rotator.get(f"{base}/nothing").status_code == 204
        response = rotator.get(f"{base}/text.txt")
        seen = {"If-None-Match": response.headers["etag"]}
        response = rotator.get(f"{base}/text.txt", headers=seen)
        assert (response.status_code, response.content) == (304, b"")
        assert rotator.head(f"{base}/text.txt", headers=seen).status_code == 304


def test_ranges(rotator: ProxyRotator, base: str) -> None:
    for asked, status, content in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=0-", 206, b"0123456789"),
    ):
        response = rotator.get(f"{base}/numbers.bin", headers={"Range": asked})
        assert (response.status_code, response.content) == (status, content)
        assert response.headers["content-range"].endswith("/10")
    assert rotator.get(f"{base}/numbers.bin", headers={"Range": "bytes=50-"}).status_code == 416
    parts = rotator.get(f"{base}/numbers.bin", headers={"Range": "bytes=0-1,8-9"})
    assert parts.headers["content-type"].startswith("multipart/byteranges")
    assert b"\r\n\r\n01\r\n" in parts.content
    assert b"\r\n\r\n89\r\n" in parts.content


def test_connections_that_nginx_closes(rotator: ProxyRotator, base: str, nginx: dict[str, str]) -> None:
    base = base if base.startswith("http:") else nginx["short"]
    # After seven or twelve requests by its configuration, and after each one below this folder.
    assert [rotator.get(f"{base}/numbers.bin").content for _ in range(30)] == [b"0123456789"] * 30
    assert [rotator.get(f"{base}/closing/numbers.bin").content for _ in range(10)] == [b"0123456789"] * 10
    (proxy,) = rotator.pool
    assert proxy.total_successes == proxy.total_requests == 40


def test_large_bodies_whole_and_in_parts(rotator: ProxyRotator, base: str) -> None:
    assert rotator.get(f"{base}/large.bin").content == LARGE
    with rotator.stream("GET", f"{base}/large.bin") as response:
        received = sum(len(part) for part in response.iter_raw())
    assert received == len(LARGE)
    with rotator.stream("GET", f"{base}/large.bin") as response:
        first = next(response.iter_bytes(1000))
    assert first == LARGE[:1000]
    # What was left of that body is not taken for the next answer.
    assert rotator.get(f"{base}/numbers.bin").content == b"0123456789"


def test_statuses_redirects_and_logins(rotator: ProxyRotator, base: str) -> None:
    assert rotator.get(f"{base}/none").status_code == 404
    assert (rotator.get(f"{base}/teapot").status_code, rotator.post(f"{base}/text.txt").status_code) == (418, 405)
    moved = rotator.get(f"{base}/moved", follow_redirects=True)
    assert (moved.text, [hop.status_code for hop in moved.history]) == (TEXT, [301])
    with pytest.raises(httpx.TooManyRedirects):
        rotator.get(f"{base}/loop", follow_redirects=True)
    assert rotator.get(f"{base}/login").status_code == 401
    # There is no such page, once the login is accepted.
    assert rotator.get(f"{base}/login", auth=("user", "pass")).status_code == 404


def test_a_body_that_nginx_does_not_want(rotator: ProxyRotator, base: str) -> None:
    assert rotator.post(f"{base}/small-only", content=b"small").status_code == 204
    # Answered before the body has been sent, and the connection is closed behind it.
    assert rotator.post(f"{base}/small-only", content=b"x" * 200_000).status_code == 413
    assert rotator.post(f"{base}/small-only", content=b"small").status_code == 204


def test_an_origin_that_hangs_up(rotator: ProxyRotator, base: str) -> None:
    try:
        answer = rotator.get(f"{base}/hangs-up")
    except ProxyWhirlError:
        return
    # Some forwarding proxies make an answer of their own of it.
    assert base.startswith("http:")
    assert answer.status_code >= 500


def test_in_tasks(proxy: str, base: str, certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with AsyncProxyRotator(proxies=[proxy], verify=str(certificate[0]), retry_policy=ONCE) as rotator:
            pages = await asyncio.gather(*(rotator.get(f"{base}/text.txt") for _ in range(12)))
            assert [page.text for page in pages] == [TEXT] * 12
            assert (await rotator.get(f"{base}/large.bin")).content == LARGE
            assert (await rotator.head(f"{base}/large.bin")).headers["content-length"] == str(len(LARGE))
            for _ in range(4):
                assert (await rotator.get(f"{base}/closing/small.json")).json() == {"a": [1, None]}
            async with rotator.stream("GET", f"{base}/large.bin") as response:
                assert sum([len(part) async for part in response.aiter_bytes()]) == len(LARGE)
            moved = await rotator.get(f"{base}/moved", follow_redirects=True)
            assert (moved.text, len(moved.history)) == (TEXT, 1)

    asyncio.run(main())
