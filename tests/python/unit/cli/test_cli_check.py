"""``proxywhirl check``, and what commands with checks share."""

from __future__ import annotations

import csv
import io
import json
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl import Proxy
from proxywhirl.testing import ProxyFleet, ProxySpec

SECRET = "s3cr3t-w0rd"
GOOD = ("plain", "login", "socks5")


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [
        ProxySpec(name="plain"),
        ProxySpec(name="dead", fault="refuse"),
        ProxySpec(name="login", auth=("alice", SECRET)),
        ProxySpec(name="hanging", fault="hang"),
        ProxySpec(name="socks5", scheme="socks5"),
        ProxySpec(name="broken", fault="503"),
    ]
    with ProxyFleet(specs) as running:
        yield running


@pytest.fixture
def listed(fleet: ProxyFleet, tmp_path: Path) -> Path:
    path = tmp_path / "proxies.txt"
    path.write_text("".join(f"{url}\n" for url in fleet.urls) + "no proxy\n")
    return path


def page(fleet: ProxyFleet) -> str:
    return fleet.site_url("shop.test", "/whoami")


def address(fleet: ProxyFleet, name: str) -> str:
    login = "***:***@" if name == "login" else ""
    scheme = "socks5" if name == "socks5" else "http"
    return f"{scheme}://{login}127.0.0.1:{fleet[name].port}"


def test_a_page_through_each(run: Run, fleet: ProxyFleet, listed: Path) -> None:
    result = run("check", listed, "--url", page(fleet), "--timeout", "1")
    assert result.status == 0
    rows = {row["proxy"]: row for row in result.rows}
    assert {proxy for proxy, row in rows.items() if row["ok"]} == {address(fleet, name) for name in GOOD}
    assert rows[address(fleet, "dead")]["error"] == "refused"
    assert rows[address(fleet, "hanging")]["error"] == "timeout"
    assert rows[address(fleet, "broken")]["status"] == 503
    complaint, summary = result.err.splitlines()
    assert complaint.startswith(f"{listed}, line 7: ")
    assert summary.startswith("3 good, 6 proxies checked in ")
    assert summary.endswith(" s (1 refused, 1 status, 1 timeout)")


def test_without_a_page_they_must_accept_connections(run: Run, fleet: ProxyFleet, listed: Path) -> None:
    result = run("check", listed, "-q", "--good")
    assert (result.status, result.err) == (0, "")
    assert len(result.rows) == 5


def test_the_good_ones_go_to_a_file(run: Run, fleet: ProxyFleet, listed: Path, tmp_path: Path) -> None:
    alive = tmp_path / "alive.txt"
    result = run("check", listed, "--url", page(fleet), "--timeout", "1", "-o", alive)
    assert alive.read_text().split() == [fleet[name].url for name in GOOD], "in the order of the list, logins included"
    assert stat.S_IMODE(alive.stat().st_mode) == 0o600
    assert f"written to {alive}" in result.err
    pool = tmp_path / "alive.json.gz"
    assert run("check", alive, "--url", page(fleet), "-o", pool).status == 0
    assert run("get", page(fleet), "--proxies", pool).status == 0, "what check writes, get reads"


def test_rules_of_the_page(run: Run, fleet: ProxyFleet, listed: Path) -> None:
    request = ["check", listed, "--url", page(fleet), "--timeout", "1", "-q", "--good"]
    assert len(run(*request, "--contains", '"login"').rows) == 1
    assert len(run(*request, "--status", "2xx,503").rows) == 4
    none = run(*request, "--contains", "nothing of the kind")
    assert (none.status, none.out) == (1, "")


def test_full_level_tells_how_anonymous(run: Run, fleet: ProxyFleet, listed: Path) -> None:
    judge = fleet.site_url("judge.test", "/anything")
    result = run("check", listed, "--url", judge, "--level", "full", "--timeout", "1", "-f", "csv", "--good")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert len(rows) == 3
    assert {row["anonymity"] for row in rows} == {"elite"}
    assert {row["exit_address"] for row in rows} == {"127.0.0.1"}


def test_protocols_are_found_by_trying(run: Run, fleet: ProxyFleet, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.txt"
    unknown.write_text(f"127.0.0.1:{fleet['socks5'].port}\n")
    alive = tmp_path / "alive.txt"
    assert run("check", unknown, "--url", page(fleet), "--detect", "-o", alive).status == 0
    assert alive.read_text() == f"socks5://127.0.0.1:{fleet['socks5'].port}\n"


def test_table(run: Run, fleet: ProxyFleet, listed: Path) -> None:
    lines = run("check", listed, "--url", page(fleet), "--timeout", "1", "-f", "text").out.splitlines()
    assert lines[0].split() == ["proxy", "ok", "latency", "ms", "status", "reason"]
    assert len(lines) == 7
    assert any(line.endswith("the proxy refuses connections") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--level", "full"], "--level full needs --url"),
        (["--status", "200"], "--status and --contains need --url"),
        (["--url", "ftp://shop.test/"], "a page to fetch must have an http or https URL"),
        (["--cacert", "nowhere.pem"], "nowhere.pem cannot be read"),
    ],
)
def test_wrong_usage(run: Run, listed: Path, arguments: list[str], reason: str) -> None:
    result = run("check", listed, *arguments)
    assert result.status == 2
    assert reason in result.err


def test_lists_that_are_none(run: Run, tmp_path: Path) -> None:
    missing = run("check", tmp_path / "missing")
    assert missing.status == 2
    assert "cannot be read" in missing.err
    empty = tmp_path / "empty.csv"
    empty.write_text("ip,port\n")
    assert run("check", empty).status == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "ip,port,country\n{host},{port},DE\n"),
        ("b.json", '{{"data": [{{"ip": "{host}", "port": "{port}", "protocols": ["http"], "country": "DE"}}]}}'),
        ("c.jsonl", '{{"ip": "{host}", "port": {port}, "country": "DE"}}\n'),
        (
            "d.html",
            "<table><tr><th>IP</th><th>Port</th><th>Code</th></tr><tr><td>{host}</td><td>{port}</td><td>DE</td></tr></table>",
        ),
    ],
)
def test_lists_of_any_form(run: Run, fleet: ProxyFleet, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text.format(host="127.0.0.1", port=fleet["plain"].port))
    result = run("check", path, "--url", page(fleet), "-q")
    assert result.status == 0
    assert run("get", page(fleet), "--proxies", path, "--country", "DE").status == 0


def test_interrupted_checks_keep_what_they_have_found(
    run: Run, fleet: ProxyFleet, listed: Path, tmp_path: Path
) -> None:
    alive = tmp_path / "alive.txt"

    def interrupt() -> None:
        while fleet["hanging"].counters()["connections"] == before:
            time.sleep(0.01)
        # The others are done by then.
        time.sleep(0.5)
        signal.raise_signal(signal.SIGINT)

    before = fleet["hanging"].counters()["connections"]
    helper = threading.Thread(target=interrupt)
    helper.start()
    result = run("check", listed, "--url", page(fleet), "--timeout", "30", "-o", alive)
    helper.join()
    assert result.status == 130
    assert set(alive.read_text().split()) == {fleet[name].url for name in GOOD}
    assert "3 good, 5 proxies of 6 checked" in result.err


def test_process(fleet: ProxyFleet, listed: Path, tmp_path: Path) -> None:
    """JSON Lines come through a pipe one by one; Ctrl-C ends it with 130 and the file written."""
    alive = tmp_path / "alive.txt"
    command = [sys.executable, "-m", "proxywhirl", "check", str(listed), "--url", page(fleet), "--timeout", "30"]
    with subprocess.Popen(
        [*command, "-o", str(alive)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert sum(row["ok"] for row in rows) == 3, "they do not wait for the one that hangs"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert len(alive.read_text().split()) == 3
    assert "Traceback" not in err


def test_progress_on_a_terminal(fleet: ProxyFleet, listed: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "proxywhirl", "check", str(listed), "--url", page(fleet), "--timeout", "1"]
    # Rows into a pipe, the bar on the terminal.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        import os

        os.close(theirs)
        out, _ = process.communicate(timeout=30)
        shown = b""
        try:
            while True:
                shown += os.read(ours, 65536)
        except OSError:
            pass
        finally:
            os.close(ours)
    assert len(out.splitlines()) == 6
    assert all(Proxy(url=json.loads(line)["proxy"].replace("***:***@", "")) for line in out.splitlines())
    assert b"checking" in shown
    assert b"3 good, 6 proxies checked" in shown
