"""Says how large the wheels of a folder are, and fails where one has grown beyond what is known.

python scripts/wheel_size.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

WANTED = 4_000_000
"""Bytes of a wheel that a user is willing to download; missed so far."""
MOST = 4_300_000
"""What it has, and a little more: beyond that something has come in that nobody looked at."""


def main() -> int:
    """Run from the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        print(f"there is no wheel in {folder}")
        return 1
    too_large = 0
    for wheel in wheels:
        size = wheel.stat().st_size
        is_within = size <= MOST
        too_large += not is_within
        bound = MOST if not is_within else WANTED if size > WANTED else None
        print(f"{wheel.name}: {size / 1e6:.2f} MB{'' if bound is None else f', more than {bound / 1e6:g}'}")
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
