"""Packs the wheels of a folder anew: as plain a zip as before, and a twentieth smaller.

python scripts/repack.py [FOLDER]

Zopfli looks longer for what it can leave out; what unpacks it is the same. A wheel takes it half a minute.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

from zopfli import zlib as zopfli


class _Deflater:
    """Takes the place of a compressor of the standard library's in `zipfile`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def compress(self, data: bytes) -> bytes:
        self._parts.append(bytes(data))
        return b""

    def flush(self) -> bytes:
        packed: bytes = zopfli.compress(b"".join(self._parts))
        # A zip has the stream alone, without the two bytes before and the sum behind it.
        return packed[2:-4]


def _compressor(kind: int, *_: Any) -> _Deflater | None:
    return _Deflater() if kind == zipfile.ZIP_DEFLATED else None


def repack(wheel: Path) -> None:
    """Pack a wheel anew, in its place; files keep their order, dates and rights.

    Args:
        wheel: Its file.

    Raises:
        RuntimeError: Something else comes out of it than before.
    """
    packed = wheel.with_suffix(".repacked")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(packed, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(packed) as new:
        if [(entry.filename, entry.CRC) for entry in old.infolist()] != [
            (entry.filename, entry.CRC) for entry in new.infolist()
        ] or new.testzip() is not None:
            raise RuntimeError(f"{wheel.name} was not packed as it was")
    packed.replace(wheel)


def main() -> None:
    """Run from the command line."""
    # zipfile has no other way to be given a compressor.
    zipfile._get_compressor = _compressor  # type: ignore[attr-defined]
    for wheel in sorted(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").glob("*.whl")):
        repack(wheel)


if __name__ == "__main__":
    main()
