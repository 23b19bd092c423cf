"""Builds a wheel for each Python there is, installs it into an environment of its own, and tries it there.

    python tests/smoke/run.py [--within SECONDS] [PYTHON ...]

Without arguments: every 3.9 to 3.13 that pyenv has or that is on the path, the oldest and the newest first, and last the
one that runs this, so that what is left in the target folder is what the other targets of the Makefile build. Those two
are always tried, the others while there is time.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINORS = range(9, 14)


def found() -> list[str]:
    """One interpreter for each minor version, the newest patch of it."""
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    result: list[str] = []
    for minor in MINORS:
        candidates = [
            folder / "bin" / f"python3.{minor}"
            for home in homes
            if home.is_dir()
            for folder in sorted(home.glob(f"3.{minor}.*"), key=_patch, reverse=True)
        ]
        usable = [str(path) for path in candidates if path.exists()]
        on_path = shutil.which(f"python3.{minor}")
        usable += [on_path] if on_path and _version(on_path) == (3, minor) else []
        if usable:
            result.append(usable[0])
    here = sys.version_info[:2]
    others = [python for python in result if _version(python) != here]
    # The ends are where something is missing, or is there no longer.
    return [*others[:1], *others[:0:-1], sys.executable]


def _patch(folder: Path) -> list[int]:
    return [int(part) for part in folder.name.split(".") if part.isdigit()]


def _version(python: str) -> tuple[int, int]:
    # A shim may be there for a version that is not: it fails then.
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return (0, 0)
    major, minor = done.stdout.split()
    return (int(major), int(minor))


def _build(python: str, out: Path) -> Path:
    # The development profile: it shares the compiled dependencies with the tests, all but PyO3 itself.
    command = [sys.executable, "-m", "maturin", "build", "--locked", "--interpreter", python, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    (wheel,) = out.glob("*.whl")
    return wheel


def _try(python: str) -> str:
    with tempfile.TemporaryDirectory(prefix="proxywhirl-smoke-") as name:
        folder = Path(name)
        wheel = _build(python, folder / "wheel")
        subprocess.run([python, "-m", "venv", str(folder / "venv")], check=True)
        inside = str(folder / "venv" / "bin" / "python")
        subprocess.run([inside, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
        # Copied, and started from the outside, so that only what was installed can be imported.
        script = Path(shutil.copy(ROOT / "tests" / "smoke" / "try.py", folder / "try.py"))
        done = subprocess.run(
            [inside, "-I", str(script)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout.strip().partition(",")[0]


def main() -> int:
    environment = os.environ
    # Of the environment that runs this; maturin would take its interpreter for the one to build for.
    for name in ("VIRTUAL_ENV", "PYO3_PYTHON", "PYTHONPATH"):
        environment.pop(name, None)
    parser = argparse.ArgumentParser()
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    given = parser.parse_args()
    end = time.monotonic() + given.within
    failures = 0
    for number, python in enumerate(given.pythons or found()):
        began = time.monotonic()
        if number >= 2 and began > end:
            print(f"smoke: {python} left out, since the time is over", flush=True)
            continue
        try:
            said = _try(python)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failures += 1
            said = f"FAILED with {python}: {error}"
        print(f"smoke: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
