"""Parsers of proxy lists, and what the native core says of them."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

import pytest

from proxywhirl import (
    CSVParser,
    HTMLTableParser,
    JSONParser,
    PlainTextParser,
    Proxy,
    ProxyFetchError,
    ProxyPool,
    ProxyValidationError,
    _core,
    deduplicate_proxies,
)
from proxywhirl.fetchers import GeonodeParser
from proxywhirl.fetchers.parsers import TSVParser


def test_a_parsed_list_is_a_sequence_of_dictionaries() -> None:
    parsed = _core.parse_proxies("# c\n1.2.3.4:80 US\nu:p@1.2.3.5:81\nbad\n1.2.3.4:80\n")
    assert len(parsed) == 2
    assert parsed[0] == {
        "url": "http://1.2.3.4:80",
        "protocol": "http",
        "host": "1.2.3.4",
        "port": 80,
        "country_code": "US",
    }
    assert parsed[-1]["password"] == "p"
    assert [entry["host"] for entry in parsed] == ["1.2.3.4", "1.2.3.5"]
    assert parsed[::-1][0]["port"] == 81
    assert parsed[5:] == []
    with pytest.raises(IndexError):
        parsed[2]
    assert parsed.urls() == ["http://1.2.3.4:80", "http://u:p@1.2.3.5:81"]
    assert (parsed.duplicates, parsed.rejected_count, parsed.blank, parsed.lines, parsed.accepted) == (1, 1, 1, 5, 3)
    assert (parsed.rejected[0].line, parsed.rejected[0].excerpt) == (4, "<word>")
    assert (parsed.format, parsed.encoding, parsed.gzip, parsed.truncated) == ("plain_text", "utf-8", False, False)
    assert "u:p" not in repr(parsed)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="format must be one of"):
        _core.parse_proxies("", format="xml")
    with pytest.raises(ValueError, match="protocol must be"):
        _core.parse_proxies("", protocol="ftp")
    with pytest.raises(TypeError, match="unexpected keyword"):
        _core.parse_proxies("", colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="bytes or a string"):
        _core.parse_proxies(12)  # type: ignore[arg-type]
    assert _core.parse_proxies("1.2.3.4:80", format=None, protocol="socks5").urls() == ["socks5://1.2.3.4:80"]


def test_rejections_show_no_secrets() -> None:
    parsed = _core.parse_proxies("bob:hunter2@1.2.3.4\nbob:hunter2:1.2.3.4:0\n1.2.3.4:0:bob:hunter2\n")
    assert parsed.rejected_count == 3
    assert not re.search("bob|hunter2", repr(parsed.rejected))


def test_loading_into_a_pool(tmp_path: Path) -> None:
    pool = ProxyPool(max_pool_size=10)
    report = pool.load("1.2.3.4:80 DE elite\nu:p@1.2.3.5:81\nbad\n1.2.3.4:80\n", tags={"mine"})
    assert (report.added, report.duplicates, len(report.errors)) == (2, 1, 1)
    first, second = pool.get_all_proxies()
    assert first.country_code == "DE"
    assert first.tags == {"mine", "elite"}
    assert first.source == "file"
    assert second.url == "http://u:p@1.2.3.5:81"
    assert second.password is not None
    file = tmp_path / "list.csv.gz"
    file.write_bytes(gzip.compress(b"ip,port\n1.2.3.6,82\n1.2.3.4,80\n"))
    report = pool.load_file(file)
    assert (report.added, report.duplicates) == (1, 1)
    with pytest.raises(OSError):
        pool.load_file(tmp_path / "none")
    with pytest.raises(ValueError, match="maximum capacity"):
        pool.load("\n".join(f"1.2.4.{n}:80" for n in range(20)))
    assert len(pool) == 3
    report = pool.load("127.0.0.1:80\n1.2.3.7:80", source="fetched")
    assert (report.added, len(report.errors)) == (1, 1)
    assert pool.load("127.0.0.1:80", source="fetched", allow_local=True).added == 1
    parsed = _core.parse_proxies("1.2.3.8:80")
    assert pool.load(parsed).added == 1


def test_plain_text() -> None:
    text = "# comment\n\n1.2.3.4:80\n1.2.3.5:81:anything\nsocks5://1.2.3.6:1080\n999.1.1.1:80\n1.2.3.4:99999\n01.2.3.4:80\n"
    assert PlainTextParser().parse(text) == [
        {"url": "http://1.2.3.4:80"},
        {"url": "http://1.2.3.5:81"},
        {"url": "socks5://1.2.3.6:1080"},
    ]
    with pytest.raises(ProxyFetchError, match="Invalid IP:PORT"):
        PlainTextParser(skip_invalid=False).parse(text)


def test_json() -> None:
    assert JSONParser().parse('[{"ip": "1.2.3.4", "port": 80, "x": 1}]') == [
        {"ip": "1.2.3.4", "port": 80, "x": 1, "url": "http://1.2.3.4:80"}
    ]
    assert JSONParser(key="data").parse('{"data": [{"url": "http://1.2.3.4:80"}]}') == [{"url": "http://1.2.3.4:80"}]
    for parser, text in [(JSONParser(), "{"), (JSONParser(), "{}"), (JSONParser(key="x"), '{"data": []}')]:
        with pytest.raises(ProxyFetchError):
            parser.parse(text)
    with pytest.raises(ProxyValidationError, match="port"):
        JSONParser(required_fields=["ip", "port"]).parse('[{"ip": "1.2.3.4"}]')


def test_tables() -> None:
    assert CSVParser().parse("ip,port\n1.2.3.4,80\n") == [{"ip": "1.2.3.4", "port": "80", "url": "http://1.2.3.4:80"}]
    assert CSVParser(has_header=False, columns=["ip", "port"]).parse("1.2.3.4,80\n")[0]["url"] == "http://1.2.3.4:80"
    assert CSVParser(has_header=False).parse("1.2.3.4,80\n")[0]["url"] == "http://1.2.3.4:80"
    assert TSVParser().parse("ip\tport\n1.2.3.4\t80\n")[0]["url"] == "http://1.2.3.4:80"
    with pytest.raises(ProxyFetchError, match="row 2"):
        CSVParser().parse("ip,port\n1.2.3.4\n")
    assert CSVParser(skip_invalid=True).parse("ip,port\n1.2.3.4\n1.2.3.5,80\n")[0]["ip"] == "1.2.3.5"
    page = "<table id=a><tr><th>Adresse<th>P</tr><tr><td>1.2.3.4<td>80</table><table><tr><td>x<td>1.2.3.5<td>81</table>"
    assert HTMLTableParser("#a", column_map={"Adresse": "ip", "P": "port"}).parse(page)[0]["url"] == "http://1.2.3.4:80"
    assert HTMLTableParser(column_indices={"ip": 1, "port": 2}).parse(page)[-1]["url"] == "http://1.2.3.5:81"
    with pytest.raises(ProxyFetchError, match="selector"):
        HTMLTableParser("a[href]").parse(page)


def test_geonode() -> None:
    text = '{"data": [{"ip": "1.2.3.4", "port": "80", "protocols": ["http", "socks5"], "country": "US"}]}'
    assert [entry["url"] for entry in GeonodeParser().parse(text)] == ["http://1.2.3.4:80", "socks5://1.2.3.4:80"]


@pytest.mark.parametrize(("worse", "better"), [("10%", "95%"), ("10%", 0.95), (0.1, "95"), (150, 0.5)])
def test_the_share_of_successes_is_read_as_in_a_list(worse: object, better: object) -> None:
    named = [{"url": "http://a.test:1", "success_rate": rate} for rate in (worse, better)]
    (kept,) = deduplicate_proxies(named)
    assert kept["success_rate"] == better


def test_deduplication_keeps_the_better_history_and_all_tags() -> None:
    items = [
        {"url": "http://Host.example:80", "tags": ["a"], "total_requests": 10, "total_successes": 1},
        {"url": "http://1.2.3.4:80"},
        {"host": "host.example", "port": 80, "tags": ["b"], "total_requests": 10, "total_successes": 9},
        {"url": "socks5://host.example:80"},
        {"url": "http://u:p@host.example:80"},
        {"url": "http://1.2.3.4:80", "other": 1},
        {"nothing": 1},
    ]
    kept = deduplicate_proxies(items)
    assert [item.get("url") for item in kept] == [
        None,
        "http://1.2.3.4:80",
        "socks5://host.example:80",
        "http://u:p@host.example:80",
    ]
    assert kept[0]["total_successes"] == 9
    assert kept[0]["tags"] == ["a", "b"]
    assert items[2]["tags"] == ["b"]
    assert kept[1] is items[1]
    proxies = [Proxy(url="http://1.2.3.4:80", tags={"x"}), Proxy(url="http://1.2.3.4:80", tags={"y"})]
    proxies[1].record_success(10.0)
    (survivor,) = deduplicate_proxies(proxies)
    assert survivor is proxies[1]
    assert survivor.tags == {"x", "y"}
    assert deduplicate_proxies(["1.2.3.4:80", "http://1.2.3.4:80", "bad"]) == ["1.2.3.4:80"]
    with pytest.raises(TypeError):
        deduplicate_proxies([object()])


def naive(line: str) -> str | None:
    """A parser of the plainest kind, to compare with."""
    found = re.fullmatch(
        r"(?:(http|https|socks4|socks5)://)?(?:(\w+):(\w+)@)?(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)", line.strip()
    )
    if found is None:
        return None
    scheme, user, password, *numbers = found.groups()
    octets, port = numbers[:4], numbers[4]
    if any(int(octet) > 255 or (len(octet) > 1 and octet[0] == "0") for octet in octets):
        return None
    if not 0 < int(port) < 65536 or len(port) > 5:
        return None
    login = f"{user}:{password}@" if user else ""
    return f"{scheme or 'http'}://{login}{'.'.join(octets)}:{int(port)}"


def test_the_core_agrees_with_a_naive_parser() -> None:
    rng = random.Random(4)
    lines = []
    for _ in range(20_000):
        octets = [str(rng.choice([0, 1, 9, 10, 99, 100, 255, 256, 999, rng.randrange(256)])) for _ in range(4)]
        if rng.random() < 0.05:
            octets[rng.randrange(4)] = "0" + octets[0]
        line = ".".join(octets) + ":" + str(rng.choice([0, 1, 80, 8080, 65535, 65536, 99999, 123456]))
        if rng.random() < 0.2:
            line = f"u{rng.randrange(9)}:p{rng.randrange(9)}@{line}"
        if rng.random() < 0.2:
            line = rng.choice(["http", "https", "socks4", "socks5"]) + "://" + line
        lines.append(line)
    parsed = _core.parse_proxies("\n".join(lines), keep_duplicates=True, max_rejected=10**6)
    expected = [naive(line) for line in lines]
    assert parsed.urls() == [url for url in expected if url is not None]
    assert [bad.line for bad in parsed.rejected] == [n for n, url in enumerate(expected, 1) if url is None]
    assert len(_core.parse_proxies("\n".join(lines))) == len({url for url in expected if url is not None})
