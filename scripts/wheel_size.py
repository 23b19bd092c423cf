"""Holds the wheels of a folder to the size that a user is willing to download.

python scripts/wheel_size.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

MOST = 4_000_000
"""Bytes of a wheel."""


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
        print(f"{wheel.name}: {size / 1e6:.2f} MB{'' if is_within else f', more than {MOST / 1e6:.0f}'}")
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
