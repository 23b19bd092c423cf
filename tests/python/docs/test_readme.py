"""What the README says is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_main_job(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for line in snippet.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 20
    file = tmp_path / "snippet.py"
    file.write_text(snippet, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("200 proxy-") == 20
    assert "unhealthy 0" in done.stdout or "degraded 0" in done.stdout, "the dead proxy was not noticed"


def test_the_commands() -> None:
    assert {"demo", "test", "bench", "help"} <= set(re.findall(r"`?make ([a-z]+)", README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_scripts_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in re.findall(r"(?:`|\$ )make ([a-z][a-z -]*)", text):
        for target in line.split():
            assert f"\n{target}:" in makefile, target
    for script in re.findall(r"\b(?:benches|scripts|tests|examples)/[\w/]+\.(?:py|rs|sh)\b", text):
        assert (ROOT / script).exists(), script
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"proxywhirl-rs\[([a-z,]+)\]", text):
        for name in extra.split(","):
            assert f"\n{name} = [" in project, name


def test_flags_of_the_benches_are_theirs() -> None:
    found = re.findall(r"`\.venv/bin/python (benches/python/\w+\.py)((?: --?[\w-]+(?: \w+)?)*)`", README)
    assert len(found) >= 2, "the commands that print the figures"
    for script, flags in found:
        done = subprocess.run(
            [sys.executable, str(ROOT / script), "--help"], capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, done.stderr
        for flag in re.findall(r"--[\w-]+", flags):
            assert flag in done.stdout, f"{script} has no {flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_places_that_contributors_are_sent_to_are_there() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    texts = {page.name: page.read_text(encoding="utf-8") for page in pages}
    found = {
        name: re.findall(r"`((?:src|python|tests|scripts|examples|proxywhirl)/[\w./]+)`", texts[name]) for name in texts
    }
    assert len(found["contributing.md"]) >= 15
    places = [place for named in found.values() for place in named]
    homes = (ROOT, ROOT / "python")
    missing = [place for place in places if "NAME" not in place and not any((home / place).exists() for home in homes)]
    assert missing == []


def test_commands_of_the_shell_are_there() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ proxywhirl (\w+)(.*)", README + page, re.MULTILINE)
    shown += [(name, "") for name in re.findall(r"^\| `(\w+)[ `]", page, re.MULTILINE)]
    assert len(shown) >= 14
    helps: dict[str, str] = {}
    for name, rest in shown:
        if name not in helps:
            command = [sys.executable, "-m", "proxywhirl", name, "--help"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=50)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            helps[name] = done.stdout
        for flag in re.findall(r"(?<=\s)--?[a-z][\w-]*", rest):
            assert re.search(rf"(?<![\w-]){flag}\b", helps[name]), f"{name} has no {flag}"


def test_answers_to_where_to_look_name_what_is_there() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", text.partition("## Where to look")[2], re.MULTILINE)
    assert len(rows) >= 12
    for question, answer in rows:
        marked = re.findall(r"`([^`]+)`", answer)
        places = [word for word in marked if re.fullmatch(r"(?:src|python)/[\w/.]+", word)]
        assert places, question
        files = [ROOT / place for place in places if (ROOT / place).is_file()]
        code = "\n".join(file.read_text(encoding="utf-8") for file in files)
        for word in set(marked) - set(places):
            # `delay`, `BanPolicy(statuses=...)`; not a file beside another, a method of users or a target of make.
            name = re.fullmatch(r"([A-Za-z_]+)(?:\([^()]*\))?", word)
            if name:
                assert re.search(rf"\b{name[1]}\b", code), f"{question} {places} do not know {word}"
