"""The lease of a request that goes without a proxy, where the user has allowed that."""

from __future__ import annotations

from typing import Any


class DirectLease:
    """Looks like a lease to the loop and the carrier; there is no proxy to be held to account."""

    __slots__ = ()

    id = None
    proxy = None
    url = ""
    """The carrier reads it as: to the target itself."""

    def finish(
        self,
        outcome: Any,
        elapsed_ms: float | None = None,
        error: Any = None,
        *,
        hold: float | None = None,
        status: int | None = None,
    ) -> None:
        """Nothing is recorded."""

    def release(self) -> None:
        """Nothing to give back."""
