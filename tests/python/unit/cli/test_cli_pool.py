"""``proxywhirl pool``, ``health``, ``stats``, and ``get`` from the stored pool."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl import ProxyPool
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.utils import CLILock

SECRET = "s3cr3t-w0rd"


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [ProxySpec(name="plain"), ProxySpec(name="login", auth=("alice", SECRET)), ProxySpec.dead(name="dead")]
    with ProxyFleet(specs) as running:
        yield running


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "data" / "proxywhirl" / "proxies.json"


def page(fleet: ProxyFleet) -> str:
    return fleet.site_url("shop.test", "/whoami")


def test_life_of_a_pool(run: Run, fleet: ProxyFleet, stored: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"ip,port,country\n127.0.0.1,{fleet['plain'].port},DE\n127.0.0.1,{fleet['dead'].port},FR\n")
    added = run("pool", "add", f"@{listed}", fleet["login"].url)
    assert (added.status, added.out) == (0, "")
    assert added.err == f"3 proxies added, 3 in {stored}\n"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600

    rows = run("pool", "list").rows
    assert [row["country"] for row in rows] == ["DE", "FR", None]
    assert rows[2]["proxy"] == f"http://***:***@127.0.0.1:{fleet['login'].port}"

    tested = run("pool", "test", "--url", page(fleet))
    assert tested.status == 0
    assert sum(row["ok"] for row in tested.rows) == 2
    assert run("pool", "test", f"127.0.0.1:{fleet['dead'].port}").status == 1
    known = {proxy.port: proxy for proxy in ProxyPool.from_file(stored)}
    assert known[fleet["plain"].port].total_successes == 1, "what was found is stored"
    assert known[fleet["dead"].port].total_failures == 2

    # --retries keeps trying others, so the dead one costs no page.
    got = run("get", page(fleet), "--retries", "5")
    assert got.status == 0
    assert json.loads(got.out)["proxy"] in ("plain", "login")

    counted = {row["country"]: row for row in run("stats", "--by", "country").rows}
    assert counted["all"]["proxies"] == 3
    # Two by the tests of the pool, and one by `get`, which keeps what it learns.
    assert counted["all"]["successes"] == 3
    assert (counted["all"]["spent"], counted["all"]["cost_per_page"]) == (0, 0)

    assert run("pool", "remove", rows[1]["id"], fleet["login"].url).err == f"1 left in {stored}\n"
    gone = run("pool", "remove", "127.0.0.1:1")
    assert (gone.status, gone.err) == (1, "proxywhirl pool: error: 127.0.0.1:1 is not in the pool\n")


def test_health(run: Run, fleet: ProxyFleet, stored: Path) -> None:
    assert run("health").status == 1, "there is no pool yet"
    run("pool", "add", fleet["plain"].url, fleet["dead"].url)
    degraded = run("health", "-t", page(fleet))
    assert degraded.status == 0
    (row,) = degraded.rows
    assert (row["status"], row["good"], row["proxies"], row["reasons"]) == ("degraded", 1, 2, ["1 refused"])
    assert ProxyPool.from_file(stored).total_requests == 2
    run("pool", "remove", fleet["plain"].url)
    unhealthy = run("health")
    assert (unhealthy.status, unhealthy.rows[0]["status"]) == (1, "unhealthy")


def test_health_again_and_again(run: Run, fleet: ProxyFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxywhirl.cli import health

    run("pool", "add", fleet["plain"].url)
    rounds = []

    def sleep(seconds: float) -> None:
        rounds.append(seconds)
        with CLILock(tmp_path / "data" / "proxywhirl"):
            pass  # it is free between rounds
        if len(rounds) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(health.time, "sleep", sleep)
    result = run("health", "--continuous", "--interval", "7")
    assert (result.status, rounds) == (130, [7.0, 7.0, 7.0])
    assert [row["status"] for row in result.rows] == ["healthy"] * 3


def test_lock(run: Run, fleet: ProxyFleet, stored: Path) -> None:
    with CLILock(stored.parent):
        held = run("pool", "add", fleet["plain"].url)
        assert held.status == 4
        assert "another proxywhirl command is running" in held.err
        assert run("health").status == 1, "there is nothing to hold a lock for"
        assert run("pool", "--no-lock", "add", fleet["plain"].url).status == 0
        assert run("stats").status == 4
        assert run("--no-lock", "stats").status == 0, "before the command, too"
    assert run("stats").status == 0


def test_login_for_those_without(run: Run, fleet: ProxyFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxywhirl.cli import pool

    monkeypatch.setattr(pool.getpass, "getpass", lambda prompt: SECRET)
    port = fleet["login"].port
    assert run("pool", "add", f"127.0.0.1:{port}", "-u", "alice", "-p", "-").status == 0
    assert run("get", page(fleet), "--retries", "0").status == 0
    alone = run("pool", "add", "127.0.0.1:1", "-u", "alice")
    assert alone.status == 2
    wrong = run("pool", "add", f"ftp://alice:{SECRET}@127.0.0.1:1")
    assert wrong.status == 2
    assert "is no proxy" in wrong.err


def test_other_places(run: Run, fleet: ProxyFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.jsonl.gz"
    assert run("pool", "--pool", here, "add", fleet["plain"].url).status == 0
    monkeypatch.setenv("PROXYWHIRL_STORAGE_PATH", str(there))
    assert run("pool", "add", fleet["plain"].url, fleet["login"].url).status == 0
    assert (len(ProxyPool.from_file(here)), len(ProxyPool.from_file(there))) == (1, 2)
    assert run("get", page(fleet)).status == 0
    there.write_bytes(b"damaged")
    damaged = run("pool", "list")
    assert damaged.status == 1
    assert "cannot be read" in damaged.err


def test_get_without_any_proxies(run: Run, fleet: ProxyFleet) -> None:
    result = run("get", page(fleet))
    assert (result.status, result.out) == (2, "")
    assert "there is no stored pool" in result.err


def test_encrypted_pool(run: Run, fleet: ProxyFleet, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fernet = pytest.importorskip("cryptography.fernet")
    monkeypatch.setenv("PROXYWHIRL_KEY", fernet.Fernet.generate_key().decode())
    assert run("pool", "add", fleet["login"].url).status == 0
    assert SECRET not in stored.read_text()
    assert run("get", page(fleet), "--retries", "0").status == 0
    monkeypatch.setenv("PROXYWHIRL_KEY", fernet.Fernet.generate_key().decode())
    for command in (["pool", "list"], ["get", page(fleet)]):
        other = run(*command)
        assert (other.status, other.out) == (1, "")
        assert other.err == (
            "proxywhirl: error: the credentials are encrypted with another key, or belong to another proxy or field\n"
        )
    monkeypatch.delenv("PROXYWHIRL_KEY")
    keyless = run("pool", "list")
    assert (keyless.status, keyless.out) == (1, "")
    assert "PROXYWHIRL_KEY" in keyless.err


def test_pools_in_databases_are_not_overwritten(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_STORAGE_BACKEND", "sqlite")
    result = run("pool", "add", "10.0.0.1:80")
    assert result.status == 2
    assert "--pool FILE" in result.err
