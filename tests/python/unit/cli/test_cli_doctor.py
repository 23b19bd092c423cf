"""``proxywhirl doctor``, and another distribution beside this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

import proxywhirl
from proxywhirl import InstallationWarning
from proxywhirl._native.installation import other_version, warn_if_both
from proxywhirl.config._unknown import unknown_settings, unknown_variables

SECRET = "s3cr3t-w0rd"
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if (
            name.upper().startswith("PROXYWHIRL_")
            or name.upper().endswith(("_PROXY", "CA_BUNDLE"))
            or "SSL_CERT" in name
        ):
            monkeypatch.delenv(name)


def findings(result: Any) -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in json.loads(result.out)["findings"]}


def test_what_a_report_needs(run: Run) -> None:
    result = run("doctor", "--json")
    found = findings(result)
    assert found["version"]["value"] == proxywhirl.__version__
    assert found["python"]["value"].endswith(sys.version.split()[0])
    assert found["requests go through"]["value"] in ("native", "httpx")
    assert int(found["trusted"]["value"].split()[0]) > 50
    assert {finding["topic"] for finding in found.values()} >= {
        "platform", "installation", "engine", "packages", "extras", "certificates", "limits", "settings",
    }  # fmt: skip
    assert (result.status, json.loads(result.out)["ok"]) == (0, True), [
        f for f in found.values() if f["state"] == "wrong"
    ]
    assert run("-f", "json", "doctor").out == result.out
    text = run("doctor")
    assert text.status == 0
    assert text.out.endswith("nothing is wrong\n")


def test_no_secret_gets_out_and_what_is_wrong_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "HTTP_PROXY": f"http://user:{SECRET}@proxy.test:8080",
        "https_proxy": f"user:{SECRET}@proxy.test:8080",
        "ALL_PROXY": f"not a proxy {SECRET}",
        "NO_PROXY": SECRET,
        "PROXYWHIRL_KEY": SECRET,
        "PROXYWHIRL_ENGINE": SECRET,
        "PROXYWHIRL_TIMOUT": SECRET,
        "PROXYWHIRL_QQQQQQQQ": SECRET,
        "SSL_CERT_FILE": f"http://user:{SECRET}@host/",
    }.items():
        monkeypatch.setenv(name, value)
    own = tmp_path / "config" / "proxywhirl" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(f'proxies = ["http://user:{SECRET}@proxy.test:1"]\ntimeuot = "{SECRET}"\nmy_own = "{SECRET}"\n')
    for arguments in (["doctor"], ["doctor", "--json"]):
        result = run(*arguments)
        assert result.status == 1
    found = findings(result)
    assert found["HTTP_PROXY"]["value"].startswith("http://***:***@proxy.test:8080: used by rotators with trust_env")
    assert found["ALL_PROXY"]["value"].startswith("set, but no URL")
    assert found["PROXYWHIRL_TIMOUT"]["remedy"] == "rename it: PROXYWHIRL_TIMEOUT"
    assert found["PROXYWHIRL_QQQQQQQQ"]["state"] == "note"
    assert (found["PROXYWHIRL_KEY"]["value"], found["requests go through"]["state"]) == ("set", "wrong")
    assert (found["timeuot"]["remedy"], found["my_own"]["state"]) == ("rename it: timeout", "note")
    assert found["SSL_CERT_FILE"]["state"] == "wrong"


@pytest.mark.parametrize("text", ["timeout = nonsense", 'timeout = "{}"', 'proxies = ["{}"]'])
def test_a_file_of_settings_that_is_wrong(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text.format(SECRET + " x"))
    result = run("doctor", "--json", "-c", file)
    assert (result.status, findings(result)["file"]["state"]) == (1, "wrong")
    assert findings(run("doctor", "--json", "-c", tmp_path / "missing.toml"))["file"]["state"] == "wrong"


def test_few_open_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for soft, state in ((64, "wrong"), (1024, "note"), (4096, "ok"), (resource.RLIM_INFINITY, "ok")):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, soft=soft: (soft, 4096))
        assert findings(run("doctor", "--json"))["open files"]["state"] == state


def test_nothing_is_contacted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*arguments: object) -> None:
        raise AssertionError("a socket was connected")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert run("doctor").status == 0


def test_names_that_were_meant() -> None:
    unknown = unknown_variables({"PROXYWHIRL_VERIFY_SSl": "", "proxywhirl_timeout": "", "PROXYWHIRL_STORAGE_PAHT": ""})
    assert [(found.name, found.nearest) for found in unknown] == [
        ("PROXYWHIRL_STORAGE_PAHT", "PROXYWHIRL_STORAGE_PATH")
    ]
    assert unknown_variables({"PROXYWHIRL_MINE": ""}, also=["PROXYWHIRL_MINE"]) == []
    (one,) = unknown_settings(["timeout", "pool_size", "data_storage.pool_size", "data_storage.pool_siez"])
    assert str(one) == "data_storage.pool_siez is no setting; did you mean data_storage.pool_size?"


class TestBothInstalled:
    def test_records_of_installers(self, tmp_path: Path) -> None:
        for name in ("proxywhirl_rs-0.1.0.dist-info", "proxywhirl-extra-1.dist-info", "proxywhirl"):
            (tmp_path / name).mkdir()
        assert other_version(str(tmp_path)) is None
        (tmp_path / "proxywhirl-0.3.3.dist-info").mkdir()
        assert other_version(str(tmp_path)) == "0.3.3"
        assert other_version(str(tmp_path / "missing")) is None

    def test_the_warning_has_the_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "proxywhirl-0.3.3.dist-info").mkdir()
        with pytest.warns(
            InstallationWarning, match=r"0\.3\.3 and proxywhirl-rs are both .*: pip uninstall -y proxywhirl "
        ):
            warn_if_both(str(tmp_path / "proxywhirl"))

    @pytest.mark.parametrize("mark", ["tui.py", "mcp/__init__.py"])
    @pytest.mark.parametrize("record", ["proxywhirl-0.3.3.dist-info", None])
    def test_an_import_says_so_once(self, tmp_path: Path, mark: str, record: str | None) -> None:
        source = Path(proxywhirl.__file__).parent
        package = tmp_path / "site" / "proxywhirl"
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / mark).parent.mkdir(exist_ok=True)
        (package / mark).touch()
        if record is not None:
            (package.parent / record).mkdir()
        code = "import proxywhirl; import proxywhirl.bans; print(proxywhirl.__file__)"
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert str(package) in done.stdout
        assert done.stderr.count("InstallationWarning") == (record is not None)

    def test_doctor_says_so(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "proxywhirl-0.3.3.dist-info").mkdir()
        monkeypatch.setattr(proxywhirl, "__path__", [str(tmp_path / "proxywhirl")])
        from proxywhirl import cli

        # The parser imports the commands, which have been imported from the real place.
        assert cli.__file__
        result = run("doctor", "--json")
        found = findings(result)["other distributions"]
        assert (result.status, found["state"]) == (1, "wrong")
        assert found["remedy"].startswith("pip uninstall -y proxywhirl proxywhirl-rs")
