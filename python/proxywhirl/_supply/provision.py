"""What a chooser asks before it chooses: is there anything to start, to renew, to mint?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxywhirl._supply.supply import Supply

__all__ = ["Provision"]


class Provision:
    """Lists and gateways behind one pool. Thread-safe.

    Args:
        pool: The pool.
    """

    __slots__ = ("_minters", "_pool", "supply")

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._minters: tuple[Any, ...] = ()
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
        changed = False
        for minter in self._minters:
            changed = minter.tend(now=True) or changed
        return changed
