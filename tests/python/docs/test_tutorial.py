"""Programs in the pages for newcomers run, and print what the pages say."""

from __future__ import annotations

import contextlib
import gc
import io
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[3] / "docs"
_STEP = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)
# What these do with the network ends at a port of loopback, or is a function that is not called.
_PROGRAMS = ["exceptions.md", "settings.md", "moving/loop.md", "moving/proxywhirl-0.3.md", "moving/scrapoxy.md"]


# requests leaves a socket to the garbage collector when a connection fails.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_tutorial() -> None:
    """One interpreter for all steps, as the reader has it."""
    pytest.importorskip("requests")
    steps = _STEP.findall((DOCS / "tutorial.md").read_text(encoding="utf-8"))
    assert len(steps) >= 11
    names: dict[str, Any] = {"__name__": "tutorial"}
    try:
        for number, (code, expected) in enumerate(steps, 1):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, f"step {number}", "exec"), names)
            assert printed.getvalue() == expected, f"step {number}"
    finally:
        for name in ("rotator", "fleet"):
            if name in names:
                getattr(names[name], {"rotator": "close", "fleet": "stop"}[name])()
        names.clear()
        gc.collect()  # here, where the warning is expected


@pytest.mark.parametrize("page", _PROGRAMS)
def test_programs_of_a_page(page: str) -> None:
    steps = _STEP.findall((DOCS / page).read_text(encoding="utf-8"))
    assert steps
    names: dict[str, Any] = {"__name__": page}
    with contextlib.redirect_stdout(io.StringIO()):
        for code, _ in steps:
            exec(compile(code, page, "exec"), names)
