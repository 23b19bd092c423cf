"""Says which glibc the wheels of a folder need, and fails where that is a newer one than their names promise.

python scripts/glibc_floor.py [FOLDER [FLOOR]]

With a floor, such as 2.17, no wheel may need a newer one, whatever its name says. Reads the versions that the module
demands of the libraries it is linked to (`.gnu.version_r` of ELF), with the standard library alone.
"""

from __future__ import annotations

import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

Version = tuple[int, ...]

#: Names of the versions before PEP 600.
OLD_NAMES = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
#: Demands that have a name instead of a number, and the version that began to meet them.
NAMED = {"GLIBC_ABI_DT_RELR": (2, 36)}
SHT_GNU_VERNEED = 0x6FFFFFFE


def _sections(elf: bytes) -> list[tuple[int, ...]]:
    if elf[:4] != b"\x7fELF" or elf[4] != 2 or elf[5] != 1:
        raise ValueError("not a 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    return [struct.unpack_from("<IIQQQQIIQQ", elf, offset + number * size) for number in range(count)]


def needed(elf: bytes) -> Iterator[tuple[str, str]]:
    """What a module demands: pairs of a library and the name of a version of it.

    Args:
        elf: The bytes of the module.

    Yields:
        Such as `("libc.so.6", "GLIBC_2.17")`.

    Raises:
        ValueError: It is not a 64-bit little-endian ELF file.
    """
    sections = _sections(elf)

    def text(table: tuple[int, ...], at: int) -> str:
        start = table[4] + at
        return elf[start : elf.index(b"\0", start)].decode()

    for section in sections:
        if section[1] != SHT_GNU_VERNEED:
            continue
        names = sections[section[6]]
        at = section[4]
        for _ in range(section[7]):
            _, count, file, first, following = struct.unpack_from("<HHIII", elf, at)
            entry = at + first
            for _ in range(count):
                _, _, _, name, next_entry = struct.unpack_from("<IHHII", elf, entry)
                yield text(names, file), text(names, name)
                entry += next_entry
            at += following


def floor_of(elf: bytes) -> Version:
    """The oldest glibc that has all that a module demands; `(0,)` where it demands nothing of it."""
    found: list[Version] = [(0,)]
    for _, name in needed(elf):
        if match := re.fullmatch(r"GLIBC_([0-9.]+)", name):
            found.append(tuple(map(int, match[1].split("."))))
        elif name.startswith("GLIBC_"):
            # An unknown name is a demand that this script knows nothing of: no promise is kept then.
            found.append(NAMED.get(name, (999,)))
    return max(found)


def promised(wheel: str) -> Version | None:
    """The oldest glibc that the name of a wheel promises to do with, or None where it promises none."""
    tags = Path(wheel).stem.split("-")[-1].split(".")
    found = [tuple(map(int, match.groups())) for tag in tags if (match := re.match(r"manylinux_(\d+)_(\d+)_", tag))]
    found += [version for tag in tags for name, version in OLD_NAMES.items() if tag.startswith(name + "_")]
    return min(found, default=None)


def main() -> int:
    """Run from the command line."""
    wheels = sorted(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").glob("*.whl"))
    most = tuple(map(int, sys.argv[2].split("."))) if len(sys.argv) > 2 else None
    failed = not wheels
    if failed:
        print("there is no wheel")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as files:
            modules = {name: files.read(name) for name in files.namelist() if name.endswith(".so")}
        elves = [module for module in modules.values() if module[:4] == b"\x7fELF"]
        if not elves:
            print(f"{wheel.name}: no module for Linux in it")
            continue
        floor = max(floor_of(module) for module in elves)
        bounds = [bound for bound in (promised(wheel.name), most) if bound is not None]
        is_kept = all(floor <= bound for bound in bounds)
        failed = failed or not is_kept
        needs = "no glibc" if floor == (0,) else f"glibc {'.'.join(map(str, floor))}"
        print(f"{wheel.name}: needs {needs}{'' if is_kept else ', newer than promised'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
