"""Counters of one proxy as a plain model."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Optional
from uuid import UUID

from pydantic import BaseModel, Field

from proxywhirl._base.utc import aware, utc_now
from proxywhirl._core import moving_average
from proxywhirl._native.model.quiet import QuietModel

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _AcceptsLiveViews(ModelMetaclass):
    """Lets the live views that rotators hand out count as instances.

    They are native objects over the proxy's own counters, so they cannot inherit from a pydantic model.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        from proxywhirl import _core

        # Of this class only: a view has none of the fields that a subclass adds.
        return cls is ProxyMetadata and isinstance(instance, _core.ProxyMetadataView)


class ProxyMetadata(QuietModel, metaclass=_AcceptsLiveViews):
    """Counters of one proxy, on their own, for tests of strategies.

    Strategies used by a rotator get live views of the proxies' own counters, which have the same members and count
    as instances of this class. This model belongs to one thread.

    Attributes:
        proxy_id: Id of the proxy.
        requests_started: Requests begun.
        requests_completed: Requests ended.
        requests_successful: Requests ended well.
        requests_failed: Requests ended badly.
        requests_active: Requests under way.
        ema_response_time_ms: Exponential moving average of the response times of successful requests.
        ema_alpha: Weight of the newest response time, 0 to 1.
        last_updated: Time of the last change.
        request_window: Requests begun, by minute.
        window_duration_seconds: Length of the sliding window.
    """

    proxy_id: UUID
    requests_started: int = Field(default=0, ge=0)
    requests_completed: int = Field(default=0, ge=0)
    requests_successful: int = Field(default=0, ge=0)
    requests_failed: int = Field(default=0, ge=0)
    requests_active: int = Field(default=0, ge=0)
    ema_response_time_ms: Optional[float] = Field(default=None, ge=0.0)
    ema_alpha: float = Field(default=0.25, ge=0.0, le=1.0)
    last_updated: datetime = Field(default_factory=utc_now)
    request_window: dict[datetime, int] = Field(default_factory=dict)
    window_duration_seconds: int = Field(default=3600, gt=0)

    def increment_started(self) -> None:
        """Count the start of a request, in the current minute's bucket too."""
        now = utc_now()
        minute = now.replace(second=0, microsecond=0)
        self.requests_started += 1
        self.requests_active += 1
        self.request_window[minute] = self.request_window.get(minute, 0) + 1
        self.last_updated = now

    def record_completion(self, success: bool, response_time_ms: float) -> None:
        """Count the end of a request.

        Args:
            success: Whether it ended well. A failure leaves the average alone: a proxy that refuses at once is
                not a fast one.
            response_time_ms: How long it took, in milliseconds.
        """
        self.requests_completed += 1
        self.requests_active = max(0, self.requests_active - 1)
        if success:
            self.requests_successful += 1
            self.ema_response_time_ms = moving_average(self.ema_response_time_ms, response_time_ms, self.ema_alpha)
        else:
            self.requests_failed += 1
        self._prune()
        self.last_updated = utc_now()

    @property
    def window_request_count(self) -> int:
        """Requests begun within the window."""
        self._prune()
        return sum(self.request_window.values())

    def _prune(self) -> None:
        oldest = utc_now() - timedelta(seconds=self.window_duration_seconds)
        for minute in [minute for minute in self.request_window if aware(minute) < oldest]:
            del self.request_window[minute]
