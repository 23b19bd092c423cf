"""Bodies of aiohttp that may be sent again."""

from __future__ import annotations

import copy
import io
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import aiohttp

from proxywhirl.integrations._lender import is_repeatable

__all__ = ["Body"]


class Body:
    """The body of a request, by its arguments: what each attempt is given, and whether another may follow.

    Texts, bytes, JSON and forms of those can be sent any number of times; a file as long as nothing of it has been
    read, an asynchronous iterator as long as nothing has been taken from it. Anything else is sent once.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        data = arguments.get("data")
        self._data = data
        self._is_used = False
        self._is_repeatable = is_repeatable(data)
        self._start = _position(data)
        self._form: aiohttp.FormData | None = None
        if isinstance(data, aiohttp.FormData):
            try:
                # A form with files in it cannot be copied.
                self._form = copy.deepcopy(data)
                self._is_repeatable = True
            except TypeError:
                self._form = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of one attempt."""
        if self._form is not None:
            return {**self._arguments, "data": copy.deepcopy(self._form)}
        if isinstance(self._data, AsyncIterable):
            return {**self._arguments, "data": self._once(self._data)}
        self._is_used = self._start is None
        return dict(self._arguments)

    @property
    def is_fresh(self) -> bool:
        """Whether the whole of it can be sent in another attempt."""
        if self._is_repeatable:
            return True
        if self._start is not None:
            return _position(self._data) == self._start
        return not self._is_used

    async def _once(self, data: AsyncIterable[Any]) -> AsyncIterator[Any]:
        self._is_used = True
        async for chunk in data:
            yield chunk


def _position(data: Any) -> int | None:
    """Where a file stands; ``None`` for what is no open file, or has no position."""
    if not isinstance(data, io.IOBase) or data.closed or not data.seekable():
        return None
    return data.tell()
