"""Enumerations of the public interface; pure standard library, so importing them costs nothing.

All of them are ``str`` enumerations: a member equals its value. Values are accepted in any case, with ``-``
for ``_``, and by member name, because configuration files and saved pools write them in several ways.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BackoffStrategy",
    "CircuitBreakerState",
    "Doubt",
    "HealthStatus",
    "Outcome",
    "ProxyFormat",
    "ProxySource",
    "RenderMode",
    "RetryOutcome",
    "ValidationLevel",
]


class _TextEnum(str, Enum):
    """A ``str`` enumeration with a forgiving constructor."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not a valid {cls.__qualname__}")  # noqa: TRY004
        wanted = value.strip().casefold().replace("-", "_")
        for name, member in cls.__members__.items():  # includes aliases such as ValidationLevel.MEDIUM
            if wanted in (str.__str__(member), name.casefold()):
                return member
        # The message of Python's own quotes whatever was given.
        raise ValueError(f"{shown(value)} is not a valid {cls.__qualname__}") from None

    def __format__(self, format_spec: str) -> str:
        # Python changed what an f-string shows for such members in 3.12; the value is the stable answer.
        return str.__format__(str.__str__(self), format_spec)


class HealthStatus(_TextEnum):
    """How usable a proxy is, judged by its last results."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    DEAD = "dead"


class ProxySource(_TextEnum):
    """Where a proxy came from."""

    USER = "user"
    FETCHED = "fetched"
    API = "api"
    FILE = "file"


class ProxyFormat(_TextEnum):
    """How a list of proxies is written."""

    JSON = "json"
    CSV = "csv"
    TSV = "tsv"
    PLAIN_TEXT = "plain_text"
    HTML_TABLE = "html_table"
    CUSTOM = "custom"


class RenderMode(_TextEnum):
    """How the page of a proxy source is loaded."""

    STATIC = "static"
    JAVASCRIPT = "javascript"
    AUTO = "auto"
    BROWSER = "browser"

    @property
    def needs_browser(self) -> bool:
        """Whether the page is always rendered by a browser; ``BROWSER`` means the same as ``JAVASCRIPT``."""
        return self in (RenderMode.JAVASCRIPT, RenderMode.BROWSER)


class ValidationLevel(_TextEnum):
    """How much of a proxy is checked before it is trusted.

    ``BASIC`` (also called ``MEDIUM``) checks form and TCP, ``STANDARD`` adds a request, ``FULL`` adds anonymity.
    """

    BASIC = "basic"
    STANDARD = "standard"
    FULL = "full"
    MEDIUM = "basic"  # the documented second name of BASIC


class CircuitBreakerState(_TextEnum):
    """State of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BackoffStrategy(_TextEnum):
    """How the pause between attempts grows."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"


class RetryOutcome(_TextEnum):
    """How one attempt of a request ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CIRCUIT_OPEN = "circuit_open"


class Outcome(_TextEnum):
    """What happened to a request, and so what it says about the proxy, the site or the caller."""

    SUCCESS = "success"
    """An answer the site meant."""
    PROXY_DOWN = "proxy_down"
    """The proxy refused, was unreachable, broke the handshake, or timed out before the first byte."""
    PROXY_AUTH = "proxy_auth"
    """The proxy refused the credentials, or the quota behind them is used up."""
    BANNED = "banned"
    """The site refuses this proxy."""
    RATE_LIMITED = "rate_limited"
    """The site asks this proxy to slow down."""
    TARGET_FAULT = "target_fault"
    """The site is in trouble, through any proxy."""
    CLIENT_FAULT = "client_fault"
    """The request itself was at fault, or the caller gave up."""


class Doubt(_TextEnum):
    """Instead of an :class:`Outcome`: what the core decides by evidence from other attempts."""

    AMBIGUOUS = "ambiguous"
    """The failure may be the proxy's as well as the site's."""


AMBIGUOUS = Doubt.AMBIGUOUS
