"""Finding out how a proxy is spoken to: a login that is meant for TLS never leaves it."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Callable

import pytest

from proxywhirl._core import CheckResult
from proxywhirl.validation import Checks

USER, PASSWORD = "recorded-user", "recorded-password"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode())
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def _hang_up(connection: socket.socket) -> None:
    """Nothing is said."""


def _say(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


# What a proxy without TLS, or an attacker on the way, answers to a greeting of TLS and to everything else.
ANSWERS = {
    "hangs up": _hang_up,
    "a page": _say(PAGE),
    "407": _say(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    ),
    "400": _say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "an alert": _say(b"\x15\x03\x03\x00\x02\x02\x28"),
    "SOCKS 5 with a password": _say(b"\x05\x02\x01\x00"),
    "SOCKS 5 without": _say(b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"),
    "SOCKS 4": _say(b"\x00\x5a\x00\x50\x7f\x00\x00\x01"),
    "nonsense": _say(b"\xff" * 64),
}


@contextmanager
def recorder(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers every connection alike; its port, and what each connection sent."""
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(0.5)
                    number = len(heard)
                    heard.append(b"")
                    try:
                        heard[number] += connection.recv(65536)
                        answer(connection)
                        connection.shutdown(socket.SHUT_WR)
                        while more := connection.recv(65536):
                            heard[number] += more
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def check(*urls: str, **options: Any) -> list[CheckResult]:
    with Checks(urls, level="standard", targets=["http://site.test/"], detect=True, timeout=5.0, **options) as checks:
        return list(checks)


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_login_in_clear_after_tls_failed(answer: str) -> None:
    with recorder(ANSWERS[answer]) as (port, heard):
        (result,) = check(f"https://{USER}:{PASSWORD}@127.0.0.1:{port}", verify=False)
        assert not result.is_valid
        assert result.protocol == "https"
        assert len(heard) == 1
    everything = b"".join(heard)
    assert everything.startswith(b"\x16\x03")  # the greeting of TLS, and nothing but it
    for secret in (USER.encode(), PASSWORD.encode(), BASIC):
        assert secret not in everything


def test_a_login_for_clear_protocols_never_meets_tls() -> None:
    for scheme in ("http", "socks4", "socks5"):
        with recorder(ANSWERS["nonsense"]) as (port, heard):
            check(f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{port}", verify=False)
        assert len(heard) > 1
        assert not any(sent.startswith(b"\x16\x03") for sent in heard)


def test_without_a_login_every_way_is_tried() -> None:
    with recorder(ANSWERS["a page"]) as (port, heard):
        (result,) = check(f"https://127.0.0.1:{port}", verify=False)
    assert result.is_valid
    assert result.protocol == "http"
    assert len(heard) == 2
