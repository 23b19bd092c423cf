"""What `make resilience` and `make soak` promise, in a size for every day."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.timeout(240)


# Not those that measure times of single calls, which is for quiet machines.
@pytest.mark.parametrize("scene", ["ten", "luck", "back", "half", "everywhere", "cap", "throttle", "outage"])
def test_scene_keeps_its_promises(scene: str) -> None:
    command = [sys.executable, str(ROOT / "benches" / "python" / "resilience.py"), "--quick", "--only", scene]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept" in done.stdout


def test_books_balance_after_many_faults() -> None:
    command = [sys.executable, str(ROOT / "tests" / "soak" / "soak.py"), "--requests", "6000", "--seconds", "180"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("soak: passed")
