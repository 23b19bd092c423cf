"""What a list of others says leads nowhere into the user's own network, whatever it resolves or redirects to."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import pytest

from proxywhirl import Proxy, ProxyFetchError, ProxyRotator, ProxySource, _core
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.fetchers import ProxyFetcher, _inward
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.validation import Checks

LOCAL = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "::1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2001:0:808:808::80ff:fffe",
    "fe80::1%eth0",
    "fec0::1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "127.1",
    "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466\u30020\u30020\u30021",
    "localhost",
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",
    "a.localhost",
    "printer.local",
]


@pytest.mark.parametrize("host", LOCAL)
def test_local_addresses_are_read_as_what_they_are(host: str) -> None:
    assert _core.address_locality(host) != "public"
    shown = f"[{host}]" if ":" in host else host
    parsed = _core.parse_proxies(f"http://{shown}:80\n{shown}:81\n", public_only=True)
    assert len(parsed) == 0
    assert parsed.rejected_count == 2


@pytest.mark.parametrize("host", ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "site.example"])
def test_public_ones_too(host: str) -> None:
    assert _core.address_locality(host) == "public"


@pytest.fixture
def fleet() -> Any:
    with ProxyFleet([ProxySpec()]) as fleet:
        yield fleet


def fetched(url: str, **fields: Any) -> Proxy:
    return Proxy(url=url, source=ProxySource.FETCHED, **fields)


@pytest.fixture
def inward_name(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that leads to this machine."""
    real = socket.getaddrinfo

    def lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        named = host in ("inward.example", b"inward.example")
        return real("127.0.0.1" if named else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return "inward.example"


@pytest.mark.parametrize("secure", [False, True])
def test_a_name_of_a_list_is_judged_where_it_is_dialled(fleet: Any, inward_name: str, secure: bool) -> None:
    # The native engine asks the system for names, which no patch of this process changes: the core's own tests judge it.
    target = fleet.site_url("shop.test", "/whoami")
    if secure:
        target = "https://shop.test/whoami"
    url = f"http://{inward_name}:{fleet[0].port}"
    with ProxyRotator(proxies=[fetched(url)], engine="httpx") as rotator, pytest.raises(ProxyWhirlError):
        rotator.get(target, timeout=5)
    if not secure:
        for proxy in (fetched(url, allow_local=True), Proxy(url=url)):
            with ProxyRotator(proxies=[proxy], engine="httpx") as rotator:
                assert rotator.get(target, timeout=5).status_code == 200


def test_checks_judge_it_too(fleet: Any) -> None:
    # The system's own resolver is asked here, which knows one name for sure.
    proxy = fetched(f"http://localhost.example:{fleet[0].port}", allow_local=True)
    proxy.url = f"http://localhost:{fleet[0].port}"
    for allowed, valid in ((True, True), (False, False)):
        proxy.allow_local = allowed
        with Checks([proxy], level="basic", timeout=5.0) as checks:
            (result,) = list(checks)
        assert result.is_valid is valid
        if not valid:
            assert result.error == "local"


async def test_a_public_list_leads_nowhere_inside(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxywhirl.fetchers._load.is_public", lambda response: response.url.path == "/go")
    target = web.text("/list", "8.8.8.8:80\n")
    web.pages["/go"] = (302, {"Location": target}, b"")
    web.pages["/name"] = (302, {"Location": target.replace("127.0.0.1", "localhost")}, b"")
    made = ProxyFetcher([web.url("/go")], validate_before_add=False)
    with pytest.raises(ProxyFetchError, match="private network"):
        await made.fetch_from_source(web.url("/go"))
    assert web.count("/list") == 0, "nothing was asked for there"
    allowing = ProxyFetcher(validate_before_add=False, allow_local=True)
    assert len(await allowing.fetch_from_source(web.url("/go"))) == 1
    # What the user names may be local, and lead on to what is.
    assert len(await ProxyFetcher(validate_before_add=False).fetch_from_source(web.url("/name"))) == 1


async def test_the_address_that_is_reached_is_judged(
    web: Any, monkeypatch: pytest.MonkeyPatch, inward_name: str
) -> None:
    """A name that was public, and leads inside the next time."""
    url = web.text("/list", "8.8.8.8:80\n").replace("127.0.0.1", inward_name)
    made = ProxyFetcher([url], validate_before_add=False, max_attempts=1)
    monkeypatch.setattr("proxywhirl.fetchers._load.is_public", lambda response: True)
    assert len(await made.fetch()) == 1
    monkeypatch.setattr("proxywhirl.fetchers._load.is_public", _inward.is_public)
    assert await made.fetch() == []
    assert web.count("/list") == 1
    (stats,) = made.get_source_stats()
    assert "private network" in (stats.last_error or "")


async def test_a_list_that_unpacks_to_much_is_refused(web: Any) -> None:
    bomb = gzip.compress((b"#" + b" " * 998 + b"\n") * 40_000, 9)
    web.pages["/encoded"] = (200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, bomb)
    web.pages["/packed.txt.gz"] = (200, {"Content-Type": "application/gzip"}, bomb)
    with pytest.raises(ProxyFetchError, match="100 times its size"):
        await ProxyFetcher().fetch_from_source(web.url("/encoded"))
    parsed = _core.parse_proxies(bomb)
    assert parsed.truncated
    assert "100 times its size" in parsed.rejected[-1].reason
    with pytest.raises(ProxyFetchError, match="100 times its size"):
        await ProxyFetcher().fetch_from_source(web.url("/packed.txt.gz"))


@pytest.mark.parametrize("text", ["1.1.1.1:80\n", '["http://1.1.1.1:80"]', "ip,port\n1.1.1.1,80\n"])
async def test_the_protocol_of_a_source_stands_in_for_http(web: Any, text: str) -> None:
    url = web.text("/list", text)
    for protocol in ("socks5", "socks4", "https", "http"):
        source = {"url": url, "protocol": protocol}
        (proxy,) = await ProxyFetcher([source], validate_before_add=False).fetch()
        assert proxy.url == f"{protocol}://1.1.1.1:80"
        custom = {**source, "custom_parser": lambda _: [{"url": "http://1.1.1.1:80"}, "socks4://1.1.1.2:80"]}
        entries = await ProxyFetcher(validate_before_add=False).fetch_from_source(custom)
        assert [entry["url"] for entry in entries] == [f"{protocol}://1.1.1.1:80", "socks4://1.1.1.2:80"]
