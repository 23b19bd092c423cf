"""The place where the proxy of a request is chosen; the choice itself is the core's (``_core.Chooser``)."""

from __future__ import annotations

from typing import Any

from proxywhirl import _core
from proxywhirl._httpx.taking import LeaseAcquirer
from proxywhirl._httpx.wishes import Selection, checked_bound, selection_of

__all__ = ["Chooser", "LeaseAcquirer", "Selection", "checked_bound", "selection_of"]


class Chooser(_core.Chooser):
    """The core's chooser, with the lists and gateways behind its pool."""

    __slots__ = ()

    def provided(self) -> Any:
        """The lists and gateways behind the pool (:class:`Sources`), which are looked after before each choice."""
        if self.sources is not None:
            return self.sources
        from proxywhirl._httpx.sources import Sources

        return self.keep_sources(Sources(self.pool))

    def share_provision(self, other: Chooser) -> None:
        """Look after the lists and gateways of another chooser of the same pool too."""
        self.keep_sources(other.provided())
