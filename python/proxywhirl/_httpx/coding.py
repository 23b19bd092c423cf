"""Content codings undone with a bound on what comes out.

A few kilobytes of gzip unpack to a gigabyte, and the decoders of httpx return whatever one piece of input unpacks to.
The codings known here are those that httpx knows: gzip and deflate always, br and zstd where their packages are there.
Anything else is left as it is, as httpx leaves it.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Optional

from proxywhirl._httpx.library import core

# Most that zlib takes as a bound.
_MOST_ZLIB = 2**31 - 2
# A block of zstd is at most 128 kB out of four bytes (RFC 8878, 3.1.1.2.3), so a piece of input is at most 8 MB.
_ZSTD_PIECE = 256
# A metablock of brotli is at most 16 MB (RFC 7932, 9.2), out of some ten bytes. For releases that take no bound.
_BROTLI_PIECE = 32
_BROTLI_OUTPUT = 256 * 1024


def too_large(most: float, *, packed: bool) -> Exception:
    """The error of a body beyond its bound."""
    error: Exception = core().RemoteProtocolError(excess(most, packed=packed))
    return error


def excess(most: float, *, packed: bool) -> str:
    """What is said of a body beyond its bound."""
    what = "the body" if packed else "the unpacked body"
    return f"{what} has more than {most:.0f} bytes: give max_body= another bound, or read it with stream()"


def coding_of(headers: list[tuple[bytes, bytes]]) -> list[str]:
    """The content codings of an answer in the order they were applied, as far as they can be undone here."""
    found = [value for name, value in headers if len(name) == 16 and name.lower() == b"content-encoding"]
    if not found:
        return []
    names = (name.strip() for name in b",".join(found).decode("latin-1").lower().split(","))
    return [name for name in names if name in _LAYERS and _LAYERS[name].available()]


class Unpacker:
    """Undoes codings, piece by piece."""

    __slots__ = ("_layers",)

    def __init__(self, codings: list[str]) -> None:
        self._layers = [_LAYERS[name](name) for name in reversed(codings)]

    def feed(self, data: bytes, most: float) -> bytes:
        """What comes out of some more data.

        Args:
            data: The data.
            most: Most bytes that may come out.

        Raises:
            RemoteProtocolError: More comes out, of httpcore's.
            ValueError: The data are not what they are said to be.
        """
        for layer in self._layers:
            data = layer.feed(data, most)
        return data

    def end(self) -> None:
        """Tell that there is no more. Raises ``ValueError`` (something is missing)."""
        for layer in self._layers:
            layer.end()


class _Layer:
    """One coding."""

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def available(cls) -> bool:
        return True

    def feed(self, data: bytes, most: float) -> bytes:
        if not data:
            return b""
        try:
            return self._decode(data, most)
        except self.errors as error:
            raise ValueError(f"the body is not {self.name}: {error}") from error

    def end(self) -> None:
        """Nothing: like httpx and browsers, most codings pass what ends early."""

    def _decode(self, data: bytes, most: float) -> bytes:
        raise NotImplementedError


class _Gzip(_Layer):
    errors = (zlib.error,)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def _decode(self, data: bytes, most: float) -> bytes:
        # Zero would mean no bound.
        content = self._object.decompress(data, 0 if most > _MOST_ZLIB else int(most) + 1)
        if len(content) > most:
            raise too_large(most, packed=False)
        return content


class _Deflate(_Gzip):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._object = zlib.decompressobj()
        self._is_first = True

    def _decode(self, data: bytes, most: float) -> bytes:
        first, self._is_first = self._is_first, False
        try:
            return super()._decode(data, most)
        except zlib.error:
            if not first:
                raise
            # Some servers leave out the zlib frame.
            self._object = zlib.decompressobj(-zlib.MAX_WBITS)
            return super()._decode(data, most)


class _Brotli(_Layer):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        package = _first_of("brotli", "brotlicffi")
        self.errors = (package.error,)
        self._object = package.Decompressor()
        self._step: Any = getattr(self._object, "decompress", None) or self._object.process
        self._is_bounded = hasattr(self._object, "can_accept_more_data")

    @classmethod
    def available(cls) -> bool:
        return _first_of("brotli", "brotlicffi") is not None

    def _decode(self, data: bytes, most: float) -> bytes:
        if self._is_bounded:
            return _collect(self._pieces_bounded(data), most)
        pieces = (data[at : at + _BROTLI_PIECE] for at in range(0, len(data), _BROTLI_PIECE))
        return _collect(map(self._step, pieces), most)

    def _pieces_bounded(self, data: bytes) -> Any:
        yield self._step(data, output_buffer_limit=_BROTLI_OUTPUT)
        while not self._object.can_accept_more_data():
            yield self._step(b"", output_buffer_limit=_BROTLI_OUTPUT)


class _Zstd(_Layer):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._package = _first_of("zstandard")
        self.errors = (self._package.ZstdError,)
        self._object = self._package.ZstdDecompressor().decompressobj()

    @classmethod
    def available(cls) -> bool:
        return _first_of("zstandard") is not None

    def _decode(self, data: bytes, most: float) -> bytes:
        pieces = (data[at : at + _ZSTD_PIECE] for at in range(0, len(data), _ZSTD_PIECE))
        return _collect((part for piece in pieces for part in self._frames(piece)), most)

    def _frames(self, piece: bytes) -> Any:
        while piece:
            if self._object.eof:
                self._object = self._package.ZstdDecompressor().decompressobj()
            yield self._object.decompress(piece)
            piece = self._object.unused_data if self._object.eof else b""

    def end(self) -> None:
        if not self._object.eof:
            raise ValueError("the body is not zstd: it ends early")


_LAYERS: dict[str, type[_Layer]] = {"gzip": _Gzip, "deflate": _Deflate, "br": _Brotli, "zstd": _Zstd}
_packages: dict[str, Optional[Any]] = {}


def _first_of(*names: str) -> Any:
    """The first of these packages that is installed; ``None`` for none."""
    for name in names:
        if name not in _packages:
            try:
                _packages[name] = importlib.import_module(name)
            except ImportError:
                _packages[name] = None
        if _packages[name] is not None:
            return _packages[name]
    return None


def _collect(parts: Any, most: float) -> bytes:
    found: list[bytes] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > most:
            raise too_large(most, packed=False)
        found.append(part)
    return b"".join(found)
