"""Content codings undone with a bound on what comes out, by the core.

A few kilobytes of gzip unpack to a gigabyte, and the decoders of httpx return whatever one piece of input unpacks to.
"""

from __future__ import annotations

from proxywhirl._core import BodyDecoder
from proxywhirl._httpx.library import core

# As good as no bound.
_MOST = 2**62


def too_large(most: float, *, packed: bool) -> Exception:
    """The error of a body beyond its bound."""
    error: Exception = core().RemoteProtocolError(excess(most, packed=packed))
    return error


def excess(most: float, *, packed: bool) -> str:
    """What is said of a body beyond its bound."""
    what = "the body" if packed else "the unpacked body"
    return f"{what} has more than {most:.0f} bytes: give max_body= another bound, or read it with stream()"


def coding_of(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The values of ``Content-Encoding``; empty where there is no coding that can be undone."""
    found = [value for name, value in headers if len(name) == 16 and name.lower() == b"content-encoding"]
    return found if found and BodyDecoder(found).is_needed else []


class Unpacker:
    """Undoes the codings that :func:`coding_of` returned, piece by piece."""

    __slots__ = ("_decoder", "_may_be_cut_off")

    def __init__(self, values: list[bytes]) -> None:
        self._decoder = BodyDecoder(values)
        # Like httpx and browsers, most codings pass what ends early.
        self._may_be_cut_off = not any(b"zstd" in value.lower() for value in values)

    def feed(self, data: bytes, most: float) -> bytes:
        """What comes out of some more data, ``most`` bytes at the most.

        Raises ``RemoteProtocolError`` (more comes out), ``ValueError`` (the data are not what they are said to be).
        """
        content = self._decoder.feed(data, int(min(most, _MOST)))
        if content is None:
            raise too_large(most, packed=False)
        return content

    def end(self) -> None:
        """Tell that there is no more. Raises ``ValueError`` (something is missing)."""
        if not self._may_be_cut_off:
            try:
                self._decoder.end()
            except ValueError as error:
                raise ValueError(f"the body ends early: {error}") from None
