"""How long tests go on that find more the longer they do."""

from __future__ import annotations

import os

__all__ = ["sized"]

_LONG = bool(os.environ.get("PROXYWHIRL_LONG"))


def sized(every_day: int, long: int) -> int:
    """A number of rounds or things: for every day, or that of ``make soak``, which sets ``PROXYWHIRL_LONG``."""
    return long if _LONG else every_day
