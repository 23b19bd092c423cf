"""A sticky session whose life is prolonged by use."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import Field

from proxywhirl._base.utc import aware, utc_now
from proxywhirl._native.model.quiet import QuietModel


class ProxySession(QuietModel):
    """A session bound to a proxy; it ends ``timeout_seconds`` after its last use.

    Attributes:
        session_id: Name of the session.
        proxy_id: Id of the proxy.
        created_at: When it was made.
        last_accessed: When it was last used.
        timeout_seconds: How long it outlives its last use.
        request_count: How often it was used.
    """

    session_id: str
    proxy_id: UUID
    created_at: datetime = Field(default_factory=utc_now)
    last_accessed: datetime = Field(default_factory=utc_now)
    timeout_seconds: int = Field(default=1800, gt=0)
    request_count: int = Field(default=0, ge=0)

    @property
    def is_expired(self) -> bool:
        """Whether more than ``timeout_seconds`` have passed since the last use."""
        return utc_now() > aware(self.last_accessed) + timedelta(seconds=self.timeout_seconds)

    def touch(self) -> None:
        """Note a use: the life of the session starts anew."""
        self.last_accessed = utc_now()
        self.request_count += 1
