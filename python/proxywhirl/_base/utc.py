"""The time of day."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """The current time, aware and in UTC."""
    return datetime.now(timezone.utc)


def aware(moment: datetime) -> datetime:
    """A time; one without a zone is taken for UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
