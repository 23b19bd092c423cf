"""``python -m proxywhirl.cli``."""

from __future__ import annotations

import sys

from proxywhirl.cli import main

if __name__ == "__main__":
    sys.exit(main())
