"""What the small pydantic models have in common."""

from __future__ import annotations

from datetime import datetime, timezone

from proxywhirl._model._quiet import QuietModel

__all__ = ["QuietModel", "utc_now"]


def utc_now() -> datetime:
    """The current time, aware and in UTC."""
    return datetime.now(timezone.utc)
