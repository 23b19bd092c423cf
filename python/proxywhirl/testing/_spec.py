"""What a proxy of a fleet is like, and how its behaviour is handed to the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from proxywhirl import _core


@dataclass(frozen=True)
class Drift:
    """A latency that moves in a straight line from one value to another, and stays there.

    Attributes:
        start: Milliseconds at the first request.
        end: Milliseconds from request number `requests` on.
        requests: Over how many requests, 1 or more.
    """

    start: float
    end: float
    requests: int


@dataclass(frozen=True)
class LogNormal:
    """A latency with a long tail, as real round trips have it.

    Attributes:
        median: Milliseconds; half of all requests are faster.
        sigma: Standard deviation of the logarithm, 0 to 5; 0.5 is a moderate tail.
    """

    median: float
    sigma: float = 0.5


@dataclass(frozen=True)
class Flap:
    """Up for a while, down for a while, and so on, beginning up.

    Attributes:
        up: How long the proxy works, 0 or more.
        down: How long it does not, 0 or more.
        unit: What both are measured in, `"requests"` or `"ms"` (since the behaviour was set).
    """

    up: int
    down: int
    unit: str = "requests"


Latency = Union[None, float, "tuple[float, float]", Drift, LogNormal]


@dataclass(frozen=True)
class ProxySpec:
    """One proxy of a fleet: what it speaks and how it behaves. The default is a perfect HTTP proxy.

    Attributes:
        name: What `/whoami` calls it, unique in its fleet; default `proxy-` and its index.
        scheme: `http` and `https` serve forwarded requests and CONNECT; `socks4`, `socks4a`, `socks5`, `socks5h`.
        auth: User name and password that it demands, at most 255 bytes each. SOCKS4 looks at the user only.
        address: Where it listens, an `IP:PORT` on loopback; default: any free port.
        latency: Milliseconds, `(lo, hi)` for anything between, `Drift` or `LogNormal`.
        fault: What goes wrong always: `refuse`, `hang`, `reset`, `cut`, or a status the proxy answers itself: `403`,
            `407`, `429`, `500`, `502`, `503`, `504`.
        cut_after: How many bytes of the body `cut` lets through; at most half of it where its length is known.
        fail_with: The fault that `fail_rate`, `fail_first` and `flap` fail with; default `502`.
        fail_rate: The probability, 0 to 1, with which an exchange fails; which ones follows from the fleet's seed.
        fail_first: So many exchanges fail before the proxy works.
        ban_after: After so many requests a site answers 403 and a captcha page: for every site, or by host name.
        ban_for: Seconds until a ban ends; default: when the behaviour is changed.
        rate_limit: `(requests, seconds)`: what exceeds them is answered 429 with `Retry-After`, by each site.
        flap: `(up, down)` in requests, or a `Flap`.
        country: A label for the test's own use.
        tags: Labels for the test's own use.

    Raises:
        TypeError: A field has the wrong type; the message begins with its name.
        ValueError: A field has a value out of its range; the message begins with its name.
    """

    name: str | None = None
    scheme: str = "http"
    auth: tuple[str, str] | None = field(default=None, repr=False)
    latency: Latency = None
    fault: str | None = None
    cut_after: int = 64
    fail_with: str = "502"
    fail_rate: float = 0.0
    fail_first: int = 0
    ban_after: int | Mapping[str, int] | None = None
    ban_for: float | None = None
    rate_limit: tuple[int, float] | None = None
    flap: tuple[int, int] | Flap | None = None
    country: str | None = None
    tags: Iterable[str] = frozenset()
    address: str | None = None

    def __post_init__(self) -> None:
        if self.country is not None and not isinstance(self.country, str):
            raise TypeError(f"country: expected a string, not {type(self.country).__name__}")
        if isinstance(self.tags, str):
            raise TypeError("tags: expected several strings, not one")
        tags = frozenset(self.tags)
        if not all(isinstance(tag, str) for tag in tags):
            raise TypeError("tags: expected strings")
        object.__setattr__(self, "tags", tags)
        _core.check_fleet_proxy(self._plain())

    def _plain(self) -> dict[str, Any]:
        """The values in the form that the native module takes."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        for name in ("auth", "rate_limit"):
            if isinstance(plain[name], list):
                plain[name] = tuple(plain[name])
        plain["latency"] = _latency(self.latency)
        plain["flap"] = _flap(self.flap)
        if isinstance(self.ban_after, Mapping):
            plain["ban_after"] = dict(self.ban_after)
        return plain

    @classmethod
    def fast(cls, **fields: Any) -> ProxySpec:
        """A proxy that answers within 1 to 3 ms; `fields` go before its own."""
        return cls(**{"latency": (1.0, 3.0), **fields})

    @classmethod
    def slow(cls, **fields: Any) -> ProxySpec:
        """A proxy with a median of 60 ms and a tail."""
        return cls(**{"latency": LogNormal(60.0, 0.3), **fields})

    @classmethod
    def flaky(cls, **fields: Any) -> ProxySpec:
        """A proxy that fails three times in ten with 502."""
        return cls(**{"latency": (2.0, 10.0), "fail_rate": 0.3, **fields})

    @classmethod
    def hanging(cls, **fields: Any) -> ProxySpec:
        """A proxy that accepts and never answers."""
        return cls(**{"fault": "hang", **fields})

    @classmethod
    def dead(cls, **fields: Any) -> ProxySpec:
        """A proxy whose port is closed."""
        return cls(**{"fault": "refuse", **fields})

    @classmethod
    def login(cls, **fields: Any) -> ProxySpec:
        """A fast proxy that wants a login."""
        return cls(**{"latency": (1.0, 3.0), "auth": ("demo", "s3cret"), **fields})


#: The fields of a `ProxySpec` that the native module knows.
_PLAIN = tuple(f.name for f in dataclasses.fields(ProxySpec) if f.name not in ("country", "tags"))
#: The fields of a `ProxySpec` that can be changed while it runs.
BEHAVIOUR = tuple(name for name in _PLAIN if name not in ("name", "scheme", "auth", "address"))


def _latency(latency: Latency) -> tuple[str, float, float, int] | None:
    # The twin of `latency` in src/py/fleet.rs.
    if latency is None:
        return None
    if isinstance(latency, Drift):
        return ("drift", latency.start, latency.end, latency.requests)
    if isinstance(latency, LogNormal):
        return ("lognormal", latency.median, latency.sigma, 0)
    if isinstance(latency, (tuple, list)):
        if len(latency) != 2:
            raise ValueError(f"latency: expected (lo, hi), not {len(latency)} values")
        return ("uniform", latency[0], latency[1], 0)
    if isinstance(latency, (int, float)):
        return ("fixed", latency, 0.0, 0)
    raise TypeError(f"latency: expected milliseconds, (lo, hi), Drift or LogNormal, not {type(latency).__name__}")


def _flap(flap: tuple[int, int] | Flap | None) -> tuple[int, int, str] | None:
    if flap is None:
        return None
    if isinstance(flap, Flap):
        return (flap.up, flap.down, flap.unit)
    if not isinstance(flap, (tuple, list)):
        raise TypeError(f"flap: expected (up, down) or Flap, not {type(flap).__name__}")
    if len(flap) != 2:
        raise ValueError(f"flap: expected (up, down), not {len(flap)} values")
    return (flap[0], flap[1], "requests")
