"""The last word on a lease: limits that the core does not know."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rate_limiting.limiter import Refusal

__all__ = ["LimiterGate", "limiter_of"]

Row = tuple[Any, list[str], Optional[datetime]]

# When to ask a limiter again that does not say, in seconds.
_ASK_AGAIN = 0.05


class LimiterGate:
    """Lets a lease pass when the limiter grants it.

    Args:
        limiter: What :func:`limiter_of` returned.
        waits: Whether a refused request waits for its turn; otherwise it fails.
    """

    __slots__ = ("_would_refuse", "admit", "waits")

    def __init__(self, limiter: Any, *, waits: bool) -> None:
        self.admit = _admission_by(limiter)
        """Called with a lease; ``None``: it may be used, else why not, as scope and seconds."""
        self._would_refuse = _foresight_of(limiter)
        self.waits = waits or bool(getattr(limiter, "delays", False))
        """Whether a refused request waits for its turn."""

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
