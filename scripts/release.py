"""Holds a release against what this tree says of it.

python scripts/release.py tag v1.2.3
python scripts/release.py files [FOLDER]

The first compares a tag with the version of `Cargo.toml` and looks for its section of the changelog; the second looks
whether a folder has every file of a release, and no other.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "proxywhirl_rs"

#: Platforms, by what ends the name of a wheel. A wheel may have several tags of its platform: of Linux, any of them.
PLATFORMS = {
    "manylinux x86_64": r"manylinux_2_17_x86_64",
    "manylinux aarch64": r"manylinux_2_17_aarch64",
    "musllinux x86_64": r"musllinux_1_2_x86_64",
    "musllinux aarch64": r"musllinux_1_2_aarch64",
    "macOS x86_64": r"macosx_\d+_\d+_x86_64",
    "macOS arm64": r"macosx_\d+_\d+_arm64",
    "Windows x86_64": r"win_amd64",
}
#: What is built for each of them.
PYTHONS = ("cp39-cp39", "cp310-abi3", "cp311-cp311", "cp312-cp312", "cp313-cp313", "cp314-cp314", "cp314-cp314t")


def version() -> str:
    """The version of `Cargo.toml`, which the wheels take theirs from."""
    found = re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("Cargo.toml has no version")
    return found[1]


def faults_of_tag(tag: str, changelog: str) -> list[str]:
    """What speaks against releasing under a tag."""
    faults = []
    if tag != f"v{version()}":
        faults.append(f"the tag is {tag}, and the version of Cargo.toml {version()}")
    if f"## [{version()}]" not in changelog:
        faults.append(f"the changelog has no section [{version()}]")
    return faults


def faults_of_files(names: list[str]) -> list[str]:
    """What is missing among the files of a release, or too much."""
    rest = set(names)
    faults = []
    sdist = f"{NAME}-{version()}.tar.gz"
    if sdist not in rest:
        faults.append(f"{sdist} is missing")
    rest.discard(sdist)
    for python in PYTHONS:
        for platform, tag in PLATFORMS.items():
            wanted = re.compile(rf"{NAME}-{re.escape(version())}-{python}-(\w+\.)*{tag}(\.\w+)*\.whl")
            found = {name for name in rest if wanted.fullmatch(name)}
            if len(found) != 1:
                faults.append(f"{len(found)} wheels for {python} on {platform}")
            rest -= found
    return faults + [f"{name} belongs to no release" for name in sorted(rest)]


def main() -> int:
    """Run from the command line."""
    kind, *rest = sys.argv[1:] or [""]
    if kind == "tag" and len(rest) == 1:
        faults = faults_of_tag(rest[0], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    elif kind == "files" and len(rest) <= 1:
        folder = Path(rest[0] if rest else "dist")
        faults = faults_of_files([path.name for path in folder.iterdir()])
    else:
        print(__doc__)
        return 2
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
