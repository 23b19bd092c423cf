"""Bodies that may be sent again."""

from __future__ import annotations

import copy
import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Body"]


class Body:
    """The body of a request, by its arguments: what each attempt is given, and whether another may follow.

    Texts, bytes, numbers, and mappings and lists of them can be sent any number of times; a file as long as nothing of
    it has been read, an iterator as long as nothing has been taken from it. Anything else is sent once.

    Args:
        arguments: Those of the request.
        names: The arguments that are bodies.
        forms: Classes of bodies that each attempt is given a copy of, where they can be copied.
    """

    def __init__(self, arguments: dict[str, Any], names: Iterable[str], forms: tuple[type, ...] = ()) -> None:
        self._arguments = arguments
        self._is_used = False
        self._bodies = {name: arguments[name] for name in names if not _is_repeatable(arguments.get(name))}
        self._starts = {name: _position(body) for name, body in self._bodies.items()}
        self._forms: dict[str, Any] = {}
        for name, body in list(self._bodies.items()):
            if isinstance(body, forms):
                try:
                    # One with files in it cannot be copied.
                    self._forms[name] = copy.deepcopy(body)
                    del self._bodies[name]
                except TypeError:
                    continue

    def arguments(self) -> dict[str, Any]:
        """The arguments of one attempt."""
        given = {**self._arguments, **{name: copy.deepcopy(form) for name, form in self._forms.items()}}
        for name, body in self._bodies.items():
            if self._starts[name] is not None:
                continue
            if isinstance(body, AsyncIterable):
                given[name] = self._once_async(body)
            elif isinstance(body, Iterator) and not hasattr(body, "read"):
                given[name] = self._once(body)
            else:
                self._is_used = True
        return given

    @property
    def is_fresh(self) -> bool:
        """Whether the whole of it can be sent in another attempt."""
        starts = ((self._bodies[name], start) for name, start in self._starts.items() if name in self._bodies)
        return not self._is_used and all(start is None or _position(body) == start for body, start in starts)

    def _once(self, body: Iterator[Any]) -> Iterator[Any]:
        self._is_used = True
        yield from body

    async def _once_async(self, body: AsyncIterable[Any]) -> AsyncIterator[Any]:
        self._is_used = True
        async for chunk in body:
            yield chunk


def _is_repeatable(body: Any) -> bool:
    if body is None or isinstance(body, (bytes, bytearray, memoryview, str, int, float)):
        return True
    if isinstance(body, Mapping):
        return all(map(_is_repeatable, body.values()))
    return isinstance(body, (list, tuple)) and all(map(_is_repeatable, body))


def _position(body: Any) -> int | None:
    """Where a file stands; ``None`` for what is no open file, or has no position."""
    if not isinstance(body, io.IOBase) or body.closed or not body.seekable():
        return None
    return body.tell()
