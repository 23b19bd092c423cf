"""A site behind a proxy whose answers are written byte for byte, and which keeps what it was asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["ScriptedSite"]


class ScriptedSite:
    """Says what is written for the path of a request, over connections that stay open unless it says otherwise.

    It takes requests as a forwarding proxy does, and is to be used as one.

    Args:
        answers: What is said by path, byte for byte; an answer that ends with its connection is in ``closing``.
        closing: Paths after whose answers the connection is closed.
    """

    def __init__(self, answers: Mapping[str, bytes], closing: Any = ()) -> None:
        self._answers = answers
        self._closing = frozenset(closing)
        self.asked: list[bytes] = []
        """Each request, head and body."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> ScriptedSite:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            received = b""
            while True:
                request, received = _request(connection, received)
                self.asked.append(request)
                target = request.split(b" ", 2)[1].decode("latin-1")
                path = urlsplit(target).path or "/"
                connection.sendall(self._answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
                if path in self._closing:
                    break
        self._open.discard(connection)
        connection.close()


def _request(connection: socket.socket, received: bytes) -> tuple[bytes, bytes]:
    """A whole request, and what came after it."""

    def more() -> bytes:
        part = connection.recv(65536)
        if not part:
            raise EOFError
        return part

    while b"\r\n\r\n" not in received:
        received += more()
    head, _, rest = received.partition(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        while not rest.endswith(b"0\r\n\r\n"):
            rest += more()
        return head + b"\r\n\r\n" + rest, b""
    length = int(fields.get(b"content-length", b"0"))
    while len(rest) < length:
        rest += more()
    return head + b"\r\n\r\n" + rest[:length], rest[length:]
