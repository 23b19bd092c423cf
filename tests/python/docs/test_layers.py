"""The rooms of the Python package: what may import what, how long a file may be, what lies at the top.

Counted are imports wherever they stand (those inside functions, too), names of modules in strings (tables of names that
are imported on first use), and the modules that the core imports by name. Imports for type checkers alone are not.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "python" / "proxywhirl"

# From the bottom up. A room may import rooms of lower layers and no others: not those beside it, and none above.
# The core, its Python half and the exceptions that both raise are one room.
ONE_ROOM = {"_core", "_native", "exceptions"}
LAYERS = (
    {"_base", *ONE_ROOM},
    {
        *{"bans", "browser", "circuit_breaker", "config", "credentials", "events", "gateways", "geo", "logging_config"},
        *{"metrics_collector", "rate_limiting", "resilience", "strategies", "testing", "validation"},
    },
    {"_httpx", "circuit_breaker_async"},
    {"health", "retry"},
    {"models", "retry_executor", "retry_metrics", "retry_policy", "transport"},
    {"fetchers", "storage", "utils"},
    {"parsers", "sources"},
    {"rotator"},
    {"relay"},
    {"integrations"},
    {"proxywhirl", "scrapy"},
    {"cli"},
    {"__main__"},
)

MOST_LINES = 400
# Files that are longer, and how long they may be at most. The list shrinks: a file that has become shorter leaves it.
LONGER = {}

# Six of them are paths that users import by, of three lines each.
MOST_ENTRIES = 41
PRIVATE_ENTRIES = {"_base", "_core.pyi", "_httpx", "_native"}


def modules() -> Iterator[tuple[str, Path]]:
    """Room and path of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        first = path.relative_to(PACKAGE).parts[0]
        yield ("proxywhirl" if first == "__init__.py" else first.removesuffix(".py")), path


def _is_module(name: str) -> bool:
    place = PACKAGE.parent.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def _names(tree: ast.AST) -> Iterator[str]:
    """All names of modules that a module imports at run time."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(id(below) for statement in node.body for below in ast.walk(statement))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
            skipped.update(id(argument) for argument in node.args)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"proxywhirl(\.\w+)+", node.value) and _is_module(node.value):
                yield node.value


@functools.cache
def all_arrows() -> dict[tuple[str, str], set[str]]:
    """Which room imports which, and where."""
    rooms = {room for room, _ in modules()} | {"_core"}
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for room, path in modules():
        for name in _names(ast.parse(path.read_text(encoding="utf-8"))):
            package, _, rest = name.partition(".")
            if package == "proxywhirl":
                other = rest.partition(".")[0]
                found[room, other if other in rooms else "proxywhirl"].add(path.relative_to(PACKAGE).as_posix())
    for path in (ROOT / "src" / "py").rglob("*.rs"):
        code = path.read_text(encoding="utf-8")
        named = re.findall(r'(?:import\(|Lazy::new\(|import_exception!\()\s*"?proxywhirl\.(\w+)', code)
        for other in named:
            found["_core", other].add(path.relative_to(ROOT).as_posix())
    return found


def arrows() -> dict[tuple[str, str], set[str]]:
    """Those from one room to another."""
    found = all_arrows().items()
    return {pair: places for pair, places in found if pair[0] != pair[1] and not ONE_ROOM.issuperset(pair)}


def test_the_counting_sees_what_it_is_to_see() -> None:
    source = (
        "from typing import TYPE_CHECKING\nimport logging\n"
        "if TYPE_CHECKING:\n    from proxywhirl.a import A\n"
        "def f():\n    from proxywhirl.b import B\n    logging.getLogger('proxywhirl.c')\n    return {'x': 'proxywhirl.geo'}\n"
    )
    assert {name for name in _names(ast.parse(source)) if "proxywhirl" in name} == {"proxywhirl.b.B", "proxywhirl.geo"}
    assert {("_core", "_native"), ("_core", "exceptions")} <= set(all_arrows())
    assert arrows()["rotator", "_base"]


def test_arrows_run_down() -> None:
    height = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    assert {room for room, _ in modules()} <= set(height), "each room has its layer"
    upward = [
        f"{room} -> {other}: {', '.join(sorted(places))}"
        for (room, other), places in sorted(arrows().items())
        if height[other] >= height[room]
    ]
    assert upward == []


def test_files_are_short() -> None:
    too_long = {
        path.relative_to(PACKAGE).as_posix(): lines
        for _, path in modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert {name: lines for name, lines in too_long.items() if lines > LONGER.get(name, 0)} == {}
    assert set(LONGER) <= set(too_long), "these have become short: take them off the list"


def test_the_top_shows_what_there_is() -> None:
    entries = {
        path.name for path in PACKAGE.iterdir() if path.suffix not in (".so", ".pyd") and path.name != "__pycache__"
    }
    assert len(entries) <= MOST_ENTRIES, sorted(entries)
    private = {name for name in entries if name.startswith("_") and not name.startswith("__")}
    assert private <= PRIVATE_ENTRIES, sorted(private - PRIVATE_ENTRIES)


def test_python_talks_no_proxy_protocol() -> None:
    """Handshakes are the core's (``src/net``): here no socket is read, and no line of one is written."""
    handshake = re.compile(r"\.recv(_into)?\(|\bsock_recv\b|\bstruct\.(un)?pack\b|[\"']CONNECT ")
    found = [path.name for _, path in modules() if handshake.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_what_is_composed_inherits_no_mixin() -> None:
    named = re.compile(r"^class \w*mixin", re.IGNORECASE | re.MULTILINE)
    classes = [path.name for _, path in modules() if named.search(path.read_text(encoding="utf-8"))]
    assert classes == []
