"""The built-in lists are data, and can be asked whether they still answer. None of them is contacted here."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

import proxywhirl
from proxywhirl import sources


def test_names_of_the_documentation() -> None:
    for family in (
        "GEONODE",
        "GITHUB_THESPEEDX",
        "GITHUB_MONOSANS",
        "GITHUB_PROXIFLY",
        "GITHUB_KOMUTAN",
        "PROXY_SCRAPE",
    ):
        for protocol in ("HTTP", "SOCKS4", "SOCKS5"):
            name = f"{family}_{protocol}"
            source = getattr(sources, name)
            assert source.metadata["name"] == name
            assert source.protocol == protocol.lower()
            assert getattr(proxywhirl, name) is source


def test_addresses_of_the_documentation() -> None:
    assert str(sources.GITHUB_MONOSANS_SOCKS5.url) == (
        "https://raw.githubusercontent.com/monosans/proxy-list/main/proxies/socks5.txt"
    )
    assert str(sources.PROXY_SCRAPE_HTTP.url) == (
        "https://api.proxyscrape.com/v2/?request=displayproxies&protocol=http&timeout=10000&country=all&ssl=all&anonymity=all"
    )
    assert "protocols=http%2Chttps" in str(sources.GEONODE_HTTP.url)


def test_collections() -> None:
    assert len(sources.ALL_SOURCES) == len({str(source.url) for source in sources.ALL_SOURCES})
    assert [source.metadata["name"] for source in sources.API_SOURCES] == [
        "GEONODE_HTTP",
        "GEONODE_SOCKS4",
        "GEONODE_SOCKS5",
    ]
    assert len(sources.RECOMMENDED_SOURCES) == 5
    parts = sources.ALL_HTTP_SOURCES + sources.ALL_SOCKS4_SOURCES + sources.ALL_SOCKS5_SOURCES
    assert parts == sources.ALL_SOURCES
    for left_out in (sources.GITHUB_ALIILAPRO_SOCKS5, sources.GITHUB_VANNDEV_SOCKS5, sources.GITHUB_MURONGPIG_HTTP):
        assert left_out not in sources.ALL_SOURCES
    assert "{" not in "".join(str(source.url) for source in sources.ALL_SOURCES)


async def test_the_audit(web: Any) -> None:
    good = web.text("/good", "1.1.1.1:80\n")
    gone = web.text("/gone?token=hunter2", "", status=404)
    page = web.text("/page", "<html>sold</html>")
    busy = web.text("/busy", "", status=503)
    seen: list[Any] = []
    report = await sources.validate_sources([good, gone, page, busy], progress_callback=lambda *n: seen.append(n))
    assert (report.total_sources, report.healthy_sources, report.unhealthy_sources) == (4, 1, 3)
    assert not report.all_healthy
    first, second, third, fourth = report.results
    assert first.is_healthy
    assert (first.status_code, first.content_length, first.has_proxies) == (200, 11, True)
    assert first.response_time_ms > 0
    assert (second.status_code, second.is_healthy) == (404, False)
    assert "hunter2" not in repr(report)
    assert (third.status_code, third.has_proxies) == (200, False)
    assert fourth.status_code == 503
    assert web.count("/busy") == 1
    assert report.healthy == [first]
    assert report.unhealthy == [second, third, fourth]
    assert seen[-1] == (4, 4, 1)


async def test_one_with_a_client(web: Any) -> None:
    async with httpx.AsyncClient(headers={"X-Mine": "1"}) as client:
        result = await sources.validate_source(web.text("/good", "1.1.1.1:80\n"), client=client)
        assert result.is_healthy
        assert not client.is_closed
    assert web.asked[0][1]["x-mine"] == "1"


def test_without_a_loop(web: Any) -> None:
    assert sources.validate_sources_sync([web.text("/good", "1.1.1.1:80\n")]).all_healthy


def test_all_in_one_call(web: Any) -> None:
    found = asyncio.run(sources.fetch_all_sources(validate=False, sources=[web.text("/good", "1.1.1.1:80\n")]))
    assert [entry["url"] for entry in found] == ["http://1.1.1.1:80"]
