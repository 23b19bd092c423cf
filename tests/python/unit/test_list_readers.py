"""One reader for every path in, and what lists say arrives in proxies, rotators and pools."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, Gateway, Proxy, ProxyPool, ProxyRotator
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers.parsers import CSVParser, GeonodeParser, HTMLTableParser, JSONParser, parse_proxies
from proxywhirl.storage import FileStorage

LISTS = {
    "plain.txt": "10.0.0.1:80\n10.0.0.2:81:u:p\n",
    "table.csv": "ip,port,user,pass\n10.0.0.1,80,,\n10.0.0.2,81,u,p\n",
    "columns.txt": "10.0.0.1|80\n10.0.0.2|81|u|p\n",
    "chains.conf": "[ProxyList]\nhttp 10.0.0.1 80\nhttp 10.0.0.2 81 u p\n",
    "one-line.env": "PROXIES=http://10.0.0.1:80,http://u:p@10.0.0.2:81\n",
    "provider.json": json.dumps(
        {"data": [{"ip": "10.0.0.1", "port": 80}, {"host": "10.0.0.2", "port": 81, "auth": {"user": "u", "pass": "p"}}]}
    ),
    "rows.json": json.dumps([["10.0.0.1", 80], ["10.0.0.2", 81, "u", "p"]]),
    "texts.json": json.dumps(["10.0.0.1:80", "10.0.0.2:81:u:p"]),
    "lines.jsonl": '{"ip": "10.0.0.1", "port": 80}\n{"ip": "10.0.0.2", "port": 81, "username": "u", "password": "p"}\n',
    "page.html": "<table><tr><th>IP<th>Port<th>User<th>Password<tr><td>10.0.0.1<td>80<td><td>"
    "<tr><td>10.0.0.2<td>81<td>u<td>p</table>",
}


def logins(pool: Any) -> list[tuple[str, int, str | None]]:
    return [
        (proxy.host, proxy.port, None if proxy.username is None else proxy.username.get_secret_value())
        for proxy in pool
    ]


EXPECTED = [("10.0.0.1", 80, None), ("10.0.0.2", 81, "u")]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LISTS)
def test_every_way_in_takes_every_list(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / (name + ".gz" if packed else name)
    data = LISTS[name].encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    assert logins(ProxyPool.from_file(path)) == EXPECTED
    pool = ProxyPool()
    assert pool.load_file(path).added == 2
    assert logins(pool) == EXPECTED
    for given in (path, str(path)):
        with ProxyRotator(proxies=given) as rotator:
            assert logins(rotator.pool) == EXPECTED
    with ProxyRotator.from_file(path) as rotator:
        assert logins(rotator.pool) == EXPECTED
    assert logins(AsyncProxyRotator(proxies=path).pool) == EXPECTED
    assert logins(AsyncProxyRotator.from_file(path).pool) == EXPECTED


@pytest.mark.filterwarnings("ignore::proxywhirl.storage._vault.ClearTextWarning")
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".json.gz", ".jsonl.gz"])
async def test_every_way_in_takes_a_saved_pool(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pool{suffix}"
    with ProxyRotator(proxies=["http://u:p@10.0.0.1:80"]) as rotator:
        rotator.pool.proxies[0].record_success(50.0)
        rotator.save(path)
    fresh = ProxyPool()
    report = fresh.load_file(path)
    assert (report.added, report.duplicates) == (1, 0)
    tagged = ProxyPool()
    tagged.load_file(path, tags={"mine"})
    assert tagged.proxies[0].tags == {"mine"}
    for pool in (fresh, tagged, ProxyPool.from_file(path), ProxyRotator(proxies=path).pool):
        (proxy,) = pool
        assert proxy.total_successes == 1
        assert proxy.password is not None
        assert proxy.password.get_secret_value() == "p"
    stored = await FileStorage(path).load()
    assert len(stored) == 1


def test_a_damaged_pool_does_not_pass_for_a_list(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    ProxyRotator(proxies=[f"http://10.0.0.{n}:80" for n in range(1, 50)]).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    for read in (ProxyPool.from_file, ProxyPool().load_file, ProxyRotator.from_file, lambda path: ProxyRotator(path)):
        with pytest.raises(ValueError, match="damaged or cut off"):
            read(path)  # type: ignore[operator]


def test_files_without_proxies_are_errors(tmp_path: Path) -> None:
    for text in ("", "\n\n", "# nothing\n", "hello s3cret\n", '{"error": "s3cret"}', "[]x"):
        path = tmp_path / "list.txt"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"list\.txt") as caught:
            ProxyPool.from_file(path)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        ProxyRotator(proxies=tmp_path / "none")
    with pytest.raises(TypeError, match="not one str"):
        ProxyRotator(proxies="http://10.0.0.1:80")


def test_a_configuration_may_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(LISTS["plain.txt"])
    with ProxyRotator(config={"proxies": str(path)}) as rotator:
        assert logins(rotator.pool) == EXPECTED


@pytest.mark.parametrize("url", ["http://KEY:@203.0.113.9:8011", "socks5://KEY:@203.0.113.9:8011"])
def test_an_api_key_is_a_user_without_a_password(url: str) -> None:
    proxy = Proxy(url=url)
    assert proxy.username is not None
    assert proxy.password is not None
    assert (proxy.username.get_secret_value(), proxy.password.get_secret_value()) == ("KEY", "")
    assert "KEY" not in repr(proxy)
    assert parse_proxies(url).urls() == [url]
    scheme, rest = url.split("://KEY:@")
    for given in (url, {"url": f"{scheme}://{rest}", "username": "KEY", "password": ""}):
        with ProxyRotator(proxies=[given]) as rotator:
            assert logins(rotator.pool) == [("203.0.113.9", 8011, "KEY")]
            with rotator.lease("https://site.test/") as lease:
                assert lease.url == url
    pool = ProxyPool()
    pool.add_proxy(url)
    assert logins(pool) == [("203.0.113.9", 8011, "KEY")]
    gateway = Gateway(url.replace("KEY", "KEY-{session}"), size=2)
    assert len(ProxyRotator(proxies=[gateway]).pool) == 2


@pytest.mark.parametrize("url", ["http://KEY@203.0.113.9:8011", "socks4://KEY@203.0.113.9:1080"])
def test_an_api_key_needs_no_colon(url: str) -> None:
    (entry,) = parse_proxies(url)
    assert (entry["username"], entry["password"]) == ("KEY", "")
    proxy = Proxy(url=entry["url"])
    assert "KEY" not in repr(proxy) + str(proxy)
    with ProxyRotator(proxies=[url]) as rotator:
        assert "KEY" not in repr(list(rotator.pool)) + repr(rotator)
        assert rotator.lease("https://site.test/").url == url.replace("KEY@", "KEY:@")


@pytest.mark.filterwarnings("ignore::proxywhirl.storage._vault.ClearTextWarning")
def test_a_saved_api_key_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    ProxyRotator(proxies=["http://KEY:@10.0.0.1:80"]).save(path)
    assert logins(ProxyPool.from_file(path)) == [("10.0.0.1", 80, "KEY")]


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("straße.example", "xn--strae-oqa.example"),
        ("proxy。example", "proxy.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_international_names_are_dialled_in_ascii(name: str, ascii_name: str) -> None:
    assert Proxy(url=f"http://{name}:80").host == ascii_name
    assert parse_proxies(f"{name}:80")[0]["host"] == ascii_name
    with ProxyRotator(proxies=[f"http://{name}:80"]) as rotator, rotator.lease("https://site.test/") as lease:
        assert lease.url == f"http://{ascii_name}:80"


@pytest.mark.parametrize("name", ["a b", "xn--a", "\u200b", "é..example", "é" * 300, "-é.example", "é/x", "é\u0000"])
def test_what_is_no_name_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid proxy URL"):
        Proxy(url=f"http://{name}:80")
    assert len(parse_proxies(f"http://{name}:80")) == 0


@pytest.mark.parametrize(
    "line",
    [
        "tok3n",
        "b0b:s3cret",
        "b0b:s3cret@1.2.3.4",
        "vmess://s3cret",
        "1.2.3.4,80,b0b,s3cret,x",
        "http://b0b:s3cret@1.2.3.4:0",
        "s3cret://1.2.3.4:80",
        "b0b.s3cret:99999",
        '{"ip": "1.2.3.4", "port": 0, "token": "s3cret"}',
        "[b0b:s3cret]:80",
    ],
)
def test_what_is_refused_is_shown_by_kind(line: str, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    parsed = parse_proxies(line)
    report = ProxyPool().load(line)
    shown = repr(parsed.rejected) + repr(report.errors) + repr(parsed)
    path = tmp_path / "list.txt"
    path.write_text(f"10.0.0.1:80\n{line}\n")
    ProxyPool.from_file(path)
    with pytest.raises(ValueError) as caught:
        ProxyPool().add_many([line])
    shown += str(caught.value) + caplog.text
    assert parsed.rejected_count == 1
    assert not any(secret in shown for secret in ("tok3n", "b0b", "s3cret"))


def test_parsers_read_what_lists_say() -> None:
    page = "<table><tr><th>Exit IP<th>IP Address<th>P<tr><td>9.9.9.9<td>1.2.3.4<td>80</table>"
    for column_map in ({"Exit IP": "ip", "P": "port"}, {"ip": "Exit IP", "port": "P"}):
        assert HTMLTableParser(column_map=column_map).parse(page)[0]["url"] == "http://9.9.9.9:80"
    page = "<table><tr><td>x<td>1.2.3.4<td>80<td>u<td>p<td>DE</table>"
    indices = {"ip": 1, "port": 2, "username": 3, "password": 4, "country": 5}
    (entry,) = HTMLTableParser(column_indices=indices).parse(page)
    assert (entry["url"], entry["country_code"]) == ("http://u:p@1.2.3.4:80", "DE")
    with pytest.raises(ValueError, match="negative"):
        HTMLTableParser(column_indices={"ip": -1})
    (entry,) = GeonodeParser().parse('{"data": [{"ip": "1.2.3.4", "port": "80", "protocols": ["https"]}]}')
    assert (entry["url"], entry["https"]) == ("http://1.2.3.4:80", True)
    nested = '[{"host": "1.2.3.4", "port": 80, "auth": {"username": "u", "password": "p"}}]'
    assert JSONParser().parse(nested)[0]["url"] == "http://u:p@1.2.3.4:80"
    for hostile in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ProxyFetchError):
            JSONParser().parse(hostile)
    with pytest.raises(ProxyFetchError):
        CSVParser().parse("ip,port\n" + "x" * 200_000 + ",80\n")
