"""Settings of admission and resilience: the object that users hand over, and what the pool is configured with."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Callable, Optional, Union

from proxywhirl._core import guard_defaults
from proxywhirl._native.redact import shown

__all__ = ["ResilienceConfig", "guard_settings", "rate_of"]

_DEFAULTS = guard_defaults()


@dataclass(frozen=True)
class ResilienceConfig:
    """How long proxies rest and stay benched, and when the panic guard acts.

    Handed to a rotator or a transport as ``resilience=``. Immutable, so it may be shared by rotators and threads.

    Args:
        rest_base: Seconds of the first rest of a proxy that does not carry requests; each further one in a row doubles.
        rest_cap: Longest rest in seconds, at least ``rest_base``; also of a proxy at one site where it fails, where a
            minute is the most.
        bench_base: Seconds of the first benching of a proxy at a site that refuses it; each further one doubles.
        bench_cap: Longest benching in seconds, at least ``bench_base``.
        panic_share: Share of a pool, above 0 and up to 1, that failures may take out of service while nothing succeeds.
        panic_window: Seconds without any success after which the panic guard acts.
        max_standings: Most pairs of proxy and site that are remembered; the least recent go first.
        site_key: What counts as one site: ``None`` for the registrable domain of the target, a string that stands for
            every target, or a function of the target's URL.

    Raises:
        ValueError: A number out of its range.
        TypeError: ``site_key`` is none of these.
    """

    rest_base: float = _DEFAULTS["rest_base"]
    rest_cap: float = _DEFAULTS["rest_cap"]
    bench_base: float = _DEFAULTS["bench_base"]
    bench_cap: float = _DEFAULTS["bench_cap"]
    panic_share: float = _DEFAULTS["panic_share"]
    panic_window: float = _DEFAULTS["panic_window"]
    max_standings: int = _DEFAULTS["max_standings"]
    site_key: Optional[Union[str, Callable[[str], str]]] = None

    def __post_init__(self) -> None:
        for name in ("rest_base", "rest_cap", "bench_base", "bench_cap", "panic_window"):
            value = getattr(self, name)
            if not _is_number(value) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"{name} must be a number of seconds above 0, not {shown(value)}")
        for kind in ("rest", "bench"):
            base, cap = getattr(self, f"{kind}_base"), getattr(self, f"{kind}_cap")
            if cap < base:
                raise ValueError(f"{kind}_cap must be at least {kind}_base ({base:g} s), not {cap:g} s")
        if not _is_number(self.panic_share) or not 0 < self.panic_share <= 1:
            raise ValueError(f"panic_share must be above 0 and at most 1, not {shown(self.panic_share)}")
        if not _is_number(self.max_standings) or self.max_standings != int(self.max_standings):
            raise ValueError(f"max_standings must be a whole number, not {shown(self.max_standings)}")
        if self.max_standings < 1:
            raise ValueError(f"max_standings must be at least 1, not {self.max_standings}")
        if self.site_key is not None and not isinstance(self.site_key, str) and not callable(self.site_key):
            raise TypeError(f"site_key must be a string or a function, not {type(self.site_key).__name__}")

    def settings(self) -> dict[str, Any]:
        """The settings by name, as the pool takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
