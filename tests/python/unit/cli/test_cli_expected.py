"""What users expect of commands: remedies for slips, fair books, tables that fit, completion."""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool
from proxywhirl.cli.output import Rows
from proxywhirl.cli.parser import build_parser
from proxywhirl.cli.proxy_writer import save_pool
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.utils import CLILock

SECRET = "s3cr3t-w0rd"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name="plain"), ProxySpec(name="other"), ProxySpec.dead(name="dead")]) as running:
        yield running


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "data" / "proxywhirl" / "proxies.json"


class TestSlips:
    @pytest.mark.parametrize("name", ["proxies.txt", "list.csv", "lists/own", "pool.json"])
    def test_a_file_without_its_sign(self, run: Run, stored: Path, name: str) -> None:
        result = run("pool", "add", name)
        assert result.status == 2
        assert f"{name} is a file; for what is in it write: @{name}" in result.err
        assert not stored.exists()

    def test_a_file_that_is_there(self, run: Run, tmp_path: Path, stored: Path) -> None:
        (tmp_path / "mine").write_text("203.0.113.1:80\n")
        assert run("pool", "add", "mine").status == 2
        assert run("pool", "add", "@mine").status == 0

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("203.0.113.1:99999", "port 99999 is none: it must be between 1 and 65535"),
            ("203.0.113.1:0", "port 0 is none"),
            (f"http://user:{SECRET}@203.0.113.1:70000/", "port 70000 is none"),
            ("http://[2001:db8::1]:65536", "port 65536 is none"),
            (f"203.0.113.1:{SECRET}", "Port must be between"),
        ],
    )
    def test_bad_ports(self, run: Run, stored: Path, text: str, said: str) -> None:
        result = run("pool", "add", text)
        assert result.status == 2
        assert said in result.err

    def test_addresses_of_lists_and_proxies(self, run: Run, fleet: ProxyFleet) -> None:
        one = run("check", fleet["plain"].url)
        assert (one.status, len(one.rows)) == (0, 1)
        assert run("check", f"http://127.0.0.1:{fleet['dead'].port}").status == 1
        # A list on the web; whatever it names, its address does not answer.
        gone = run("check", f"http://127.0.0.1:{fleet['dead'].port}/list.txt")
        assert gone.status == 1
        assert "has no proxy that can be used" in gone.err
        assert "Traceback" not in gone.err

    def test_a_list_on_the_web(self, run: Run, fleet: ProxyFleet) -> None:
        text = f"http://127.0.0.1:{fleet['plain'].port}\nhttp://127.0.0.1:{fleet['dead'].port}\n".encode()

        class Listed(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Listed) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                address = f"http://127.0.0.1:{server.server_port}/list.txt"
                assert sorted(row["ok"] for row in run("check", address, "--allow-local").rows) == [False, True]
                dropped = run("check", address)
                assert (dropped.status, dropped.rows) == (1, [])
            finally:
                server.shutdown()

    def test_misspelled_names(self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PROXYWHIRL_STORAGE_PTAH", SECRET)
        monkeypatch.setenv("PROXYWHIRL_SOMETHING_OF_MINE", SECRET)
        Path("pyproject.toml").write_text(
            "[tool.proxywhirl]\nmax_retires = 3\ncache_ttl = 3\n[tool.proxywhirl.data_storage]\npool_siez = 3\n"
        )
        result = run("config", "show")
        assert result.status == 0
        assert "PROXYWHIRL_STORAGE_PTAH is no setting; did you mean PROXYWHIRL_STORAGE_PATH?" in result.err
        assert "max_retires is no setting; did you mean max_retries?" in result.err
        assert "data_storage.pool_siez is no setting" in result.err
        assert result.err.count("is no setting") == 3, "of what is like none of ours nothing is said"


class TestBooks:
    @pytest.mark.parametrize("status", [403, 404, 429, 451])
    @pytest.mark.parametrize("command", [["health", "-t"], ["pool", "test", "--url"]])
    def test_a_refusal_by_the_site_is_not_booked(
        self, run: Run, fleet: ProxyFleet, stored: Path, command: list[str], status: int
    ) -> None:
        run("pool", "add", fleet["plain"].url, fleet["dead"].url)
        assert run(*command, fleet.site_url("shop.test", f"/status/{status}")).status == 1
        plain, dead = ProxyPool.from_file(stored)
        assert (plain.total_failures, plain.consecutive_failures, plain.total_health_failures) == (0, 0, 0)
        assert (plain.total_checks, dead.total_checks) == (1, 1)
        assert (dead.total_failures, dead.total_health_failures) == (1, 1)
        assert str(status) in str(plain.last_health_error)

    @pytest.mark.parametrize("status", [407, 502])
    def test_others_are(self, run: Run, fleet: ProxyFleet, stored: Path, status: int) -> None:
        run("pool", "add", fleet["plain"].url)
        run("health", "-t", fleet.site_url("shop.test", f"/status/{status}"))
        assert next(iter(ProxyPool.from_file(stored))).total_failures == 1

    def test_get_keeps_what_it_has_learned(self, run: Run, fleet: ProxyFleet, stored: Path) -> None:
        run("pool", "add", fleet["dead"].url, fleet["plain"].url)
        page = fleet.site_url("shop.test", "/whoami")
        assert run("get", page, "--strategy", "round-robin").status == 0
        dead, plain = ProxyPool.from_file(stored)
        assert (dead.total_failures, dead.requests_started) == (1, 1)
        assert (plain.total_successes, plain.requests_started) == (1, 1)
        # The next one knows, and does not try the dead one again.
        assert json.loads(run("get", page, "--strategy", "round-robin", "-f", "json").out)["attempts"] == 1
        assert [proxy.requests_started for proxy in ProxyPool.from_file(stored)] == [1, 2]

    def test_get_keeps_bans(self, run: Run, fleet: ProxyFleet, stored: Path) -> None:
        # Of a single proxy nothing could tell whether the site refuses it or everything.
        run("pool", "add", fleet["plain"].url, fleet["other"].url)
        assert run("get", fleet.site_url("shop.test", "/status/403"), "--retries", "0").status == 1
        assert [(site, kind) for _, site, kind, _, _ in ProxyPool.from_file(stored)._standings()] == [
            ("shop.test", "banned")
        ]
        (row,) = run("top", "--once", "--by", "site").rows
        assert (row["site"], row["banned"], row["free"]) == ("shop.test", 1, 1)
        (breaker,) = run("stats", "--circuit-breaker").rows
        assert (breaker["site"], breaker["state"]) == ("shop.test", "banned")

    def test_get_leaves_other_lists_alone(self, run: Run, fleet: ProxyFleet, stored: Path, tmp_path: Path) -> None:
        run("pool", "add", fleet["dead"].url)
        before = stored.read_bytes()
        (tmp_path / "own.json").write_text(json.dumps([{"url": fleet["plain"].url}]))
        listed = (tmp_path / "own.json").read_bytes()
        assert run("get", fleet.site_url("shop.test", "/whoami"), "--proxies", "own.json").status == 0
        assert (stored.read_bytes(), (tmp_path / "own.json").read_bytes()) == (before, listed)

    def test_get_beside_a_command_that_holds_the_lock(
        self, run: Run, fleet: ProxyFleet, stored: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("pool", "add", fleet["plain"].url)
        before = stored.read_bytes()
        monkeypatch.setattr("proxywhirl.cli.learning._PATIENCE", 0.1)
        with CLILock(stored.parent):
            result = run("get", fleet.site_url("shop.test", "/whoami"))
            assert result.status == 0, "the page is there"
            assert "another command holds the lock" in result.err
            assert stored.read_bytes() == before
            assert run("--no-lock", "get", fleet.site_url("shop.test", "/whoami")).status == 0
        assert next(iter(ProxyPool.from_file(stored))).total_successes == 1

    def test_get_beside_a_command_that_has_saved(self, fleet: ProxyFleet, tmp_path: Path) -> None:
        from proxywhirl.cli.learning import Learned

        path = tmp_path / "proxies.json"
        save_pool(path, [Proxy(url=fleet["plain"].url), Proxy(url=fleet["other"].url)])
        pool = ProxyPool()
        learned = Learned(path, pool)
        others = ProxyPool.from_file(path)
        others.add_proxy(Proxy(url="http://203.0.113.1:80"))
        others.remove_proxy(next(proxy.id for proxy in others if proxy.port == fleet["other"].port))
        save_pool(path, others)
        for proxy in pool:
            proxy.start_request()
            proxy.complete_request(success=True, response_time_ms=1.0)
        assert learned.keep() is None
        kept = ProxyPool.from_file(path)
        assert [(proxy.port, proxy.total_successes) for proxy in kept] == [(fleet["plain"].port, 1), (80, 0)]


class TestTables:
    ROW = {
        "proxy": "http://***:***@a-rather-long-name.of-a-provider.example:8080",
        "health": "healthy",
        "requests": 1234,
        "reason": "the proxy would not connect to the target, and the rest of it is a long story",
        "tags": ["residential", "europe"],
    }

    @pytest.mark.parametrize("columns", [50, 80, 120])
    @pytest.mark.parametrize("widths", [None, [36, 9, 10, 0, 8]])
    def test_no_line_is_wider_than_the_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, widths: Any
    ) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))
        with Rows(list(self.ROW), "text", widths=widths) as rows:
            rows.add(self.ROW)
            rows.add({**self.ROW, "proxy": "http://203.0.113.1:80", "reason": None, "tags": []})
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= columns
        plain = re.sub(r"\s+", "", shown)
        assert "http://***:***@a-rather-long-name.of-a-provider.example:8080" in plain
        assert "thetarget,andtherestofitisalongstory" in plain

    @pytest.mark.parametrize("columns", [50, 80, 120])
    def test_commands(self, run: Run, fleet: ProxyFleet, tmp_path: Path, columns: int, stored: Path) -> None:
        run("pool", "add", fleet["plain"].url, fleet["dead"].url)
        for command in ("pool list", "pool test", "stats", "stats --by protocol", "stats --retry", "top --once",
                        "db-stats", "cleanup", "health", "doctor"):  # fmt: skip
            shown = on_a_terminal(command.split(), tmp_path, columns)
            assert shown.strip() or command == "cleanup", command
            wide = [line for line in shown.splitlines() if len(line) > columns and str(tmp_path) not in line]
            assert wide == [] or command == "doctor", command

    def test_pipes_are_as_wide_as_they_like(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Rows(list(self.ROW), "text") as rows:
            rows.add(self.ROW)
        assert len(capsys.readouterr().out.splitlines()) == 2


def environment_of(folder: Path, columns: int = 100) -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", "COLUMNS": str(columns), "LINES": "30",
            "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}  # fmt: skip


def on_a_terminal(arguments: list[str], folder: Path, columns: int) -> str:
    """What a command writes to a terminal, without colours and bars."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "proxywhirl", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                          env=environment_of(folder, columns), cwd=folder) as process:  # fmt: skip
        os.close(theirs)
        shown = b"".join(read_all(ours))
        process.wait(timeout=30)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode().replace("\r\n", "\n"))


def read_all(descriptor: int) -> Iterator[bytes]:
    try:
        while True:
            yield os.read(descriptor, 65536)
    except OSError:
        return  # the other side is closed
    finally:
        os.close(descriptor)


def read_until(descriptor: int, end: bytes) -> bytes:
    """What comes from a terminal until that has come; fails after half a minute."""
    shown, deadline = b"", time.monotonic() + 30
    while end not in shown:
        left = deadline - time.monotonic()
        assert left > 0, shown
        if select.select([descriptor], [], [], left)[0]:
            shown += os.read(descriptor, 65536)
    return shown


class TestTop:
    def test_once_and_sorted(self, run: Run, stored: Path) -> None:
        assert run("top").status == 1, "there is no pool"
        save_pool(stored, [Proxy(url=f"http://203.0.113.{number}:80", total_requests=number, total_failures=9 - number,
                                 username="user", password=SECRET) for number in (3, 1, 2)])  # fmt: skip

        def order(*arguments: str) -> list[int]:
            return [row["requests"] for row in run("top", *arguments).rows]

        assert order() == order("--once") == [3, 2, 1]
        assert order("--once", "--sort", "failures") == [1, 2, 3]
        assert order("--sort=-failures") == [3, 2, 1]
        assert order("--sort", "proxy", "--rows", "2") == [1, 2]
        wrong = run("top", "--sort", "height")
        assert (wrong.status, "--sort takes one of proxy, health" in wrong.err) == (2, True)
        assert run("top", "--once", "--format", "text").out.splitlines()[0].startswith("proxy ")

    @pytest.mark.parametrize("end", ["q", "interrupt"])
    def test_the_terminal_is_as_before(
        self, run: Run, fleet: ProxyFleet, stored: Path, tmp_path: Path, end: str
    ) -> None:
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        run("pool", "add", fleet["plain"].url)
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        command = [sys.executable, "-m", "proxywhirl", "top", "--interval", "0.1"]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment_of(tmp_path),
                              cwd=tmp_path) as process:  # fmt: skip
            shown = b""
            for key, said in (
                ("", b"s r p h q"),
                ("s", b"by failures"),
                ("r", b"reversed"),
                ("h", b"by banned"),
                ("p", b""),
            ):
                os.write(ours, key.encode())
                shown += read_until(ours, said)
            if end == "q":
                os.write(ours, b"q")
            else:
                process.send_signal(signal.SIGINT)
            shown += read_until(ours, b"\x1b[?25h\x1b[?1049l")
            status = process.wait(timeout=30)
        after = termios.tcgetattr(theirs)
        os.close(theirs)
        os.close(ours)
        assert status == (0 if end == "q" else 130)
        assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l") == 1
        assert b"Traceback" not in shown
        assert after == before


class TestHelp:
    def test_every_argument_is_explained(self) -> None:
        def look(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction):
                    for inner in action.choices.values():
                        yield from look(inner)
                else:
                    yield parser.prog, action

        assert [(prog, action.dest) for prog, action in look(build_parser()) if not action.help] == []

    def test_every_command_tells_its_statuses(self) -> None:
        (commands,) = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
        for name, parser in commands.choices.items():
            assert "\nexit status:\n  0 " in (parser.epilog or ""), name

    def test_completion_of_fish(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "shtab", None)
        script = run("completion", "fish")
        assert script.status == 0
        lines = script.out.splitlines()
        (commands,) = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
        for name in commands.choices:
            assert any(f" -a '{name}' -d " in line for line in lines), name
        (strategy,) = [line for line in lines if " -l strategy " in line and "seen get" in line]
        assert "__proxywhirl_seen get request" in strategy
        for name in ("round-robin", "least-used", "performance-based", "weighted"):
            assert name in strategy
        assert any("seen check'" in line and " -l output -r -F " in line for line in lines)
        assert all(line.count("'") % 2 == 0 for line in lines if "\\'" not in line)

    @pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
    def test_completion_of_strategies(self, run: Run, shell: str) -> None:
        pytest.importorskip("shtab")
        out = run("completion", shell).out
        assert "round-robin" in out
        assert "performance-based" in out
