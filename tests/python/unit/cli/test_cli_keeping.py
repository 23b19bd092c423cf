"""Commands that look after the stored pool: ``export``, ``cleanup``, ``db-stats``, ``stats``, ``setup-geoip``."""

from __future__ import annotations

import gzip
import importlib.util
import json
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, _core
from proxywhirl._native.urls import client_url
from proxywhirl.cli.proxy_writer import save_pool
from proxywhirl.utils import CLILock

SECRET = "s3cr3t-w0rd"
ODD = "p@ss:/%#?&=;,'\" <b>"
Run = Callable[..., Any]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "proxywhirl" / "proxies.json"
    now = datetime.now(timezone.utc)
    good = Proxy(url="http://203.0.113.1:8080", country_code="DE", tags={"fast", "eu"}, total_requests=50,
                 total_successes=45, total_failures=5, requests_started=50, health_status="healthy", last_success_at=now)  # fmt: skip
    login = Proxy(url="socks5://203.0.113.2:1080", username="al:ice", password=SECRET)
    dead = Proxy(url="http://203.0.113.3:8080", country_code="FR", health_status="dead", consecutive_failures=12,
                 total_requests=12, total_failures=12, requests_started=12, last_failure_at=now - timedelta(hours=30))  # fmt: skip
    stale = Proxy(url="http://[2001:db8::1]:3128", health_status="unhealthy", total_requests=30, total_successes=3,
                  total_failures=27, requests_started=30, last_success_at=now - timedelta(days=40),
                  last_failure_at=now)  # fmt: skip
    save_pool(path, [good, login, dead, stale])
    return path


class TestExport:
    @pytest.mark.parametrize("format", ["lines", "csv", "tsv", "json", "jsonl", "html"])
    def test_every_format_is_read_again(self, run_openly: Run, stored: Path, format: str) -> None:
        pool = ProxyPool.from_file(stored)
        pool.add_proxy(Proxy(url="http://203.0.113.9:1", username="a b", password=ODD))
        save_pool(stored, pool)
        result = run_openly("export", "--reveal", "--format", format)
        assert result.status == 0
        parsed = _core.parse_proxies(result.out.encode())
        assert sorted(entry["url"] for entry in parsed) == sorted(client_url(proxy) for proxy in pool)
        if format != "lines":
            assert {entry.get("country_code") for entry in parsed} == {"DE", "FR", None}

    @pytest.mark.parametrize("format", ["lines", "csv", "tsv", "json", "jsonl", "html"])
    def test_credentials_are_masked_unless_they_are_asked_for(self, run: Run, stored: Path, format: str) -> None:
        result = run("export", "--format", format)
        assert result.status == 0
        assert "***" in result.out
        assert "al:ice" not in result.out
        assert "al%3Aice" not in result.out

    @pytest.mark.parametrize("name", ["l.txt", "l.csv", "l.tsv.gz", "l.json", "l.jsonl", "l.html"])
    def test_the_name_of_the_file_decides(self, run_openly: Run, stored: Path, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        result = run_openly("export", "--reveal", "-o", file)
        assert (result.status, result.out) == (0, "")
        assert result.err == f"4 proxies written to {file}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
        data = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
        assert data.startswith({"txt": b"http", "csv": b"protocol,", "gz": b"protocol\t", "json": b"[", "jsonl": b"{",
                                "html": b"<"}[name.rpartition(".")[2]])  # fmt: skip
        assert run_openly("fetch", file, "--format", "csv").out.count("\n") == 5

    def test_choice(self, run: Run, stored: Path) -> None:
        assert run("export", "--health", "healthy").out == "http://203.0.113.1:8080\n"
        assert run("export", "--protocol", "socks5").out == "socks5://***:***@203.0.113.2:1080\n"
        assert run("export", "--country", "fr").out == "http://203.0.113.3:8080\n"
        assert run("export", "--tag", "eu").out == "http://203.0.113.1:8080\n"
        assert run("-f", "text", "export", "--tag", "eu").out == "http://203.0.113.1:8080\n"
        nothing = run("export", "--country", "JP")
        assert (nothing.status, nothing.err) == (1, f"proxywhirl export: error: {stored} has no proxy that fits\n")

    def test_where_it_cannot_be_written(self, run: Run, stored: Path, tmp_path: Path) -> None:
        result = run("export", "-o", tmp_path)
        assert result.status == 1
        assert "cannot be written" in result.err
        with CLILock(stored.parent):
            assert run("export").status == 4
            assert run("--no-lock", "export").status == 0


class TestCleanup:
    def left(self, stored: Path) -> list[str]:
        return [proxy.host for proxy in ProxyPool.from_file(stored)]

    @pytest.mark.parametrize(
        ("criteria", "gone"),
        [
            ([], ["203.0.113.3"]),
            (["--dead"], ["203.0.113.3"]),
            (["--unhealthy"], ["203.0.113.3", "2001:db8::1"]),
            (["--failures", "12"], ["203.0.113.3"]),
            (["--failures", "13"], []),
            (["--success-below", "0.2"], ["203.0.113.3", "2001:db8::1"]),
            (["--success-below", "0.2", "--requests", "20"], ["2001:db8::1"]),
            (["--stale-days", "30"], ["2001:db8::1"]),
            (["--stale-days", "30", "--dead"], ["203.0.113.3", "2001:db8::1"]),
            (["--expired"], []),
        ],
    )
    def test_criteria(self, run: Run, stored: Path, criteria: list[str], gone: list[str]) -> None:
        before = stored.read_bytes()
        shown = run("cleanup", *criteria)
        assert shown.status == 0
        assert [row["proxy"].split("//")[1].rpartition(":")[0].strip("[]") for row in shown.rows] == gone
        assert all(row["why"] for row in shown.rows)
        assert shown.err.endswith(" of 4 would be removed; do so with --execute\n")
        assert stored.read_bytes() == before, "nothing is removed unasked"
        done = run("cleanup", "--execute", *criteria)
        assert done.status == 0
        assert f" removed, {4 - len(gone)} left in {stored}" in done.err
        assert set(self.left(stored)) == {"203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1"} - set(gone)

    def test_wrong_usage(self, run: Run, stored: Path, tmp_path: Path) -> None:
        assert run("cleanup", "--success-below", "2").status == 2
        assert run("cleanup", "--pool", tmp_path / "none.json").status == 1
        with CLILock(stored.parent):
            assert run("cleanup", "--execute").status == 4


class TestNumbers:
    def test_retries(self, run: Run, stored: Path) -> None:
        rows = run("stats", "--retry").rows
        assert [(row["attempts"], row["failures"], row["in_a_row"]) for row in rows] == [
            (30, 27, 0),
            (12, 12, 12),
            (50, 5, 0),
        ]
        assert rows[1]["failure_rate"] == 1.0
        assert [row["attempts"] for row in run("stats", "--retry", "--hours", "24").rows] == [30, 50]
        assert run("stats", "--retry", "--circuit-breaker").status == 2

    def test_a_file(self, run: Run, stored: Path) -> None:
        facts = {row["fact"]: row["value"] for row in run("db-stats").rows}
        assert (facts["kind"], facts["path"], facts["mode"]) == ("file", str(stored), "0600")
        assert (facts["proxies"], facts["with credentials"], facts["with country"]) == (4, 1, 2)
        assert (facts["with requests"], facts["credentials"]) == (3, "clear")

    @pytest.mark.skipif(importlib.util.find_spec("aiosqlite") is None, reason="needs the extra storage")
    async def test_a_database(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from proxywhirl.storage import SQLiteStorage

        path = tmp_path / "own.db"
        storage = SQLiteStorage(path)
        try:
            await storage.save([Proxy(url="http://203.0.113.1:1"), Proxy(url="http://203.0.113.2:1")])
        finally:
            await storage.close()
        facts = {row["fact"]: row["value"] for row in run("db-stats", "--db", path).rows}
        assert facts["kind"] == "sqlite"
        assert 2 in [value for name, value in facts.items() if name.startswith("rows of ")]
        assert 0 < facts["bytes in use"] <= facts["bytes"]
        monkeypatch.setenv("PROXYWHIRL_STORAGE_BACKEND", "sqlite")
        assert run("db-stats").status == 1, "no path is known"
        monkeypatch.setenv("PROXYWHIRL_STORAGE_PATH", str(path))
        assert run("db-stats").status == 0

    def test_what_cannot_be_read(self, run: Run, tmp_path: Path) -> None:
        missing = run("db-stats", "--db", tmp_path / "none.db")
        assert (missing.status, "cannot be read" in missing.err) == (1, True)
        damaged = tmp_path / "bad.db"
        damaged.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
        result = run("db-stats", "--db", damaged)
        assert (result.status, "Traceback" in result.err) == (1, False)


class TestGeoip:
    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        pytest.importorskip("maxminddb")
        spec = importlib.util.spec_from_file_location("mmdb", Path(__file__).parents[1] / "geo" / "mmdb.py")
        assert spec is not None
        assert spec.loader is not None
        maker = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(maker)
        file = tmp_path / "countries.mmdb"
        file.write_bytes(maker.database({"203.0.113.0/24": {"country": {"iso_code": "NL"}}}))
        return file

    def test_it_is_checked_remembered_and_used(self, run: Run, database: Path, tmp_path: Path) -> None:
        assert run("setup-geoip", "--check").status == 1
        result = run("setup-geoip", database)
        assert (result.status, str(database) in result.out) == (0, True)
        assert run("config", "get", "geo_database").out == f"{database}\n"
        assert run("setup-geoip", "--check").status == 0
        run("pool", "add", "http://203.0.113.7:80")
        assert run("pool", "list").rows[0]["country"] == "NL"
        (tmp_path / "l.txt").write_text("203.0.113.8:80\n198.51.100.1:80\n")
        assert [row["country"] for row in run("fetch", "l.txt").rows] == ["NL", None]
        database.unlink()
        assert run("setup-geoip", "--check").status == 1
        later = run("pool", "add", "http://203.0.113.9:80")
        assert (later.status, "geo_database" in later.err) == (0, True)

    def test_what_is_none(self, run: Run, tmp_path: Path) -> None:
        pytest.importorskip("maxminddb")
        (tmp_path / "x.mmdb").write_text(SECRET)
        for wrong in ("x.mmdb", "none.mmdb"):
            result = run("setup-geoip", wrong)
            assert (result.status, "Traceback" in result.err) == (1, False)
        assert run("config", "get", "geo_database").out == "\n", "it is not remembered"
        assert run("setup-geoip").status == 2
        assert run("setup-geoip", "x.mmdb", "--check").status == 2


def test_json_of_every_table(run: Run, stored: Path) -> None:
    for command in ("cleanup", "db-stats", "stats --retry", "stats --circuit-breaker", "top --once"):
        for line in run(*command.split(), "--format", "json").out.splitlines():
            assert isinstance(json.loads(line), dict)
