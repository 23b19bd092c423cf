"""The tree keeps to its own rules, as far as a compiler does not look after them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src"


def rust(*, without: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Name and code, comments left out, of every file of the core."""
    for path in sorted(SOURCE.rglob("*.rs")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(without):
            yield name, re.sub(r"//.*", "", path.read_text(encoding="utf-8"))


def test_atomics_and_locks_are_named_in_one_place() -> None:
    # The fleet stands apart, and the binding's own statics are nothing that could be modelled.
    for name, code in rust(without=("sync.rs", "fleet/", "py/")):
        assert not re.search(r"std::sync::atomic|parking_lot|std::sync::(Mutex|RwLock|Condvar)", code), name


def test_clocks_are_read_in_one_place() -> None:
    for name, code in rust(without=("clock.rs", "clock/", "fleet/")):
        assert not re.search(r"\blibc::(clock|time)|clock_gettime|Instant\b|SystemTime\b", code), name


def test_python_is_known_in_one_room() -> None:
    for name, code in rust(without=("py/",)):
        assert not re.search(r"\bpyo3\b|\bPy(Object|Any|Result)\b", code), name


def test_the_fleet_stands_apart() -> None:
    for name, code in rust():
        used = set(re.findall(r"\bcrate::([a-z_]+)", code))
        if name.startswith("fleet/"):
            assert used <= {"fleet"}, name
        elif not name.startswith("py/"):
            assert "fleet" not in used, name


def test_whatever_python_calls_is_at_the_border() -> None:
    for name, code in rust():
        bare = re.search(r"(?<!#\[proxywhirl_macros::border\]\n)^#\[(pymethods|pyfunction)\]$", code, re.MULTILINE)
        # These cannot panic, and run where no exception can be raised.
        assert bare is None or name == "py/border.rs", name


def test_python_is_called_with_no_lock_held() -> None:
    for name, code in rust(without=("py/border.rs",)):
        assert not re.search(r"Python::(try_)?attach|Python::with_gil", code), f"{name}: use border::attach"


def test_unsafe_code_argues_for_itself() -> None:
    for path in sorted(SOURCE.rglob("*.rs")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.search(r"\bunsafe \{", line) and not line.lstrip().startswith("//"):
                above = "\n".join(lines[max(0, number - 6) : number + 1])
                assert "SAFETY" in above, f"{path.name}:{number + 1}"


def test_the_noun_is_named() -> None:
    """A proxy, a caller or a thread is called that: none of these words says which."""
    vague = re.compile(r"\b(whom|whoever|whomever|somebody|nobody|anybody|everybody)\b", re.IGNORECASE)
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    sources = [*SOURCE.rglob("*.rs"), *(ROOT / "python").rglob("*.py"), *(ROOT / "python").rglob("*.pyi")]
    found = [path.name for path in (*pages, *sources) if vague.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_nothing_that_failed_is_passed_over() -> None:
    for path in sorted((ROOT / "python").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"except[^\n]*:\s*(#[^\n]*)?\n\s*pass\b", text), path.name


def test_locks_outlive_a_fork() -> None:
    """A lock that lives as long as what it guards is free in the child of a fork; the others are named here."""
    short_lived_or_renewed = {"fork.py", "file_lock.py", "_engine.py"}
    for path in sorted((ROOT / "python").rglob("*.py")):
        if path.name not in short_lived_or_renewed:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bthreading\.R?Lock\(\)", text), f"{path.name}: use proxywhirl._base.fork.new_lock"
