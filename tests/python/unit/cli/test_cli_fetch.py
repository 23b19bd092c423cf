"""``proxywhirl fetch`` and ``sources``."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl import ProxyPool
from proxywhirl.testing import ProxyFleet, ProxySpec

SECRET = "s3cr3t-w0rd"


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [ProxySpec(name="plain"), ProxySpec(name="login", auth=("alice", SECRET)), ProxySpec.dead(name="dead")]
    with ProxyFleet(specs) as running:
        yield running


@pytest.fixture
def run(run_openly: Run) -> Run:
    """Lists are shown as they are to be used."""
    return run_openly


def test_lists_become_one(run: Run, fleet: ProxyFleet, tmp_path: Path) -> None:
    text, table = tmp_path / "a.txt.gz", tmp_path / "b.csv"
    text.write_bytes(gzip.compress(f"{fleet['login'].url}\n127.0.0.1:{fleet['plain'].port}\nno proxy\n".encode()))
    table.write_text(f"ip,port,country\n127.0.0.1,{fleet['plain'].port},DE\n127.0.0.1,{fleet['dead'].port},FR\n")
    result = run("fetch", text, table, "-f", "json")
    assert result.status == 0
    assert [row["url"] for row in result.rows] == [fleet[name].url for name in ("login", "plain", "dead")]
    complaint, summary = result.err.splitlines()
    assert complaint.startswith(f"{text}, line 3: ")
    assert summary == "3 proxies read"
    shown = run("fetch", text, "-f", "text")
    assert SECRET not in shown.out + shown.err
    assert SECRET not in run("fetch", text, "-f", "csv").out

    alive = tmp_path / "alive.json"
    page = fleet.site_url("shop.test", "/whoami")
    checked = run("fetch", text, table, "--check", "--url", page, "-o", alive)
    assert (checked.status, checked.out) == (0, "")
    assert "2 good, 3 proxies checked" in checked.err
    assert {proxy.port for proxy in ProxyPool.from_file(alive)} == {fleet["plain"].port, fleet["login"].port}
    german = run("fetch", table, "--country", "de", "-q")
    assert [row["country"] for row in german.rows] == ["DE"]


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"10.0.0.1:1080\n10.0.0.2:1080\n")

    monkeypatch.setattr(sys, "stdin", Input)
    result = run("fetch", "-", "--protocol", "socks5", "-f", "json", "-q")
    assert [row["url"] for row in result.rows] == ["socks5://10.0.0.1:1080", "socks5://10.0.0.2:1080"]


def test_addresses(run: Run, fleet: ProxyFleet) -> None:
    missing = run("fetch", fleet.http_url("/status/404"))
    assert missing.status == 1
    assert "404" in missing.err


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("fetch").status == 2
    nothing = run("fetch", tmp_path / "missing")
    assert nothing.status == 2
    assert "is no file, no http(s) address and no built-in source" in nothing.err


def test_sources(run: Run) -> None:
    rows = run("sources", "--protocol", "socks5").rows
    assert rows
    assert {row["protocol"] for row in rows} == {"socks5"}
    assert all(row["url"].startswith("https://") for row in rows)
    assert 0 < len(run("sources", "--recommended").rows) < 10
