"""The last word on a lease: limits that the core does not know."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable, Optional

from proxywhirl.exceptions import ProxyConnectionError, ProxyPoolEmptyError

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rate_limiting.limiter import Refusal

__all__ = ["LimiterGate", "limiter_of"]

Row = tuple[Any, list[str], Optional[datetime]]

# How many proxies are asked for before a request is refused: each has cost a selection.
_MOST_TRIED = 16
# When to ask a limiter again that does not say, in seconds.
_ASK_AGAIN = 0.05


class LimiterGate:
    """Lets a lease pass when the limiter grants it.

    Args:
        limiter: What :func:`limiter_of` returned.
        waits: Whether a refused request waits for its turn; otherwise it fails.
    """

    __slots__ = ("_admit", "_waits", "_would_refuse")

    def __init__(self, limiter: Any, *, waits: bool) -> None:
        self._admit = _admission_by(limiter)
        self._would_refuse = _foresight_of(limiter)
        self._waits = waits or bool(getattr(limiter, "delays", False))

    def lease(self, choose: Callable[[list[Any]], _core.Lease], *, sticky: bool = False) -> _core.Lease:
        """Take a lease that may be used.

        A proxy whose own limit is reached is passed over. One that is given back counts as never chosen.

        Args:
            choose: Takes a lease of a proxy that is none of the given ids.
            sticky: Whether no other proxy will do.

        Returns:
            The lease.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible, or worth waiting for.
            ProxyConnectionError: "Rate limit exceeded", from a limiter that refuses.
        """
        excluded: list[Any] = []
        refused: list[Refusal] = []
        while True:
            try:
                lease = choose(excluded)
            except ProxyPoolEmptyError:
                if not refused:
                    raise
                break
            try:
                refusal = self._admit(lease)
                if refusal is None:
                    return lease
            except BaseException:
                lease.release()
                raise
            excluded.append(lease.id)
            lease.release()
            refused.append(refusal)
            if sticky or refusal.scope == "global" or len(refused) >= _MOST_TRIED:
                break
        raise self._error(refused)

    def explain(self, rows: list[Row]) -> list[Row]:
        """Add ``no_tokens`` to the proxies that the limiter would refuse now; takes no token.

        Args:
            rows: Proxy, reasons against it, and until when.
        """
        refuses = self._would_refuse
        if refuses is None:
            return rows
        now = datetime.now(timezone.utc)
        found = []
        for proxy, reasons, until in rows:
            wait = refuses(proxy._key())
            if wait is None or "no_tokens" in reasons:
                found.append((proxy, reasons, until))
                continue
            free = now + timedelta(seconds=wait)
            # Known only where every other reason has an end, too.
            last = max(until or free, free) if until is not None or not reasons else None
            found.append((proxy, [*reasons, "no_tokens"], last))
        return found

    def _error(self, refused: list[Refusal]) -> ProxyConnectionError | ProxyPoolEmptyError:
        soonest = min(refusal.retry_after for refusal in refused)
        whose = "of all proxies together" if refused[-1].scope == "global" else f"of {len(refused)} proxies"
        text = f"Rate limit exceeded: the limit {whose} allows the next request in {soonest:.3g} s"
        if self._waits:
            return ProxyPoolEmptyError(text, retry_after=soonest, reasons={"no_tokens": len(refused)})
        return ProxyConnectionError(text, retry_after=soonest)


def limiter_of(given: Any) -> Any:
    """The limiter that does the work, of whatever was given as ``rate_limiter``.

    Args:
        given: ``None``, a limiter of this package, or an object with ``acquire(proxy_id) -> bool``.

    Raises:
        TypeError: It is none of these.
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


def _foresight_of(limiter: Any) -> Callable[[str], float | None] | None:
    """What says for how many seconds a proxy would be refused, ``None`` for not at all; ``None`` if nothing can."""
    would_refuse = getattr(limiter, "would_refuse", None)
    return would_refuse if callable(would_refuse) else None


def _admission_by(limiter: Any) -> Callable[[_core.Lease], Refusal | None]:
    from proxywhirl.rate_limiting.limiter import RateLimiter, Refusal

    if limiter is None:
        return lambda lease: None
    if isinstance(limiter, RateLimiter):

        def admit(lease: _core.Lease) -> Refusal | None:
            return None if limiter.is_idle else limiter.admit(lease.proxy._key())

        return admit
    wait_time = getattr(limiter, "wait_time", None)

    def admit_by_other(lease: _core.Lease) -> Refusal | None:
        key = lease.proxy._key()
        if limiter.acquire(key):
            return None
        return Refusal("proxy", float(wait_time(key)) if callable(wait_time) else _ASK_AGAIN)

    return admit_by_other
