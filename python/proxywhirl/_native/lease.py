"""What leases need at their end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def note_error(proxy: Any, error: Any) -> None:
    """Keep what a failed request said with the proxy: the last ten, without credentials."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    proxy._note_error(text)


class ready:  # noqa: N801 - used like a function
    """An awaitable that has its value already."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value
        yield
