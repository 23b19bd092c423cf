"""Events, their names, and what they say of a proxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import redact_url, scrub_text, scrub_value, shown

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

EVENTS = (
    "proxy_selected",
    "request_success",
    "request_failure",
    "request_complete",
    "request_released",
    "proxy_health_check",
    "proxy_removed",
    "fetch_complete",
    "strategy_changed",
    "circuit_breaker",
    "proxy_benched",
    "proxy_rested",
    "proxy_revived",
    "panic_guard",
)
"""The names of all events; each may also be written with ``on_`` in front."""


class ProxyView:
    """A proxy as an event shows it: ``url`` is without credentials, nothing can be assigned.

    Everything else is read from the proxy itself, and so is up to date rather than as it was when the event happened.

    Args:
        proxy: The proxy.
    """

    __slots__ = ("_proxy",)

    def __init__(self, proxy: Proxy) -> None:
        object.__setattr__(self, "_proxy", proxy)

    @property
    def url(self) -> str:
        """The URL without credentials."""
        proxy: Proxy = self._proxy
        return redact_url(proxy.url)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_proxy"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"the proxy of an event is a view: {name!r} cannot be set on it")

    def __eq__(self, other: object) -> bool:
        other_id = getattr(other, "id", None)
        return other_id is not None and bool(self._proxy.id == other_id)

    def __hash__(self) -> int:
        return hash(self._proxy.id)

    def __repr__(self) -> str:
        return repr(self._proxy)


@dataclass(frozen=True)
class ProxyEvent:
    """Something that happened. Nothing in it shows a credential.

    Attributes:
        name: Which of :data:`EVENTS`.
        proxy: The proxy concerned; its ``url`` is without credentials.
        success: Whether it went well, for results of requests and checks.
        error: What went wrong: the exception, or a text.
        duration_ms: How long it took, in milliseconds.
        url: The target, its credentials and secret parameters hidden.
        method: HTTP method.
        status_code: HTTP status.
        strategy: Name of the strategy that chose the proxy.
        attempt: Which attempt of the request this was, from 1.
        timestamp: When it happened, in UTC.
        metadata: Further facts: ``outcome`` and ``site`` of a request, ``from`` and ``to`` of a breaker.
    """

    name: str
    proxy: ProxyView | None = None
    success: bool | None = None
    error: BaseException | str | None = None
    duration_ms: float | None = None
    url: str | None = None
    method: str | None = None
    status_code: int | None = None
    strategy: str | None = None
    attempt: int | None = None
    timestamp: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        proxy: Any = self.proxy
        if proxy is not None and not isinstance(proxy, ProxyView):
            object.__setattr__(self, "proxy", ProxyView(proxy))
        if self.url is not None:
            object.__setattr__(self, "url", redact_url(self.url))
        if self.error is not None:
            text = str(self.error)
            clean = scrub_text(text)
            # An exception whose text gives something away cannot be handed on, only what it says otherwise.
            if clean != text:
                object.__setattr__(self, "error", clean)
        if self.metadata:
            object.__setattr__(self, "metadata", scrub_value(self.metadata))


def checked_name(event: str) -> str:
    """The name of an event without its ``on_``.

    Args:
        event: The name.

    Returns:
        One of :data:`EVENTS`.

    Raises:
        ValueError: There is no such event.
    """
    name = event[3:] if isinstance(event, str) and event.startswith("on_") else event
    if name not in EVENTS:
        raise ValueError(f"Unknown event {shown(event)}: known are {', '.join(EVENTS)}")
    return name
