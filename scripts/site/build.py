"""Puts the pages of the site together, in target/site, for the generator to read.

The pages of docs/, README.md as the first page, CHANGELOG.md, and the reference. Their links work where the code is
hosted; here those that lead out of docs/ are put right: to a page of the site, or to nothing but words.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from reference import Reference

ROOT = Path(__file__).parents[2]
STAGE = ROOT / "target" / "site"
# Pages that are not in docs/.
MOVED = {"README.md": "index.md", "CHANGELOG.md": "changes.md", "LICENSE": "licence.md"}
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)\s]+)\)")


def main() -> None:
    """Write target/site/mkdocs.yml and target/site/pages/."""
    pages = STAGE / "pages"
    shutil.rmtree(STAGE, ignore_errors=True)
    for file in sorted((ROOT / "docs").rglob("*")):
        if file.is_file():
            there = pages / file.relative_to(ROOT / "docs")
            there.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".md":
                there.write_text(on_the_site(file), encoding="utf-8")
            else:
                shutil.copyfile(file, there)
    for name, new in MOVED.items():
        (pages / new).write_text(on_the_site(ROOT / name), encoding="utf-8")
    (pages / "reference").mkdir()
    for name, text in Reference().files():
        (pages / "reference" / name).write_text(text, encoding="utf-8")
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["docs_dir"], settings["site_dir"] = "pages", "html"
    settings["nav"] = present(settings["nav"], pages)
    (STAGE / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def on_the_site(file: Path) -> str:
    """The text of a page, with links that hold on the site."""
    text = file.read_text(encoding="utf-8")
    if file.name == "LICENSE":
        return f"# Licence\n\n{text}"
    docs = ROOT / "docs"

    def put_right(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        path, mark, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        meant = (file.parent / path).resolve()
        if meant.is_relative_to(docs):
            place = meant.relative_to(docs).as_posix()
        elif meant.relative_to(ROOT).as_posix() in MOVED:
            place = MOVED[meant.relative_to(ROOT).as_posix()]
        else:
            return words
        up = len(file.relative_to(docs).parts) - 1 if file.is_relative_to(docs) else 0
        return f"[{words}]({'../' * up}{place}{mark}{anchor})"

    return _LINK.sub(put_right, text)


def present(entries: list[Any], pages: Path) -> list[Any]:
    """The navigation without pages that are not written yet, and the pages of the reference in their place."""
    kept = []
    for entry in entries:
        if isinstance(entry, str):
            if entry == "reference/*":
                names = sorted(path.name for path in (pages / "reference").glob("*.md") if path.name != "index.md")
                kept += [
                    {f"proxywhirl.{name[:-3]}" if name != "proxywhirl.md" else "proxywhirl": f"reference/{name}"}
                    for name in names
                ]
            elif (pages / entry).exists():
                kept.append(entry)
            continue
        ((title, below),) = entry.items()
        if isinstance(below, list):
            inner = present(below, pages)
            if inner:
                kept.append({title: inner})
        elif (pages / below).exists():
            kept.append(entry)
    return kept


if __name__ == "__main__":
    main()
