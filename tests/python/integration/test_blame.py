"""Blame follows evidence, over sockets: dead and slow sites lose no good page, broken proxies are found, exits change."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Callable

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, Outcome, Proxy, ProxyRotator, RetryPolicy
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.testing import ProxyFleet, ProxySpec

QUICK = RetryPolicy(base_delay=0.01)
# Short only where something is to run into it: a good page must not, on a busy machine either.
PATIENT = httpx.Timeout(20.0)
HASTY = httpx.Timeout(1.5, pool=20.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"


class ScriptedProxy:
    """A forward proxy, CONNECT proxy and SOCKS5 proxy in one, that answers by itself what a script says.

    Args:
        script: Called with the connection, the head of the request, and the number of the connection, for each request.
    """

    def __init__(self, script: Callable[[socket.socket, bytes, int], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                connection.settimeout(10)
                while True:
                    self._script(connection, self._head(connection), number)
            except OSError:
                return

    @staticmethod
    def _head(connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            if head[:1] == b"\5":
                return head
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionError
            head += chunk
        return head

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def proxies(*scripts: Callable[[socket.socket, bytes, int], None]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        made = [ScriptedProxy(script) for script in scripts]
        for proxy in made:
            stack.callback(proxy.close)
        yield [proxy.url for proxy in made]


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionError


def tunnel(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(65536)


def refuses(status: int) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)


def resets_inside(connection: socket.socket) -> None:
    tunnel(connection)
    reset(connection)


def closes_inside(connection: socket.socket) -> None:
    tunnel(connection)
    raise ConnectionError


def hangs_inside(connection: socket.socket) -> None:
    tunnel(connection)
    connection.recv(65536)


def hangs(connection: socket.socket) -> None:
    connection.recv(65536)


def cut_short(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
    reset(connection)


def answers(body: bytes, *headers: bytes) -> Callable[[socket.socket], None]:
    head = b"".join(header + b"\r\n" for header in headers)
    return lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )


# What the proxies do about a site that is dead, and how its pages are asked for.
DEAD: dict[str, tuple[str, Callable[[socket.socket], None]]] = {
    **{f"connect-{status}": ("https", refuses(status)) for status in (403, 404, 500, 502, 503, 504)},
    "reset-inside": ("https", resets_inside),
    "closed-inside": ("https", closes_inside),
    "hangs-inside": ("https", hangs_inside),
    "forward-502": ("http", refuses(502)),
    "forward-504": ("http", refuses(504)),
    "forward-reset": ("http", reset),
    "forward-hangs": ("http", hangs),
    "forward-nonsense": ("http", lambda connection: connection.sendall(b"NOT HTTP AT ALL\r\n\r\n")),
    "forward-cut": ("http", cut_short),
    "not-gzip": ("http", answers(b"plain text", b"Content-Encoding: gzip")),
}
SLOW = ("hangs-inside", "forward-hangs")
PACED = ("connect-502", "reset-inside", "forward-502")


def fine(dead: Callable[[socket.socket], None]) -> Callable[[socket.socket, bytes, int], None]:
    """A proxy that is fine, and what it does for sites that are not."""

    def script(connection: socket.socket, head: bytes, number: int) -> None:
        if b"gone" in head.split(b"\r\n", 1)[0]:
            dead(connection)
        else:
            connection.sendall(OK)

    return script


def url_list(kind: str, count: int, seed: int) -> list[str]:
    """Pages of which a quarter is on dead sites, in any order."""
    scheme = DEAD[kind][0]
    pages = [
        f"http://good{number % 5}.test/{number}" if number % 4 else f"{scheme}://gone{number}.test/"
        for number in range(count)
    ]
    random.Random(seed).shuffle(pages)
    return pages


def crawl(
    urls: list[str], pages: list[str], workers: int, timeout: httpx.Timeout = PATIENT
) -> tuple[list[str], ProxyRotator]:
    """Good pages that were lost."""
    lost: list[str] = []
    with ProxyRotator(proxies=urls, retry_policy=QUICK) as rotator:

        def get(page: str) -> None:
            try:
                assert rotator.get(page, timeout=timeout).text == "page"
            except ProxyWhirlError as error:
                if "good" in page:
                    lost.append(f"{page}: {error}")

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(get, pages))
        return lost, rotator


@pytest.mark.parametrize("kind", DEAD)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_list_of_which_a_quarter_is_dead_loses_no_good_page(kind: str, size: int) -> None:
    count, timeout = (24, HASTY) if kind in SLOW else (40, PATIENT)
    with proxies(*[fine(DEAD[kind][1])] * size) as urls:
        for workers in (1, 30) if kind in PACED else (30,):
            lost, rotator = crawl(urls, url_list(kind, count, size), workers, timeout)
            assert not lost, f"{workers} at a time: {lost[:3]}"
            assert all(verdict.eligible for verdict in rotator.pool.explain()), rotator.pool.explain()


@pytest.mark.parametrize("kind", ["connect-502", "reset-inside", "forward-502", "forward-hangs"])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_the_same_in_tasks(kind: str, size: int) -> None:
    timeout = HASTY if kind in SLOW else PATIENT

    async def main(urls: list[str]) -> list[str]:
        lost: list[str] = []
        async with AsyncProxyRotator(proxies=urls, retry_policy=QUICK) as rotator:

            async def get(page: str) -> None:
                try:
                    assert (await rotator.get(page, timeout=timeout)).text == "page"
                except ProxyWhirlError as error:
                    if "good" in page:
                        lost.append(f"{page}: {error}")

            await asyncio.gather(*map(get, url_list(kind, 48, size)))
            assert all(verdict.eligible for verdict in rotator.pool.explain())
        return lost

    with proxies(*[fine(DEAD[kind][1])] * size) as urls:
        assert asyncio.run(main(urls)) == []


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4"])
@pytest.mark.parametrize("size", [1, 6])
def test_names_that_do_not_exist_are_no_fault_of_the_proxies(scheme: Any, size: int) -> None:
    with ProxyFleet([ProxySpec(scheme=scheme) for _ in range(size)]) as fleet:
        with ProxyRotator(proxies=fleet.urls, retry_policy=QUICK) as rotator:
            for number in range(24):
                if number % 4:
                    assert rotator.get(fleet.site_url("good.test", "/whoami"), timeout=3).status_code == 200
                else:
                    with pytest.raises(ProxyWhirlError):
                        rotator.get(f"https://gone{number}.invalid/", timeout=3)
            assert all(proxy.total_failures == 0 for proxy in rotator.pool)


BROKEN: dict[str, Callable[[socket.socket], None]] = {
    **{kind: act for kind, (scheme, act) in DEAD.items() if scheme == "http" and kind not in SLOW},
    "not-deflate": answers(b"plain text", b"Content-Encoding: deflate"),
    "garbled-gzip": answers(gzip.compress(b"page")[:-8] + b"\0" * 8, b"Content-Encoding: gzip"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("size", [2, 5])
def test_a_broken_proxy_is_found_and_the_user_gets_the_page(kind: str, size: int) -> None:
    def broken(connection: socket.socket, head: bytes, number: int) -> None:
        BROKEN[kind](connection)

    with proxies(broken, *[fine(DEAD["forward-502"][1])] * (size - 1)) as urls:
        pages = [page for page in url_list("forward-502", 60, size) if "good" in page]
        for workers in (1, 30):
            lost, rotator = crawl(urls, pages, workers)
            assert not lost, f"{workers} at a time: {lost[:3]}"
            first, *others = rotator.pool
            assert first.total_failures > 0
            assert (first.total_successes, first.health_status.value == "healthy") == (0, False)
            assert rotator.pool.explain()[0].reasons, "it rests"
            assert all(proxy.total_failures == 0 for proxy in others)


def test_decodable_bodies_blame_no_proxy() -> None:
    for coded, name in (
        (gzip.compress(b"page"), b"gzip"),
        (zlib.compress(b"page"), b"deflate"),
        (b"page", b"identity"),
    ):
        script = answers(coded, b"Content-Encoding: " + name)
        with proxies(lambda connection, head, number, script=script: script(connection)) as urls:
            with ProxyRotator(proxies=urls) as rotator:
                assert rotator.get("http://shop.test/").text == "page"
                assert rotator.pool.proxies[0].total_successes == 1


def test_post_is_not_repeated_and_still_blamed_by_the_next_answer() -> None:
    def breaks(connection: socket.socket, head: bytes, number: int) -> None:
        reset(connection)

    with proxies(breaks, fine(refuses(502))) as urls, ProxyRotator(proxies=urls, retry_policy=QUICK) as rotator:
        with pytest.raises(ProxyWhirlError):
            rotator.post("http://shop.test/", content=b"order")
        breaking, other = rotator.pool
        assert (breaking.total_requests, breaking.total_failures, other.total_requests) == (1, 0, 0)
        assert rotator.get("http://shop.test/").text == "page"
        assert (breaking.total_requests, breaking.total_failures) == (1, 1)


def outcomes(rotator: ProxyRotator) -> dict[str, int]:
    return {name: count for name, count in rotator.get_metrics()["outcomes"].items() if count}


def test_counts_hold_for_late_decisions() -> None:
    def breaks(connection: socket.socket, head: bytes, number: int) -> None:
        reset(connection)

    with proxies(breaks, fine(refuses(502))) as urls:
        with ProxyRotator(proxies=urls, retry_policy=QUICK, enable_metrics=True) as rotator:
            breaking, _ = rotator.pool
            with pytest.raises(ProxyWhirlError):
                rotator.post("http://shop.test/", content=b"order")
            assert outcomes(rotator) == {"target_fault": 1}, "nothing is known yet"
            rotator.get("http://shop.test/")
            assert outcomes(rotator) == {"proxy_down": 1, "success": 1}
            assert (breaking.total_requests, breaking.total_failures) == (1, 1)
        with ProxyRotator(proxies=urls, retry_policy=QUICK, enable_metrics=True) as rotator:
            rotator.get("http://shop.test/")
            assert outcomes(rotator) == {"proxy_down": 1, "success": 1}, "decided within the request"


def exits(first: bytes, scheme: str, served: list[int]) -> Callable[[socket.socket, bytes, int], None]:
    """A gateway: each connection is an exit of its own, and the first ones are refused by the site."""

    def script(connection: socket.socket, head: bytes, number: int) -> None:
        if scheme == "socks5" and head[:1] == b"\5":
            connection.sendall(b"\5\0")
            connection.recv(4096)
            connection.sendall(b"\5\0\0\1\0\0\0\0\0\0")
            return
        served.append(number)
        body = b"page" if number >= int(first) else b"no"
        status = b"200 OK" if number >= int(first) else b"403 Forbidden"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return script


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("rotating", [True, False])
def test_a_refused_exit_is_left_by_a_new_connection(scheme: str, rotating: bool) -> None:
    served: list[int] = []
    with proxies(exits(b"2", scheme, served)) as urls:
        proxy = Proxy(url=urls[0].replace("http", scheme), rotating=rotating)
        with ProxyRotator(proxies=[proxy]) as rotator:
            assert [rotator.get("http://shop.test/", timeout=3).status_code for _ in range(6)] == [200] * 6
    assert served == [1, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("refusal", [(403, b""), (429, b""), (429, b"Retry-After: 60\r\n")])
def test_every_kind_of_refusal_changes_the_exit(refusal: tuple[int, bytes]) -> None:
    status, header = refusal
    served: list[int] = []

    def script(connection: socket.socket, head: bytes, number: int) -> None:
        served.append(number)
        if number == 1:
            connection.sendall(b"HTTP/1.1 %d No\r\n%sContent-Length: 0\r\n\r\n" % (status, header))
        else:
            connection.sendall(OK)

    async def main(urls: list[str]) -> list[int]:
        async with AsyncProxyRotator(proxies=[Proxy(url=urls[0], rotating=True)]) as rotator:
            return [(await rotator.get("http://shop.test/", timeout=3)).status_code for _ in range(3)]

    with proxies(script) as urls:
        assert asyncio.run(main(urls)) == [200] * 3
    assert served == [1, 2, 2, 2]


def test_kept_connections_of_the_exit_go_too() -> None:
    """Two connections are open when the site refuses the exit on one of them: neither is used again."""
    served: list[int] = []
    both = threading.Barrier(2)

    def script(connection: socket.socket, head: bytes, number: int) -> None:
        served.append(number)
        if b"/both" in head:
            both.wait(5)
        status = b"403 No" if b"/refused" in head and number <= 2 else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")

    with proxies(script) as urls, ProxyRotator(proxies=[Proxy(url=urls[0], rotating=True)]) as rotator:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: rotator.get("http://shop.test/both"), range(2)))
        assert sorted(served) == [1, 2]
        assert rotator.get("http://shop.test/refused").status_code == 200
        assert served[-2] in (1, 2)
        assert served[-1] == 3


def test_a_proxy_with_exits_is_benched_after_three_in_a_row() -> None:
    served: list[int] = []
    with proxies(exits(b"99", "http", served)) as urls:
        with ProxyRotator(proxies=[Proxy(url=urls[0], rotating=True)]) as rotator:
            response = rotator.get("http://shop.test/")
            assert response.status_code == 403
            assert response.extensions["proxywhirl"]["outcome"] is Outcome.BANNED
            assert served == [1, 2, 3]
            assert [verdict.reasons for verdict in rotator.explain("http://shop.test/")] == [["banned_here"]]
            assert [verdict.reasons for verdict in rotator.explain("http://other.test/")] == [[]]


def test_a_refusal_of_the_ruleset_is_a_ban_at_that_site_only() -> None:
    def forbids(connection: socket.socket, head: bytes, number: int) -> None:
        connection.sendall(b"\5\0")
        asked = connection.recv(4096)
        connection.sendall(b"\5\2\0\1\0\0\0\0\0\0" if b"shop" in asked else b"\5\0\0\1\0\0\0\0\0\0")
        if b"shop" not in asked:
            connection.recv(4096)
            connection.sendall(OK)

    with proxies(forbids, fine(refuses(502))) as urls:
        with ProxyRotator(proxies=[urls[0].replace("http", "socks5"), urls[1]]) as rotator:
            assert rotator.get("http://shop.test/").text == "page"
            first, _ = rotator.pool
            assert first.total_failures == 0
            assert rotator.explain("http://shop.test/")[0].reasons == ["banned_here"]
            assert rotator.explain("http://news.test/")[0].eligible


def test_a_pairs_rest_is_explained() -> None:
    with proxies(*[fine(refuses(502))] * 2) as urls, ProxyRotator(proxies=urls, retry_policy=QUICK) as rotator:
        with pytest.raises(ProxyWhirlError):
            rotator.get("https://gone.test/")
        verdicts = [verdict for verdict in rotator.explain("https://gone.test/") if not verdict.eligible]
        for verdict in verdicts:
            assert verdict.reasons == ["resting_here"]
            assert verdict.until is not None
        assert all(verdict.eligible for verdict in rotator.explain("http://good.test/"))
