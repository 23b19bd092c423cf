"""Keeping a pool filled from a gateway."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl import _core
    from proxywhirl.gateways._gateway import Gateway

_LOOK = 0.2
# Looking may take a fiftieth of the time at most.
_SHARE = 50.0
_ILL = frozenset({"unhealthy", "resting", "breaker_open"})
_BUDGET_SECONDS = 60.0
_LEAST_BUDGET = 10.0


class GatewayPool:
    """The proxies of one gateway in one pool; made by :meth:`Gateway.attach`. Thread-safe.

    Args:
        gateway: The gateway.
        pool: The pool.
        tag: A further tag for its proxies.
    """

    def __init__(self, gateway: Gateway, pool: _core.ProxyPool, tag: str | None = None) -> None:
        self.gateway = gateway
        """Where its proxies come from."""
        self.created = 0
        """How many were added to the pool so far."""
        self._pool = pool
        self._tag = tag
        self._lock = new_lock()
        self._members: dict[UUID, tuple[_core.Proxy, int]] = {}
        self._next_look = 0.0
        # What is ill is replaced as long as this lasts: when the whole gateway is down, new sessions do not help. A
        # success through any of its proxies says that they do, and fills it up.
        self._most = max(float(gateway.size), _LEAST_BUDGET)
        self._budget = self._most
        self._budget_at = time.monotonic()
        self._successes = 0
        self._successes_before = 0

    def owns(self, proxy_id: UUID) -> bool:
        """Whether a proxy is one of its own; may be asked at any time."""
        return proxy_id in self._members

    def fill(self) -> int:
        """Create the missing proxies.

        Returns:
            How many were added to the pool.

        Raises:
            ValueError: The pool is at its maximum capacity.
        """
        with self._lock:
            added = 0
            for _ in range(self.gateway.size - len(self._members)):
                added += self._add(self.gateway._next_choice())
            return added

    def maintain(self, now: bool = False, failed: Collection[Any] = ()) -> bool:
        """Replace what is benched, at rest, expired, or was taken out of the pool. Costs nothing when it was just done.

        Args:
            now: Whether to look even if that was just done.
            failed: Ids of proxies to replace as well, because a request without another proxy failed through them.

        Returns:
            Whether there are new proxies.
        """
        if not now and time.monotonic() < self._next_look:
            return False
        if not self.gateway.renewable or not self._lock.acquire(blocking=now):
            return False
        try:
            began = time.monotonic()
            changed = self._replace(failed)
            ended = time.monotonic()
            self._next_look = ended + max(_LOOK, (ended - began) * _SHARE)
            return changed
        finally:
            self._lock.release()

    def _replace(self, failed: Collection[Any]) -> bool:
        self._refill_budget()
        useless = self._useless().union(failed)
        changed = False
        for key, (proxy, index) in list(self._members.items()):
            there = self._pool.get_proxy_by_id(key) is not None
            if there and not proxy.is_expired:
                if key not in useless or self._budget < 1.0:
                    continue
                self._budget -= 1.0
            del self._members[key]
            self._successes_before += proxy.total_successes
            if there:
                self._pool.remove_proxy(key)
            try:
                changed = bool(self._add(index)) or changed
            except ValueError:
                return changed  # others have filled the pool; the gateway goes on with what it has
        return changed

    def _useless(self) -> set[Any]:
        """Ids of the benched and of the ill."""
        benched = {proxy.id for proxy, _, kind, _, _ in self._pool._standings() if kind == "banned"}
        return benched | {one.proxy.id for one in self._pool.explain() if not _ILL.isdisjoint(one.reasons)}

    def _refill_budget(self) -> None:
        now = time.monotonic()
        self._budget = min(self._most, self._budget + (now - self._budget_at) * self._most / _BUDGET_SECONDS)
        self._budget_at = now
        if self._budget < self._most:
            successes = self._successes_before + sum(proxy.total_successes for proxy, _ in self._members.values())
            if successes > self._successes:
                self._budget = self._most
            self._successes = successes

    def _add(self, index: int) -> int:
        proxy = self.gateway._mint(index, self._tag)
        there = self._pool.get_proxy_by_url(proxy.url)
        if there is None:
            self._pool.add_proxy(proxy)
            self.created += 1
        self._members[proxy.id if there is None else there.id] = (proxy if there is None else there, index)
        return int(there is None)
