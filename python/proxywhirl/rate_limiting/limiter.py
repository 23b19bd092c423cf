"""Token buckets: one per proxy, and one for all of them.

A bucket lets a burst through and is refilled evenly; asking costs no timer, and none waits inside. Waiting is up to
the caller: a rotator delays the request, or takes another proxy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from proxywhirl import _core
from proxywhirl._native.redact import shown
from proxywhirl.rate_limiting.models import RateLimit, RateLimitEvent

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

__all__ = ["AsyncRateLimiter", "RateLimiter", "Refusal", "SyncRateLimiter"]

# Nanoseconds on a steady clock; None for the system's.
_clock: Callable[[], int] | None = None


class Refusal(NamedTuple):
    """Why a request may not go now."""

    scope: str
    """``"global"``: no proxy may carry one; ``"proxy"``: another proxy may."""
    retry_after: float
    """Seconds until asking again makes sense; another request may be first then."""


class RateLimiter:
    """How many requests a proxy, and all of them together, may carry; thread-safe.

    Two forms, distinguished by their arguments::

        RateLimiter(requests_per_second=10, burst_size=20)  # each proxy
        RateLimiter(global_limit=RateLimit(max_requests=100, time_window=60))  # all proxies together

    In a rotator the first form delays a request or sends it through another proxy; the second refuses it, or lets it
    wait in line with ``queue_enabled``. A rotator keeps the tokens of the first form with its pool: rotators that share
    a limiter of that form do not share its tokens, and :meth:`set_proxy_limit` holds there in addition.

    Args:
        requests_per_second: Requests a second for each proxy, above 0; fractions are fine.
        burst_size: How many may go at once after a rest, at least 1; one second's worth by default.
        global_limit: The limit of all proxies together.

    Raises:
        ValueError: A number out of its range, or both forms at once.
        TypeError: An argument of the wrong type.
    """

    def __init__(
        self,
        requests_per_second: float | RateLimit | None = None,
        burst_size: int | None = None,
        *,
        global_limit: RateLimit | None = None,
    ) -> None:
        if isinstance(requests_per_second, RateLimit):
            requests_per_second, global_limit = None, requests_per_second
        if global_limit is not None and not isinstance(global_limit, RateLimit):
            raise TypeError(f"global_limit must be a RateLimit, not {type(global_limit).__name__}")
        if requests_per_second is None:
            if burst_size is not None:
                raise ValueError("burst_size belongs to requests_per_second; a RateLimit has burst_allowance")
        else:
            if global_limit is not None:
                raise ValueError("either requests_per_second or global_limit: one delays, the other refuses")
            _check_rate(requests_per_second, burst_size)
        self.requests_per_second = requests_per_second
        """Requests a second for each proxy; ``None`` in the second form."""
        self.burst_size = burst_size
        """How many may go at once; ``None`` if it was not given."""
        self.global_limit = global_limit
        """The limit of all proxies together; ``None`` if there is none."""
        rate = self.rate
        self.buckets = _core.RateBuckets(
            None if rate is None else (rate[0], rate[1], float(rate[2])),
            None if global_limit is None else _numbers(global_limit),
            clock=_clock,
        )
        """The tokens, in the core."""

    def __repr__(self) -> str:
        if self.requests_per_second is not None:
            what = f"requests_per_second={self.requests_per_second:g}, burst_size={self._burst}"
        else:
            what = f"global_limit={self.global_limit!r}"
        return f"{type(self).__name__}({what})"

    @property
    def delays(self) -> bool:
        """Whether this is the form that delays rather than refuses."""
        return self.requests_per_second is not None

    @property
    def proxy_limits(self) -> dict[str, RateLimit]:
        """The limits set for single proxies, by proxy id: a copy."""
        return {key: _limit(*numbers) for key, numbers in self.buckets.own().items()}

    @property
    def events(self) -> list[RateLimitEvent]:
        """The latest refusals and changes, oldest first, 1,000 at most: a copy."""
        return [_event(*event) for event in self.buckets.events()]

    def set_proxy_limit(self, proxy_id: str | UUID, limit: RateLimit | None) -> None:
        """Give one proxy a limit of its own; it starts with a full bucket.

        Args:
            proxy_id: Id of the proxy.
            limit: The limit, instead of what holds for each; ``None`` takes it away.

        Raises:
            TypeError: ``limit`` is no ``RateLimit``.
        """
        if limit is not None and not isinstance(limit, RateLimit):
            raise TypeError(f"a limit is a RateLimit, not {type(limit).__name__}")
        self.buckets.set_own(str(proxy_id), None if limit is None else _numbers(limit))

    def check_limit(self, proxy_id: str | UUID) -> bool:
        """As :meth:`acquire`: takes a token if there is one. :meth:`would_allow` only looks.

        Args:
            proxy_id: Id of the proxy.

        Returns:
            Whether the request may go; if not, nothing was taken.
        """
        return self.acquire(proxy_id)

    def would_allow(self, proxy_id: str | UUID) -> bool:
        """Whether a request through this proxy might go now; takes nothing.

        Args:
            proxy_id: Id of the proxy.
        """
        return self.buckets.wait_time(str(proxy_id)) == 0.0

    def acquire(self, proxy_id: str | UUID) -> bool:
        """Let a request through this proxy go, if it may; never waits.

        Args:
            proxy_id: Id of the proxy.

        Returns:
            Whether it may go; if not, nothing was taken.
        """
        return self.buckets.acquire(str(proxy_id))

    def wait_time(self, proxy_id: str | UUID) -> float:
        """How long until a request through this proxy may go, without other requests.

        Args:
            proxy_id: Id of the proxy.

        Returns:
            Seconds; 0.0 if it may go now.
        """
        return self.buckets.wait_time(str(proxy_id))

    def admit(self, proxy_id: str) -> Refusal | None:
        """As :meth:`acquire`, for a rotator, which keeps the tokens of ``requests_per_second`` itself.

        Args:
            proxy_id: Id of the proxy.

        Returns:
            ``None``: it may go; else why not.
        """
        refused = self.buckets.admit(proxy_id)
        return None if refused is None else Refusal(*refused)

    def would_refuse(self, proxy_id: str) -> float | None:
        """What :meth:`admit` would say, taking nothing.

        Args:
            proxy_id: Id of the proxy.

        Returns:
            Seconds until asking again makes sense; ``None`` where the request may go now.
        """
        return self.buckets.would_refuse(proxy_id)

    @property
    def is_idle(self) -> bool:
        """Whether :meth:`admit` has nothing to look at."""
        return self.buckets.is_idle

    @property
    def rate(self) -> tuple[int, float, int] | None:
        """``requests_per_second`` as requests, seconds and burst; ``None`` in the second form."""
        rate = self.requests_per_second
        return None if rate is None else (1, 1.0 / rate, self._burst)

    @property
    def _burst(self) -> int:
        if self.burst_size is not None:
            return self.burst_size
        return max(1, math.ceil(self.requests_per_second or 0))


SyncRateLimiter = RateLimiter
"""The name that goes with :class:`AsyncRateLimiter`."""


class AsyncRateLimiter:
    """As :class:`RateLimiter`, with coroutines; safe for threads and for tasks of any event loop.

    None of them waits: they are coroutines for the sake of code that awaits them.

    Args:
        requests_per_second: As for :class:`RateLimiter`.
        burst_size: As for :class:`RateLimiter`.
        global_limit: As for :class:`RateLimiter`.
    """

    def __init__(
        self,
        requests_per_second: float | RateLimit | None = None,
        burst_size: int | None = None,
        *,
        global_limit: RateLimit | None = None,
    ) -> None:
        self.limiter = RateLimiter(requests_per_second, burst_size, global_limit=global_limit)
        """The limiter behind it."""

    def __repr__(self) -> str:
        return f"Async{self.limiter!r}"

    async def set_proxy_limit(self, proxy_id: str | UUID, limit: RateLimit | None) -> None:
        """As :meth:`RateLimiter.set_proxy_limit`."""
        self.limiter.set_proxy_limit(proxy_id, limit)

    async def check_limit(self, proxy_id: str | UUID) -> bool:
        """As :meth:`RateLimiter.check_limit`."""
        return self.limiter.check_limit(proxy_id)

    async def would_allow(self, proxy_id: str | UUID) -> bool:
        """As :meth:`RateLimiter.would_allow`."""
        return self.limiter.would_allow(proxy_id)

    async def acquire(self, proxy_id: str | UUID) -> bool:
        """As :meth:`RateLimiter.acquire`."""
        return self.limiter.acquire(proxy_id)

    async def wait_time(self, proxy_id: str | UUID) -> float:
        """As :meth:`RateLimiter.wait_time`."""
        return self.limiter.wait_time(proxy_id)


def _check_rate(rate: Any, burst: Any) -> None:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise TypeError(f"requests_per_second must be a number, not {type(rate).__name__}")
    if not math.isfinite(rate) or rate <= 0:
        raise ValueError(f"requests_per_second must be above 0, not {shown(rate)}")
    if burst is None:
        return
    if isinstance(burst, bool) or not isinstance(burst, int):
        raise TypeError(f"burst_size must be a whole number, not {type(burst).__name__}")
    if burst < 1:
        raise ValueError(f"burst_size must be at least 1, not {burst}")


def _numbers(limit: RateLimit) -> tuple[float, float, float | None]:
    return (limit.max_requests, limit.time_window, limit.burst_allowance)


def _limit(requests: float, seconds: float, burst: float | None) -> RateLimit:
    return RateLimit(
        max_requests=int(requests), time_window=seconds, burst_allowance=None if burst is None else int(burst)
    )


def _event(at: datetime, proxy_id: str, scope: str | None, what: Any) -> RateLimitEvent:
    """An event of the core's: a refusal where there is a scope, else a change."""
    if scope is not None:
        kind, details = "exceeded", {"scope": scope, "retry_after": what}
    else:
        kind, details = "limit_changed", {"limit": None if what is None else _limit(*what).model_dump()}
    return RateLimitEvent(timestamp=at, proxy_id=proxy_id, event_type=kind, details=details)
