"""How a lease is handed to a client: URLs as each client knows them, and protocols as a demand."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from proxywhirl import AsyncProxyRotator, Lease, Proxy, ProxyPool, ProxyPoolEmptyError, ProxyRotator
from proxywhirl.exceptions import ProxyWhirlError

PAGE = "http://shop.test/"
ALL = ["http://10.0.0.1:80", "https://10.0.0.2:443", "socks4://10.0.0.3:1080", "socks5://10.0.0.4:1080"]


def lease_on(url: str) -> Lease:
    rotator = ProxyRotator(proxies=[url])
    return rotator.lease(PAGE)


@pytest.mark.parametrize(
    ("written", "handed"),
    [
        ("socks5h://10.0.0.1:1080", "socks5h://10.0.0.1:1080"),
        ("SOCKS5H://10.0.0.1:1080", "socks5h://10.0.0.1:1080"),
        ("socks5h://u:p%40s@10.0.0.1:1080", "socks5h://u:p%40s@10.0.0.1:1080"),
        ("socks5h://proxy.test", "socks5h://proxy.test"),
        ("socks5h://[::1]:1080", "socks5h://[::1]:1080"),
        ("socks5://10.0.0.1:1080", "socks5://10.0.0.1:1080"),
        ("socks4a://10.0.0.1:1080", "socks4a://10.0.0.1:1080"),
        ("socks4://10.0.0.1:1080", "socks4://10.0.0.1:1080"),
        ("http://u:p@10.0.0.1:80", "http://u:p@10.0.0.1:80"),
    ],
)
def test_the_scheme_is_the_one_that_was_written(written: str, handed: str) -> None:
    assert lease_on(written).url == handed


@pytest.mark.filterwarnings("ignore:credentials are saved in clear")
def test_it_is_kept_by_copies_pools_and_files(tmp_path: Path) -> None:
    url = "socks5h://u:p@10.0.0.1:1080"
    proxy = Proxy(url=url)
    for copy in (proxy, pickle.loads(pickle.dumps(proxy)), proxy.model_copy()):
        assert lease_on(copy).url == url  # type: ignore[arg-type]
    for number, kept in enumerate([url, "socks5h://10.0.0.1:1080"]):
        path = tmp_path / f"{number}.json"
        with ProxyRotator(proxies=[kept], storage_backend="file", storage_path=path) as rotator:
            rotator.save()
        assert ProxyRotator.from_file(path).lease(PAGE).url == kept
        assert [proxy.url for proxy in ProxyPool.from_file(path)] == [kept]


@pytest.mark.parametrize(
    ("line", "handed"),
    [
        ("socks5h://10.0.0.1:1080", "socks5h://10.0.0.1:1080"),
        ("SOCKS5H://10.0.0.1:1080", "socks5h://10.0.0.1:1080"),
        ("socks5h://u:p@10.0.0.1:1080", "socks5h://u:p@10.0.0.1:1080"),
        ("socks5h://10.0.0.1:1080:u:p", "socks5h://u:p@10.0.0.1:1080"),
        ("socks4a://10.0.0.1:1080", "socks4a://10.0.0.1:1080"),
        ("socks5://10.0.0.1:1080", "socks5://10.0.0.1:1080"),
    ],
)
def test_it_is_kept_by_lists(tmp_path: Path, line: str, handed: str) -> None:
    path = tmp_path / "proxies.txt"
    path.write_text(f"{line}\n")
    with ProxyRotator(proxies=ProxyPool.from_file(path)) as rotator:
        lease = rotator.lease(PAGE)
        assert (lease.url, lease.proxy.protocol) == (handed, handed[:6])
        assert lease.requests_proxies["http"].split(":")[0] in ("socks5h", "socks4a")


def test_both_spellings_are_one_proxy() -> None:
    pool = ProxyPool(proxies=[Proxy(url="socks5h://10.0.0.1:1080"), Proxy(url="socks5://10.0.0.1:1080")])
    assert [proxy.url for proxy in pool] == ["socks5h://10.0.0.1:1080"]
    assert pool.get_all_proxies()[0].protocol == "socks5"


def test_another_protocol_is_another_scheme() -> None:
    proxy = Proxy(url="socks5h://10.0.0.1:1080")
    proxy.protocol = "http"
    assert lease_on(proxy).url == "http://10.0.0.1:1080"  # type: ignore[arg-type]


SOCKS5H = ("requests", "urllib3", "niquests", "curl_cffi", "curl", "primp", "pyreqwest", "wreq", "impit")
SOCKS5 = ("httpx", "httpx2", "httpcore", "aiohttp_socks", "httpx_socks", "python_socks")


@pytest.mark.parametrize("written", ["socks5", "socks5h", "SOCKS5"])
def test_names_are_resolved_by_the_proxy_in_every_client(written: str) -> None:
    lease = lease_on(f"{written}://u:p%40@10.0.0.1:1080")
    rest = "://u:p%40@10.0.0.1:1080"
    assert {lease.url_for(name) for name in SOCKS5H} == {"socks5h" + rest}
    assert {lease.url_for(name) for name in SOCKS5} == {"socks5" + rest}
    assert lease.requests_proxies == {"http": "socks5h" + rest, "https": "socks5h" + rest}
    assert lease_on("socks4://10.0.0.1:1080").requests_proxies["http"] == "socks4a://10.0.0.1:1080"


def test_http_proxies_are_the_same_for_all() -> None:
    lease = lease_on("http://u:p@10.0.0.1:80")
    for name in (*SOCKS5H, *SOCKS5, "aiohttp", "scrapy", "urllib", "curl-cffi", "Requests"):
        assert lease.url_for(name) == "http://u:p@10.0.0.1:80"


@pytest.mark.parametrize(
    ("url", "client", "message"),
    [
        ("socks5://10.0.0.1:1080", "aiohttp", r'aiohttp cannot use a socks5 proxy; .*protocol=\("http", "https"\)'),
        ("socks5h://10.0.0.1:1080", "scrapy", r'protocol=\("http", "https"\)'),
        ("socks4://10.0.0.1:1080", "httpx", r'protocol=\("http", "https", "socks5"\)'),
        ("https://10.0.0.1:443", "urllib", r'protocol="http"'),
        ("http://u:secret@10.0.0.1:80", "selenium", "cannot log in"),
        ("http://10.0.0.1:80", "netscape", "aiohttp, aiohttp_socks, .*playwright_proxy"),
        ("http://10.0.0.1:80", "", "none of the clients"),
    ],
)
def test_what_cannot_be_handed_on(url: str, client: str, message: str) -> None:
    lease = lease_on(url)
    with pytest.raises(ValueError, match=message) as raised:
        lease.url_for(client)
    assert "secret" not in str(raised.value)
    assert not lease.closed


def test_playwright() -> None:
    assert lease_on("socks5h://10.0.0.1:1080").playwright_proxy == {"server": "socks5://10.0.0.1:1080"}
    assert lease_on("http://u:p%40@10.0.0.1:80").playwright_proxy == {
        "server": "http://10.0.0.1:80",
        "username": "u",
        "password": "p@",
    }
    for url in ("socks5://u:secret@10.0.0.1:1080", "socks4://u:secret@10.0.0.1:1080"):
        with pytest.raises(ValueError, match=r"log in.*protocol=") as raised:
            _ = lease_on(url).playwright_proxy
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("protocol", "indexes"),
    [
        ("http", [0]),
        ("HTTP", [0]),
        (("http", "https"), [0, 1]),
        (["socks5"], [3]),
        ("socks5h", [3]),
        ({"socks4", "socks5"}, [2, 3]),
        (("http", "https", "socks4", "socks5"), [0, 1, 2, 3]),
        (None, [0, 1, 2, 3]),
    ],
)
def test_a_protocol_is_a_demand(protocol: object, indexes: list[int]) -> None:
    with ProxyRotator(proxies=ALL) as rotator:
        expected = {ALL[index] for index in indexes}
        found = set()
        for _ in range(8):
            lease = rotator.lease(PAGE, protocol=protocol)  # type: ignore[arg-type]
            found.add(lease.url)
            lease.success()
        assert found == expected
        rows = rotator.explain(PAGE, protocol=protocol)  # type: ignore[arg-type]
        assert {row.proxy.url for row in rows.eligible} == expected
        assert all(row.reasons == ["filtered"] for row in rows.refused)
        assert rotator.get_proxy_sync(protocol=protocol).url in expected


@pytest.mark.parametrize(
    "strategy", ["round-robin", "random", "weighted", "least-used", "performance-based", "session"]
)
def test_under_every_strategy(strategy: str) -> None:
    with ProxyRotator(proxies=ALL, strategy=strategy) as rotator:
        options = {"session_id": "a"} if strategy == "session" else {}
        for _ in range(6):
            lease = rotator.lease(PAGE, protocol="socks5", **options)  # type: ignore[arg-type]
            assert lease.url == ALL[3]
            lease.success()


async def test_on_the_async_rotator_too() -> None:
    async with AsyncProxyRotator(proxies=ALL) as rotator:
        for _ in range(4):
            async with rotator.lease(PAGE, protocol=("socks4", "socks5")) as lease:
                assert lease.url in ALL[2:]
        with pytest.raises(ValueError, match="protocol must be"):
            await rotator.lease(PAGE, protocol="ftp")


def test_no_proxy_speaks_it() -> None:
    with ProxyRotator(proxies=ALL[:2]) as rotator:
        with pytest.raises(ProxyPoolEmptyError) as raised:
            rotator.lease(PAGE, protocol="socks5")
        assert raised.value.reasons == {"filtered": 2}
        assert [row.reasons for row in rotator.explain(PAGE, protocol="socks5")] == [["filtered"], ["filtered"]]
        with pytest.raises(ProxyWhirlError):
            rotator.get(PAGE, protocol="socks5")


@pytest.mark.parametrize("protocol", ["ftp", "", (), [""], "http,https", ["http", "gopher"]])
def test_a_protocol_that_is_none(protocol: object) -> None:
    with ProxyRotator(proxies=ALL) as rotator:
        with pytest.raises(ValueError, match="protocol must"):
            rotator.lease(PAGE, protocol=protocol)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="protocol must"):
            rotator.explain(PAGE, protocol=protocol)  # type: ignore[arg-type]
    with ProxyRotator(proxies=ALL) as rotator, pytest.raises(TypeError):
        rotator.lease(PAGE, protocol=5)  # type: ignore[arg-type]


def test_a_proxy_that_changes_its_protocol_moves() -> None:
    with ProxyRotator(proxies=ALL) as rotator:
        rotator.lease(PAGE, protocol="socks5").release()
        proxy = rotator.pool.get_all_proxies()[0]
        proxy.protocol = "socks5"
        found = set()
        for _ in range(4):
            lease = rotator.lease(PAGE, protocol="socks5")
            found.add(lease.id)
            lease.success()
        assert found == {proxy.id, rotator.pool.get_all_proxies()[3].id}


def test_a_lease_dropped_while_an_exception_is_on_its_way() -> None:
    rotator = ProxyRotator(proxies=["socks5://u:p@10.0.0.1:1080"])
    for _ in range(20):
        # The lease is gone before the exception arrives, and releasing it must not lose that.
        with pytest.raises(ValueError, match="log in"):
            _ = rotator.lease(PAGE).playwright_proxy
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = rotator.lease(PAGE).no_such_thing  # type: ignore[attr-defined]
    (proxy,) = rotator.pool
    assert (proxy.requests_active, proxy.total_requests) == (0, 0)


def test_a_block_left_without_a_word_says_nothing_of_the_site() -> None:
    with ProxyRotator(proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"]) as rotator:
        first, second = rotator.pool.get_all_proxies()
        with rotator.lease(PAGE, exclude=[second.id]):
            pass
        assert (first.total_successes, first.total_requests) == (1, 1), "carried"
        rotator.lease(PAGE, exclude=[second.id]).banned(cooldown=0.0)
        # On trial at the site: what it answers to this one decides.
        with rotator.lease(PAGE, exclude=[second.id]):
            assert [row.reasons for row in rotator.explain(PAGE)] == [["banned_here"], []]
        lease = rotator.lease(PAGE, exclude=[second.id])
        assert [row.reasons for row in rotator.explain(PAGE)] == [["banned_here"], []], "still one at a time"
        lease.success()
        rotator.lease(PAGE, exclude=[second.id])
        assert [row.reasons for row in rotator.explain(PAGE)] == [[], []], "said outright"
        assert first.total_failures == 0
