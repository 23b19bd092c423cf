"""Settings of the resilience machinery beyond the documented keywords, as one object."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Callable, Optional, Union

from proxywhirl._redact import shown

__all__ = ["ResilienceConfig"]


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

    rest_base: float = 10.0
    rest_cap: float = 300.0
    bench_base: float = 300.0
    bench_cap: float = 3600.0
    panic_share: float = 0.5
    panic_window: float = 10.0
    max_standings: int = 100_000
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
