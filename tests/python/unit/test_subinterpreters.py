"""A subinterpreter is refused with a reason, whether or not the main interpreter has imported the package before."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, sys
for name in ("_interpreters", "_xxsubinterpreters"):
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        interpreters = None
if interpreters is None:
    print("none"); sys.exit()
if {first}:
    import proxywhirl
inner = "try:\\n import proxywhirl\\n print('imported', flush=True)\\nexcept ImportError as error:\\n print(error, flush=True)"
interpreters.run_string(interpreters.create(), inner)
"""


@pytest.mark.parametrize("first", [False, True], ids=["alone", "after the main interpreter"])
def test_a_subinterpreter_is_refused(first: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)], capture_output=True, text=True, timeout=60, check=True
    )
    if done.stdout.strip() == "none":
        pytest.skip("this Python has no subinterpreters")
    assert "subinterpreter" in done.stdout
    assert "imported" not in done.stdout
