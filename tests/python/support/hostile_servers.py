"""Proxies that do what no proxy should: servers on loopback, and what they say as small functions."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Callable, NamedTuple

__all__ = ["LOGIN", "ROWS", "SECRETS", "HostileServer", "Row", "Talk", "bomb", "drips", "says"]

LOGIN = ("hostile77", "s3cr3t+Pw/99")
_PAIR = ":".join(LOGIN)
_TOKEN = base64.b64encode(_PAIR.encode()).decode()
SECRETS = (LOGIN[1], "s3cr3t%2BPw%2F99", _TOKEN, _TOKEN.rstrip("="), LOGIN[0])
"""What must not be seen anywhere."""

Talk = Callable[[socket.socket], None]

_GAP = 0.05
# Far longer than any request may take; a server that is closed wakes up its talks.
_LONG = 120.0


class HostileServer:
    """A server that has one thing to say, to every connection.

    Args:
        talk: What it does with a connection.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client going away is what is to be expected.
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(_LONG)
            self._talk(connection)
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _head(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            raise OSError("the client is gone")
        received += part


def _until_gone(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def says(*parts: bytes, then: Talk | None = None) -> Talk:
    """Wait for a head, say something, and close, or do something else."""

    def talk(connection: socket.socket) -> None:
        _head(connection)
        for part in parts:
            connection.sendall(part)
        if then is not None:
            then(connection)

    return talk


def drips(start: bytes, byte: bytes, first: bytes = b"") -> Talk:
    """Say a byte now and then, for ever."""

    def talk(connection: socket.socket) -> None:
        _head(connection)
        if first:
            connection.sendall(first)
        for one in start:
            connection.sendall(bytes([one]))
            time.sleep(_GAP)
        while True:
            connection.sendall(byte)
            time.sleep(_GAP)

    return talk


def floods(start: bytes, more: bytes) -> Talk:
    """Say something as fast as it is taken, for ever."""

    def talk(connection: socket.socket) -> None:
        _head(connection)
        connection.sendall(start)
        while True:
            connection.sendall(more)

    return talk


def hangs(connection: socket.socket) -> None:
    """Take everything and say nothing."""
    _until_gone(connection)


def closes(connection: socket.socket) -> None:
    """Close at once."""


def resets(connection: socket.socket) -> None:
    """End with a reset."""
    _head(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def tunnels(then: Talk | bytes, reply: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Talk:
    """Agree to CONNECT, and then do something, or answer the first bytes in the tunnel."""

    def talk(connection: socket.socket) -> None:
        _head(connection)
        connection.sendall(reply)
        if callable(then):
            then(connection)
        else:
            connection.recv(65536)
            connection.sendall(then)
            _until_gone(connection)

    return talk


def _drips_tls(connection: socket.socket) -> None:
    connection.recv(65536)
    # A handshake record of 16 kB is announced.
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        connection.sendall(b"\0")
        time.sleep(_GAP)


def steps(replies: Iterable[bytes], then: Talk = hangs) -> Talk:
    """Answer whatever comes with these, one after the other."""

    def talk(connection: socket.socket) -> None:
        for reply in replies:
            if not connection.recv(65536):
                return
            connection.sendall(reply)
        then(connection)

    return talk


def cut(replies: tuple[bytes, ...], count: int) -> Talk:
    """Answer with these, but close after so many bytes in all."""

    def talk(connection: socket.socket) -> None:
        left = count
        for reply in replies:
            connection.recv(65536)
            connection.sendall(reply[:left])
            left -= len(reply)
            if left <= 0:
                return

    return talk


def _drips_socks(connection: socket.socket) -> None:
    connection.recv(100)
    while True:
        connection.sendall(b"\5")
        time.sleep(_GAP)


def bomb(megabytes: int) -> bytes:
    """Zeros, packed by gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(megabytes)) + packer.flush()


def _page(head: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body


def _status(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + line, *headers, b"Content-Length: %d" % len(body), b"", body])


def _moves_to(location: bytes) -> bytes:
    return _status(b"302 Found", b"Location:" + location)


class Row(NamedTuple):
    """One line of the matrix.

    Attributes:
        name: What the proxy does.
        talk: How.
        scheme: What the proxy is taken for.
        secure: Whether the target is asked for over TLS.
        status: The status that comes of it; ``None`` for an error.
    """

    name: str
    talk: Talk
    scheme: str = "http"
    secure: bool = False
    status: int | None = None


_CHUNKED = b"Transfer-Encoding: chunked"
_OK = _page(b"Content-Length: 2", b"ok")
_ALERT = b"\x15\x03\x03\x00\x02\x02"

_ANSWERS = [
    Row("drips headers", drips(b"HTTP/1.1 200 OK\r\nX: ", b"x")),
    Row("drips a status line", drips(b"", b"H")),
    Row("headers without end", floods(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 4000 + b"\r\n")),
    Row("a header line without end", floods(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536)),
    Row("100 without end", floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    Row("103 without end, slowly", drips(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")),
    Row("a body beyond the bound", says(_page(b"Content-Length: 3000000", bytes(3_000_000)), then=hangs)),
    Row("drips a body", drips(b"", b"z", _page(b"Content-Length: 1000000"))),
    Row("drips chunks", drips(b"", b"1\r\nz\r\n", _page(_CHUNKED))),
    Row("drips until the connection closes", drips(b"", b"z", _page(b"Connection: close"))),
    Row("a chunk extension without end", floods(_page(_CHUNKED, b"1;"), b"e" * 65536)),
    Row("trailers without end", floods(_page(_CHUNKED, b"1\r\nz\r\n0\r\n"), b"X-T: " + b"y" * 1000 + b"\r\n")),
    Row("chunks without end", floods(_page(_CHUNKED), b"10000\r\n" + b"y" * 65536 + b"\r\n")),
    Row("a body without end", floods(_page(b"Connection: close"), b"y" * 65536)),
    Row("a bomb", says(_page(b"Content-Encoding: gzip", bomb(64)))),
    Row("a bomb in a bomb", says(_page(b"Content-Encoding: gzip, gzip", zlib.compress(bomb(64), wbits=31)))),
    Row("less than announced", says(_page(b"Content-Length: 100", b"abc"))),
    Row("more than announced", says(_OK + b"GARBAGE HTTP/1.1 200 OK\r\n\r\n"), status=200),
    Row("two lengths", says(_page(b"Content-Length: 2\r\nContent-Length: 3", b"ok!"))),
    Row("a negative length", says(_page(b"Content-Length: -5", b"ok!"))),
    Row("an enormous length", says(_page(b"Content-Length: " + b"9" * 25, b"ok!"))),
    Row("length and chunks", says(_page(b"Content-Length: 2\r\n" + _CHUNKED, b"2\r\nok\r\n0\r\n\r\n")), status=200),
    Row("a chunk of no size", says(_page(_CHUNKED, b"ZZ\r\nok\r\n"))),
    Row("a chunk of enormous size", says(_page(_CHUNKED, b"F" * 18 + b"\r\nok\r\n"))),
    Row("a chunk of negative size", says(_page(_CHUNKED, b"-1\r\nok\r\n"))),
    Row("a chunk cut short", says(_page(_CHUNKED, b"5\r\nok"))),
    Row("garbage before the status", says(b"\0\1\2garbage\r\n" + _OK)),
    Row("blank lines before the status", says(b"\r\n\r\n\r\n" + _OK)),
    Row("HTTP/0.9", says(b"<html>hello</html>")),
    Row("HTTP/2", says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")),
    Row("status 999", says(_status(b"999 X")), status=999),
    Row("status 000", says(_status(b"000 X"))),
    Row("status 99", says(_status(b"99 X"))),
    Row("status 101", says(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", then=hangs)),
    Row("204 with a body", says(b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello"), status=204),
    Row("a zero byte in a header", says(_page(b"X: a\0b\r\nContent-Length: 0"))),
    Row("a folded header", says(_page(b"X: a\r\n b\r\nContent-Length: 0")), status=200),
    Row("bare line feeds", says(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), status=200),
    Row("bytes beyond ASCII", says(b"HTTP/1.1 200 \xff\xfe\r\nX-\xe4: \xff\r\nContent-Length: 0\r\n\r\n")),
    Row("closes within a header", says(b"HTTP/1.1 200 OK\r\nX: ")),
    Row("closes without an answer", says()),
    Row("accepts and hangs", hangs),
    Row("accepts and closes", closes),
    Row("resets", resets),
    Row("a TLS alert in plain", says(_ALERT + b"\x28")),
    Row("gzip that is none", says(_page(b"Content-Encoding: gzip\r\nContent-Length: 5", b"hello"))),
    Row("codings that are none", says(_page(b"Content-Encoding: br, gzip, zstd, foo\r\nContent-Length: 5", b"hello"))),
    Row("a pause of ages", says(_status(b"429 X", b"Retry-After: " + b"9" * 26)), status=429),
    Row("a pause that is no number", says(_status(b"503 X", b"Retry-After: nan"))),
    Row("a page of its own", says(_status(b"200 OK", body=b"<h1>ads</h1>")), status=200),
    Row("moves in circles", says(_moves_to(b" /x"))),
    Row("moves to a file", says(_moves_to(b" file:///etc/passwd"))),
    Row("moves to a script", says(_moves_to(b" javascript:alert(1)"))),
    Row("moves to nothing", says(_moves_to(b""))),
    Row("moves to no URL", says(_moves_to(b" http://[::1/"))),
    Row("moves to no port", says(_moves_to(b" http://a:99999/"))),
    Row("moves far", says(_moves_to(b" http://a/" + b"a" * 70000))),
]

_REPEATING = [
    Row("a reason phrase in clear", says(_status(f"502 bad {_PAIR}".encode()))),
    Row("a reason phrase in base64", says(_status(f"502 Basic {_TOKEN}".encode()))),
    Row("a refusal in clear", says(_status(f"407 bad {_PAIR}".encode()))),
    Row("a reason phrase of a page", says(_status(f"299 {_TOKEN}".encode())), status=299),
    Row("a status line", says(f"NOPE {_PAIR} {_TOKEN}\r\n\r\n".encode())),
    Row("a header line", says(f"HTTP/1.1 200 OK\r\n\0x {_PAIR}: {_TOKEN}\r\n\r\n".encode())),
    Row("a chunk header", says(_page(_CHUNKED, f"{_PAIR}\r\n".encode()))),
    Row("a length", says(_page(f"Content-Length: {_TOKEN}".encode()))),
    Row("a transfer coding", says(_page(f"Transfer-Encoding: {LOGIN[1]}".encode()))),
    Row("a place to move to", says(_moves_to(f" http://a.test/?login={_TOKEN}".encode()))),
    Row("no place to move to", says(_moves_to(f" http://{_PAIR}@[::zz/".encode()))),
    Row("a place of another kind", says(_moves_to(f" gopher://{_PAIR}@x/".encode()))),
]

_TUNNELS = [
    Row("drips headers", drips(b"HTTP/1.1 200 OK\r\nX: ", b"x")),
    Row("headers without end", floods(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 4000 + b"\r\n")),
    Row("100 without end", floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    Row("103 without end, slowly", drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    Row("hangs", hangs),
    Row("closes", closes),
    Row("resets", resets),
    Row("garbage with the agreement", says(b"HTTP/1.1 200 OK\r\n\r\ngarbage")),
    Row("garbage inside", tunnels(b"garbage" * 100)),
    Row("HTTP inside", tunnels(_OK)),
    Row("closes inside", tunnels(closes)),
    Row("hangs inside", tunnels(hangs)),
    Row("drips TLS inside", tunnels(_drips_tls)),
    *(Row(f"alert {code} inside", tunnels(_ALERT + bytes([code]))) for code in (0, 40, 42, 48, 80, 112)),
    Row("101", says(b"HTTP/1.1 101 X\r\n\r\n", then=hangs)),
    Row("204", tunnels(b"x", b"HTTP/1.1 204 X\r\n\r\n")),
    Row("302", says(_status(b"302 X", b"Location: http://evil.test/"))),
    *(Row(f"{status}", says(_status(b"%d X" % status))) for status in (400, 402, 403, 429, 500, 502, 503)),
    Row("an agreement with a length", tunnels(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
    Row("HTTP/0.9", says(b"hello")),
    Row("control characters", says(b"HTTP/1.1 502 a\x1b[31m\x07\0evil\r\n\r\n")),
    Row("bare line feeds", tunnels(b"x", b"HTTP/1.1 200 OK\n\n")),
]
_SOCKS5 = (b"\5\2", b"\1\0", b"\5\0\0\1\x7f\0\0\1\0\x50")
_SOCKS4 = (b"\0\x5a\0\0\0\0\0\0",)
_SOCKS = [
    *(Row(f"cut after {count}", cut(_SOCKS5, count), "socks5") for count in range(15)),
    Row("drips", _drips_socks, "socks5"),
    *(Row(f"method {code}", steps([b"\5" + bytes([code])]), "socks5") for code in (1, 3, 255)),
    Row("another version", steps([b"\4\0"]), "socks5"),
    Row("refuses the login", steps([b"\5\2", b"\1\1"]), "socks5"),
    Row("an address of no kind", steps([b"\5\2", b"\1\0", b"\5\0\0\x09"]), "socks5"),
    Row("data of its own", steps([*_SOCKS5[:2], _SOCKS5[2] + b"EXTRA"]), "socks5"),
    Row("half a name", steps([*_SOCKS5[:2], b"\5\0\0\3\xff" + b"a" * 100]), "socks5"),
    *(
        Row(f"reply {code}", steps([*_SOCKS5[:2], bytes([5, code, 0, 1]) + bytes(6)]), "socks5")
        for code in (*range(1, 9), 255)
    ),
    Row("hangs", hangs, "socks5"),
    Row("closes", closes, "socks5"),
    Row("speaks HTTP", steps([_OK]), "socks5"),
    *(Row(f"cut after {count}", cut(_SOCKS4, count), "socks4") for count in range(8)),
    *(Row(f"reply {code}", steps([bytes([0, code]) + bytes(6)]), "socks4") for code in (0, 91, 92, 93, 255)),
    Row("hangs", hangs, "socks4"),
]

ROWS: list[tuple[str, Row]] = [
    *(("answer", row) for row in _ANSWERS),
    *(("repeats the login", row) for row in _REPEATING),
    *(("tunnel", row._replace(secure=True)) for row in _TUNNELS),
    *(("tunnel, repeats the login", row._replace(secure=True, status=None)) for row in _REPEATING),
    *((row.scheme, row) for row in _SOCKS),
]
"""The whole matrix, with the kind of each row."""
