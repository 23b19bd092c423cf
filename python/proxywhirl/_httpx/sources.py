"""Sources of proxies before a choice: what to start, to renew, to create."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxywhirl.exceptions import ProxyPoolEmptyError
    from proxywhirl.sources._supply.supply import Supply

# After a refill attempt without result: pause for this multiple of its duration, unless something has changed.
_PAUSE = 10.0
# Reasons that a new exit does away with; a proxy at capacity or out of tokens is not replaced.
_HERE = ("banned_here", "rate_limited_here", "resting_here")
_CURABLE = ("unhealthy", "resting", "expired", "breaker_open", "excluded", *_HERE)


class Sources:
    """Lists and gateways behind one pool. Thread-safe."""

    __slots__ = ("_fruitless", "_gateway_pools", "_not_before", "_pool", "supply")

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._gateway_pools: tuple[Any, ...] = ()
        self._not_before = 0.0
        self._fruitless: Any = None
        self.supply: Supply | None = None

    def add_gateway(self, gateway: Any, tag: str | None = None) -> int:
        """Keep a gateway's proxies in the pool from now on; how many were added."""
        gateway_pool, added = gateway._into(self._pool, tag)
        self._gateway_pools = (*self._gateway_pools, gateway_pool)
        return int(added)

    def before(self) -> int:
        """Before a choice: start what has not begun, replace what a gateway has to replace. Never waits."""
        if self.supply is not None:
            self.supply.begin()
        replaced = 0
        for gateway_pool in self._gateway_pools:
            gateway_pool.maintain()
            replaced += gateway_pool.created
        return replaced

    def in_need(self, error: ProxyPoolEmptyError, replaced: int, failed: Collection[Any] = ()) -> bool:
        """No proxy can be chosen: whether that has just changed.

        Sessions of a gateway that failed are replaced: a new one is a proxy that the request has not tried yet.
        """
        if not self._gateway_pools:
            return False
        reasons = {name: error.reasons[name] for name in _CURABLE if name in error.reasons}
        # An error of a strategy's own says nothing; an empty pool has no proxy to give a reason for.
        if not reasons and error.reasons:
            return False
        failed = [proxy_id for proxy_id in failed if any(each.owns(proxy_id) for each in self._gateway_pools)]
        began = time.monotonic()
        # Many requests may be in need at once, and looking takes its time. A pause only where the last look found
        # nothing to replace and the pool still is as it was then.
        situation = (reasons, len(self._pool))
        if not failed and began < self._not_before and situation == self._fruitless:
            return False
        for gateway_pool in self._gateway_pools:
            gateway_pool.maintain(now=True, failed=failed)
        # Another thread in need may have been faster.
        if sum(gateway_pool.created for gateway_pool in self._gateway_pools) != replaced:
            return True
        ended = time.monotonic()
        self._fruitless = situation
        self._not_before = ended + (ended - began) * _PAUSE
        return False
