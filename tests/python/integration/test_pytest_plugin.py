"""The pytest plugin, in projects of users."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    # A process of its own, as the user's is: pytest finds the plugin by its entry point.
    return pytester.runpytest_subprocess(
        "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio", *options, timeout=50
    )


def test_pytest_finds_it() -> None:
    (plugin,) = (p for p in metadata.distribution("proxywhirl-rs").entry_points if p.group == "pytest11")
    assert plugin.value == "proxywhirl.testing.pytest_plugin"


def test_loading_it_costs_next_to_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import proxywhirl.testing.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    loaded = set(done.stdout.split())
    assert "proxywhirl.testing.pytest_plugin" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"httpx", "httpcore", "pydantic", "ssl", "asyncio"}
    assert not {name for name in loaded if name.startswith("proxywhirl.testing._")}
    assert len(loaded) < 15, loaded


def test_the_programs_of_the_page(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    tests = [block for block in blocks if "def test_" in block]
    assert len(tests) >= 3
    for number, block in enumerate(tests):
        pytester.path.joinpath(f"test_page_{number}.py").write_text(block, encoding="utf-8")
    result = run(pytester, "--strict-markers", "-rs")
    wanted = sum(block.count("def test_") for block in tests)
    outcomes = result.parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes.get("skipped", 0) == wanted, result.outlines
    assert outcomes.get("passed", 0) >= 3


def test_fleets_are_stopped_and_marks_are_obeyed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from proxywhirl.testing import ProxySpec

        seen = []

        def test_default(proxy_fleet):
            assert [len(proxy_fleet), proxy_fleet.running] == [4, True]
            seen.append(proxy_fleet)

        @pytest.mark.proxy_fleet([ProxySpec(name="one"), ProxySpec.dead()], seed=3)
        def test_marked(proxy_fleet, make_proxy_fleet):
            assert proxy_fleet["one"].port
            other = make_proxy_fleet(2)
            assert other is not proxy_fleet and len(other) == 2
            seen.extend([proxy_fleet, other])

        @pytest.mark.proxy_fleet(1)
        class TestMarked:
            def test_inherits(self, proxy_fleet):
                assert len(proxy_fleet) == 1

        def test_stopped():
            assert len(seen) == 3 and not any(fleet.running for fleet in seen)
        """
    )
    run(pytester, "--strict-markers").assert_outcomes(passed=4)


def test_a_mark_that_is_wrong_is_an_error_of_that_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.proxy_fleet(-1)
        def test_wrong(proxy_fleet):
            pass

        def test_right(proxy_fleet):
            pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ValueError: proxies: -1 is less than 0"])


def test_it_can_be_turned_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(proxy_fleet): pass")
    result = run(pytester, "-p", "no:proxywhirl")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'proxy_fleet' not found"])
