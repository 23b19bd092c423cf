"""Looks into the source distribution of a folder: all that a build needs is there, and nothing of a machine.

python scripts/sdist.py [FOLDER]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]

#: Bytes of it that are no surprise; it is text, packed.
MOST = 3_000_000
#: What a build reads, and what a packager looks for.
NEEDED = (
    "PKG-INFO", "Cargo.toml", "Cargo.lock", "pyproject.toml", "LICENSE", "README.md", "macros/Cargo.toml",
    "macros/src/lib.rs", "src/lib.rs", "python/proxywhirl/__init__.py", "python/proxywhirl/_core.pyi",
    "python/proxywhirl/py.typed", "tests/smoke/try.py",
)  # fmt: skip
#: Made by the build backend.
OWN = {"PKG-INFO"}
#: Names of what belongs to one machine, or is secret.
FOREIGN = re.compile(
    r"(^|/)(\.git|\.env[^/]*|\.venvs?|target|dist|__pycache__|\.[a-z]+_cache|\.hypothesis|\.netrc|\.pypirc|id_[a-z0-9]+)(/|$)"
    r"|\.(so|pyd|dll|dylib|pyc|pem|key|p12|whl|profraw|profdata|sqlite3?|db)$"
)
#: What secrets look like, and the home folder of the machine that built it.
SECRET = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"
    rb"|\bpypi-AgEI[A-Za-z0-9_-]{20}|\bgh[opsu]_[A-Za-z0-9]{36}\b|\bAKIA[A-Z0-9]{16}\b"
    rb"|" + re.escape(str(Path.home()).encode()) + rb"/[.a-z]|" + re.escape(str(ROOT).encode()) + rb"\b"
)


def kept() -> set[str]:
    """The files that the repository keeps; empty outside of one."""
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return set()
    return set(filter(None, done.stdout.decode().split("\0")))


def faults_of(sdist: Path) -> list[str]:
    """What is wrong with a source distribution.

    Args:
        sdist: Its file.

    Returns:
        A line for each fault.
    """
    faults = []
    if sdist.stat().st_size > MOST:
        faults.append(f"{sdist.stat().st_size / 1e6:.1f} MB, more than {MOST / 1e6:g}")
    names: set[str] = set()
    with tarfile.open(sdist) as files:
        for member in files:
            first, *rest = PurePosixPath(member.name).parts
            name = "/".join(rest)
            if first + ".tar.gz" != sdist.name or ".." in rest or not member.isfile():
                faults.append(f"{member.name}: not a plain file below the folder")
                continue
            names.add(name)
            if FOREIGN.search(name):
                faults.append(f"{name}: belongs to a machine")
            content = files.extractfile(member)
            if content is not None and (found := SECRET.search(content.read())):
                faults.append(
                    f"{name}: {found[0][:20].decode(errors='replace')}... looks like a secret, or names this machine"
                )
    faults += [f"{name}: missing" for name in NEEDED if name not in names]
    repository = kept()
    if repository:
        faults += [f"{name}: not in the repository" for name in sorted(names - repository - OWN)]
        wanted = {name for name in repository if name.startswith(("src/", "macros/", "python/", "tests/"))}
        faults += [f"{name}: left out" for name in sorted(wanted - names)]
    return faults


def main() -> int:
    """Run from the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    sdists = sorted(folder.glob("*.tar.gz"))
    if len(sdists) != 1:
        print(f"there is not one source distribution in {folder}, but {len(sdists)}")
        return 1
    faults = faults_of(sdists[0])
    for fault in faults:
        print(f"{sdists[0].name}: {fault}")
    if not faults:
        print(f"{sdists[0].name}: {sdists[0].stat().st_size / 1e6:.2f} MB, complete")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
