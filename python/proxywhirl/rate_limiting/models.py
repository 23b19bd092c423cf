"""How much is allowed, and what was refused."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from datetime import datetime
from typing import Any, Optional

from pydantic import ConfigDict, Field

from proxywhirl._base.utc import utc_now
from proxywhirl._native.model.quiet import QuietModel

__all__ = ["RateLimit", "RateLimitEvent"]


class RateLimit(QuietModel):
    """So many requests in so much time.

    Attributes:
        max_requests: Requests per window, at least 1; they come back one by one, evenly over the window.
        time_window: Length of the window in seconds, above 0.
        burst_allowance: How many may go at once after a rest, at least 1; ``max_requests`` by default.
    """

    model_config = ConfigDict(frozen=True)

    max_requests: int = Field(ge=1)
    time_window: float = Field(gt=0.0, allow_inf_nan=False)
    burst_allowance: Optional[int] = Field(default=None, ge=1)

    @property
    def burst(self) -> int:
        """How many may go at once after a rest."""
        return self.max_requests if self.burst_allowance is None else self.burst_allowance


class RateLimitEvent(QuietModel):
    """Something that happened to a limiter.

    Attributes:
        timestamp: When, UTC.
        proxy_id: Id of the proxy concerned.
        event_type: ``"exceeded"`` (a request was refused) or ``"limit_changed"``.
        details: ``scope`` (``"global"`` or ``"proxy"``) and ``retry_after`` in seconds, or the new limit.
    """

    model_config = ConfigDict(frozen=True)

    timestamp: datetime = Field(default_factory=utc_now)
    proxy_id: str
    event_type: str
    details: dict[str, Any] = Field(default_factory=dict)
