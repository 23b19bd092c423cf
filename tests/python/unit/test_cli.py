"""The command line: ``proxywhirl get``, the arguments, and how commands end."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

import pytest

import proxywhirl
from proxywhirl import ProxyRotator
from proxywhirl.cli import main
from proxywhirl.cli.terminal import counted, printable
from proxywhirl.testing import ProxyFleet, ProxySpec

SECRET = "s3cr3t-w0rd"
HOST = "shop.test"


class Result(NamedTuple):
    status: int
    out: bytes
    err: str


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [
        ProxySpec(name="plain"),
        ProxySpec(name="login", auth=("alice", SECRET)),
        ProxySpec(name="dead", fault="refuse"),
        ProxySpec(name="socks5", scheme="socks5", auth=("alice", SECRET)),
        ProxySpec(name="socks4", scheme="socks4"),
        ProxySpec(name="tls", scheme="https"),
        ProxySpec(name="cutting", fault="cut"),
    ]
    with ProxyFleet(specs) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings nor a stored pool."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command in this process."""

    def run(*arguments: str) -> Result:
        capfdbinary.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert SECRET.encode() not in out + err
        return Result(status, out, err.decode())

    return run


@pytest.fixture
def listed(tmp_path: Path, fleet: ProxyFleet) -> Callable[..., str]:
    """Writes a list with the proxies of these names, and further lines."""

    def listed(*names: str, more: Union[str, bytes] = b"") -> str:
        path = tmp_path / "proxies.txt"
        text = "".join(f"{fleet[name].url}\n" for name in names).encode()
        path.write_bytes(text + (more.encode() if isinstance(more, str) else more))
        return str(path)

    return listed


def page(fleet: ProxyFleet, path: str = "/whoami", *, https: bool = False) -> str:
    return fleet.site_url(HOST, path, https=https)


class TestArguments:
    def test_version(self, run: Run) -> None:
        assert run("--version") == Result(0, f"proxywhirl {proxywhirl.__version__}\n".encode(), "")

    @pytest.mark.parametrize("command", [[], ["get"]])
    def test_help_has_examples(self, run: Run, command: list[str]) -> None:
        result = run(*command, "--help")
        assert result.status == 0
        assert b"examples:\n" in result.out

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["fly"],
            ["get"],
            ["get", "http://shop.test/", "--proxies", "x", "--retries", "10"],
            ["get", "http://shop.test/", "--proxies", "x", "--retries", "-1"],
            ["get", "http://shop.test/", "--proxies", "x", "--timeout", "0"],
            ["get", "http://shop.test/", "--proxies", "x", "--timeout", "inf"],
            ["get", "http://shop.test/", "--proxies", "x", "--timeout", "nan"],
            ["get", "http://shop.test/", "--proxies", "x", "--header", "no colon"],
            ["get", "http://shop.test/", "--proxies", "x", "--header", "A: b\r\nC: d"],
            ["get", "http://shop.test/", "--proxies", "x", "--session", "a b"],
            ["get", "http://shop.test/", "--proxies", "x", "-X", "G T"],
            ["get", "http://shop.test/", "--proxies", "x", "-k", "--cacert", "y"],
            ["get", "http://shop.test/", "--proxies", "x", "--format", "xml"],
            ["demo"],
        ],
    )
    def test_wrong_usage(self, run: Run, arguments: list[str]) -> None:
        result = run(*arguments)
        assert result.status == 2
        assert result.err.startswith("usage: proxywhirl")
        assert ": error: " in result.err
        assert not result.out

    @pytest.mark.parametrize("url", ["shop.test", "ftp://shop.test/", "http://", "http://[::1", "//shop.test/"])
    def test_url_must_be_complete(self, run: Run, listed: Callable[..., str], url: str) -> None:
        result = run("get", url, "--proxies", listed("plain"))
        assert result.status == 2
        assert result.err == f"proxywhirl get: error: {url} is no complete http:// or https:// URL\n"

    def test_what_is_said_about_a_wrong_url_hides_its_password(self, run: Run, listed: Callable[..., str]) -> None:
        result = run("get", f"ftp://alice:{SECRET}@shop.test/", "--proxies", listed("plain"))
        assert result.status == 2
        assert "***" in result.err

    @pytest.mark.parametrize("name", ["nonsense", "nowhere.at_all:Strategy", "json:NoSuchThing", "json:dumps"])
    def test_unknown_strategy(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], name: str) -> None:
        result = run("get", page(fleet), "--proxies", listed("plain"), "--strategy", name)
        if name == "json:dumps":
            # A callable may be a strategy; that this one fails is seen when it chooses, and the fallback serves.
            assert result.status == 0
        else:
            assert result.status == 2
            assert "nknown strategy" in result.err

    @pytest.mark.parametrize("option", ["--proxies", "--cacert", "--data"])
    def test_files_that_are_not_there(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], tmp_path: Path, option: str
    ) -> None:
        missing = tmp_path / "missing"
        given = {"--proxies": listed("plain"), option: f"@{missing}" if option == "--data" else str(missing)}
        result = run("get", page(fleet), *(word for pair in given.items() for word in pair))
        assert result.status == 2
        assert f"{missing} cannot be read" in result.err

    def test_interrupted(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(ProxyRotator, "request", interrupt)
        assert run("get", page(fleet), "--proxies", listed("plain")) == Result(130, b"", "")


class TestGet:
    def test_body_goes_to_standard_output_and_nothing_else(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        result = run("get", page(fleet), "--proxies", listed("plain"))
        assert (result.status, result.err) == (0, "")
        assert json.loads(result.out)["proxy"] == "plain"

    @pytest.mark.parametrize("name", ["plain", "login", "socks5", "socks4", "tls"])
    def test_https_through_every_kind(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], name: str) -> None:
        result = run(
            "get", page(fleet, https=True), "--proxies", listed(name), "--cacert", fleet.ca_file(), "--retries", "0"
        )
        assert result.status == 0, result.err
        assert json.loads(result.out) == {**json.loads(result.out), "proxy": name, "tls": True}

    def test_unknown_certificates_are_refused_unless_insecure(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        request = ["get", page(fleet, https=True), "--proxies", listed("plain"), "--retries", "0"]
        refused = run(*request)
        assert refused.status == 1
        assert not refused.out
        assert "certificate verify failed" in refused.err
        assert run(*request, "--insecure").status == 0

    def test_failing_proxies_are_left_for_others(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        proxies = listed("dead", "cutting", "login")
        arguments = ["--strategy", "round-robin", "--timeout", "5", "--format", "json"]
        result = run("get", page(fleet, "/bytes/5000"), "--proxies", proxies, *arguments)
        facts = json.loads(result.out)
        assert result.status == 0
        assert facts["attempts"] == 3
        assert facts["proxy"] == f"http://***:***@127.0.0.1:{fleet['login'].port}"

    def test_no_proxy_works(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        result = run("get", page(fleet), "--proxies", listed("dead"), "--retries", "0")
        assert (result.status, result.out) == (1, b"")
        assert result.err.startswith(f"proxywhirl get: error: GET {page(fleet)} failed after 1 attempt: ")

    def test_wrong_credentials(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        bare = f"http://alice:wr0ng-{SECRET[2:]}@127.0.0.1:{fleet['login'].port}"
        result = run("get", page(fleet), "--proxies", listed(more=bare))
        assert (result.status, result.out) == (1, b"")
        assert "407" in result.err
        assert "wr0ng" not in result.err

    @pytest.mark.parametrize("code", [404, 429, 500, 502, 503])
    def test_bad_status_is_a_failure_that_shows_its_body(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], code: int
    ) -> None:
        result = run("get", page(fleet, f"/status/{code}"), "--proxies", listed("plain"), "--retries", "0")
        assert (result.status, result.out) == (1, b"as you wish\n")

    def test_redirects_are_followed(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        result = run("get", page(fleet, "/redirect/2"), "--proxies", listed("plain"), "--format", "json")
        facts = json.loads(result.out)
        assert (result.status, facts["status"]) == (0, 200)
        assert facts["url"] != page(fleet, "/redirect/2")

    def test_method_headers_and_data(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        request = ["get", page(fleet, "/echo"), "--proxies", listed("plain")]
        posted = json.loads(run(*request, "-d", "a=ü", "-H", "X-One: 1", "-H", "X-Two:2").out)
        assert posted["method"] == "POST"
        assert posted["body"] == "a=ü"
        assert posted["headers"]["content-type"] == "application/x-www-form-urlencoded"
        assert (posted["headers"]["x-one"], posted["headers"]["x-two"]) == ("1", "2")
        put = json.loads(run(*request, "-X", "put", "-d", "{}", "-H", "content-type: application/json").out)
        assert (put["method"], put["headers"]["content-type"]) == ("PUT", "application/json")
        assert json.loads(run(*request).out)["method"] == "GET"

    def test_data_from_a_file(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.write_bytes(bytes(range(256)))
        result = run("get", page(fleet, "/echo"), "--proxies", listed("plain"), "-d", f"@{data}")
        assert base64.b64decode(json.loads(result.out)["body_base64"]) == bytes(range(256))

    def test_a_session_begins_with_the_same_proxy_in_every_run(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        request = ["get", page(fleet), "--proxies", listed("plain", "login", "socks4", "socks5")]
        for session in ("one", "two", "three"):
            results = [run(*request, "--session", session) for _ in range(4)]
            assert {result.status for result in results} == {0}
            assert len({json.loads(result.out)["proxy"] for result in results}) == 1

    def test_runs_without_a_session_take_different_proxies(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        request = ["get", page(fleet), "--proxies", listed("plain", "login", "socks4", "socks5")]
        # All sixteen the same: one in four to the fifteenth.
        assert len({json.loads(run(*request).out)["proxy"] for _ in range(16)}) > 1

    def test_environment_does_not_add_proxies(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", fleet["dead"].url)
        assert run("get", page(fleet), "--proxies", listed("plain"), "--retries", "0").status == 0


class TestLists:
    def test_unreadable_lines_are_reported_by_number_and_skipped(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        bad = f"# a comment\n\nhttp://alice:{SECRET}@bad..host:1\nftp://alice:{SECRET}@10.0.0.1:21\nhttp://10.0.0.1:99999\n"
        proxies = listed("plain", more=bad)
        result = run("get", page(fleet), "--proxies", proxies)
        assert result.status == 0
        lines = result.err.splitlines()
        assert [line.split(": ")[0] for line in lines] == [f"{proxies}, line {number}" for number in (4, 5, 6)]
        assert "alice" not in result.err

    def test_control_characters_of_a_list_stay_off_the_terminal(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]
    ) -> None:
        result = run("get", page(fleet), "--proxies", listed("plain", more=b"\x1b]0;gotcha\x07 \xff\xfe\n"))
        assert result.status == 0
        assert "\x1b" not in result.err
        assert "line 2" in result.err

    def test_many_unreadable_lines_are_counted(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        result = run("get", page(fleet), "--proxies", listed("plain", more="no proxy\n" * 100))
        assert result.status == 0
        assert len(result.err.splitlines()) == 21
        assert result.err.endswith(": 80 more lines cannot be read\n")

    @pytest.mark.parametrize("text", ["", "# nothing\n", "no proxy\n"])
    def test_nothing_usable(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], text: str) -> None:
        result = run("get", page(fleet), "--proxies", listed(more=text))
        assert result.status == 1
        assert "has no proxy that can be used" in result.err

    def test_forms_of_lines(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        port = fleet["login"].port
        for line in (f"alice:{SECRET}@127.0.0.1:{port}", f"127.0.0.1:{port}:alice:{SECRET}"):
            assert run("get", page(fleet), "--proxies", listed(more=f"\ufeff{line}\r\n")).status == 0

    def test_pool_in_json_knows_countries(self, run: Run, fleet: ProxyFleet, tmp_path: Path) -> None:
        entries = [
            {"url": fleet["plain"].url, "country_code": "DE"},
            {"url": fleet["login"].url, "country_code": "US"},
        ]
        file = tmp_path / "pool.JSON"
        file.write_text(json.dumps(entries))
        for country, name in (("de", "plain"), ("US", "login")):
            for _ in range(4):
                result = run("get", page(fleet), "--proxies", str(file), "--country", country)
                assert result.status == 0, result.err
                assert json.loads(result.out)["proxy"] == name
        nowhere = run("get", page(fleet), "--proxies", str(file), "--country", "FR")
        assert nowhere.status == 1
        assert "No healthy proxies available" in nowhere.err

    @pytest.mark.parametrize("text", ["", "{", '{"a": 1}', '[{"url": "ftp://alice:s3cr3t-w0rd@x"}]', "[3]"])
    def test_pool_that_is_none(self, run: Run, fleet: ProxyFleet, tmp_path: Path, text: str) -> None:
        file = tmp_path / "pool.json"
        file.write_text(text)
        result = run("get", page(fleet), "--proxies", str(file))
        assert result.status == 2
        assert result.err.startswith(f"proxywhirl get: error: {file}")

    def test_a_big_pool_has_room(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        more = "".join(f"http://10.0.{number // 250}.{number % 250}:8080\n" for number in range(1000))
        result = run(
            "get", page(fleet), "--proxies", listed("plain", more=more), "--strategy", "round-robin", "--verbose"
        )
        assert result.status == 0
        assert result.err.startswith("1,001 proxies, 0 duplicates\n")


class TestOutput:
    def test_include(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        head, _, body = run("get", page(fleet), "--proxies", listed("plain"), "-i").out.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 200 OK"
        assert b"content-type: application/json" in [line.lower() for line in lines]
        assert json.loads(body)["proxy"] == "plain"

    def test_output_file(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], tmp_path: Path) -> None:
        file = tmp_path / "page"
        result = run("get", page(fleet, "/bytes/1000"), "--proxies", listed("plain"), "-o", str(file))
        assert result == Result(0, b"", "")
        assert file.stat().st_size == 1000
        failed = run("get", page(fleet), "--proxies", listed("plain"), "-o", str(tmp_path))
        assert failed.status == 1
        assert f"{tmp_path} cannot be written" in failed.err

    def test_json_is_one_line(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        result = run("get", page(fleet), "--proxies", listed("login"), "--format", "json")
        assert result.err == ""
        assert result.out.count(b"\n") == 1
        facts = json.loads(result.out)
        assert list(facts) == ["ok", "status", "url", "proxy", "attempts", "elapsed_ms", "headers", "body"]
        assert facts["ok"] is True
        assert facts["proxy"] == f"http://***:***@127.0.0.1:{fleet['login'].port}"
        assert facts["attempts"] == 1
        assert facts["elapsed_ms"] > 0
        assert facts["headers"]["content-type"] == ["application/json"]
        assert json.loads(facts["body"])["proxy"] == "login"

    def test_json_of_bytes_is_base64(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        facts = json.loads(run("get", page(fleet, "/bytes/300"), "--proxies", listed("plain"), "--format", "json").out)
        assert "body" not in facts
        assert len(base64.b64decode(facts["body_base64"])) == 300

    def test_json_with_output_file(
        self, run: Run, fleet: ProxyFleet, listed: Callable[..., str], tmp_path: Path
    ) -> None:
        file = tmp_path / "page"
        arguments = ["--proxies", listed("plain"), "--format", "json", "-o", str(file), "-i"]
        facts = json.loads(run("get", page(fleet), *arguments).out)
        assert facts["output"] == str(file)
        assert "body" not in facts
        assert json.loads(file.read_bytes())["proxy"] == "plain"

    def test_json_of_a_failure(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        result = run("get", page(fleet), "--proxies", listed("dead"), "--retries", "0", "--format", "json")
        facts = json.loads(result.out)
        assert result.status == 1
        assert (facts["ok"], facts["kind"], facts["url"]) == (False, "ProxyConnectionError", page(fleet))
        assert "refused" in facts["error"]

    def test_verbose(self, run: Run, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        proxies = listed("dead", "login", "login")
        result = run("get", page(fleet), "--proxies", proxies, "--strategy", "round-robin", "-v")
        first, dead, login, summary = result.err.splitlines()
        assert first == "2 proxies, 1 duplicate"
        assert dead.startswith(f"tried http://127.0.0.1:{fleet['dead'].port}: 1 attempt, 1 failure, ")
        assert login == f"tried http://***:***@127.0.0.1:{fleet['login'].port}: 1 attempt, 0 failures"
        assert summary.startswith(f"200 OK, via http://***:***@127.0.0.1:{fleet['login'].port}, 2 attempts, ")

    def test_printable(self) -> None:
        assert printable("grün \x1b[31m\x9b\u202e") == "grün \\x1b[31m\\x9b\\u202e"

    def test_counted(self) -> None:
        assert [counted(n, "proxy", "proxies") for n in (0, 1, 1000)] == ["0 proxies", "1 proxy", "1,000 proxies"]
        assert counted(2, "page") == "2 pages"


class TestProcess:
    """What only a process of its own shows."""

    def command(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "proxywhirl", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def test_list_on_standard_input(self, fleet: ProxyFleet) -> None:
        with self.command("get", page(fleet), "--proxies", "-") as process:
            out, err = process.communicate(fleet["login"].url.encode(), timeout=30)
        assert (process.returncode, err) == (0, b"")
        assert json.loads(out)["proxy"] == "login"

    def test_interrupt_is_quiet(self, tmp_path: Path) -> None:
        with ProxyFleet([ProxySpec.hanging(name="hanging")]) as fleet:
            proxies = tmp_path / "proxies.txt"
            proxies.write_text(fleet.urls[0])
            with self.command("get", page(fleet), "--proxies", str(proxies)) as process:
                # Until it hangs, and can be interrupted nowhere else.
                while not fleet["hanging"].counters()["connections"]:
                    assert process.poll() is None
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (130, b"", b"")

    def test_reader_that_leaves(self, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        with self.command("get", page(fleet, "/bytes/1000000"), "--proxies", listed("plain")) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(timeout=30) == 1
            assert process.stderr is not None
            assert process.stderr.read() == b""

    def test_help_needs_neither_httpx_nor_rich(self) -> None:
        code = (
            "import sys, proxywhirl.cli; proxywhirl.cli.main(['get', '--help']);"
            "sys.exit(bool({'httpx', 'pydantic', 'rich'} & set(sys.modules)))"
        )
        assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, timeout=30).returncode == 0

    def test_summary_on_a_terminal(self, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        shown = on_a_terminal(["get", page(fleet), "--proxies", listed("login")])
        assert b"200 OK" in shown
        assert f"via http://***:***@127.0.0.1:{fleet['login'].port}".encode() in shown
        assert SECRET.encode() not in shown

    def test_bytes_are_kept_off_a_terminal(self, fleet: ProxyFleet, listed: Callable[..., str]) -> None:
        shown = on_a_terminal(["get", page(fleet, "/bytes/300"), "--proxies", listed("plain")], status=1)
        assert b"--output FILE" in shown
        assert b"\0" not in shown


def on_a_terminal(arguments: list[str], status: int = 0) -> bytes:
    """What a command writes to the terminal it runs on."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen(
        [sys.executable, "-m", "proxywhirl", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = []
        try:
            while True:
                shown.append(os.read(ours, 65536))
        except OSError:
            # Linux says EIO when the last writer has closed.
            assert process.wait(timeout=30) == status
        finally:
            os.close(ours)
    return b"".join(shown)
