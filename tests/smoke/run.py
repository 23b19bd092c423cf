"""Installs wheels into environments of their own, and tries them there.

    python tests/smoke/run.py [--within SECONDS] [--each | --wheels FOLDER | --sdist FOLDER] [PYTHON ...]

Builds one wheel for 3.9 and one, on the stable interface, for all others; with `--each` one for every Python, and with
`--wheels` none: pip chooses among those of the folder, as it would among those of a release. With `--sdist`, pip builds
from the source distribution in the folder.

Without a PYTHON: every 3.9 to 3.14 that pyenv has or that is on the path, the oldest and the newest first, and last the one
that runs this, which the other tests use. The first two are always tried, the others while there is time.
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
NAME = "proxywhirl-rs"
MINORS = range(9, 15)
#: From here on one wheel on the stable interface does for all: feature `abi3` of Cargo.toml.
STABLE = (3, 10)
FEATURES = "python,fleet"


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


def _ask(python: str, code: str) -> str:
    # A shim may be there for a version that is not: it fails then.
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()


def _version(python: str) -> tuple[int, int]:
    major, minor = _ask(python, "import sys; print(*sys.version_info[:2])").split() or ("0", "0")
    return (int(major), int(minor))


def _is_free_threaded(python: str) -> bool:
    return _ask(python, "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)") == "1"


def _run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


class Wheels:
    """Builds wheels, each once."""

    def __init__(self, folder: Path, *, each: bool) -> None:
        self._folder = folder
        self._each = each
        self._built: dict[str, Path] = {}

    def file_for(self, python: str) -> Path:
        """The wheel, built unless it is there."""
        is_stable = not self._each and _version(python) >= STABLE and not _is_free_threaded(python)
        kind = "abi3" if is_stable else python
        if kind not in self._built:
            self._built[kind] = self._build(python, self._folder / str(len(self._built)), is_stable)
        return self._built[kind]

    @staticmethod
    def _build(python: str, out: Path, is_stable: bool) -> Path:
        # The development profile: it shares the compiled dependencies with the tests, all but PyO3 itself.
        features = f"{FEATURES},abi3" if is_stable else FEATURES
        command = [sys.executable, "-m", "maturin", "build", "--locked", "--features", features]
        _run([*command, "--interpreter", python, "--out", str(out)], cwd=ROOT)
        (wheel,) = out.glob("*.whl")
        return wheel


def _chosen(folder: Path, python: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="proxywhirl-chosen-") as out:
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-index"]
        _run([*command, "--find-links", str(folder), "--dest", out, NAME])
        (wheel,) = Path(out).glob("*.whl")
        return folder / wheel.name


def _only_sdist(folder: Path) -> Path:
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def _try(python: str, file: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="proxywhirl-smoke-") as name:
        folder = Path(name)
        _run([python, "-m", "venv", str(folder / "venv")])
        inside = str(folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        _run([inside, "-m", "pip", "install", "--quiet", str(file)])
        # Copied, and started from the outside, so that only what was installed can be imported.
        script = Path(shutil.copy(ROOT / "tests" / "smoke" / "try.py", folder / "try.py"))
        said = _run([inside, "-I", str(script)], cwd=folder, timeout=120)
        return said.strip().partition(",")[0]


def main() -> int:
    environment = os.environ
    # Of the environment that runs this; maturin would take its interpreter for the one to build for.
    for name in ("VIRTUAL_ENV", "PYO3_PYTHON", "PYTHONPATH"):
        environment.pop(name, None)
    parser = argparse.ArgumentParser()
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--each", action="store_true")
    which.add_argument("--wheels", type=Path, metavar="FOLDER")
    which.add_argument("--sdist", type=Path, metavar="FOLDER")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    given = parser.parse_args()
    end = time.monotonic() + given.within
    failures = 0
    with tempfile.TemporaryDirectory(prefix="proxywhirl-wheels-") as built:
        built_wheels = Wheels(Path(built), each=given.each)
        for number, python in enumerate(given.pythons or found()):
            began = time.monotonic()
            if number >= 2 and began > end:
                print(f"smoke: {python} left out, since the time is over", flush=True)
                continue
            try:
                if given.wheels:
                    file = _chosen(given.wheels, python)
                elif given.sdist:
                    file = _only_sdist(given.sdist)
                else:
                    file = built_wheels.file_for(python)
                said = f"{_try(python, file)} from {file.name}"
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failures += 1
                said = f"FAILED with {python}: {error}"
            print(f"smoke: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
