"""The last word on a lease: limiters of the user's own, which the core asks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from proxywhirl import _core

# When to ask a limiter again that does not say, in seconds.
_ASK_AGAIN = 0.05


class LimiterGate:
    """Lets a lease pass when a limiter of the user's own grants it."""

    __slots__ = ("_limiter", "_wait_time", "waits", "would_refuse")

    def __init__(self, limiter: Any, *, waits: bool) -> None:
        self._limiter = limiter
        wait_time = getattr(limiter, "wait_time", None)
        self._wait_time = wait_time if callable(wait_time) else None
        foresight = getattr(limiter, "would_refuse", None)
        self.would_refuse: Callable[[str], float | None] | None = foresight if callable(foresight) else None
        """Says for how many seconds a proxy would be refused, ``None`` for not at all; ``None`` if nothing can."""
        self.waits = waits or bool(getattr(limiter, "delays", False))
        """Whether a refused request waits for its turn; otherwise it fails."""

    def admit(self, lease: _core.Lease) -> tuple[str, float] | None:
        """Ask for a proxy.

        Returns ``None``: the lease may be used; else that the limit is the proxy's, and seconds until asking again
        makes sense.
        """
        key = lease.proxy._key()
        if self._limiter.acquire(key):
            return None
        return ("proxy", _ASK_AGAIN if self._wait_time is None else float(self._wait_time(key)))


def gate_of(limiter: Any, *, waits: bool) -> _core.RateGate | LimiterGate | None:
    """What has the last word on leases; ``None`` without a limiter."""
    if limiter is None:
        return None
    from proxywhirl import _core
    from proxywhirl.rate_limiting.limiter import RateLimiter

    if isinstance(limiter, RateLimiter):
        return _core.RateGate(limiter.buckets, waits=waits or limiter.delays)
    return LimiterGate(limiter, waits=waits)


def limiter_of(given: Any) -> Any:
    """The limiter that does the work, of whatever was given as ``rate_limiter``.

    Raises ``TypeError`` (it is none of these).
    """
    if given is None:
        return None
    limiter = getattr(given, "limiter", given)
    acquire = getattr(limiter, "acquire", None)
    if not callable(acquire) or inspect.iscoroutinefunction(acquire):
        raise TypeError(
            f"rate_limiter must be a RateLimiter or have a plain acquire(proxy_id) -> bool, not {type(given).__name__}"
        )
    return limiter
