"""Hostile proxies of every kind, with both rotators, with a deadline and without."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import logging
import math
import os
import threading
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hostile_servers import LOGIN, ROWS, SECRETS, HostileServer, Row, bomb, drips, says

from proxywhirl import (
    AsyncProxyRotator,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyRotator,
    ProxyWhirlError,
    RetryPolicy,
)
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.transport import AsyncRotatingTransport, RotatingTransport

# Of one read, and for everything. A busy machine may take longer; a hang takes for ever.
READ, BUDGET, FOR_EVER = 0.4, 0.9, 30.0
MOST = 1_000_000


class Run:
    """One row of the matrix, carried out."""

    def __init__(self, row: Row, budget: float | None, target: str) -> None:
        self.row = row
        self.target = target
        # What ends well must have the time for it, on a busy machine too.
        self.patience = READ if row.status is None else FOR_EVER
        if budget is not None and row.status is not None:
            budget = FOR_EVER
        self.server = HostileServer(row.talk)
        login = ":".join(quote(part, safe="") for part in LOGIN)
        self.options: dict[str, Any] = {
            "proxies": [f"{row.scheme}://{login}@127.0.0.1:{self.server.port}"],
            "retry_policy": RetryPolicy(max_attempts=1, timeout=budget),
            "max_body": MOST,
            "verify": False,
        }
        self.result: Any = None
        self.took = 0.0
        self.shown = ""
        self.rest: list[tuple[int, int, int]] = []

    def finish(self, rotator: Any, result: Any, began: float) -> None:
        self.took = time.monotonic() - began
        self.result = result
        texts = [
            repr(rotator),
            repr(list(rotator.pool)),
            str(rotator.explain(self.target)),
            str(rotator.get_statistics()),
        ]
        if isinstance(result, BaseException):
            texts += [str(result), repr(result), repr(result.args), repr(vars(result))]
            texts += traceback.format_exception(type(result), result, result.__traceback__)
        else:
            texts += [repr(result), str(result.extensions["proxywhirl"])]
        self.shown = "\n".join(texts)
        self.rest = [(one.requests_started, one.requests_completed, one.requests_active) for one in rotator.pool]

    def send(self) -> None:
        began = time.monotonic()
        with ProxyRotator(**self.options) as rotator:
            try:
                result: Any = rotator.get(self.target, timeout=self.patience)
            except Exception as error:
                result = error
            self.finish(rotator, result, began)

    async def send_async(self) -> None:
        began = time.monotonic()
        async with AsyncProxyRotator(**self.options) as rotator:
            try:
                result: Any = await rotator.get(self.target, timeout=self.patience)
            except Exception as error:
                result = error
            self.finish(rotator, result, began)


@contextmanager
def logged_at_debug() -> Iterator[io.StringIO]:
    """Everything that anything logs, httpcore included."""
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield sink
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def origin() -> Iterator[HostileServer]:
    server = HostileServer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    yield server
    server.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("budget", [BUDGET, None])
@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_matrix(kind: type[Any], budget: float | None, origin: HostileServer) -> None:
    counts_files = os.path.isdir("/proc/self/fd")
    gc.collect()
    before = open_files() if counts_files else 0
    runs = [Run(row, budget, f"{'https' if row.secure else 'http'}://127.0.0.1:{origin.port}/x") for _, row in ROWS]
    with logged_at_debug() as log:
        if kind is ProxyRotator:
            with ThreadPoolExecutor(48) as threads:
                list(threads.map(Run.send, runs))
        else:

            async def all_at_once() -> None:
                free = asyncio.Semaphore(48)

                async def one(run: Run) -> None:
                    async with free:
                        await run.send_async()

                await asyncio.gather(*(one(run) for run in runs))

            asyncio.run(all_at_once())
    wrong: list[str] = []
    for (sort, row), run in zip(ROWS, runs):
        name = f"{sort}: {row.name}"
        result = run.result
        if run.took > FOR_EVER:
            wrong.append(f"{name}: took {run.took:.0f} s")
        if any(secret in run.shown for secret in SECRETS):
            wrong.append(f"{name}: shows the login")
        if any(started != completed + active or active for started, completed, active in run.rest):
            wrong.append(f"{name}: counts {run.rest}")
        if isinstance(result, BaseException):
            if row.status is not None:
                wrong.append(f"{name}: {result!r} instead of {row.status}")
            if not isinstance(result, (ProxyWhirlError, httpx.HTTPError)):
                wrong.append(f"{name}: {type(result).__name__} is no error of ours, nor of httpx")
        elif row.status != result.status_code:
            wrong.append(f"{name}: {result!r} instead of {row.status or 'an error'}")
        run.server.close()
    assert wrong == []
    logs = log.getvalue()
    assert "proxywhirl" in logs or "request failed" in logs
    assert [secret for secret in SECRETS if secret in logs] == []
    assert origin.accepted == 0
    if counts_files:
        runs.clear()
        for _ in range(300):
            gc.collect()
            left = open_files() - before
            if left <= 0:
                break
            time.sleep(0.1)
        assert left <= 0


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_the_login_of_a_proxy_is_not_in_what_its_events_and_records_tell(kind: type[Any]) -> None:
    # Where an attempt fails and the next succeeds, only logs and events tell of the first.
    names = {"a refusal in clear", "a status line", "a header line", "a chunk header", "a reason phrase in base64"}
    rows = [row for sort, row in ROWS if sort == "repeats the login" and row.name in names]
    assert len(rows) == len(names)
    reported: list[str] = []
    with ProxyFleet([ProxySpec(name="good")]) as fleet, logged_at_debug() as log:
        servers = [HostileServer(row.talk) for row in rows]
        login = ":".join(quote(part, safe="") for part in LOGIN)
        rotator = kind(
            proxies=[*(f"http://{login}@127.0.0.1:{server.port}" for server in servers), *fleet.urls],
            retry_policy=RetryPolicy(max_attempts=10, base_delay=0.01),
        )
        for event in ("request_failure", "request_complete", "proxy_selected"):
            rotator.on(
                event, lambda one: reported.append(repr(one) + repr(vars(one) if hasattr(one, "__dict__") else ""))
            )
        url = fleet.site_url("shop.test", "/whoami")
        if kind is ProxyRotator:
            response = rotator.get(url)
            rotator.close()
        else:

            async def get() -> httpx.Response:
                async with rotator:
                    got: httpx.Response = await rotator.get(url)
                    return got

            response = asyncio.run(get())
        for server in servers:
            server.close()
    assert response.extensions["proxywhirl"]["attempts"] == len(rows) + 1
    assert reported
    for text in (*reported, log.getvalue(), str(rotator.get_statistics())):
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
@pytest.mark.parametrize("name", ["a status line", "a header line", "a chunk header", "a reason phrase in base64"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_users_own_authorization_is_hidden_like_a_login(kind: type[Any], name: str, secure: bool) -> None:
    (row,) = (row for sort, row in ROWS if sort == "repeats the login" and row.name == name)
    server = HostileServer(row.talk)
    token = base64.b64encode(":".join(LOGIN).encode()).decode()
    try:
        with logged_at_debug() as log, pytest.raises(ProxyConnectionError) as raised:
            _get(
                kind,
                server,
                max_attempts=1,
                url=f"{'https' if secure else 'http'}://shop.test/",
                headers={"Proxy-Authorization": f"Basic {token}"},
            )
    finally:
        server.close()
    error = raised.value
    texts = [repr(error), repr(vars(error)), *traceback.format_exception(type(error), error, error.__traceback__)]
    for text in (*texts, log.getvalue()):
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_a_bomb_ends_with_the_default_bound(kind: type[Any]) -> None:
    server = HostileServer(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb(256)))
    tracemalloc.start()
    try:
        with pytest.raises(ProxyConnectionError, match="unpacked body"):
            _get(kind, server, max_attempts=1)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
        server.close()


def _get(
    kind: type[Any], server: HostileServer, *, max_attempts: int = 3, url: str = "http://shop.test/", **options: Any
) -> httpx.Response:
    rotator = kind(
        proxies=[f"http://127.0.0.1:{server.port}"],
        retry_policy=RetryPolicy(max_attempts=max_attempts, timeout=options.pop("budget", None), base_delay=0.01),
    )
    if kind is ProxyRotator:
        with rotator:
            made: httpx.Response = rotator.get(url, **options)
            return made

    async def get() -> httpx.Response:
        async with rotator:
            got: httpx.Response = await rotator.get(url, **options)
            return got

    return asyncio.run(get())


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_a_bound_of_one_request_goes_before_that_of_the_rotator(kind: type[Any]) -> None:
    server = HostileServer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
    try:
        assert _get(kind, server, max_body=5).text == "hello"
        with pytest.raises(ProxyConnectionError, match="max_body"):
            _get(kind, server, max_body=4, max_attempts=1)
        with pytest.raises(ValueError, match="max_body"):
            _get(kind, server, max_body=-1)
    finally:
        server.close()


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_redirects_have_one_deadline(kind: type[Any]) -> None:
    def slow_redirect(connection: Any) -> None:
        connection.recv(65536)
        time.sleep(0.15)
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    server = HostileServer(slow_redirect)
    try:
        with pytest.raises(ProxyConnectionError, match="Request timeout") as raised:
            _get(kind, server, budget=0.8)
        assert raised.value.error_code == "TIMEOUT"
        # Twenty of them would have been followed.
        assert 2 <= server.accepted < 15
    finally:
        server.close()


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
def test_a_deadline_is_over_all_attempts(kind: type[Any]) -> None:
    # What cannot become an answer any more is given up before.
    server = HostileServer(drips(b"", b"H", b"HTTP/1.1 200 OK\r\nX-Name: "))
    try:
        with pytest.raises(ProxyConnectionError, match="Request timeout"):
            _get(kind, server, budget=0.6, timeout=10.0)
        assert server.accepted == 1
    finally:
        server.close()


def test_streams_keep_to_deadline_and_bound() -> None:
    dripping = HostileServer(drips(b"", b"z", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
    packed = HostileServer(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb(16)))
    try:
        with ProxyRotator(proxies=[f"http://127.0.0.1:{dripping.port}"]) as rotator:
            # A stream has no pace to keep, so an event stream may drip.
            with rotator.stream("GET", "http://shop.test/", timeout=2.0) as response:
                parts = response.iter_raw()
                assert sum(len(next(parts)) for _ in range(100)) >= 100
            limited = RetryPolicy(timeout=0.8)
            with rotator.stream("GET", "http://shop.test/", retry_policy=limited) as response:
                with pytest.raises(httpx.ReadTimeout):
                    response.read()
            assert [(one.requests_active, one.requests_started) for one in rotator.pool] == [(0, 2)]
        with ProxyRotator(proxies=[f"http://127.0.0.1:{packed.port}"], max_body=MOST) as rotator:
            with rotator.stream("GET", "http://shop.test/") as response:
                with pytest.raises(httpx.RemoteProtocolError, match="max_body"):
                    response.read()
            with rotator.stream("GET", "http://shop.test/", max_body=math.inf) as response:
                assert len(response.read()) == 16 * 1024 * 1024
            assert [(one.requests_active, one.requests_started) for one in rotator.pool] == [(0, 2)]
    finally:
        dripping.close()
        packed.close()


def test_a_transport_of_a_users_own_client_keeps_to_the_deadline() -> None:
    server = HostileServer(drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"))
    url, policy = f"http://127.0.0.1:{server.port}", RetryPolicy(timeout=0.6, max_attempts=1)
    try:
        with httpx.Client(transport=RotatingTransport([url], retry_policy=policy)) as client:
            with pytest.raises(ProxyConnectionError, match="Request timeout"):
                client.get("http://shop.test/")

        async def get() -> None:
            async with httpx.AsyncClient(transport=AsyncRotatingTransport([url], retry_policy=policy)) as client:
                await client.get("http://shop.test/")

        with pytest.raises(ProxyConnectionError, match="Request timeout"):
            asyncio.run(get())
    finally:
        server.close()


def test_tls_inside_tls_keeps_to_the_deadline() -> None:
    # An HTTPS proxy that agrees to CONNECT and drips: httpcore bounds each read of the inner handshake by itself.
    with ProxyFleet([ProxySpec(name="tls", scheme="https")]) as fleet:
        done = threading.Event()

        def drip(connection: Any) -> None:
            connection.recv(65536)
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while not done.is_set():
                connection.sendall(b"\0")
                time.sleep(0.05)

        target = HostileServer(drip)
        try:
            with ProxyRotator(
                proxies=fleet.urls, verify=fleet.ca_file(), retry_policy=RetryPolicy(timeout=0.8, max_attempts=1)
            ) as rotator:
                with pytest.raises(ProxyConnectionError, match="Request timeout"):
                    rotator.get(f"https://127.0.0.1:{target.port}/", timeout=10.0)
        finally:
            done.set()
            target.close()


def test_kinds_of_the_matrix() -> None:
    kinds = Counter(kind for kind, _ in ROWS)
    assert kinds["answer"] >= 55
    assert kinds["tunnel"] >= 32 or kinds["tunnel"] + kinds["tunnel, repeats the login"] >= 32
    assert len({(kind, row.name) for kind, row in ROWS}) == len(ROWS)
    assert issubclass(ProxyBannedError, ProxyConnectionError)
