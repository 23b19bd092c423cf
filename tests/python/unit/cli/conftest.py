"""Commands run in this process, each test with folders of its own for settings and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

from proxywhirl.cli import main

SECRET = "s3cr3t-w0rd"


class Result(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run_openly(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs a command that may show credentials, because it was asked for them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    # A project's own settings are found in the working folder.
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture
def run(run_openly: Callable[..., Result]) -> Callable[..., Result]:
    """Runs a command that must not show the secret."""

    def run(*arguments: object) -> Result:
        result = run_openly(*arguments)
        assert SECRET not in result.out + result.err
        return result

    return run
