"""The stub of the native module: what PyO3 says of a signature, and what refinements may add to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "stub.py"

GENERATED = '''
"""
A module.
"""
from datetime import datetime
from typing import Any, SupportsIndex, final
__all__ = ["Thing", "make"]

@final
class Thing:
    """
    A thing.
    """
    def __new__(cls, /, **options) -> Thing: ...
    def __eq__(self, other: object, /) -> Any: ...
    @property
    def size(self, /) -> int:
        """
        How big.
        """
    @property
    def kind(self, /) -> str:
        """
        Of which kind.
        """
    @kind.setter
    def kind(self, /, value: Any) -> None: ...
    def parts(self, /, most: SupportsIndex = 3) -> list:
        """
        Its parts.
        """

def make(when: datetime | None = None) -> Any: ...
'''


def run(tmp_path: Path, refined: str, generated: str = GENERATED) -> subprocess.CompletedProcess[str]:
    (tmp_path / "generated.pyi").write_text(generated)
    (tmp_path / "refined").mkdir()
    (tmp_path / "refined" / "one.pyi").write_text('"""Refinements."""\n' + refined)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "generated.pyi"), str(tmp_path / "refined")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def stub(tmp_path: Path, refined: str) -> str:
    done = run(tmp_path, refined)
    assert done.returncode == 0, done.stderr
    compile(done.stdout, "stub", "exec")
    return done.stdout


def test_without_refinements_it_is_what_pyo3_says(tmp_path: Path) -> None:
    text = stub(tmp_path, "")
    assert 'class Thing:\n    """A thing."""' in text
    assert "def __new__(cls, /, **options: Any) -> Self" in text
    assert "def __eq__(self, other: object, /) -> bool" in text
    assert 'def parts(self, /, most: SupportsIndex=3) -> list[Any]:\n        """Its parts."""' in text
    assert "from datetime import datetime" in text
    assert "__all__ = ['Thing', 'make']" in text


def test_a_refinement_replaces_a_signature_and_keeps_the_docstring(tmp_path: Path) -> None:
    text = stub(
        tmp_path,
        "from typing import Literal, overload\n"
        "class Thing:\n"
        "    def __new__(cls, *, size: int = 1) -> Self: ...\n"
        "    kind: Literal['a', 'b']\n"
        "    @overload\n"
        "    def parts(self) -> list[int]: ...\n"
        "    @overload\n"
        "    def parts(self, most: int) -> list[int]: ...\n"
        "    def installed_by_python(self) -> None: ...\n",
    )
    assert "def __new__(cls, *, size: int=1) -> Self" in text
    assert 'def kind(self, /) -> Literal[\'a\', \'b\']:\n        """Of which kind."""' in text
    assert "def kind(self, /, value: Literal['a', 'b']) -> None" in text
    assert text.count("@overload") == 2
    assert text.count('"""Its parts."""') == 1
    assert "def installed_by_python" in text
    assert "@final\nclass Thing" in text
    assert "How big." in text


@pytest.mark.parametrize(
    ("refined", "complaint"),
    [
        (
            "class Thing:\n    @property\n    def size(self, /) -> int: ...\n",
            "_core.Thing.size: Rust says this already",
        ),
        ("class Thing:\n    @property\n    def size(self) -> str: ...\n", "_core.Thing.size (return): Rust says int"),
        ("class Thing:\n    size: float\n", "_core.Thing.size (return): Rust says int"),
        ("class Thing:\n    def parts(self, most: str = '3') -> list[int]: ...\n", "_core.Thing.parts (most)"),
        ("class Thing:\n    def parts(self, most: int = 3) -> set[int]: ...\n", "_core.Thing.parts (return)"),
        ("from datetime import date\ndef make(when: date | None = None) -> Thing: ...\n", "_core.make (when)"),
        ("class Thing:\n    kind: int\n", "_core.Thing.kind (return): Rust says str"),
        (
            "class Thing:\n    def parts(self, least: int = 3) -> list[int]: ...\n",
            "_core.Thing.parts: Rust has no argument least",
        ),
    ],
)
def test_a_refinement_that_is_idle_or_wrong_fails(tmp_path: Path, refined: str, complaint: str) -> None:
    done = run(tmp_path, refined)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stdout == ""


def test_the_stub_in_the_tree_has_every_refinement(tmp_path: Path) -> None:
    """`make check` compares all of it, with a build; this much is seen without one."""
    import ast

    root = SCRIPT.parents[1]
    tree = ast.parse((root / "python" / "proxywhirl" / "_core.pyi").read_text(encoding="utf-8"))

    def named(body: list[ast.stmt], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                keywords = node.args.kwonlyargs
                found |= {
                    f"{prefix}{node.name} {argument.arg}: {argument.annotation and ast.unparse(argument.annotation)}"
                    for argument in keywords
                }
                extra = node.args.kwarg and node.args.kwarg.annotation
                if extra is None or ast.unparse(extra) != "_TableFields":
                    # Keywords for the fields of a table are put in where it is named: there only those that are
                    # written here are compared.
                    found.add(f"{prefix}{node.name} {ast.unparse(node.args)} {ast.unparse(node.returns or node.args)}")
                if node.returns is not None and any(ast.unparse(mark) == "property" for mark in node.decorator_list):
                    # What is written as a field there is a property here.
                    found.add(f"{prefix}{node.name}: {ast.unparse(node.returns)}")
            elif isinstance(node, ast.AnnAssign):
                found.add(f"{prefix}{ast.unparse(node)}")
            elif isinstance(node, ast.ClassDef):
                found |= named(node.body, f"{node.name}.")
        return found

    there = named(tree.body)
    refined = sorted((root / "scripts" / "refined").glob("*.pyi"))
    assert refined
    for path in refined:
        assert named(ast.parse(path.read_text(encoding="utf-8")).body) <= there, path.name
