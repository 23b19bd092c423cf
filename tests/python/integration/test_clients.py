"""A lease in the hands of real clients, over proxies that fail in every way: what is read off what they raise."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import socket
import ssl
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

import pytest

from proxywhirl import Lease, Outcome, ProxyRotator
from proxywhirl._httpx.clients import AMBIGUOUS, Fault, read
from proxywhirl.testing import ProxyFleet, ProxySpec

# Clients leave sockets to the garbage collector when they raise; `swept` collects them where this holds.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOST = "shop.test"
PATIENCE = 1.0


class Page(NamedTuple):
    """What a client is to fetch."""

    url: str
    ca: str | None


# Each fetches a page through a lease, raises for a status, and gives the status. `None`: what is refused to trust.


def _trusting(ca: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def by_requests(page: Page, lease: Lease) -> int:
    import requests

    response = requests.get(page.url, proxies=lease.requests_proxies, timeout=PATIENCE, verify=page.ca or True)
    response.raise_for_status()
    return response.status_code


def by_niquests(page: Page, lease: Lease) -> int:
    import niquests

    with niquests.Session() as session:
        proxies = lease.requests_proxies
        response = session.get(page.url, proxies=proxies, timeout=PATIENCE, verify=page.ca or True)
        response.raise_for_status()
        return int(response.status_code or 0)


def by_urllib3(page: Page, lease: Lease) -> int:
    import urllib3
    from urllib3.contrib.socks import SOCKSProxyManager

    url = lease.url_for("urllib3")
    auth = None
    if lease.proxy.username is not None:
        secret = lease.playwright_proxy["password"]
        auth = urllib3.make_headers(proxy_basic_auth=f"{lease.proxy.username.get_secret_value()}:{secret}")
    options: dict[str, Any] = {"timeout": PATIENCE, "ca_certs": page.ca, "retries": urllib3.Retry(0, status=0)}
    manager = SOCKSProxyManager(url, **options) if url.startswith("socks") else None
    manager = manager or urllib3.ProxyManager(url, proxy_headers=auth, **options)  # type: ignore[arg-type]
    with manager:
        response = manager.request("GET", page.url)
        if response.status >= 400:
            # urllib3 raises for no status: its user reports the response.
            raise Unwanted(response)
        return int(response.status)


class Unwanted(Exception):
    """An exception of a user's own that carries a response."""

    def __init__(self, response: Any) -> None:
        super().__init__("unwanted")
        self.response = response


def by_httpx(page: Page, lease: Lease, library: str = "httpx") -> int:
    web = importlib.import_module(library)
    with web.Client(proxy=lease.url_for(library), verify=_trusting(page.ca), timeout=PATIENCE) as client:
        response = client.get(page.url)
        response.raise_for_status()
        return int(response.status_code)


def by_httpx2(page: Page, lease: Lease) -> int:
    return by_httpx(page, lease, "httpx2")


def by_httpx_socks(page: Page, lease: Lease) -> int:
    import httpx
    import httpx_socks

    transport = httpx_socks.SyncProxyTransport.from_url(lease.url_for("httpx_socks"), verify=_trusting(page.ca))
    with httpx.Client(transport=transport, timeout=PATIENCE) as client:
        return client.get(page.url).raise_for_status().status_code


def by_aiohttp(page: Page, lease: Lease) -> int:
    import aiohttp

    async def fetch() -> int:
        limit = aiohttp.ClientTimeout(PATIENCE)
        async with aiohttp.ClientSession(timeout=limit, raise_for_status=True) as session:
            proxy = lease.url_for("aiohttp")
            async with session.get(page.url, proxy=proxy, ssl=_trusting(page.ca)) as response:
                await response.read()
                return response.status

    return asyncio.run(fetch())


def by_aiohttp_socks(page: Page, lease: Lease) -> int:
    import aiohttp
    import aiohttp_socks

    async def fetch() -> int:
        connector = aiohttp_socks.ProxyConnector.from_url(lease.url_for("aiohttp_socks"), rdns=True)
        limit = aiohttp.ClientTimeout(PATIENCE)
        async with aiohttp.ClientSession(connector=connector, timeout=limit, raise_for_status=True) as session:
            async with session.get(page.url, ssl=_trusting(page.ca)) as response:
                await response.read()
                return response.status

    return asyncio.run(fetch())


def by_curl_cffi(page: Page, lease: Lease) -> int:
    from curl_cffi import requests

    with requests.Session() as session:
        url = lease.url_for("curl_cffi")
        response = session.get(page.url, proxy=url, timeout=PATIENCE, verify=page.ca or True)
        response.raise_for_status()
        return int(response.status_code)


def by_primp(page: Page, lease: Lease) -> int:
    import primp

    response = primp.Client(proxy=lease.url_for("primp"), timeout=PATIENCE, ca_cert_file=page.ca).get(page.url)
    response.raise_for_status()
    return int(response.status_code)


def by_pyreqwest(page: Page, lease: Lease) -> int:
    from datetime import timedelta
    from pathlib import Path

    from pyreqwest.client import SyncClientBuilder
    from pyreqwest.proxy import ProxyBuilder

    builder = SyncClientBuilder().proxy(ProxyBuilder.all(lease.url_for("pyreqwest"))).error_for_status(True)
    builder = builder.timeout(timedelta(seconds=PATIENCE))
    if page.ca is not None:
        builder = builder.add_root_certificate_pem(Path(page.ca).read_bytes())
    with builder.build() as client:
        return int(client.get(page.url).build().send().status)


def by_wreq(page: Page, lease: Lease) -> int:
    from datetime import timedelta
    from pathlib import Path

    import wreq
    import wreq.blocking

    verify = True if page.ca is None else Path(page.ca)
    proxy = wreq.Proxy.all(lease.url_for("wreq"))
    client = wreq.blocking.Client(proxies=[proxy], timeout=timedelta(seconds=PATIENCE), tls_verify=verify)
    response = client.get(page.url)
    response.raise_for_status()
    return int(response.status.as_int())


def by_impit(page: Page, lease: Lease) -> int:
    import impit

    response = impit.Client(proxy=lease.url_for("impit"), timeout=PATIENCE, verify=page.ca is None).get(page.url)
    response.raise_for_status()
    return int(response.status_code)


def by_urllib(page: Page, lease: Lease) -> int:
    url = lease.url_for("urllib")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": url, "https": url}),
        urllib.request.HTTPSHandler(context=_trusting(page.ca)),
    )
    with opener.open(page.url, timeout=PATIENCE) as response:
        return int(response.status)


CLIENTS: dict[str, Callable[[Page, Lease], int]] = {
    name[3:]: function for name, function in list(globals().items()) if name.startswith("by_")
}
WITHOUT_SOCKS = {"aiohttp", "urllib"}


@pytest.fixture(autouse=True, scope="module")
def swept() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest) -> tuple[str, Callable[[Page, Lease], int]]:
    name: str = request.param
    with warnings.catch_warnings():
        # What a client warns of while it is imported is its own affair.
        warnings.simplefilter("ignore")
        pytest.importorskip("urllib.request" if name == "urllib" else name)
    return name, CLIENTS[name]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    login = ("us@er", "p:w/%")
    specs = [
        ProxySpec(name="good"),
        ProxySpec.dead(name="dead"),
        ProxySpec.hanging(name="hanging"),
        ProxySpec(name="login", auth=login),
        ProxySpec(name="refusing", fault="403"),
        ProxySpec(name="socks", scheme="socks5"),
        ProxySpec(name="socks-login", scheme="socks5", auth=login),
        ProxySpec.dead(name="socks-dead", scheme="socks5"),
        ProxySpec(name="spare"),
    ]
    with ProxyFleet(specs) as fleet:
        yield fleet


class Ended(NamedTuple):
    """What became of a lease."""

    error: BaseException | None
    said: Outcome | None
    proxy: Any
    reasons: list[str]


def attempt(fetch: Callable[[Page, Lease], int], page: Page, url: str, spare: str, *, report: bool) -> Ended:
    """One attempt through a proxy, beside one that is spared: an answer does not bench the only proxy of a pool."""
    with ProxyRotator(proxies=[url, spare]) as rotator:
        other = rotator.pool.get_all_proxies()[1]
        lease = rotator.lease(page.url, exclude=[other.id])
        error: BaseException | None = None
        said = None
        try:
            with contextlib.nullcontext() if report else lease:
                fetch(page, lease)
        except Exception as raised:
            error = raised
            if report:
                said = lease.report(raised)
        assert lease.closed
        reasons = next(row.reasons for row in rotator.explain(page.url) if row.proxy.id == lease.id)
        return Ended(error, said, lease.proxy, reasons)


def both(client: Any, page: Page, url: str, fleet: ProxyFleet) -> Iterator[Ended]:
    for report in (True, False):
        yield attempt(client[1], page, url, fleet["spare"].url, report=report)


def page_of(fleet: ProxyFleet, path: str = "/", *, https: bool = False, trusted: bool = True) -> Page:
    return Page(fleet.site_url(HOST, path, https=https), fleet.ca_file() if trusted else None)


@pytest.mark.parametrize("https", [False, True])
def test_a_page_that_comes(client: Any, fleet: ProxyFleet, https: bool) -> None:
    page = page_of(fleet, https=https)
    ended = attempt(client[1], page, fleet["good"].url, fleet["spare"].url, report=False)
    assert ended.error is None
    assert (ended.proxy.total_successes, ended.proxy.total_failures, ended.reasons) == (1, 0, [])


def test_a_login_with_signs_in_it(client: Any, fleet: ProxyFleet) -> None:
    ended = attempt(client[1], page_of(fleet), fleet["login"].url, fleet["spare"].url, report=False)
    assert (ended.error, ended.proxy.total_successes) == (None, 1)


def test_a_socks_proxy_resolves_the_name(client: Any, fleet: ProxyFleet) -> None:
    # Only the proxy knows the site: a name that is looked up on this machine is not found.
    ended = attempt(client[1], page_of(fleet), fleet["socks"].url, fleet["spare"].url, report=False)
    if client[0] in WITHOUT_SOCKS:
        assert isinstance(ended.error, ValueError)
        assert "protocol=" in str(ended.error), "names the way out"
        assert (ended.proxy.total_requests, ended.reasons) == (0, []), "no proxy is blamed for what its client lacks"
    else:
        assert (ended.error, ended.proxy.total_successes) == (None, 1)


@pytest.mark.parametrize("https", [False, True])
def test_a_dead_proxy(client: Any, fleet: ProxyFleet, https: bool) -> None:
    for ended in both(client, page_of(fleet, "/item/14075", https=https), fleet["dead"].url, fleet):
        assert ended.error is not None
        assert read(ended.error).fault is Fault.PROXY
        assert ended.said in (None, Outcome.PROXY_DOWN)
        assert ended.proxy.total_failures == 1, repr(ended.error)


def test_a_proxy_that_hangs(client: Any, fleet: ProxyFleet) -> None:
    ended = attempt(client[1], page_of(fleet), fleet["hanging"].url, fleet["spare"].url, report=True)
    assert ended.error is not None
    found = read(ended.error).fault
    # python-socks speaks to HTTP proxies by CONNECT alone, so that it knows that it waits for the proxy.
    assert found is (Fault.PROXY if client[0] == "httpx_socks" else Fault.CUT)
    assert ended.said is (Outcome.PROXY_DOWN if client[0] == "httpx_socks" else Outcome.TARGET_FAULT), "not yet decided"


@pytest.mark.parametrize("https", [False, True])
def test_a_wrong_login(client: Any, fleet: ProxyFleet, https: bool) -> None:
    for ended in both(client, page_of(fleet, https=https), fleet["login"].bare_url, fleet):
        assert ended.error is not None
        assert ended.said in (None, Outcome.PROXY_AUTH)
        assert (ended.proxy.total_failures, bool(ended.reasons)) == (1, True), repr(ended.error)


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize(("path", "reason"), [("/status/403", "banned_here"), ("/status/429", "rate_limited_here")])
def test_a_site_that_refuses(client: Any, fleet: ProxyFleet, https: bool, path: str, reason: str) -> None:
    for ended in both(client, page_of(fleet, path, https=https), fleet["good"].url, fleet):
        assert ended.error is not None
        assert ended.said in (None, Outcome.BANNED if reason == "banned_here" else Outcome.RATE_LIMITED)
        assert (ended.reasons, ended.proxy.total_failures) == ([reason], 0), repr(ended.error)


def test_a_page_that_is_not_there(client: Any, fleet: ProxyFleet) -> None:
    for ended in both(client, page_of(fleet, "/status/404"), fleet["good"].url, fleet):
        assert ended.error is not None
        assert ended.said in (None, Outcome.SUCCESS)
        assert (ended.reasons, ended.proxy.total_successes) == ([], 1), repr(ended.error)


def test_a_site_in_trouble(client: Any, fleet: ProxyFleet) -> None:
    for ended in both(client, page_of(fleet, "/status/500"), fleet["good"].url, fleet):
        assert ended.error is not None
        assert ended.said in (None, Outcome.TARGET_FAULT)
        assert (ended.proxy.total_requests, ended.proxy.total_failures, ended.proxy.total_successes) == (1, 0, 0)


def test_connect_is_refused(client: Any, fleet: ProxyFleet) -> None:
    for ended in both(client, page_of(fleet, https=True), fleet["refusing"].url, fleet):
        assert ended.error is not None
        found = read(ended.error)
        assert found.fault is Fault.UNREACHED or (found.fault, found.status) == (Fault.CONNECT, 403), repr(ended.error)


def test_a_certificate_that_is_not_trusted(client: Any, fleet: ProxyFleet) -> None:
    page = page_of(fleet, https=True, trusted=False)
    for ended in both(client, page, fleet["good"].url, fleet):
        assert ended.error is not None
        # It can be the site's or the proxy's; some clients do not tell it from another cut.
        assert read(ended.error).fault in (Fault.TLS, Fault.CUT), repr(ended.error)


def test_a_url_that_is_none(client: Any, fleet: ProxyFleet) -> None:
    ended = attempt(
        client[1], Page("foo://shop.test/", fleet.ca_file()), fleet["good"].url, fleet["spare"].url, report=False
    )
    if client[0] == "urllib3":
        pytest.skip("urllib3 sends a URL of any scheme to the proxy")
    assert ended.error is not None
    assert (ended.proxy.total_requests, ended.reasons) == (0, []), repr(ended.error)


@pytest.mark.parametrize("name", ["socks-dead", "socks-login"])
def test_socks_proxies_that_fail(client: Any, fleet: ProxyFleet, name: str) -> None:
    if client[0] in WITHOUT_SOCKS:
        pytest.skip("it does not speak SOCKS")
    for ended in both(client, page_of(fleet), fleet[name].bare_url, fleet):
        assert ended.error is not None
        expected = Fault.PROXY if name == "socks-dead" else Fault.LOGIN
        assert read(ended.error).fault is expected, repr(ended.error)
        assert ended.said in (None, Outcome.PROXY_DOWN if name == "socks-dead" else Outcome.PROXY_AUTH)
        assert ended.proxy.total_failures == 1


@pytest.mark.parametrize("reply", [1, 2, 4, 5])
def test_what_a_socks_proxy_answers(client: Any, fleet: ProxyFleet, reply: int) -> None:
    if client[0] in WITHOUT_SOCKS:
        pytest.skip("it does not speak SOCKS")
    with socks_that_answers(reply) as url:
        ended = attempt(client[1], page_of(fleet), url, fleet["spare"].url, report=True)
    assert ended.error is not None
    found = read(ended.error).fault
    assert found is (Fault.RULESET if reply == 2 else Fault.UNREACHED), repr(ended.error)
    assert (ended.said is Outcome.BANNED) == (reply == 2)
    assert (found in AMBIGUOUS) == (reply != 2)


def test_a_crawl_learns_from_what_its_client_says(client: Any) -> None:
    name, fetch = client
    specs = [
        *(ProxySpec.dead(name=f"dead-{number}") for number in range(3)),
        ProxySpec.hanging(name="hanging"),
        ProxySpec(name="banned", ban_after={HOST: 0}),
        ProxySpec(name="socks", scheme="socks5"),
        *(ProxySpec(name=f"good-{number}") for number in range(4)),
    ]
    demand = ("http", "https") if name in WITHOUT_SOCKS else None
    failures: list[Outcome] = []
    with ProxyFleet(specs) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        page = page_of(fleet)
        pages = 0
        for _ in range(60):
            lease = rotator.lease(page.url, protocol=demand)
            try:
                fetch(page, lease)
            except Exception as error:
                failures.append(lease.report(error))
            else:
                lease.report(200)
                pages += 1
        # Counters rather than reasons: a bench is as long as chance has it, and may be over.
        by_port = {proxy.port: proxy for proxy in rotator.pool}
        found = {member.name: by_port[member.port] for member in fleet}
        for bad, proxy in found.items():
            if bad.startswith(("dead", "hanging")):
                assert (proxy.total_failures > 0, proxy.total_successes) == (True, 0), bad
        assert Outcome.BANNED in failures
        assert (found["banned"].total_failures, found["banned"].total_successes) == (0, 0)
        assert all(proxy.total_failures == 0 for good, proxy in found.items() if good.startswith(("good", "socks")))
        # Each bad proxy costs one page; more only where one comes back on trial in the middle of it all.
        assert pages >= 50, failures


@contextlib.contextmanager
def socks_that_answers(reply: int) -> Iterator[str]:
    """A SOCKS5 proxy that refuses every request with this reply."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse(peer: socket.socket) -> None:
            with peer, contextlib.suppress(OSError):
                peer.settimeout(5)
                peer.recv(262)
                peer.sendall(b"\x05\x00")
                peer.recv(262)
                peer.sendall(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
                # Some clients keep what failed as long as its error is there.
                peer.settimeout(0.5)
                peer.recv(1)

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                # urllib3-future opens a second connection before it closes the first.
                threading.Thread(target=refuse, args=(peer,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"socks5://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
