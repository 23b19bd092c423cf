"""Lists are fetched as their sources ask for, and faults are reported."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyFetchError, ProxySource, ProxySourceConfig, ProxyValidator
from proxywhirl.fetchers import ProxyFetcher, RenderMode
from proxywhirl.fetchers._listing import read
from proxywhirl.sources import fetch_all_sources
from proxywhirl.testing import ProxyFleet, ProxySpec


class Approves:
    """A validator that likes every proxy but those on port 1."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def validate_batch(self, proxies: list[Any], progress_callback: Any = None) -> list[Any]:
        self.seen += proxies
        good = [one for one in proxies if not (one["url"] if isinstance(one, dict) else one.url).endswith(":1")]
        if progress_callback is not None:
            progress_callback(len(proxies), len(proxies), len(good))
        return good


def fetcher(*sources: Any, **options: Any) -> ProxyFetcher:
    return ProxyFetcher(sources, **{"validate_before_add": False, "backoff": 0.01, **options})


async def test_sources_in_every_form(web: Any, tmp_path: Path) -> None:
    one = web.text("/one", "1.1.1.1:80\n1.1.1.2:80\n")
    two = web.text("/two", "1.1.1.3:80\n")
    three = web.text("/three", "1.1.1.4:80\n")
    path = tmp_path / "a list.txt"
    path.write_text("1.1.1.5:80\n")
    made = fetcher(one, {"url": two}, ProxySourceConfig(url=three, format="plain_text"), path, {"url": path.as_uri()})
    assert len(made.sources) == 4
    assert [proxy.url for proxy in await made.fetch()] == [f"http://1.1.1.{n}:80" for n in range(1, 6)]


async def test_what_a_proxy_knows_of_its_list(web: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("10.0.0.1:80\n")
    listed = web.text("/list", "1.1.1.1:80\n")
    fetched, own = await fetcher(listed, path).fetch()
    assert fetched.tags == {"source:fetched", "site:127.0.0.1"}
    assert fetched.source is ProxySource.FETCHED
    assert fetched.source_url == listed
    assert own.tags == {"source:file", "site:mine.txt"}
    assert own.source is ProxySource.FILE


async def test_disabled_sources_are_left_alone(web: Any) -> None:
    url = web.text("/list", "1.1.1.1:80\n")
    assert await fetcher({"url": url, "enabled": False}).fetch() == []
    assert web.asked == []


async def test_no_sources() -> None:
    assert await ProxyFetcher().fetch_all() == []


async def test_priority_decides_the_order(web: Any) -> None:
    low, high = web.text("/low", "1.1.1.1:80"), web.text("/high", "1.1.1.2:80")
    found = await fetcher({"url": low}, {"url": high, "priority": 5}).fetch()
    assert [proxy.host for proxy in found] == ["1.1.1.2", "1.1.1.1"]


async def test_headers_and_auth_are_sent(web: Any) -> None:
    url = web.text("/list", "1.1.1.1:80")
    await fetcher({"url": url, "headers": {"X-Key": "k"}, "auth": ("user", "pass")}).fetch()
    headers = web.asked[0][1]
    assert headers["x-key"] == "k"
    assert headers["authorization"] == "Basic dXNlcjpwYXNz"


async def test_secrets_do_not_follow_to_another_server(web: Any) -> None:
    target = web.text("/list", "1.1.1.1:80").replace("127.0.0.1", "localhost")
    web.pages["/go"] = (302, {"Location": target}, b"")
    web.pages["/stay"] = (302, {"Location": "/list"}, b"")
    source = {"headers": {"X-Key": "k"}, "auth": ("user", "pass")}
    assert len(await fetcher({"url": web.url("/go"), **source}).fetch()) == 1
    assert "x-key" not in web.asked[1][1]
    assert "authorization" not in web.asked[1][1]
    await fetcher({"url": web.url("/stay"), **source}).fetch()
    assert web.asked[3][1]["x-key"] == "k"


async def test_circles_end(web: Any) -> None:
    web.pages["/a"] = (302, {"Location": "/a"}, b"")
    with pytest.raises(ProxyFetchError, match="redirects more than 10 times"):
        await fetcher().fetch_from_source(web.url("/a"))
    web.pages["/b"] = (302, {"Location": "ftp://x.test/"}, b"")
    with pytest.raises(ProxyFetchError, match="isn't HTTP"):
        await fetcher().fetch_from_source(web.url("/b"))


async def test_unchanged_lists_are_not_sent_again(web: Any) -> None:
    url = web.text("/list", "1.1.1.1:80\n", ETag='"v1"')
    made = fetcher(url)
    first = await made.fetch()
    second = await made.fetch()
    assert [proxy.url for proxy in first] == [proxy.url for proxy in second]
    assert web.asked[1][1]["if-none-match"] == '"v1"'
    web.text("/list", "1.1.1.2:80\n", ETag='"v2"')
    assert [proxy.host for proxy in await made.fetch()] == ["1.1.1.2"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_busy_servers_are_asked_again(web: Any, status: int) -> None:
    busy = (status, {"Retry-After": "0"}, b"")
    web.pages["/list"] = [busy, busy, (200, {}, b"1.1.1.1:80")]
    assert len(await fetcher().fetch_from_source(web.url("/list"))) == 1
    assert web.count("/list") == 3


async def test_attempts_end(web: Any) -> None:
    web.text("/list", "", status=503)
    with pytest.raises(ProxyFetchError, match="the server answers 503") as caught:
        await fetcher(backoff=0.001).fetch_from_source(web.url("/list"))
    assert caught.value.attempt_count == web.count("/list") == 5


async def test_retry_after_is_waited_for(web: Any) -> None:
    web.pages["/list"] = [(429, {"Retry-After": "1"}, b""), (200, {}, b"1.1.1.1:80")]
    began = time.monotonic()
    await fetcher().fetch_from_source(web.url("/list"))
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_other_refusals_are_final(web: Any, status: int) -> None:
    web.text("/list", "", status=status)
    with pytest.raises(ProxyFetchError, match=str(status)):
        await fetcher().fetch_from_source(web.url("/list"))
    assert web.count("/list") == 1


async def test_time_outs_are_retried_and_end(web: Any) -> None:
    def drips(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"1")
            handler.wfile.flush()
            time.sleep(0.02)

    web.pages["/list"] = drips
    began = time.monotonic()
    with pytest.raises(ProxyFetchError, match=r"within 0\.2 s"):
        await fetcher(timeout=0.2, max_attempts=2).fetch_from_source(web.url("/list"))
    assert web.count("/list") == 2
    # Neither attempt waited for the end, which is two seconds away each.
    assert time.monotonic() - began < 30


async def test_gigabytes_are_not_swallowed(web: Any) -> None:
    web.text("/long", "1.1.1.1:80\n" * 1000)
    with pytest.raises(ProxyFetchError, match="longer than 500 bytes"):
        await fetcher(max_bytes=500).fetch_from_source(web.url("/long"))
    bomb = gzip.compress(b"0" * 10_000_000)
    web.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, bomb)
    with pytest.raises(ProxyFetchError, match="longer than"):
        await fetcher(max_bytes=100_000).fetch_from_source(web.url("/bomb"))


async def test_a_failing_source_is_skipped_and_counted(web: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = web.text("/good", "1.1.1.1:80\nrubbish in a line\n")
    bad = web.url("/missing?token=hunter2")
    made = fetcher(bad, good)
    with caplog.at_level(logging.WARNING, "proxywhirl.fetch"):
        assert len(await made.fetch()) == 1
    failed, read = made.get_source_stats()
    assert (failed.fetch_failure_count, read.fetch_failure_count) == (1, 0)
    assert "404" in (failed.last_error or "")
    assert (read.total_fetched, read.valid_count, read.invalid_count) == (2, 1, 1)
    assert read.last_fetch_at is not None
    assert (read.last_fetch_duration_ms or 0) > 0
    assert "hunter2" not in caplog.text + repr(failed) + failed.source_url


async def test_unreachable(web: Any) -> None:
    url = web.url("/list")
    web.stop()
    with pytest.raises(ProxyFetchError, match="can't be loaded"):
        await fetcher().fetch_from_source(url)


async def test_local_addresses_are_dropped_and_counted(web: Any, caplog: pytest.LogCaptureFixture) -> None:
    url = web.text("/list", "1.1.1.1:80\n127.0.0.1:80\n192.168.0.1:80\nhttp://localhost:80\n[::1]:80\n")
    made = fetcher(url)
    with caplog.at_level(logging.WARNING, "proxywhirl.fetch"):
        assert [entry["url"] for entry in await made.fetch_all(validate=False)] == ["http://1.1.1.1:80"]
    assert "4 local addresses dropped" in caplog.text
    (stats,) = made.get_source_stats()
    assert (stats.local_count, stats.invalid_count, stats.valid_count) == (4, 4, 1)
    assert len(await fetcher(url, allow_local=True).fetch()) == 5


async def test_custom_parsers(web: Any) -> None:
    url = web.text("/list", "1.1.1.1 80;1.1.1.2 81")

    class Parser:
        def parse(self, text: str) -> list[dict[str, Any]]:
            return [{"ip": part.split()[0], "port": int(part.split()[1])} for part in text.split(";")]

    async def urls(text: str) -> list[str]:
        return [part.replace(" ", ":") for part in text.split(";")]

    for parser in (Parser(), urls, lambda text: (part.replace(" ", ":") for part in text.split(";"))):
        found = await fetcher({"url": url, "format": "custom", "custom_parser": parser}).fetch()
        assert [proxy.url for proxy in found] == ["http://1.1.1.1:80", "http://1.1.1.2:81"]


async def test_a_parser_that_raises_is_a_failing_source(web: Any) -> None:
    def broken(text: str) -> list[str]:
        raise KeyError(text[:3])

    source = {"url": web.text("/list", "1.1.1.1:80"), "custom_parser": broken}
    with pytest.raises(ProxyFetchError, match="KeyError"):
        await fetcher().fetch_from_source(source)
    assert await fetcher(source).fetch() == []
    for result in ("1.1.1.1:80", 3, [3]):
        with pytest.raises(ProxyFetchError, match="a parser returns"):
            await fetcher().fetch_from_source({**source, "custom_parser": lambda _, result=result: result})


async def test_protocol_of_the_source(web: Any) -> None:
    url = web.text("/list", "1.1.1.1:80")
    (proxy,) = await fetcher({"url": url, "protocol": "socks5"}).fetch()
    assert proxy.protocol == "socks5"


async def test_pages_without_proxies_are_failures(web: Any) -> None:
    web.text("/page", "<!doctype html><html><body>maintenance</body></html>")
    with pytest.raises(ProxyFetchError):
        await fetcher().fetch_from_source({"url": web.url("/page"), "render_mode": RenderMode.STATIC})
    web.text("/empty", "")
    assert await fetcher().fetch_from_source(web.url("/empty")) == []


async def test_validation(web: Any) -> None:
    doubtful = web.text("/doubtful", "1.1.1.1:1\n1.1.1.2:80\n")
    trusted = web.text("/trusted", "1.1.1.3:1\n")
    validator = Approves()
    made = ProxyFetcher([doubtful, {"url": trusted, "trusted": True}], validator)
    assert [proxy.host for proxy in await made.fetch()] == ["1.1.1.2", "1.1.1.3"]
    assert len(validator.seen) == 2
    assert [entry["url"] for entry in await made.fetch_all()] == ["http://1.1.1.2:80", "http://1.1.1.3:1"]
    assert len(await made.fetch_all(validate=False)) == 3


async def test_duplicates(web: Any) -> None:
    sources = [web.text(f"/{n}", "1.1.1.1:80\n1.1.1.1:80\n") for n in range(2)]
    assert len(await fetcher(*sources).fetch()) == 1
    assert len(await fetcher(*sources).fetch_all(validate=False)) == 1
    assert len(await fetcher(*sources).fetch_all(validate=False, deduplicate=False)) >= 2


async def test_progress(web: Any) -> None:
    sources = [web.text(f"/{n}", f"1.1.1.{n}:80\n") for n in range(3)]
    fetched: list[Any] = []
    checked: list[Any] = []
    made = ProxyFetcher(sources, Approves())
    await made.fetch_all(
        fetch_progress_callback=lambda *numbers: fetched.append(numbers),
        validate_progress_callback=lambda *numbers: checked.append(numbers),
    )
    assert fetched == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]
    assert checked == [(3, 3, 3)]


async def test_bars(web: Any, capsys: pytest.CaptureFixture[str]) -> None:
    made = ProxyFetcher([web.text("/list", "1.1.1.1:80\n")], Approves(), progress=True)
    assert len(await made.fetch()) == 1
    assert capsys.readouterr().out == ""


async def test_sources_come_and_go(web: Any, tmp_path: Path) -> None:
    url = web.text("/list", "1.1.1.1:80")
    made = fetcher()
    made.add_source(url)
    made.add_source({"url": url, "priority": 2})
    made.add_source(tmp_path / "list.txt")
    assert [source.priority for source in made.sources] == [2, 0]
    made.remove_source(url)
    made.remove_source(str(tmp_path / "list.txt"))
    made.remove_source("http://unknown.test/")
    assert made.sources == []


async def test_files(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    made = fetcher(path)
    with pytest.raises(ProxyFetchError, match="No such file"):
        await made.fetch_from_source(path)
    path.write_text("127.0.0.1:80\n")  # the user's own, so it may name what it likes
    assert len(await made.fetch()) == 1
    path.write_text("127.0.0.1:80\n127.0.0.1:81\n")
    assert len(await made.fetch()) == 2


async def test_each_source_in_its_own_time(web: Any) -> None:
    often = web.text("/often", "1.1.1.1:80")
    seldom = web.text("/seldom", "1.1.1.2:80")
    failing = web.text("/failing", "", status=404)
    made = fetcher({"url": often, "refresh_interval": 0}, seldom, failing)
    rounds: list[int] = []
    done = asyncio.Event()

    async def heard(entries: list[dict[str, Any]]) -> None:
        rounds.append(len(entries))
        if len(rounds) == 3:
            done.set()

    task = asyncio.create_task(made.start_periodic_refresh(heard, interval=3600))
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds[:3] == [2, 2, 2]
    assert web.count("/often") >= 3
    assert (web.count("/seldom"), web.count("/failing")) == (1, 1)


async def test_one_at_a_time_and_few_of_one_host(web: Any) -> None:
    now = most = 0

    def slow(handler: Any) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.03)
        now -= 1
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"1.1.1.1:80")

    sources = [web.url(f"/{n}") for n in range(12)]
    for n in range(12):
        web.pages[f"/{n}"] = slow
    assert len(await fetcher(*sources).fetch()) == 1
    assert 1 < most <= 4


async def test_connections_are_kept_only_inside_the_block(web: Any) -> None:
    url = web.text("/list", "1.1.1.1:80")
    async with fetcher(url) as made:
        await made.fetch()
        assert made._kept is not None
        await made.fetch()
    assert made._kept is None
    assert len(await made.fetch()) == 1


def test_one_fetcher_in_several_loops(web: Any) -> None:
    made = fetcher(web.text("/list", "1.1.1.1:80"))
    for _ in range(2):
        assert len(asyncio.run(made.fetch())) == 1


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="list"):
        ProxyFetcher("http://a.test/list")
    with pytest.raises(TypeError, match="a source is"):
        ProxyFetcher([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="url"):
        ProxyFetcher([""])
    with pytest.raises(ValueError, match="url"):
        ProxyFetcher(["ftp://a.test/list"])
    with pytest.raises(ValueError, match="max_attempts"):
        ProxyFetcher(max_attempts=0)
    with pytest.raises(ValueError, match="another machine"):
        ProxyFetcher(["file://elsewhere/list.txt"])


async def test_formats_are_recognised(web: Any, tmp_path: Path) -> None:
    packed = tmp_path / "list.json.gz"
    packed.write_bytes(gzip.compress(b'{"data": [{"ip": "1.1.1.1", "port": "80", "protocols": ["http", "socks5"]}]}'))
    lists = [
        web.text("/list.csv", "port,ip\n80,1.1.1.2\n"),
        web.text("/wrong.csv", "1.1.1.3:80\n1.1.1.4:80\n"),
        web.text("/page", "<html><table><tr><th>IP</th><th>Port</th></tr><tr><td>1.1.1.5</td><td>80</td></tr></table>"),
        {
            "url": web.text("/geonode", '{"data": [{"ip": "1.1.1.6", "port": 80, "protocols": ["http"]}]}'),
            "parser": "geonode",
        },
    ]
    found = await fetcher(packed, *lists).fetch()
    assert [proxy.url for proxy in found] == [
        "http://1.1.1.1:80", "socks5://1.1.1.1:80", *(f"http://1.1.1.{n}:80" for n in range(2, 7)),
    ]  # fmt: skip


async def test_what_lists_know_is_kept(web: Any) -> None:
    text = '[{"ip": "1.1.1.1", "port": 80, "country": "DE", "city": "Bonn", "anonymity": "elite"}]'
    (proxy,) = await fetcher(web.text("/list", text)).fetch()
    assert proxy.country_code == "DE"
    (entry,) = await fetcher(web.url("/list")).fetch_all(validate=False)
    assert (entry["city"], entry["anonymity"]) == ("Bonn", "elite")

    def parser(text: str) -> list[dict[str, Any]]:
        return [{"ip": "1.1.1.1", "port": 80, "country_code": "FR", "ttl": 60, "plan": "gold", "expires_at": "soon"}]

    (proxy,) = await fetcher({"url": web.url("/list"), "custom_parser": parser}).fetch()
    assert (proxy.country_code, proxy.ttl) == ("FR", 60)
    assert proxy.metadata == {"plan": "gold", "expires_at": "soon"}


async def test_unknown_parsers(web: Any) -> None:
    with pytest.raises(ProxyFetchError, match="format must be one of"):
        await fetcher().fetch_from_source({"url": web.text("/list", "1.1.1.1:80"), "parser": "cuneiform"})
    with pytest.raises(ProxyFetchError, match="no custom_parser"):
        await fetcher().fetch_from_source({"url": web.url("/list"), "format": "custom"})


async def test_answers_that_are_no_lists(web: Any) -> None:
    web.text("/error", '{"error": "quota used up"}')
    with pytest.raises(ProxyFetchError, match="without a list"):
        await fetcher().fetch_from_source(web.url("/error"))
    for path, text in (("/none", '{"data": []}'), ("/array", "[]"), ("/blank", "# nothing today\n")):
        assert await fetcher().fetch_from_source(web.text(path, text)) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
async def test_cancelled_anywhere_nothing_is_left_open(web: Any) -> None:
    def drips(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"1.1.1.1:80\n")
            handler.wfile.flush()
            time.sleep(0.01)

    sources = [web.url(f"/{n}") for n in range(6)]
    for n in range(6):
        web.pages[f"/{n}"] = drips

    def clients() -> int:
        # The server's ends of the connections close in their own time, so only what the client opened is counted.
        port = web._server.server_address[1]
        lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        mine = {os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is_link(one)}
        return sum(f"socket:[{line[9]}]" in mine and int(line[2].split(":")[1], 16) == port for line in lines)

    for moment in (0.0, 0.01, 0.05, 0.2):
        task = asyncio.create_task(fetcher(*sources).fetch())
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clients() == 0


def _is_link(name: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{name}")


async def test_checks_of_its_own(web: Any) -> None:
    with ProxyFleet([ProxySpec(), ProxySpec.dead(), ProxySpec(fault="hang")]) as fleet:
        url = web.text("/list", "\n".join(fleet.urls))
        validator = ProxyValidator(timeout=1.0, test_url=fleet.site_url("shop.test", "/whoami"))
        made = ProxyFetcher([url], validator, allow_local=True)
        assert [proxy.url for proxy in await made.fetch()] == [fleet.urls[0]]
        (entry,) = await made.fetch_all()
        assert (entry["url"], entry["status"]) == (fleet.urls[0], "active")
        found = await fetch_all_sources(sources=[url], allow_local=True, validator=validator)
        assert [entry["url"] for entry in found] == [fleet.urls[0]]


async def test_what_a_list_said_is_shown_without_its_logins(web: Any) -> None:
    made = fetcher(web.text("/list", "http://user:secret@1.1.1.1:80\n"))
    await made.fetch()
    (source,) = made.register.enabled()
    listing = await read(b'[{"url": "http://user:secret@1.1.1.1:80"}]', source)
    for kept in (listing, made.register.unread(source), made.register._known[source.key]):
        assert len(kept.entries) == 1
        assert "secret" not in repr(kept)
        assert "1 entries" in repr(kept)
