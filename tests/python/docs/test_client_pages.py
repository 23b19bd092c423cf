"""Each page of a client shows the program that runs here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs" / "clients").glob("*.md"))
PROGRAMS = sorted((ROOT / "examples" / "clients").glob("*.py"))
# What a program imports beside its client.
OWN = {"proxywhirl", *getattr(sys, "stdlib_module_names", ())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_has_the_program_as_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`examples/clients/(\w+\.py)`", text)
    assert named, "a page has a program"
    for name in named:
        assert (ROOT / "examples" / "clients" / name).read_text(encoding="utf-8").strip() in text
    for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", text):
        assert (page.parent / target).exists(), target
    overview = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert f"(clients/{page.name})" in overview


# Two of them start a browser.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_the_program_runs(program: Path) -> None:
    source = program.read_text(encoding="utf-8")
    needed = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)) - OWN
    for package in needed:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    for browser in ("chromium", "chromedriver"):
        if f'"{browser}"' in source and shutil.which(browser) is None:
            pytest.skip(f"{browser} is not installed")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert any(program.name in page.read_text(encoding="utf-8") for page in PAGES), "it is on a page"
