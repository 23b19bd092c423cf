"""Sockets of the fleet: those of clients that have gone go too, whatever the proxy was doing for them."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Callable

import pytest

from proxywhirl.testing import ProxyFleet, ProxySpec

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")

HOUR = 3_600_000.0
CLIENTS = 12
SLOW_PAGES = (f"/delay/{int(HOUR)}", f"/drip?bytes=2&ms={int(HOUR)}")


def sockets() -> int:
    """Sockets of this process, those of the fleet's side included."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue  # the descriptor of the listing itself
    return count


def settled(expected: int) -> int:
    """The number of sockets once it is down to what is expected, or has not come down to it for long."""
    deadline = time.monotonic() + 20
    while (now := sockets()) > expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    schemes = ("http", "https", "socks4", "socks5")
    specs = [ProxySpec(name=scheme, scheme=scheme) for scheme in schemes]
    specs += [ProxySpec(name=f"hanging-{scheme}", scheme=scheme, fault="hang") for scheme in schemes]
    specs += [ProxySpec(name=f"slow-{scheme}", scheme=scheme, latency=HOUR) for scheme in schemes]
    with ProxyFleet(specs) as running:
        yield running


def connect(fleet: ProxyFleet, name: str) -> socket.socket:
    proxy = fleet[name]
    port = int(proxy.bare_url.rsplit(":", 1)[1])
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    if proxy.scheme == "https":
        return fleet.ssl_context().wrap_socket(plain, server_hostname="127.0.0.1")
    return plain


def greet(wire: socket.socket, scheme: str, fleet: ProxyFleet) -> None:
    """Ask for a tunnel to the origin, as far as the proxy lets it come."""
    host, _, port = fleet.http_url("").rstrip("/").rsplit("/", 1)[1].partition(":")
    if scheme == "socks5":
        wire.sendall(b"\5\1\0")
        assert wire.recv(2) == b"\5\0"
        wire.sendall(b"\5\1\0\1" + socket.inet_aton(host) + struct.pack(">H", int(port)))
    elif scheme == "socks4":
        wire.sendall(b"\4\1" + struct.pack(">H", int(port)) + socket.inet_aton(host) + b"\0")
    else:
        wire.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def page(path: str, host: str = "shop.test") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def reset(wire: socket.socket) -> None:
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def farewell(wire: socket.socket) -> None:
    """Leave as TLS does: with a message that goes unread, and then the end."""
    if isinstance(wire, ssl.SSLSocket):
        wire.settimeout(0.05)
        # The proxy does not answer it while it is busy.
        with suppress(OSError, ValueError):
            wire.unwrap()
    wire.close()


def chatter(wire: socket.socket) -> None:
    """Leave with bytes in the pipe that the proxy has not read."""
    wire.sendall(page("/later") * 3)
    wire.close()


def still_active(place: Any) -> int:
    """How many connections a proxy or the origin counts, once it has had time: a socket is closed before it is counted off."""
    deadline = time.monotonic() + 20
    while (count := int(place.counters()["active_connections"])) and time.monotonic() < deadline:
        time.sleep(0.01)
    return count


LEAVING: dict[str, Callable[[socket.socket], None]] = {
    "closes": lambda wire: wire.close(),
    "resets": reset,
    "says farewell": farewell,
    "has said more": chatter,
}


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("doing", ["nothing", "hanging", "slow", "tunnel", "tunnel, a slow page", "tunnel, a drip"])
def test_what_a_proxy_keeps_for_clients_that_have_gone(fleet: ProxyFleet, doing: str, scheme: str, leave: str) -> None:
    gc.collect()
    before = sockets()
    name = f"{doing}-{scheme}" if doing in ("hanging", "slow") else scheme
    wires = [connect(fleet, name) for _ in range(CLIENTS)]
    for wire in wires:
        if doing == "nothing":
            continue
        greet(wire, scheme, fleet)
        if doing.startswith("tunnel"):
            assert wire.recv(100)
            pages = {"tunnel, a slow page": SLOW_PAGES[0], "tunnel, a drip": SLOW_PAGES[1]}
            if doing in pages:
                wire.sendall(page(pages[doing]))
    deadline = time.monotonic() + 20
    while fleet[name].counters()["active_connections"] < CLIENTS and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    for wire in wires:
        LEAVING[leave](wire)
    assert settled(before) <= before
    assert still_active(fleet[name]) == 0
    assert still_active(fleet.origin) == 0


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("path", SLOW_PAGES)
def test_forwarded_pages_that_take_their_time(fleet: ProxyFleet, scheme: str, path: str, leave: str) -> None:
    gc.collect()
    before = sockets()
    wires = [connect(fleet, scheme) for _ in range(CLIENTS)]
    for wire in wires:
        wire.sendall(page(f"http://shop.test{path}"))
    deadline = time.monotonic() + 20
    while fleet.origin.counters()["active_connections"] < CLIENTS and time.monotonic() < deadline:
        time.sleep(0.01)
    for wire in wires:
        LEAVING[leave](wire)
    assert settled(before) <= before
    assert still_active(fleet.origin) == 0


def test_idle_connections_go_with_the_last_client(fleet: ProxyFleet) -> None:
    gc.collect()
    before = sockets()
    wires = [connect(fleet, "http") for _ in range(CLIENTS)]
    for wire in wires:
        wire.sendall(page("http://shop.test/whoami"))
    for wire in wires:
        assert wire.recv(10) == b"HTTP/1.1 2"
    for wire in wires:
        wire.close()
    assert settled(before) <= before
    # The next one gets its page all the same.
    with connect(fleet, "http") as wire:
        wire.sendall(page("http://shop.test/whoami"))
        assert wire.recv(10) == b"HTTP/1.1 2"


def test_nothing_is_left_of_a_fleet_that_was_stopped() -> None:
    gc.collect()
    before = sockets()
    wires: list[socket.socket] = []
    for stop in (lambda fleet: fleet.stop(), lambda fleet: None):
        specs = [ProxySpec(name="http"), ProxySpec(name="hang", fault="hang"), ProxySpec(name="slow", latency=HOUR)]
        fleet = ProxyFleet(specs).start()
        for name in ("http", "hang", "slow"):
            wires += [connect(fleet, name) for _ in range(4)]
            for wire in wires[-4:]:
                wire.sendall(page("http://shop.test/whoami"))
        stop(fleet)
        del fleet
        gc.collect()
    for wire in wires:
        wire.close()
    assert settled(before) <= before
