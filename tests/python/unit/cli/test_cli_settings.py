"""``proxywhirl config``, and what the configuration does to other commands; completion; help."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.utils import CLILock

SECRET = "s3cr3t-w0rd"
COMMANDS = ["get", "check", "fetch", "pool", "sources", "health", "stats", "config", "completion"]


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name="login", auth=("alice", SECRET)), ProxySpec(name="plain")]) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "proxywhirl" / "config.toml"


class TestConfig:
    def test_set_and_get(self, run: Run, file: Path) -> None:
        assert run("config", "get", "timeout").out == "30.0\n"
        assert run("config", "set", "timeout", "7").err == f"timeout = 7.0 in {file}\n"
        assert run("config", "set", "data_storage.pool_size", "9").status == 0
        assert run("config", "set", "verify_ssl", "false").status == 0
        assert [run("config", "get", key).out for key in ("timeout", "data_storage.pool_size", "verify_ssl")] == [
            "7.0\n",
            "9\n",
            "false\n",
        ]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_show_tells_where_from(self, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run("config", "set", "timeout", "7")
        monkeypatch.setenv("PROXYWHIRL_MAX_RETRIES", "5")
        rows = {row["setting"]: row for row in run("config", "show").rows}
        assert rows["timeout"] == {"setting": "timeout", "value": 7.0, "from": str(file)}
        assert (rows["max_retries"]["value"], rows["max_retries"]["from"]) == (5, "PROXYWHIRL_MAX_RETRIES")
        assert rows["color"]["from"] == "default"

    def test_environment_does_not_get_into_the_file(
        self, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROXYWHIRL_MAX_RETRIES", "5")
        run("config", "set", "timeout", "7")
        assert file.read_text() == "timeout = 7.0\n"

    @pytest.mark.parametrize(
        ("key", "value", "reason"),
        [
            ("tmeout", "3", "did you mean timeout?"),
            ("zzz", "3", "proxywhirl config show"),
            ("timeout", "soon", "timeout: "),
            ("proxies", "nonsense://x", "proxies.0.url: "),
        ],
    )
    def test_wrong_settings(self, run: Run, file: Path, key: str, value: str, reason: str) -> None:
        result = run("config", "set", key, value)
        assert result.status == 2
        assert reason in result.err
        assert not file.exists()

    def test_credentials_are_encrypted_and_masked(self, run: Run, file: Path, fleet: ProxyFleet) -> None:
        pytest.importorskip("cryptography")
        assert run("config", "set", "proxies", f"{fleet['login'].url}, {fleet['login'].url}").status == 0
        assert SECRET not in file.read_text()
        assert run("config", "set", "timeout", "8").status == 0
        assert run("config", "show").status == 0
        got = run("get", fleet.site_url("shop.test", "/whoami"))
        assert got.status == 0, "the proxies of the configuration serve"
        assert json.loads(got.out)["proxy"] == "login"

    def test_init(self, run: Run, file: Path) -> None:
        assert run("config", "init").out == f"{file}\n"
        text = file.read_text()
        assert "# timeout = 30.0\n" in text
        assert all(not line or line.startswith("#") for line in text.splitlines())
        again = run("config", "init")
        assert again.status == 1
        assert "is there already" in again.err

    def test_other_files(self, run: Run, tmp_path: Path) -> None:
        own = tmp_path / "own.json"
        assert run("config", "-c", own, "set", "timeout", "3").status == 0
        assert json.loads(own.read_text()) == {"timeout": 3.0}
        assert run("-c", own, "config", "get", "timeout").out == "3.0\n"
        assert run("config", "-c", tmp_path / "missing.toml", "show").status == 2
        (tmp_path / "pyproject.toml").write_text("[tool.proxywhirl]\ntimeout = 4\n")
        assert run("config", "get", "timeout").out == "4.0\n"
        belongs = run("config", "set", "timeout", "5")
        assert belongs.status == 1
        assert "by hand" in belongs.err

    def test_lock(self, run: Run, file: Path) -> None:
        with CLILock(file.parent):
            assert run("config", "set", "timeout", "3").status == 4
            assert run("config", "show").status == 0
            assert run("--no-lock", "config", "set", "timeout", "3").status == 0

    def test_malformed_file(self, run: Run, file: Path) -> None:
        file.parent.mkdir(parents=True)
        file.write_text(f"password = '{SECRET}\n")
        result = run("stats")
        assert result.status == 2
        assert "config.toml" in result.err


class TestElsewhere:
    def test_format(self, run: Run, fleet: ProxyFleet) -> None:
        run("config", "set", "default_format", "csv")
        listed = Path("list.txt")
        listed.write_text(fleet["plain"].url)
        assert run("fetch", listed).out.startswith("proxy,country,tags\n")
        assert run("-f", "json", "fetch", listed).rows[0]["url"] == fleet["plain"].url
        assert run("fetch", listed, "-f", "json").rows[0]["url"] == fleet["plain"].url

    def test_list_and_timeout(self, run: Run, fleet: ProxyFleet) -> None:
        Path("list.txt").write_text(fleet["plain"].url)
        run("config", "set", "proxy_file", "list.txt")
        run("config", "set", "timeout", "0.2")
        assert run("get", fleet.site_url("shop.test", "/whoami")).status == 0
        slow = run("get", fleet.site_url("shop.test", "/delay/3000"), "--retries", "0")
        assert slow.status == 1
        assert run("get", fleet.site_url("shop.test", "/whoami"), "-f", "json").rows[0]["ok"]
        assert run("-f", "csv", "get", fleet.site_url("shop.test", "/whoami")).status == 2


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_examples(self, run: Run, command: str) -> None:
        result = run(command, "--help")
        assert result.status == 0
        examples = result.out.partition("\nexamples:\n")[2]
        assert examples.startswith(f"  proxywhirl {command}")
        assert max(map(len, result.out.splitlines())) <= 130

    @pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
    def test_completion(self, run: Run, shell: str) -> None:
        pytest.importorskip("shtab")
        result = run("completion", shell)
        assert result.status == 0
        for command in COMMANDS:
            assert command in result.out

    def test_completion_without_shtab(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "shtab", None)
        result = run("completion", "bash")
        assert result.status == 1
        assert "pip install 'proxywhirl-rs[cli]'" in result.err
