"""What the small pydantic models have in common."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from pydantic import BaseModel

from proxywhirl._redact import scrub_value

__all__ = ["QuietModel", "utc_now"]


def utc_now() -> datetime:
    """The current time, aware and in UTC."""
    return datetime.now(timezone.utc)


class QuietModel(BaseModel):
    """A model whose ``repr`` and ``str`` hide the credentials of every URL in it."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if isinstance(value, BaseModel) or value is None or isinstance(value, (bool, int, float)):
                yield name, value
            elif "://" in (text := str(value)):
                # URL objects of pydantic are not strings; showing their scrubbed text loses nothing.
                yield name, scrub_value(value if isinstance(value, (str, list, tuple, dict, set)) else text)
            else:
                yield name, value
