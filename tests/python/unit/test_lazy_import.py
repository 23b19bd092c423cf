"""``import proxywhirl`` is cheap, and every public name can be had from it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import proxywhirl

HEAVY = ("httpx", "pydantic", "pydantic_settings", "asyncio", "logging", "dataclasses", "inspect", "rich", "yaml")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_brings_in_nothing_heavy() -> None:
    # Compared with a bare interpreter, because site hooks of the environment may have imported something already.
    code = "import sys; before = set(sys.modules); import proxywhirl; print(*sorted(set(sys.modules) - before))"
    imported = run(code).split()
    assert [name for name in HEAVY if name in imported] == []


def test_native_objects_work_without_pydantic_and_httpx() -> None:
    code = """
import sys
from proxywhirl import ProxyPool, RoundRobinStrategy
pool = ProxyPool(name="p")
pool.add_proxy("http://a.test:1")
strategy = RoundRobinStrategy()
strategy.record_result(strategy.select(pool), True, 1.0)
print("pydantic" in sys.modules, "httpx" in sys.modules)
"""
    assert run(code).split() == ["False", "False"]


@pytest.mark.parametrize("name", proxywhirl.__all__)
def test_every_public_name_imports(name: str) -> None:
    assert getattr(proxywhirl, name) is getattr(proxywhirl, name)


def test_names_are_sorted_unique_and_shown() -> None:
    assert proxywhirl.__all__ == sorted(set(proxywhirl.__all__))
    assert set(proxywhirl.__all__) <= set(dir(proxywhirl))


def test_table_imports_and_all_say_the_same() -> None:
    source = Path(proxywhirl.__file__).read_text(encoding="utf-8")
    for_checkers: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If):
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                for alias in statement.names:
                    for_checkers[alias.name] = statement.module or ""
    assert for_checkers == proxywhirl._HOMES
    assert {*for_checkers, "__version__"} == set(proxywhirl.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = proxywhirl.NoSuchThing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from proxywhirl import NoSuchThing  # type: ignore[attr-defined]  # noqa: F401


def test_aliases_are_the_same_objects() -> None:
    assert proxywhirl.SessionStrategy is proxywhirl.SessionPersistenceStrategy
    assert proxywhirl.ComposedStrategy is proxywhirl.CompositeStrategy
    assert proxywhirl.WeightedRandomStrategy is proxywhirl.WeightedStrategy
    assert proxywhirl.ProxyWhirl is proxywhirl.ProxyRotator
    assert proxywhirl.AsyncProxyWhirl is proxywhirl.AsyncProxyRotator
    assert proxywhirl.ProxyError is proxywhirl.ProxyWhirlError


def test_paths_lead_to_the_same_objects() -> None:
    import proxywhirl.models
    import proxywhirl.strategies
    import proxywhirl.strategies.core

    for name in proxywhirl.strategies.__all__:
        assert getattr(proxywhirl.strategies, name) is getattr(proxywhirl.strategies.core, name)
        assert getattr(proxywhirl.strategies, name) is getattr(proxywhirl, name)
    for name in (
        "Proxy",
        "ProxyPool",
        "SelectionContext",
        "Session",
        "ProxyMetadata",
        "HealthStatus",
        "StrategyConfig",
    ):
        assert getattr(proxywhirl.models, name) is getattr(proxywhirl, name)


def test_version_is_a_version() -> None:
    assert proxywhirl.__version__[0].isdigit()
