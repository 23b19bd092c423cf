"""Reports about a request, a proxy and a pool."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from datetime import datetime
from typing import Optional

from pydantic import Field

from proxywhirl._base.utc import utc_now
from proxywhirl._native.enums import HealthStatus
from proxywhirl._native.model.quiet import QuietModel


class RequestResult(QuietModel):
    """How one request ended.

    Attributes:
        url: Where it went.
        method: HTTP method.
        status_code: HTTP status.
        elapsed_ms: How long it took, in milliseconds.
        proxy_used: The proxy that carried it.
        attempts: How many attempts it took.
        headers: Headers of the answer.
        body: Text of the answer.
        error: What went wrong.
        timestamp: When it ended.
    """

    url: str
    method: str
    status_code: int
    elapsed_ms: float
    proxy_used: Optional[str] = None
    attempts: int = 1
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    body: Optional[str] = Field(default=None, repr=False)
    error: Optional[str] = None
    timestamp: datetime = Field(default_factory=utc_now)

    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300


class ProxyStatus(QuietModel):
    """State of one proxy.

    Attributes:
        url: Its URL.
        health: How usable it is.
        last_check: When it was last checked.
        response_time_ms: Its response time, in milliseconds.
        success_rate: Share of successful requests, 0 to 1.
        total_requests: Requests so far.
        failed_requests: Failed ones among them.
        is_active: Whether it may be chosen.
    """

    url: str
    health: HealthStatus
    last_check: Optional[datetime] = None
    response_time_ms: Optional[float] = None
    success_rate: float = 0.0
    total_requests: int = 0
    failed_requests: int = 0
    is_active: bool = True


class PoolSummary(QuietModel):
    """State of a pool.

    Attributes:
        total_proxies: Size of the pool.
        healthy: Proxies that work.
        degraded: Proxies that failed lately.
        failed: Proxies that are not used.
        rotation_strategy: Name of the strategy.
        current_index: Position of the rotation.
        proxies: State of each proxy.
    """

    total_proxies: int
    healthy: int
    degraded: int
    failed: int
    rotation_strategy: str
    current_index: int
    proxies: list[ProxyStatus] = Field(default_factory=list)
