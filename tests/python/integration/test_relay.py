"""The local relay, used by clients that know nothing of rotation, over a fleet in which half of the proxies fail."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.python.support.client_fleet import LOGIN, client_fleet

from proxywhirl import Proxy, ProxyPool, ProxyRotator, Relay, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

CURL = shutil.which("curl")
QUICK = {"connect_timeout": 1.0, "read_timeout": 1.0}


def _curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    if CURL is None:
        pytest.skip("curl is not installed")
    return subprocess.run([CURL, "-sS", "--max-time", "20", *arguments], capture_output=True, text=True, timeout=30)


def _open(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.host, relay.port), timeout=10)


def _all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def _authorization(relay: Relay, user: str | None = None, password: str | None = None) -> str:
    login = f"{user or relay.username}:{password or relay.password}"
    return f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"


def _settled(pool: Any) -> bool:
    for _ in range(200):
        if all(proxy.requests_active == 0 for proxy in pool):
            return True
        time.sleep(0.02)
    return False


# -- clients


@pytest.mark.parametrize("https", [False, True])
def test_every_page_by_requests(https: bool) -> None:
    import requests

    with client_fleet() as crawl, ProxyRotator(proxies=crawl.urls) as rotator, Relay(rotator, **QUICK) as relay:
        proxies = {"http": relay.url, "https": relay.url}
        for _ in range(30):
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(crawl.page(https=https), proxies=proxies, timeout=20, verify=crawl.ca_file)
                # What a site says inside of a tunnel is not for the relay to see.
                if https and answer.status_code == 403:
                    continue
                crawl.arrived(answer.json())
        assert len(crawl.pages) == 30 or (https and len(crawl.pages) >= 20)
        assert relay.stats()["failed"] == 0
        assert relay.stats()["tunnels" if https else "answers"] == 30
    assert _settled(rotator.pool)


def test_two_hundred_pages_and_each_bad_proxy_once() -> None:
    import httpx

    with client_fleet() as crawl, ProxyRotator(proxies=crawl.urls) as rotator, Relay(rotator, **QUICK) as relay:
        with httpx.Client(proxy=relay.url, trust_env=False, timeout=20) as client:
            for _ in range(200):
                answer = client.get(crawl.page())
                assert answer.status_code == 200, answer.text
                crawl.arrived(answer.json())
        assert len(crawl.pages) == 200
        stats = relay.stats()
        assert stats["answers"] == 200
        assert stats["connections"] == 1, "the client's connection is kept"
        tries = crawl.tries(rotator.pool)
        assert all(count == 1 for count in tries.values()), tries
        sent = sum(proxy.bytes_sent for proxy in rotator.pool)
        assert 0 < stats["bytes_sent"] == sent
    assert _settled(rotator.pool)


def test_tunnels_move_on_to_proxies_that_work_by_aiohttp() -> None:
    import aiohttp

    async def main() -> None:
        with client_fleet() as crawl, ProxyRotator(proxies=crawl.urls) as rotator:
            async with Relay(rotator, **QUICK) as relay:
                connector = aiohttp.TCPConnector(ssl=_trusting(crawl.ca_file), force_close=True)
                async with aiohttp.ClientSession(connector=connector) as session:
                    statuses = []
                    for _ in range(40):
                        async with session.get(crawl.page(https=True), proxy=relay.url) as answer:
                            statuses.append(answer.status)
                            if answer.status == 200:
                                crawl.arrived(await answer.json())
                # What a site says inside of a tunnel is not for the relay to see.
                assert set(statuses) <= {200, 403}
                assert relay.stats()["tunnels"] == 40
                assert relay.stats()["failed"] == 0
            tries = crawl.tries(rotator.pool)
            assert all(tries[name] == 1 for name in ("dead-1", "dead-2", "dead-3", "hanging")), tries
            assert _settled(rotator.pool)

    asyncio.run(main())


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("https", [False, True])
def test_curl(scheme: str, https: bool) -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec(auth=LOGIN), ProxySpec(scheme="socks5", auth=LOGIN)]) as fleet:
        with ProxyRotator(proxies=fleet.urls) as rotator, Relay(rotator, **QUICK) as relay:
            url = relay.url_for(scheme=scheme)
            page = fleet.site_url("shop.test", "/whoami", https=https)
            done = _curl("-x", url, "--cacert", fleet.ca_file(), page)
            assert done.returncode == 0, done.stderr
            assert '"site": "shop.test"' in done.stdout or '"site":"shop.test"' in done.stdout
            assert relay.stats()["tunnels"] == (0 if scheme == "http" and not https else 1)


def test_an_upload_and_a_large_answer() -> None:
    import httpx

    with ProxyFleet(3) as fleet, Relay(fleet.urls, **QUICK) as relay:
        with httpx.Client(proxy=relay.url, trust_env=False, timeout=20) as client:
            page = fleet.site_url("shop.test", "/echo")
            for size in (0, 1, 70_000, 3_000_000):
                body = os.urandom(size)
                answer = client.post(page, content=body)
                assert answer.status_code == 200
                chunked = client.post(page, content=iter([body[:10], body[10:]]) if size else iter([]))
                assert chunked.status_code == 200
        assert relay.stats()["bytes_sent"] > 6_000_000


# -- who is let in


def test_only_with_the_password() -> None:
    with ProxyFleet(1) as fleet, Relay(fleet.urls) as relay:
        page = fleet.site_url("shop.test", "/whoami")
        assert len(relay.password or "") >= 20
        base = f"http://{relay.host}:{relay.port}"
        assert _curl("-o", os.devnull, "-w", "%{http_code}", "-x", base, page).stdout == "407"
        wrong = f"http://{relay.username}:wrong@{relay.host}:{relay.port}"
        assert _curl("-o", os.devnull, "-w", "%{http_code}", "-x", wrong, page).stdout == "407"
        assert _curl("-x", wrong.replace("http:", "socks5h:"), page).returncode == 97
        assert _curl("-x", base.replace("http:", "socks5h:"), page).returncode == 97
        with _open(relay) as four:
            four.sendall(b"\x04\x01\x00\x50\x00\x00\x00\x01me\x00shop.test\x00")
            assert four.recv(8) == b"\x00\x5b\x00\x00\x00\x00\x00\x00"
        assert relay.stats()["denied"] >= 5
        assert relay.stats()["answers"] == 0


def test_without_a_password_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="must have a password"):
        Relay([], host="0.0.0.0", auth=False)
    with ProxyFleet(1) as fleet, Relay(fleet.urls, auth=False) as relay:
        assert "@" not in relay.url
        assert _curl("-x", relay.url, fleet.site_url("shop.test", "/whoami")).returncode == 0
        assert _curl("-x", relay.socks_url, fleet.site_url("shop.test", "/whoami")).returncode == 0
        with _open(relay) as four:
            four.sendall(b"\x04\x01" + struct.pack(">H", 80) + b"\x00\x00\x00\x01\x00shop.test\x00")
            assert four.recv(8)[1] == 90
            four.sendall(b"GET /whoami HTTP/1.0\r\nHost: shop.test\r\n\r\n")
            assert b"shop.test" in _all(four)


def test_words_of_the_user_name() -> None:
    import httpx

    with ProxyFleet(6) as fleet:
        pool = ProxyPool(name="places")
        for number, url in enumerate(fleet.urls):
            tags = {"dc"} if number % 3 == 0 else set()
            pool.add_proxy(Proxy(url=url, country_code="US" if number < 3 else "DE", tags=tags))
        by_port = {proxy.port: proxy for proxy in pool}
        names = {member.name: by_port[member.port] for member in fleet}
        with Relay(pool) as relay:

            def through(**wishes: Any) -> set[Any]:
                found = set()
                with httpx.Client(proxy=relay.url_for(**wishes), trust_env=False) as client:
                    for _ in range(8):
                        answer = client.get(fleet.site_url("shop.test", "/whoami"))
                        assert answer.status_code == 200, answer.text
                        found.add(names[answer.json()["proxy"]])
                return found

            assert {proxy.country_code for proxy in through(country="us")} == {"US"}
            assert through(country="de", tags=["dc"]) == {names[name] for name in names if names[name] is list(pool)[3]}
            assert len(through()) == 6
            assert len(through(session_id="abc")) == 1
            assert len(through(country="de", session_id="two")) == 1
            with pytest.raises(ValueError, match="hyphen"):
                relay.url_for(session_id="a-b")
            refused = _curl(
                "-i",
                "-x",
                relay.url.replace(relay.username, relay.username + "-city-rome"),
                fleet.site_url("shop.test", "/whoami"),
            )
            assert "407 " in refused.stdout
            assert "a word that is not known" in refused.stdout
            nowhere = httpx.get(
                fleet.site_url("shop.test", "/whoami"), proxy=relay.url_for(country="fr"), trust_env=False
            )
            assert nowhere.status_code == 503


# -- what goes wrong


def test_no_proxy_is_said_in_each_protocol() -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec.dead()]) as fleet, Relay(fleet.urls, **QUICK) as relay:
        page = fleet.site_url("shop.test", "/whoami")
        answer = _curl("-i", "-x", relay.url, page).stdout
        assert answer.startswith("HTTP/1.1 502 "), answer
        with _open(relay) as tunnel:
            tunnel.sendall(f"CONNECT shop.test:443 HTTP/1.1\r\n{_authorization(relay)}\r\n".encode())
            assert _all(tunnel).startswith(b"HTTP/1.1 50")
        assert _curl("-x", relay.socks_url, page).returncode == 97
        assert relay.stats()["failed"] == 3


def test_credentials_of_proxies_are_in_no_answer_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    name, password = "upstream-user", "upstream-secret"
    caplog.set_level(logging.DEBUG)
    specs = [ProxySpec(auth=(name, password)), ProxySpec(scheme="socks5", auth=(name, password)), ProxySpec.dead()]
    with ProxyFleet(specs) as fleet:
        urls = [url.replace(f"{name}:{password}", f"{name}:wrong-{password}") for url in fleet.urls]
        urls.append(f"http://{name}:{password}@does-not-exist.invalid:1")
        assert any("wrong-" in url for url in urls)
        with ProxyRotator(proxies=urls) as rotator, Relay(rotator, **QUICK) as relay:
            texts = [repr(relay), str(relay.stats())]
            for https in (False, True):
                done = _curl("-i", "-v", "-x", relay.url, fleet.site_url("shop.test", "/whoami", https=https))
                texts += [done.stdout, done.stderr]
                with _open(relay) as tunnel:
                    tunnel.sendall(f"CONNECT shop.test:80 HTTP/1.1\r\n{_authorization(relay)}\r\n".encode())
                    texts.append(_all(tunnel).decode())
            assert "HTTP/1.1 50" in "".join(texts)
            for text in (*texts, caplog.text):
                assert name not in text
                assert password not in text
                assert base64.b64encode(f"{name}:{password}".encode()).decode() not in text


def test_the_login_of_the_relay_goes_to_no_proxy_and_no_site() -> None:
    seen: list[bytes] = []
    with _server(seen) as port, Relay([f"http://127.0.0.1:{port}"], **QUICK) as relay, _open(relay) as client:
        client.sendall(
            f"GET http://shop.test/a?b HTTP/1.1\r\nHost: shop.test\r\n{_authorization(relay)}X-Kept: 1\r\n"
            "Proxy-Connection: close\r\n\r\n".encode()
        )
        assert _all(client).endswith(b"\r\n\r\nok")
    head = b"".join(seen)
    assert head.startswith(b"GET http://shop.test/a?b HTTP/1.1\r\n")
    assert b"X-Kept: 1" in head
    assert b"roxy-" not in head


@contextmanager
def _server(seen: list[bytes], answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> Iterator[int]:
    """A proxy that answers each connection's first message, and keeps what it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                seen.append(connection.recv(65536))
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        # Closing does not wake a thread that accepts.
        with socket.create_connection(listener.getsockname()) as last:
            last.sendall(b"end")
        thread.join()
        listener.close()


def test_a_request_that_may_not_be_repeated_is_sent_once() -> None:
    seen: list[bytes] = []
    with _server(seen, answer=b"") as port, _server(seen, answer=b"") as other:
        urls = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"]
        with Relay(urls, retry_policy=RetryPolicy(base_delay=0.01), **QUICK) as relay, _open(relay) as client:
            head = f"POST http://shop.test/ HTTP/1.1\r\nHost: shop.test\r\n{_authorization(relay)}Content-Length: 2\r\n"
            client.sendall(f"{head}\r\nhi".encode())
            assert _all(client).startswith(b"HTTP/1.1 502 ")
        assert sum(message.startswith(b"POST") for message in seen) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n" + b"a" * 70_000,
    ],
)
def test_what_is_no_request_is_answered(said: bytes) -> None:
    with Relay([]) as relay, _open(relay) as client:
        client.sendall(said)
        assert _all(client).startswith(b"HTTP/1.1 4")


def test_a_client_that_says_nothing_or_too_slowly_is_closed() -> None:
    with Relay([], greeting_timeout=0.3) as relay:
        with _open(relay) as silent, _open(relay) as slow:
            slow.sendall(b"GET http://x.test/ HTTP/1.1\r\n")
            assert _all(silent) == b""
            assert _all(slow).startswith(b"HTTP/1.1 408 ")


# -- tunnels


def _tunnel(relay: Relay, port: int) -> socket.socket:
    client = _open(relay)
    client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{_authorization(relay)}\r\n".encode())
    assert client.recv(65536) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return client


@contextmanager
def _connecting_proxy() -> Iterator[int]:
    """A proxy that answers CONNECT and then echoes until the client's end, and says how much it was."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            # What the target says first comes in one piece with the proxy's reply.
            hello = b"220 hello\r\n" if b":25 " in head else b""
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + hello)
            count = 0
            while piece := connection.recv(65536):
                count += len(piece)
                connection.sendall(piece)
            connection.sendall(b"bye %d" % count)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_a_tunnel_keeps_half_closes_and_slow_readers() -> None:
    size = 20_000_000
    with _connecting_proxy() as port, Relay([f"http://127.0.0.1:{port}"]) as relay, _tunnel(relay, 80) as client:
        sender = threading.Thread(target=lambda: (client.sendall(b"x" * size), client.shutdown(socket.SHUT_WR)))
        sender.start()
        time.sleep(0.3)
        # Nothing is read yet: what the relay holds is bounded, the rest waits at the sender.
        assert relay.stats()["bytes_received"] < size
        received = _all(client)
        sender.join()
        assert received == b"x" * size + b"bye %d" % size
        assert relay.stats()["bytes_sent"] == size


def test_what_the_target_says_first_arrives() -> None:
    with _connecting_proxy() as port, Relay([f"http://127.0.0.1:{port}"]) as relay, _open(relay) as client:
        client.sendall(f"CONNECT mail.test:25 HTTP/1.1\r\n{_authorization(relay)}\r\n".encode())
        received = b""
        while not received.endswith(b"hello\r\n"):
            received += client.recv(65536)
        assert received.endswith(b"\r\n\r\n220 hello\r\n")


def test_what_the_client_says_early_is_sent() -> None:
    with _connecting_proxy() as port, Relay([f"http://127.0.0.1:{port}"]) as relay, _open(relay) as client:
        client.sendall(f"CONNECT x.test:80 HTTP/1.1\r\n{_authorization(relay)}\r\nearly".encode())
        client.shutdown(socket.SHUT_WR)
        assert _all(client).endswith(b"\r\n\r\nearlybye 5")


def test_an_idle_tunnel_is_closed_and_counts_for_nobody() -> None:
    with _connecting_proxy() as port, ProxyRotator(proxies=[f"http://127.0.0.1:{port}"]) as rotator:
        with Relay(rotator, idle_timeout=0.3) as relay, _tunnel(relay, 80) as client:
            assert _all(client) == b""
            assert _settled(rotator.pool)
            (proxy,) = rotator.pool
            assert (proxy.total_successes, proxy.total_failures) == (1, 0)


def test_a_tunnel_holds_its_lease_and_counts_its_bytes() -> None:
    with _connecting_proxy() as port, ProxyRotator(proxies=[f"http://127.0.0.1:{port}"]) as rotator:
        (proxy,) = rotator.pool
        with Relay(rotator) as relay:
            client = _tunnel(relay, 80)
            client.sendall(b"12345")
            assert client.recv(5, socket.MSG_WAITALL) == b"12345"
            assert proxy.requests_active == 1
            client.close()
            assert _settled(rotator.pool)
        assert (proxy.bytes_sent, proxy.bytes_received, proxy.total_successes) == (5, len(b"12345bye 5"), 1)


# -- life


def test_closing_drains() -> None:
    with _connecting_proxy() as port:
        relay = Relay([f"http://127.0.0.1:{port}"]).start()
        address = (relay.host, relay.port)
        client = _tunnel(relay, 80)
        idle = _open(relay)
        closing = threading.Thread(target=relay.close, args=(20.0,))
        closing.start()
        assert _all(idle) == b""
        idle.close()
        client.sendall(b"still")
        assert client.recv(5, socket.MSG_WAITALL) == b"still"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        client.shutdown(socket.SHUT_WR)
        assert _all(client) == b"bye 5"
        client.close()
        closing.join(10)
        assert not closing.is_alive()
        with pytest.raises(RuntimeError, match="not running"):
            _ = relay.url
        relay.close()


def test_closing_ends_what_does_not_end() -> None:
    with _connecting_proxy() as port:
        pool = ProxyPool(name="one")
        pool.add_proxy(f"http://127.0.0.1:{port}")
        with Relay(pool) as relay:
            client = _tunnel(relay, 80)
        with client:
            assert _all(client) == b""
        assert _settled(pool)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_no_relay() -> None:
    with ProxyFleet(1) as fleet, Relay(fleet.urls) as relay:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _ = relay.url
            except RuntimeError as error:
                code = 0 if "process that started it" in str(error) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 if sys.version_info >= (3, 9) else True
        assert _curl("-x", relay.url, fleet.site_url("shop.test", "/whoami")).returncode == 0


def test_a_strategy_and_a_rule_written_in_python() -> None:
    import httpx

    class Last:
        def select(self, pool: Any, context: Any = None) -> Any:
            return pool.get_all_proxies()[-1]

        def record_result(self, proxy: Any, success: bool, response_time_ms: float) -> None:
            pass

    with ProxyFleet(3) as fleet, Relay(fleet.urls, strategy=Last()) as relay:
        answer = httpx.get(fleet.site_url("shop.test", "/whoami"), proxy=relay.url, trust_env=False)
        assert answer.json()["proxy"] == list(fleet)[-1].name


def test_the_command(tmp_path: Path) -> None:
    with ProxyFleet(2) as fleet:
        listed = tmp_path / "proxies.txt"
        listed.write_text("\n".join(fleet.urls))
        command = [sys.executable, "-m", "proxywhirl", "relay", "--proxies", str(listed), "--drain", "0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://proxywhirl:"), process.stderr.read()
            assert _curl("-x", url, fleet.site_url("shop.test", "/whoami")).returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert "1 answer" in process.stderr.read()


# -- programs of others


def test_chromium() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with ProxyFleet([ProxySpec.dead(), ProxySpec(scheme="socks5", auth=LOGIN)]) as fleet:
        # On the command line a browser takes no login.
        with Relay(fleet.urls, auth=False, **QUICK) as relay:
            page = fleet.site_url("shop.test", "/whoami")
            command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--proxy-server={relay.url}"]
            done = subprocess.run([*command, "--dump-dom", page], capture_output=True, text=True, timeout=60)
            assert "shop.test" in done.stdout, done.stderr


_NODE = """
const http = require("http");
const [host, port, login, page] = process.argv.slice(1);
const headers = {"Proxy-Authorization": "Basic " + Buffer.from(login).toString("base64")};
http.get({host, port, path: page, headers: {...headers, Host: "shop.test"}}, (answer) => {
  answer.resume().on("end", () => {
    http.request({host, port, method: "CONNECT", path: "shop.test:80", headers}).on("connect", (reply, tunnel) => {
      console.log(answer.statusCode, reply.statusCode);
      tunnel.destroy();
    }).end();
  });
});
"""


def test_node() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    with ProxyFleet([ProxySpec.dead(), ProxySpec()]) as fleet, Relay(fleet.urls, **QUICK) as relay:
        page = fleet.site_url("shop.test", "/whoami")
        login = f"{relay.username}:{relay.password}"
        command = [node, "-e", _NODE, relay.host, str(relay.port), login, page]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == "200 200", done.stderr
