"""What a chooser asks before it chooses: is there anything to start, to renew, to mint?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxywhirl._supply.supply import Supply

__all__ = ["Provision"]

# After a look for somebody, so many times as long as it took.
_PAUSE = 10.0


class Provision:
    """Lists and gateways behind one pool. Thread-safe.

    Args:
        pool: The pool.
    """

    __slots__ = ("_minters", "_not_before", "_pool", "supply")

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._minters: tuple[Any, ...] = ()
        self._not_before = 0.0
        self.supply: Supply | None = None

    def add_gateway(self, gateway: Any, tag: str | None = None) -> int:
        """Keep a gateway's proxies in the pool from now on; how many were added."""
        minter, added = gateway._into(self._pool, tag)
        self._minters = (*self._minters, minter)
        return int(added)

    def before(self) -> None:
        """Before a choice: start what has not begun, replace what a gateway has to replace. Never waits."""
        if self.supply is not None:
            self.supply.begin()
        for minter in self._minters:
            minter.tend()

    def in_need(self) -> bool:
        """Nobody can be chosen: whether that has just changed."""
        began = time.monotonic()
        if not self._minters or began < self._not_before:
            return False
        changed = False
        for minter in self._minters:
            changed = minter.tend(now=True) or changed
        ended = time.monotonic()
        # Many requests may be in need at once, and looking takes its time.
        self._not_before = ended + (ended - began) * _PAUSE
        return changed
