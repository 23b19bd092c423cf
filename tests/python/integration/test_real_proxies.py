"""Through proxies that others wrote: squid, tinyproxy, microsocks and dante."""

from __future__ import annotations

import asyncio
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from programs import PASSWORD, USER, free_port

from proxywhirl import AsyncProxyRotator, ProxyAuthenticationError, ProxyRotator


class _Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"hello from " + self.path.encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.seen.append((self.command, self.headers.get("Proxy-Authorization")))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence."""


def _serve(context: ssl.SSLContext | None, host: str = "127.0.0.1") -> http.server.ThreadingHTTPServer:
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, 0), _Origin)
    server.seen = []  # type: ignore[attr-defined]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def origin() -> Iterator[http.server.ThreadingHTTPServer]:
    server = _serve(None)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def secure_origin(certificate: tuple[Path, Path]) -> Iterator[http.server.ThreadingHTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = _serve(context)
    yield server
    server.shutdown()
    server.server_close()


def _login(password: str = PASSWORD) -> str:
    return f"{quote(USER, safe='')}:{quote(password, safe='')}@"


def _port(server: http.server.ThreadingHTTPServer) -> int:
    port: int = server.server_address[1]
    return port


def _check(
    proxy: str, origin: Any, secure_origin: Any, certificate: tuple[Path, Path], name: str = "localhost"
) -> None:
    """GET and POST, plain and TLS, by name and by address, blocking and not, through one proxy."""
    bases = (
        f"http://{name}:{_port(origin)}",
        f"http://127.0.0.1:{_port(origin)}",
        f"https://{name}:{_port(secure_origin)}",
    )
    verify = str(certificate[0])
    with ProxyRotator(proxies=[proxy], verify=verify) as rotator:
        for base in bases:
            for _ in range(2):
                assert rotator.get(f"{base}/page").text == "hello from /page"
            assert rotator.post(f"{base}/echo", content=b"x" * 100_000).content == b"x" * 100_000
        (only,) = rotator.pool
        assert only.total_successes == only.total_requests == 9
        assert only.requests_active == 0

    async def no_blocking() -> None:
        async with AsyncProxyRotator(proxies=[proxy], verify=verify) as rotator:
            for base in bases:
                answers = await asyncio.gather(*(rotator.get(f"{base}/{n}") for n in range(8)))
                assert [answer.text for answer in answers] == [f"hello from /{n}" for n in range(8)]

    asyncio.run(no_blocking())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid(squid: dict[str, str], scheme: str, origin: Any, secure_origin: Any, certificate: Any) -> None:
    _check(f"{scheme}://{_login()}{squid[scheme]}", origin, secure_origin, certificate)
    for server in (origin, secure_origin):
        assert all(authorization is None for _, authorization in server.seen), "credentials reached the site"


@pytest.mark.parametrize("target", ["plain", "secure"])
def test_squid_refuses_the_wrong_password(squid: dict[str, str], origin: Any, secure_origin: Any, target: str) -> None:
    url = f"http://localhost:{_port(origin)}/" if target == "plain" else f"https://localhost:{_port(secure_origin)}/"
    proxy = f"http://{_login('wrong-secret')}{squid['http']}"
    with ProxyRotator(proxies=[proxy]) as rotator, pytest.raises(ProxyAuthenticationError) as caught:
        rotator.get(url)
    assert "wrong-secret" not in f"{caught.value!r} {caught.value}"


def test_tinyproxy(tinyproxy: str, origin: Any, secure_origin: Any, certificate: Any) -> None:
    _check(f"http://{tinyproxy}", origin, secure_origin, certificate)


def test_microsocks(microsocks: dict[str, str], origin: Any, secure_origin: Any, certificate: Any) -> None:
    _check(f"socks5://{microsocks['open']}", origin, secure_origin, certificate)


def test_microsocks_with_login(microsocks: dict[str, str], origin: Any, secure_origin: Any, certificate: Any) -> None:
    _check(f"socks5://{_login()}{microsocks['locked']}", origin, secure_origin, certificate)


@pytest.mark.parametrize("login", ["", _login("wrong-secret")])
def test_microsocks_refuses(microsocks: dict[str, str], origin: Any, login: str) -> None:
    proxy = f"socks5://{login}{microsocks['locked']}"
    with ProxyRotator(proxies=[proxy]) as rotator, pytest.raises(ProxyAuthenticationError):
        rotator.get(f"http://localhost:{_port(origin)}/")


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_dante(dante: str, scheme: str, origin: Any, secure_origin: Any, certificate: Any) -> None:
    # Dante knows SOCKS4 but refuses names in it (SOCKS4a); those are tested against our own fleet.
    name = "127.0.0.1" if scheme == "socks4" else "localhost"
    _check(f"{scheme}://{dante}", origin, secure_origin, certificate, name)


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_names_are_resolved_by_the_proxy(
    request: pytest.FixtureRequest, kind: str, origin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = request.getfixturevalue("tinyproxy" if kind == "http" else "dante")
    asked: list[Any] = []
    resolve = socket.getaddrinfo

    def watched(host: Any, *arguments: Any, **keywords: Any) -> Any:
        asked.append(host.decode() if isinstance(host, bytes) else host)
        return resolve(host, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    url = f"http://localhost:{_port(origin)}/"
    with ProxyRotator(proxies=[f"{kind}://{address}"]) as rotator:
        assert rotator.get(url).status_code == 200

    async def no_blocking() -> None:
        async with AsyncProxyRotator(proxies=[f"{kind}://{address}"]) as rotator:
            assert (await rotator.get(url)).status_code == 200

    asyncio.run(no_blocking())
    assert "localhost" not in asked


def test_targets_with_an_ipv6_address(microsocks: dict[str, str], tinyproxy: str) -> None:
    try:
        server = _serve(None, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        for proxy in (f"socks5://{microsocks['open']}", f"http://{tinyproxy}"):
            with ProxyRotator(proxies=[proxy]) as rotator:
                assert rotator.get(f"http://[::1]:{_port(server)}/six").text == "hello from /six"
    finally:
        server.shutdown()
        server.server_close()


def test_an_unreachable_target_behind_socks(microsocks: dict[str, str]) -> None:
    from proxywhirl import ProxyConnectionError, RetryPolicy

    policy = RetryPolicy(max_attempts=2, base_delay=0.01)
    rotator = ProxyRotator(proxies=[f"socks5://{microsocks['open']}"], retry_policy=policy)
    with rotator, pytest.raises(ProxyConnectionError, match="failed after 2 attempts"):
        rotator.get(f"http://127.0.0.1:{free_port()}/")


def test_one_rotator_over_all_of_them(
    squid: dict[str, str], tinyproxy: str, microsocks: dict[str, str], dante: str, origin: Any
) -> None:
    proxies = [
        f"http://{_login()}{squid['http']}",
        f"http://{tinyproxy}",
        f"socks5://{microsocks['open']}",
        f"socks4://{dante}",
        f"http://127.0.0.1:{free_port()}",
    ]
    with ProxyRotator(proxies=proxies) as rotator:
        for _ in range(50):
            assert rotator.get(f"http://127.0.0.1:{_port(origin)}/").status_code == 200
        *good, dead = rotator.pool
        assert [proxy.total_successes >= 10 for proxy in good] == [True] * 4, [
            str(proxy.total_successes) for proxy in good
        ]
        assert dead.total_successes == 0
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)
