"""Keywords about admission and resilience, turned into what the pool is configured with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl._redact import shown

if TYPE_CHECKING:
    from proxywhirl._resilience_config import ResilienceConfig

__all__ = ["guard_settings", "rate_of"]


def guard_settings(
    *,
    max_in_flight: int | None = None,
    slow_start: bool | None = None,
    site_rate_limit: Any = None,
    resilience: ResilienceConfig | None = None,
) -> dict[str, Any]:
    """The settings that were given, by the names of ``ProxyPool._guard_configure``.

    Args:
        max_in_flight: Most requests under way per proxy, at least 1.
        slow_start: Whether an unproven or recovering proxy gets one, then two, then four requests at a time.
        site_rate_limit: A ``RateLimit`` for each pair of proxy and site.
        resilience: Further settings.

    Returns:
        Settings to configure the pool with; empty when nothing was given.

    Raises:
        ValueError: ``max_in_flight`` is below 1, or the limit is out of range.
        TypeError: An argument of the wrong type.
    """
    settings: dict[str, Any] = {}
    if resilience is not None:
        from proxywhirl._resilience_config import ResilienceConfig

        if not isinstance(resilience, ResilienceConfig):
            raise TypeError(f"resilience must be a ResilienceConfig, not {type(resilience).__name__}")
        settings.update(resilience.settings())
    if max_in_flight is not None:
        if isinstance(max_in_flight, bool) or not isinstance(max_in_flight, int):
            raise TypeError(f"max_in_flight must be a whole number, not {shown(max_in_flight)}")
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {max_in_flight}")
        settings["max_in_flight"] = max_in_flight
    if slow_start is not None:
        settings["slow_start"] = bool(slow_start)
    if site_rate_limit is not None:
        settings["site_rate"] = rate_of(site_rate_limit)
    return settings


def rate_of(limit: Any) -> tuple[int, float, int | None]:
    """A rate limit as the core takes it.

    Args:
        limit: A ``RateLimit``.

    Returns:
        Requests, seconds, and the burst beyond them.

    Raises:
        TypeError: It is none.
        ValueError: A number is not above 0.
    """
    try:
        requests, seconds = limit.max_requests, limit.time_window
    except AttributeError:
        raise TypeError(f"a RateLimit is needed, not {type(limit).__name__}") from None
    if not requests > 0 or not seconds > 0:
        raise ValueError(f"a rate limit needs numbers above 0, not {requests} requests in {seconds} s")
    return requests, float(seconds), getattr(limit, "burst_allowance", None)
