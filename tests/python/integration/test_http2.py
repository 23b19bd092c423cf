"""HTTP/2, which the engine of httpx speaks: with nginx, through tunnels of every kind."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, AsyncRotatingTransport, ProxyRotator, RetryPolicy, RotatingTransport
from proxywhirl._httpx import engine
from proxywhirl._httpx.carrier import AsyncCarrier, Carrier
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.testing import ProxyFleet, ProxySpec

ONCE = RetryPolicy(max_attempts=1)
LARGE = bytes(range(256)) * 80_000

needs_h2 = pytest.mark.skipif(importlib.util.find_spec("h2") is None, reason="h2 is not installed")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(scheme=name) for name in ("http", "https", "socks4", "socks5")]) as running:
        yield running


@pytest.fixture
def options(fleet: ProxyFleet, certificate: tuple[Path, Path]) -> dict[str, Any]:
    return {
        "verify": str(certificate[0]),
        "proxy_verify": fleet.ssl_context(),
        "retry_policy": ONCE,
        "http2": True,
    }


@needs_h2
def test_requests_speak_http2(fleet: ProxyFleet, nginx: dict[str, str], options: dict[str, Any]) -> None:
    base = nginx["https"]
    with ProxyRotator(proxies=fleet.urls, **options) as rotator:
        for _ in range(8):
            response = rotator.get(f"{base}/numbers.bin")
            assert (response.http_version, response.content) == ("HTTP/2", b"0123456789")
        assert {proxy.total_successes for proxy in rotator.pool} == {2}
        assert rotator.get(f"{base}/large.bin").content == LARGE
        assert rotator.head(f"{base}/large.bin").headers["content-length"] == str(len(LARGE))
        assert rotator.post(f"{base}/small-only", content=b"small").status_code == 204
        with rotator.stream("GET", f"{base}/large.bin") as response:
            assert sum(map(len, response.iter_bytes())) == len(LARGE)
        # Without TLS there is nothing to agree on it by.
        assert rotator.get(f"{nginx['http']}/numbers.bin").http_version == "HTTP/1.1"
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)


@needs_h2
def test_connections_that_nginx_ends(fleet: ProxyFleet, nginx: dict[str, str], options: dict[str, Any]) -> None:
    # After twelve requests; one at a time, none is lost.
    with ProxyRotator(proxies=fleet.urls[:1], **options) as rotator:
        (only,) = rotator.pool
        pages = [rotator.get(f"{nginx['short']}/numbers.bin") for _ in range(40)]
        assert {(page.http_version, page.content) for page in pages} == {("HTTP/2", b"0123456789")}
        assert only.total_successes == only.total_requests == 40


@needs_h2
def test_a_connection_that_ends_under_many_requests(
    fleet: ProxyFleet, nginx: dict[str, str], options: dict[str, Any]
) -> None:
    options["retry_policy"] = RetryPolicy(max_attempts=3, base_delay=0.01)

    def get(rotator: ProxyRotator) -> bool:
        try:
            return rotator.get(f"{nginx['short']}/numbers.bin").content == b"0123456789"
        except ProxyWhirlError:
            # Not an error that says that the request is at fault.
            return False

    with ProxyRotator(proxies=fleet.urls, **options) as rotator, ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(get, [rotator] * 80)) > 40
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)


@needs_h2
def test_many_at_once(fleet: ProxyFleet, nginx: dict[str, str], options: dict[str, Any]) -> None:
    url = f"{nginx['https']}/text.txt"
    with ProxyRotator(proxies=fleet.urls, **options) as rotator, ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(lambda _: rotator.get(url), range(80)))
        assert {(page.http_version, page.status_code) for page in pages} == {("HTTP/2", 200)}
        assert sum(proxy.total_successes for proxy in rotator.pool) == 80
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)

    async def main() -> None:
        async with AsyncProxyRotator(proxies=fleet.urls, **options) as rotator:
            pages = await asyncio.gather(*(rotator.get(url) for _ in range(80)))
            assert {(page.http_version, page.status_code) for page in pages} == {("HTTP/2", 200)}
            assert sum(proxy.total_successes for proxy in rotator.pool) == 80
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)

    asyncio.run(main())


@needs_h2
def test_it_is_offered_by_those_alone_that_were_asked_to(
    fleet: ProxyFleet, nginx: dict[str, str], options: dict[str, Any]
) -> None:
    url = f"{nginx['https']}/numbers.bin"
    for _ in range(2):
        for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
            given = {**options, "http2": http2, "engine": "httpx"}
            with ProxyRotator(proxies=fleet.urls, **given) as rotator:
                assert rotator.get(url).http_version == version
            with httpx.Client(transport=RotatingTransport(fleet.urls, **given)) as client:
                assert client.get(url).http_version == version


@needs_h2
@pytest.mark.parametrize("asked", [None, "native", "httpx"])
def test_it_chooses_the_engine(
    asked: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "_told", set())
    proxies = ["http://proxy.test:8080"]
    with caplog.at_level(logging.INFO, logger="proxywhirl.rotation"):
        assert type(RotatingTransport(proxies, engine=asked, http2=True).carrier) is Carrier
        assert type(AsyncRotatingTransport(proxies, engine=asked, http2=True).carrier) is AsyncCarrier
    told = [record.getMessage() for record in caplog.records]
    assert told == ([] if asked == "httpx" else ["http2=True: httpx carries the requests"])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for make in (RotatingTransport, AsyncRotatingTransport):
        with pytest.raises(ImportError, match=r"http2=True needs an extra: pip install 'proxywhirl-rs\[http2\]'"):
            make(["http://proxy.test:8080"], http2=True)
    with pytest.raises(ImportError, match="http2"):
        ProxyRotator(proxies=["http://proxy.test:8080"], http2=True)
