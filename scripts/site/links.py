"""Checks the built site: each link and anchor leads somewhere, and nothing is loaded from another host."""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.update(found[name] for name in ("id", "name") if name in found)
        if "src" in found or tag == "link":
            self.loaded.append(found.get("src") or found.get("href", ""))
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])


def faults(site: Path) -> list[str]:
    """What is wrong, one line each."""

    @cache
    def read(file: Path) -> _Page:
        page = _Page()
        page.feed(file.read_text(encoding="utf-8"))
        return page

    wrong = []
    for file in sorted(site.rglob("*.html")):
        page, name = read(file), file.relative_to(site).as_posix()
        for link in page.loaded:
            # The address of the site itself is where it says it is, and loads nothing.
            if urlsplit(link).netloc:
                wrong.append(f"{name}: loads {link}")
        for link in {*page.links, *page.loaded}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if there.is_dir():
                there /= "index.html"
            if not there.is_file():
                wrong.append(f"{name}: no such place: {link}")
            elif parts.fragment and there.suffix == ".html" and unquote(parts.fragment) not in read(there).anchors:
                # The theme makes these when the page is opened.
                if not parts.fragment.startswith("__"):
                    wrong.append(f"{name}: no such anchor: {link}")
    return wrong


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]).resolve())
    print("\n".join(found) or f"all links of {sys.argv[1]} lead somewhere")
    sys.exit(bool(found))
