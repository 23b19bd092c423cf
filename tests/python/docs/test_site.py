"""The documentation site: its navigation, and the pages that are complete or wrong."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

import proxywhirl
from proxywhirl import exceptions
from proxywhirl._httpx.engine import _VARIABLE
from proxywhirl.config import CLIConfig, DataStorageConfig, ProxyConfiguration, StrategyConfig
from proxywhirl.rotator.base import ProxyRotatorBase

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
# What scripts/site/build.py adds to the pages of docs/.
ADDED = {"index.md", "changes.md", "licence.md", "reference/index.md", "reference/*"}


@pytest.fixture
def site_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info < (3, 10):
        pytest.skip("what writes the site needs Python 3.10")
    pytest.importorskip("griffe", reason="the group `docs` is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "site"))


def _navigated(entries: list[Any]) -> list[str]:
    found = []
    for entry in entries:
        below = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += _navigated(below) if isinstance(below, list) else [below]
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    named = _navigated(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert len(named) == len(set(named))
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert there - set(named) == set(), "pages without a place in mkdocs.yml"
    assert set(named) - there - ADDED == set(), "named, and not there"


def test_every_setting_is_on_the_page() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    arguments = set(inspect.signature(ProxyRotatorBase.__init__).parameters) - {"self"}
    assert arguments - rows == set()
    for model in (ProxyConfiguration, CLIConfig, DataStorageConfig, StrategyConfig):
        assert set(model.model_fields) - rows == set(), model
    variables = {f"PROXYWHIRL_{name.upper()}" for name in ProxyConfiguration.model_fields}
    for variable in {*variables, _VARIABLE, CLIConfig().encryption_key_env}:
        assert f"`{variable}`" in page


def test_the_page_of_settings_is_what_the_code_says(site_scripts: None) -> None:
    settings = importlib.import_module("settings")
    assert settings.PAGE.read_text(encoding="utf-8") == settings.page(), "python scripts/site/settings.py writes it"


def test_every_exception_is_on_the_page() -> None:
    page = (DOCS / "exceptions.md").read_text(encoding="utf-8")
    cells = "\n".join(re.findall(r"^\|([^|]+)\|", page, re.MULTILINE))
    public = {name for name in exceptions.__all__ if inspect.isclass(getattr(exceptions, name))} - {"ProxyErrorCode"}
    assert len(public) >= 20
    assert {name for name in public if f"`{name}`" not in cells} == set()


def test_every_public_exception_is_on_the_page(site_scripts: None) -> None:
    page = (DOCS / "exceptions.md").read_text(encoding="utf-8")
    found = {
        name
        for listed in importlib.import_module("public").pages()[0]
        for name, thing in listed.names
        if _is_error(thing)
    }
    assert "DamagedFileError" in found
    assert {name for name in found if f"`{name}`" not in page} == set()


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def test_every_public_name_is_in_the_reference(site_scripts: None) -> None:
    reference = importlib.import_module("reference").Reference()
    files = dict(reference.files())
    for module in importlib.import_module("public").modules():
        for name in module.__all__:
            file, _, anchor = reference.places[f"{module.__name__}.{name}"].partition("#")
            assert f"#{anchor} }}" in files[file] or f'id="{anchor}"' in files[file], (module.__name__, name)
    for name in proxywhirl.__all__:
        assert f"`{name}`" in files["index.md"]
    for client in importlib.import_module("public").integrations():
        short = client.partition(".")[2]
        names = importlib.import_module("reference").exported(reference.tree[short])
        assert names, f"{client} has no __all__"
        for name in names:
            assert f"#{short}.{name} }}" in files["integrations.md"], (client, name)
    assert not re.search(r":(?:class|meth|func|mod):`", "".join(files.values())), "a role of Sphinx is left"


def test_questions_have_answers_with_links() -> None:
    text = (DOCS / "questions.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\*\*([^*]+\?)\*\* (.+?)(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(answers) >= 20
    assert text.count("?**") == len(answers)
    for question, answer in answers:
        assert re.search(r"\]\([\w/-]+\.md", answer), question
        assert len(answer) < 450, f"{question} wants a page"


@pytest.mark.parametrize("picture", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_stand_by_themselves(picture: Path) -> None:
    root = ET.fromstring(picture.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title")
    assert root.findtext(f"{space}desc"), "for readers who do not see it"
    # Of its own, because the page may be light or dark.
    assert root.find(f"{space}rect") is not None
    assert "href" not in picture.read_text(encoding="utf-8")


def test_broken_links_are_found(site_scripts: None, tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(
        '<h1 id="top">1</h1><a href="two.html#here">2</a><a href="https://x.test/">3</a>'
    )
    (tmp_path / "two.html").write_text('<h1 id="here">2</h1><a href="one.html#top">1</a>')
    links = importlib.import_module("links")
    assert links.faults(tmp_path) == []
    (tmp_path / "two.html").write_text('<a href="three.html">3</a><script src="https://x.test/a.js"></script>')
    assert links.faults(tmp_path) == [
        "one.html: no such anchor: two.html#here",
        "two.html: loads https://x.test/a.js",
        "two.html: no such place: three.html",
    ]


def test_links_of_other_folders_hold_on_the_site(site_scripts: None) -> None:
    build = importlib.import_module("build")
    first = build.on_the_site(ROOT / "README.md")
    assert "](docs/" not in first
    assert "](engines.md)" in first
    assert "](changes.md)" in first
    assert "(../tests/" not in build.on_the_site(DOCS / "contributing.md")
    loop = build.on_the_site(DOCS / "moving" / "loop.md")
    assert "](../clients.md)" in loop
