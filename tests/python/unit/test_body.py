"""Bodies within bounds: sizes on the wire and unpacked."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import math
import tracemalloc
import zlib
from typing import Any, Callable

import httpcore
import httpx
import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl._httpx.allowance import Allowance
from proxywhirl._httpx.body import Gatherer, bound_decoder, preset_decoder
from proxywhirl._httpx.coding import Unpacker, coding_of
from proxywhirl._httpx.library import flavour

# httpx2 needs a newer Python than the oldest supported.
PACKAGES = [importlib.import_module(name) for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
PAGE = b"<p>a page of some length</p>" * 2000
MEGABYTE = 1024 * 1024


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _brotli(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("brotli").compress(data, quality=5)
    return packed


def _zstd(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").compress(data)
    return packed


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _raw_deflate),
    ("br", _brotli),
    ("zstd", _zstd),
    ("gzip, deflate", lambda data: zlib.compress(gzip.compress(data))),
    ("zstd, gzip", lambda data: gzip.compress(_zstd(data))),
    ("identity", bytes),
    ("GZIP ,identity", gzip.compress),
    ("something-else", bytes),
]


def _content(coding: str, body: bytes, most: float, http: str = "httpx") -> bytes:
    headers = [(b"Content-Encoding", coding.encode())]
    return Gatherer(headers, most, Allowance({})).content(body, flavour(http))


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
def test_codings_are_undone_as_httpx_undoes_them(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PAGE)
    assert _content(coding, packed, math.inf) == PAGE
    if coding != "zstd, gzip":
        # httpx 0.28 stumbles over zstd inside another coding.
        assert httpx.Response(200, headers={"content-encoding": coding}, content=packed).content == PAGE


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
def test_the_bound_is_on_what_comes_out(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PAGE)
    if coding_of([(b"content-encoding", coding.encode())]):
        assert _content(coding, packed, len(PAGE)) == PAGE
        with pytest.raises(httpcore.RemoteProtocolError, match="max_body"):
            _content(coding, packed, len(PAGE) - 1)


@pytest.mark.parametrize(
    ("coding", "pack"), [pair for pair in CODINGS if pair[0] not in ("identity", "something-else")]
)
def test_a_bomb_ends_early(coding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(64 * MEGABYTE))
    tracemalloc.start()
    try:
        with pytest.raises(httpcore.RemoteProtocolError):
            _content(coding, bomb, MEGABYTE)
        assert tracemalloc.get_traced_memory()[1] < 24 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_bomb_of_brotli_ends_early_piece_by_piece() -> None:
    bomb = _brotli(bytes(128 * MEGABYTE))
    with pytest.raises(httpcore.RemoteProtocolError):
        Unpacker([b"br"]).feed(bomb, MEGABYTE)
    assert Unpacker([b"br"]).feed(_brotli(PAGE), math.inf) == PAGE


@pytest.mark.parametrize("http", [package.__name__ for package in PACKAGES])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"plain text"),
        ("gzip", gzip.compress(PAGE, mtime=0)[:10] + b"\xff" * 40),
        ("deflate", b"plain text"),
        ("br", b"\xff" * 40),
        ("zstd", b"plain text"),
        ("gzip, br", gzip.compress(PAGE, mtime=0)),
    ],
)
def test_what_cannot_be_unpacked_is_an_error_of_the_package(http: str, coding: str, body: bytes) -> None:
    with pytest.raises(flavour(http).module.DecodingError):
        _content(coding, body, math.inf, http)


def test_zstd_that_ends_early_is_an_error_and_frames_may_follow_each_other() -> None:
    packed = _zstd(PAGE)
    assert _content("zstd", packed + packed, math.inf) == PAGE + PAGE
    with pytest.raises(httpx.DecodingError, match="early"):
        _content("zstd", packed[:-3], math.inf)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_nothing_unpacks_to_nothing(coding: str) -> None:
    assert _content(coding, b"", math.inf) == b""


def test_a_body_on_the_wire_is_bounded() -> None:
    gatherer = Gatherer([], 10, Allowance({}))
    gatherer.add(b"12345")
    gatherer.add(b"67890")
    assert gatherer.body() == b"1234567890"
    gatherer = Gatherer([], 10, Allowance({}))
    gatherer.add(b"1234567890")
    with pytest.raises(httpcore.RemoteProtocolError, match="10 bytes"):
        gatherer.add(b"1")


@pytest.mark.parametrize("length", [b"11", b"9" * 5000])
def test_a_body_that_announces_too_much_is_not_read(length: bytes) -> None:
    gatherer = Gatherer([(b"Content-Length", length)], 10, Allowance({}))
    gatherer.add(b"1")
    with pytest.raises(httpcore.RemoteProtocolError):
        gatherer.add(b"1")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_response_takes_its_content_ready_made(package: Any) -> None:
    packed = gzip.compress(PAGE)
    response = package.Response(200, headers={"content-encoding": "gzip"}, stream=package.ByteStream(packed))
    preset_decoder(response, PAGE, flavour(package.__name__))
    assert response.read() == PAGE
    assert response.num_bytes_downloaded == len(packed)
    # It is this very object: nothing was unpacked once more.
    assert response.content is PAGE


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    ("coding", "pack"), [pair for pair in CODINGS if pair[0] not in ("identity", "something-else")]
)
def test_a_response_that_the_caller_reads_stops_at_its_bound(
    package: Any, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    kind = flavour(package.__name__)
    packed = pack(PAGE)
    headers = [(b"content-encoding", coding.encode())]
    for most, fits in ((len(PAGE), True), (len(PAGE) - 1, False)):
        pieces = (packed[at : at + 100] for at in range(0, len(packed), 100))
        response = package.Response(200, headers=headers, content=pieces)
        bound_decoder(response, headers, most, kind)
        if fits:
            assert b"".join(response.iter_bytes()) == PAGE
        else:
            with pytest.raises(package.RemoteProtocolError, match="max_body"):
                list(response.iter_bytes())


@pytest.mark.parametrize("rotator", [ProxyRotator, AsyncProxyRotator])
@pytest.mark.parametrize(
    ("most", "error"), [("1", TypeError), (True, TypeError), (-1, ValueError), (math.nan, ValueError)]
)
def test_a_bound_is_a_number_from_zero_up(rotator: Any, most: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_body"):
        rotator(max_body=most)
