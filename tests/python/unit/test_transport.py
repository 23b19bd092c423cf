"""What carries the bytes, piece by piece: handshakes, meanings of errors, routes, connections found closed."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpcore
import httpx
import pytest

from proxywhirl import Outcome, ProxyConnectionError, ProxyPool, ProxyPoolEmptyError, RetryPolicy
from proxywhirl._httpx.address import ProxyAddress
from proxywhirl._httpx.handshake import ProxyHandshake, Refused, opened
from proxywhirl._httpx.judge import meaning_of
from proxywhirl._httpx.limits import Limits, most_routes
from proxywhirl._httpx.routes import Routes
from proxywhirl._httpx.selection import Selection
from proxywhirl._httpx.tls import Tls
from proxywhirl._httpx.unreachable import ProxyUnreachable
from proxywhirl.transport import AsyncRotatingTransport, RotatingTransport

QUICK = RetryPolicy(base_delay=0.01)


def talk(handshake: ProxyHandshake, *replies: bytes, pieces: int = 0) -> list[bytes]:
    """Play replies into a handshake; what it sent."""
    chunks = list(replies)
    if pieces:
        chunks = [reply[i : i + pieces] for reply in replies for i in range(0, len(reply), pieces)]
    said = [opened(handshake.start())]
    for chunk in chunks:
        said.append(opened(handshake.feed(chunk)))
        if said[-1] is None:
            return [words for words in said if words]
    raise AssertionError("the handshake wants more")


connect = partial(ProxyHandshake, "http")
socks4 = partial(ProxyHandshake, "socks4")
socks5 = partial(ProxyHandshake, "socks5")


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_connect(pieces: int) -> None:
    (said,) = talk(connect("shop.test", 443), b"HTTP/1.1 200 Connection established\r\n\r\n", pieces=pieces)
    assert said == b"CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n\r\n"
    (said,) = talk(connect("::1", 443), b"HTTP/1.0 200\n\n", pieces=pieces)
    assert said.startswith(b"CONNECT [::1]:443 HTTP/1.1\r\n")
    (said,) = talk(connect("a", 1, ("us", "päss")), b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 204 Ok\r\n\r\n", pieces=pieces)
    assert b"Proxy-Authorization: Basic dXM6cMOkc3M=\r\n" in said


@pytest.mark.parametrize(
    ("reply", "outcome", "text"),
    [
        (b"HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic\r\n\r\n", "proxy_auth", "407"),
        (b"HTTP/1.1 402 Payment Required\r\n\r\n", "proxy_auth", "402"),
        (b"HTTP/1.1 403 Quota exceeded\r\n\r\n", "proxy_auth", "403"),
        (b"HTTP/1.1 502 No\r\nX-Error-Message: traffic limit exceeded\r\n\r\n", "proxy_auth", "502"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 29\r\n\r\nYour balance has been used up", "proxy_auth", "403"),
        (b"HTTP/1.1 503 No\r\n\r\nfrom the load balancer, insufficient storage", "ambiguous", "503"),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n", "rate_limited", "429"),
        (b"HTTP/1.1 403 No\x1b[31m\r\n\r\n<html>", "ambiguous", "403 No[31m"),
        (b"HTTP/1.1 301 Moved\r\n\r\n", "ambiguous", "301"),
        *(
            (b"HTTP/1.1 %d No\r\n\r\n" % status, "ambiguous", str(status))
            for status in (400, 404, 500, 502, 503, 504, 530)
        ),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "proxy_down", "not HTTP"),
        (b"HTTP/1.1 banana\r\n\r\n", "proxy_down", "not HTTP"),
        (b"HTTP/1.1 200 Ok\r\n\r\n<html>", "proxy_down", "data of its own"),
        (b"HTTP/1.1 200 Ok\r\nX: " + b"y" * 70_000, "proxy_down", "more than"),
    ],
)
def test_connect_refused(reply: bytes, outcome: str, text: str) -> None:
    with pytest.raises(Refused, match=text.replace("[", r"\[")) as caught:
        talk(connect("shop.test", 443), reply)
    assert caught.value.outcome == outcome
    assert caught.value.retry_after == (7.0 if outcome == "rate_limited" else None)


@pytest.mark.parametrize("pieces", [0, 1])
def test_socks4(pieces: int) -> None:
    granted = b"\0\x5a" + b"\0" * 6
    assert talk(socks4("10.0.0.1", 80), granted, pieces=pieces) == [b"\4\1\0\x50\x0a\0\0\1\0"]
    (said,) = talk(socks4("shop.test", 443, ("me", "ignored")), granted, pieces=pieces)
    assert said == b"\4\1\x01\xbb\0\0\0\1me\0shop.test\0"


@pytest.mark.parametrize(
    ("host", "reply", "outcome"),
    [
        ("shop.test", b"\0\x5b" + b"\0" * 6, "ambiguous"),
        ("shop.test", b"\0\x5c" + b"\0" * 6, "proxy_auth"),
        ("shop.test", b"\0\x5d" + b"\0" * 6, "proxy_auth"),
        ("shop.test", b"\0\xff" + b"\0" * 6, "proxy_down"),
        ("shop.test", b"HTTP/1.1", "proxy_down"),
        ("::1", b"", "ambiguous"),
        ("x" * 300, b"", "ambiguous"),
    ],
)
def test_socks4_refused(host: str, reply: bytes, outcome: str) -> None:
    with pytest.raises(Refused) as caught:
        talk(socks4(host, 80), reply)
    assert caught.value.outcome == outcome


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_socks5(pieces: int) -> None:
    bound = b"\5\0\0\1\0\0\0\0\0\0"
    assert talk(socks5("shop.test", 80), b"\5\0", bound, pieces=pieces) == [
        b"\5\1\0",
        b"\5\1\0\3\x09shop.test\0\x50",
    ]
    named = b"\5\0\0\3\4host\0\0"
    said = talk(socks5("10.0.0.1", 80, ("me", "pw")), b"\5\2", b"\1\0", named, pieces=pieces)
    assert said == [b"\5\2\2\0", b"\1\2me\2pw", b"\5\1\0\1\x0a\0\0\1\0\x50"]
    six = b"\5\0\0\4" + b"\0" * 18
    assert talk(socks5("::1", 80, ("me", "pw")), b"\5\0", six, pieces=pieces)[1][3:4] == b"\4"


@pytest.mark.parametrize(
    ("replies", "credentials", "outcome", "text"),
    [
        ([b"\5\xff"], None, "proxy_auth", "wants credentials"),
        ([b"\5\xff"], ("a", "b"), "proxy_auth", "accepts neither"),
        ([b"\5\2"], None, "proxy_auth", "wants credentials"),
        ([b"\5\2", b"\1\1"], ("a", "b"), "proxy_auth", "refused"),
        ([b"\5\2"], ("a" * 300, "b"), "proxy_auth", "255"),
        *(
            ([b"\5\0", bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0])], None, outcome, text)
            for reply, outcome, text in (
                (1, "ambiguous", "general failure"),
                (2, "banned", "ruleset"),
                (3, "ambiguous", "network unreachable"),
                (4, "ambiguous", "host unreachable"),
                (5, "ambiguous", "connection refused"),
                (6, "ambiguous", "time to live"),
                (7, "proxy_down", "command"),
                (8, "proxy_down", "address type"),
                (99, "proxy_down", "reply 99"),
            )
        ),
        ([b"\5\0", b"\5\0\0\x09\0\0\0\0\0\0"], None, "proxy_down", "not SOCKS5"),
        ([b"HT"], None, "proxy_down", "not SOCKS5"),
    ],
)
def test_socks5_refused(replies: list[bytes], credentials: Any, outcome: str, text: str) -> None:
    with pytest.raises(Refused, match=text) as caught:
        talk(socks5("shop.test", 80, credentials), *replies)
    assert caught.value.outcome == outcome


def test_addresses() -> None:
    address = ProxyAddress("https://us%40er:p%3Aw%2F@[::1]:8443")
    assert (address.host, address.port, address.is_tls, address.is_http) == ("::1", 8443, True, True)
    assert address.authorization == b"Basic dXNAZXI6cDp3Lw=="
    assert "p:w" not in repr(address)
    assert ProxyAddress("socks5://host.test").port == 1080
    assert ProxyAddress("http://host.test").port == 80
    with pytest.raises(ValueError, match="the scheme must be"):
        ProxyAddress("gopher://host.test")


@pytest.mark.parametrize("package", [httpcore, httpx])
@pytest.mark.parametrize(
    ("name", "forward", "tunnel", "sent"),
    [
        ("ConnectError", "proxy_down", "ambiguous", False),
        ("ConnectTimeout", "proxy_down", "ambiguous", False),
        ("ReadTimeout", "ambiguous", "ambiguous", True),
        ("WriteTimeout", "ambiguous", "ambiguous", True),
        ("ReadError", "ambiguous", "ambiguous", True),
        ("WriteError", "ambiguous", "ambiguous", True),
        ("RemoteProtocolError", "ambiguous", "ambiguous", True),
        ("PoolTimeout", "client_fault", "client_fault", False),
        ("LocalProtocolError", "client_fault", "client_fault", False),
        ("UnsupportedProtocol", "client_fault", "client_fault", False),
    ],
)
def test_meanings(package: Any, name: str, forward: str, tunnel: str, sent: bool) -> None:
    error = getattr(package, name)("text")
    assert meaning_of(error, tunnel=False) == (forward, sent, name)
    assert meaning_of(error, tunnel=True) == (tunnel, sent, name)


def test_meanings_of_other_things() -> None:
    assert meaning_of(ValueError(), tunnel=False) is None
    assert meaning_of(type("ReadError", (Exception,), {})(), tunnel=False) is None, "a namesake"
    refusal = ProxyUnreachable("no", kind="ProxyError", outcome=Outcome.PROXY_AUTH)
    assert meaning_of(refusal, tunnel=True) == (Outcome.PROXY_AUTH, False, "ProxyError")
    # No file descriptors left: no proxy is to blame for that.
    error = httpcore.ConnectError("no")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    found = meaning_of(error, tunnel=False)
    assert found is not None
    assert found.outcome is Outcome.CLIENT_FAULT


def test_routes_are_bounded_and_never_closed_under_a_request() -> None:
    routes = Routes(Tls(), Limits(routes=2))
    held, line, _ = routes.check_out("a", "http://a.test:1", secure=False)
    for key in "bcd":
        route, other, leaving = routes.check_out(key, f"http://{key}.test:1", secure=False)
        assert line.pool not in leaving
        assert routes.check_in(route, other) == []
    assert len(routes) == 2
    assert "a" not in routes
    assert routes.check_in(held, line) == [line.pool], "pushed out earlier, closed when the last request is done"


def test_a_route_follows_its_proxys_url() -> None:
    routes = Routes(Tls(), Limits())
    before, line, _ = routes.check_out("a", "http://a.test:1", secure=False)
    assert routes.check_in(before, line) == []
    after, _, leaving = routes.check_out("a", "http://new:password@a.test:1", secure=False)
    assert leaving == [line.pool]
    assert after.address.authorization is not None


def test_idle_routes_go() -> None:
    routes = Routes(Tls(), Limits(keepalive_seconds=0.0))
    first, line, _ = routes.check_out("a", "http://a.test:1", secure=False)
    routes.check_in(first, line)
    _, _, leaving = routes.check_out("b", "http://b.test:1", secure=False)
    assert leaving == [line.pool]


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RotatingTransport(["http://a.test:1"], max_proxies=0)
    assert 100 <= most_routes() <= 2000


def test_plain_traffic_needs_no_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxywhirl._httpx.tls._make", lambda *_: pytest.fail("a context was made"))
    routes = Routes(Tls(), Limits())
    for scheme in ("http", "socks4", "socks5"):
        routes.check_out(scheme, f"{scheme}://a.test:1", secure=False)


def test_one_tls_context_for_all() -> None:
    assert Tls().target() is Tls().target() is Tls().proxy()
    own = ssl.create_default_context()
    assert Tls(own).target() is Tls(own).proxy() is own
    assert Tls(True, False).proxy() is not Tls().target()
    assert Tls(False).target().verify_mode == ssl.CERT_NONE
    with pytest.raises(TypeError):
        Tls(3)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        Tls("/nowhere/at/all.pem").target()


def test_sources() -> None:
    assert len(RotatingTransport(["http://a.test:1", {"url": "http://b.test:1"}]).pool) == 2
    pool = ProxyPool(proxies=["http://a.test:1"])
    assert RotatingTransport(pool).pool is pool
    for wrong in ("http://a.test:1", 7, {"url": "http://a.test:1"}, None):
        with pytest.raises(TypeError, match="source"):
            RotatingTransport(wrong)
    assert isinstance(RotatingTransport(pool), httpx.BaseTransport)
    assert isinstance(AsyncRotatingTransport(pool), httpx.AsyncBaseTransport)


def test_selections_refuse_what_they_do_not_know() -> None:
    with pytest.raises(TypeError):
        Selection.of({"colour": "red"}, None)
    with pytest.raises(TypeError, match="mapping"):
        Selection.of("US", None)
    with pytest.raises(TypeError, match="tags"):
        Selection(tags="fast")


Handler = Callable[[socket.socket], None]


@contextmanager
def proxy(handler: Handler) -> Iterator[str]:
    """A proxy that does what the handler does with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                handler(connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone would not wake the thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        if not chunk:
            raise ConnectionError
        head += chunk
    return head


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_connections_found_closed_are_no_fault_of_the_proxy() -> None:
    connections: list[int] = []

    def closes_at_the_second_request(connection: socket.socket) -> None:
        connections.append(1)
        read_head(connection)
        connection.sendall(OK)
        # Keeps quiet about it, and closes only once the next request is on its way: no client could have known.
        connection.recv(4096)

    with proxy(closes_at_the_second_request) as url:
        transport = RotatingTransport([url], retry_policy=QUICK)
        with httpx.Client(transport=transport) as client:
            for _ in range(10):
                response = client.get("http://site.test/")
                assert response.text == "ok"
                assert response.extensions["proxywhirl"]["attempts"] == 1
        (only,) = transport.pool
        assert (only.total_failures, only.total_successes) == (0, 10)
        assert len(connections) == 10

        async def no_blocking() -> None:
            other = AsyncRotatingTransport([url], retry_policy=QUICK)
            async with httpx.AsyncClient(transport=other) as client:
                for _ in range(10):
                    assert (await client.get("http://site.test/")).text == "ok"
            (only,) = other.pool
            assert only.total_failures == 0

        asyncio.run(no_blocking())


def test_a_new_connection_that_closes_is_not_held_against_the_only_proxy() -> None:
    with proxy(lambda connection: None) as url:
        transport = RotatingTransport([url], retry_policy=QUICK)
        with httpx.Client(transport=transport) as client, pytest.raises(ProxyConnectionError, match="3 attempts"):
            client.get("http://site.test/")
        (only,) = transport.pool
        assert (only.total_requests, only.total_failures) == (3, 0)


def test_a_new_connection_that_closes_is_the_proxys_fault_where_another_carries() -> None:
    def answers(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(OK)

    with proxy(lambda connection: None) as bad, proxy(answers) as good:
        transport = RotatingTransport([bad, good], retry_policy=QUICK)
        with httpx.Client(transport=transport) as client:
            assert client.get("http://site.test/").text == "ok"
        breaking, carrying = transport.pool
        assert (breaking.total_requests, breaking.total_failures) == (1, 1)
        assert carrying.total_successes == 1


def test_forwarded_requests_of_all_sites_share_connections() -> None:
    heads: list[bytes] = []
    connections: list[int] = []

    def keeps_alive(connection: socket.socket) -> None:
        connections.append(1)
        while True:
            heads.append(read_head(connection))
            connection.sendall(OK)

    with proxy(keeps_alive) as url:
        login = url.replace("//", "//us%40er:p%3Aw@")
        with httpx.Client(transport=RotatingTransport([login])) as client:
            for host in ("one.test", "two.test:8080", "[::1]:99"):
                client.get(f"http://{host}/p?q=1", headers={"Host": "kept.test"})
    assert len(connections) == 1
    assert [head.split(b" ")[1] for head in heads] == [
        b"http://one.test/p?q=1",
        b"http://two.test:8080/p?q=1",
        b"http://[::1]:99/p?q=1",
    ]
    assert all(b"Proxy-Authorization: Basic dXNAZXI6cDp3\r\n" in head for head in heads)


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
def test_a_tunnel_that_breaks_leaves_room(scheme: str) -> None:
    """However often a handshake or TLS breaks, the connection pool does not fill up with the dead."""

    def hangs_up(connection: socket.socket) -> None:
        connection.recv(4096)
        if scheme == "http":
            connection.sendall(b"HTTP/1.1 200 Ok\r\n\r\n")
            connection.recv(4096)

    with proxy(hangs_up) as url:
        transport = RotatingTransport(
            [url.replace("http", scheme)], retry_policy=RetryPolicy(max_attempts=1), max_connections=2
        )
        with httpx.Client(transport=transport, timeout=2) as client:
            for number in range(6):
                (only,) = transport.pool
                only.record_success(1.0)
                transport.pool._breaker_of(only.id).reset()
                with pytest.raises(ProxyConnectionError) as caught:
                    client.get(f"https://site{number}.test/")
                assert not isinstance(caught.value.__cause__, httpx.PoolTimeout)


def test_a_generator_is_not_sent_twice() -> None:
    heads: list[bytes] = []

    def answers_badly(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        connection.recv(65536)

    with proxy(answers_badly) as url:
        with httpx.Client(transport=RotatingTransport([url], retry_policy=QUICK)) as client:
            assert client.put("http://site.test/", content=iter([b"a", b"b"])).status_code == 503
            assert len(heads) == 1
            with pytest.raises(ProxyConnectionError) as caught:
                client.put("http://site.test/", content=b"ab")
            assert len(heads) == 4
    assert caught.value.response is not None
    assert caught.value.response.status_code == 503


def test_a_full_pool_blames_no_proxy() -> None:
    release = threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        release.wait(10)
        connection.sendall(b"ok")

    with proxy(slow) as url:
        transport = RotatingTransport([url], max_connections=1, retry_policy=QUICK)
        timeout = httpx.Timeout(5, pool=0.1)
        with httpx.Client(transport=transport, timeout=timeout) as client:
            with client.stream("GET", "http://site.test/") as response:
                with pytest.raises(ProxyPoolEmptyError, match="at capacity") as caught:
                    client.get("http://site.test/")
                assert caught.value.reasons["at_capacity"] == 1
                verdicts = transport.pool.explain("http://site.test/")
                assert verdicts.summary() == "0 of 1 eligible; 1 at capacity"
                (only,) = transport.pool
                assert (only.requests_active, only.total_failures) == (1, 0)
                release.set()
                assert response.read() == b"ok"
        assert (only.requests_active, only.requests_started) == (0, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own() -> None:
    connections: list[int] = []

    def keeps_alive(connection: socket.socket) -> None:
        connections.append(1)
        while True:
            read_head(connection)
            connection.sendall(OK)

    with proxy(keeps_alive) as url, httpx.Client(transport=RotatingTransport([url])) as client:
        client.get("http://site.test/")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if client.get("http://site.test/").text == "ok" else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        client.get("http://site.test/")
    assert len(connections) == 2, "one of the parent's, which it still uses, and one of the child's"


def test_importing_a_transport_does_not_import_the_other_flavour() -> None:
    import subprocess

    code = "import sys, proxywhirl.transport; sys.exit('httpx2' in sys.modules or 'trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
