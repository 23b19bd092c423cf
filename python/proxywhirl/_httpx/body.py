"""Bodies within bounds: how large one may be, on the wire and unpacked.

A body that is read whole is unpacked here, once, as part of the attempt, so that one that cannot be unpacked is asked
for again through another proxy. A body left to the caller is unpacked by the response; where it has a bound, through a
decoder that counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.coding import Unpacker, coding_of, too_large
from proxywhirl._httpx.library import HttpLibrary, core

MOST_BODY = 64 * 1024 * 1024
"""Most bytes of a body that is read whole, where nothing else is said."""


class Gatherer:
    """Puts a body together that is read whole.

    Args:
        headers: The headers of the answer.
        most: Most bytes, on the wire and unpacked.
        allowance: Is notified of the progress.
    """

    __slots__ = ("_allowance", "_headers", "_most", "_parts", "_size")

    def __init__(self, headers: list[tuple[bytes, bytes]], most: float, allowance: Allowance) -> None:
        self._headers = headers
        self._most = most
        self._allowance = allowance
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Take one more part.

        Raises ``RemoteProtocolError`` (the body is too large, or says that it is going to be).
        """
        count = len(part)
        if self._size and len(self._parts) == 1:
            # Only now: most bodies come in one part.
            announced = _length_of(self._headers)
            if announced is not None and announced > self._most:
                raise too_large(self._most, packed=True)
        self._size += count
        if self._size > self._most:
            raise too_large(self._most, packed=True)
        self._allowance.took(count)
        self._parts.append(part)

    def body(self) -> bytes:
        """The body as it came over the wire."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def content(self, body: bytes, kind: HttpLibrary) -> bytes:
        """The body without its content coding; itself where it has none.

        Raises ``RemoteProtocolError`` (it is too large), ``Exception`` (the package's ``DecodingError``).
        """
        if not body:
            return body
        try:
            codings = coding_of(self._headers)
            if not codings:
                return body
            unpacker = Unpacker(codings)
            content = unpacker.feed(body, self._most)
            unpacker.end()
        except ValueError as error:
            raise kind.error("DecodingError", str(error)) from error
        return content


def _length_of(headers: list[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length" and value.isdigit():
            # More digits than any size has are not computed.
            return int(value[:20])
    return None


def counted(stream: Any, most: float) -> Iterator[bytes]:
    """The parts of a body left to the caller, up to a bound. Raises ``RemoteProtocolError`` (the body is larger)."""
    size = 0
    for part in stream:
        size += len(part)
        if size > most:
            raise too_large(most, packed=True)
        yield part


async def counted_async(stream: Any, most: float) -> AsyncIterator[bytes]:
    """As :func:`counted`, without blocking."""
    size = 0
    async for part in stream:
        size += len(part)
        if size > most:
            raise too_large(most, packed=True)
        yield part


class _Preset:
    """A decoder for a response whose content is known already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def decode(self, data: bytes) -> bytes:
        """Nothing: the content comes at the end."""
        return b""

    def flush(self) -> bytes:
        """The content."""
        content, self._content = self._content, b""
        return content


class _Counting:
    """A decoder that stops at a bound; its errors are of the package of the response, which expects no others."""

    def __init__(self, unpacker: Unpacker, most: float, kind: HttpLibrary) -> None:
        self._unpacker = unpacker
        self._kind = kind
        self._most = most
        self._left = most

    def decode(self, data: bytes) -> bytes:
        """What comes out of some more data."""
        try:
            content = self._unpacker.feed(data, self._left)
        except ValueError as error:
            raise self._kind.error("DecodingError", str(error)) from error
        except core().RemoteProtocolError:
            raise self._kind.error("RemoteProtocolError", str(too_large(self._most, packed=False))) from None
        self._left -= len(content)
        return content

    def flush(self) -> bytes:
        """The end: nothing is held back."""
        try:
            self._unpacker.end()
        except ValueError as error:
            raise self._kind.error("DecodingError", str(error)) from error
        return b""


class _InPieces:
    """A decoder as httpx2 wants it: what comes out is an iterable of pieces."""

    def __init__(self, inner: _Preset | _Counting) -> None:
        self._inner = inner

    def decode(self, data: bytes) -> tuple[bytes, ...]:
        """What comes out of some more data."""
        return _pieces(self._inner.decode(data))

    def flush(self) -> tuple[bytes, ...]:
        """What is still inside."""
        return _pieces(self._inner.flush())


def _pieces(content: bytes) -> tuple[bytes, ...]:
    return (content,) if content else ()


def preset_decoder(response: Any, content: bytes, kind: HttpLibrary) -> None:
    """Give a response the content of its body, so that it does not unpack it once more.

    httpx keeps the decoder of a response in an attribute, and makes one if there is none. A package without it would
    unpack the body itself: slower, and right all the same.
    """
    _set_decoder(response, _Preset(content), kind)


def bound_decoder(response: Any, headers: list[tuple[bytes, bytes]], most: float, kind: HttpLibrary) -> None:
    """Bound what a response unpacks when the caller reads it."""
    try:
        codings = coding_of(headers)
        unpacker = Unpacker(codings) if codings else None
    except ValueError as error:
        raise kind.error("DecodingError", str(error)) from error
    if unpacker is not None:
        _set_decoder(response, _Counting(unpacker, most, kind), kind)


def _set_decoder(response: Any, decoder: _Preset | _Counting, kind: HttpLibrary) -> None:
    if kind.decodes_to_bytes is not None:
        response._decoder = decoder if kind.decodes_to_bytes else _InPieces(decoder)
