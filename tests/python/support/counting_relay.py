"""A relay in front of a proxy that counts the bytes of both directions by itself."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit


class CountingRelay:
    """Passes bytes on between its clients and a proxy.

    Args:
        proxy_url: The proxy.
    """

    def __init__(self, proxy_url: str) -> None:
        self._target = urlsplit(proxy_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._begun = threading.Event()
        self.upward = 0
        """Bytes that came from clients."""
        self.downward = 0
        """Bytes that clients were sent."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its own address, with the scheme and the login of the proxy."""
        login, at, _ = self._target.netloc.rpartition("@")
        return f"{self._target.scheme}://{login}{at}127.0.0.1:{self._listener.getsockname()[1]}"

    def wait(self) -> None:
        """Return once something has come from a client."""
        assert self._begun.wait(30)

    def settled(self) -> tuple[int, int]:
        """The counts, once nothing more moves."""
        before = None
        for _ in range(200):
            now = (self.upward, self.downward)
            if now == before:
                return now
            before = now
            time.sleep(0.05)
        raise AssertionError("bytes move on and on")

    def __enter__(self) -> CountingRelay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for opened in [self._listener, *self._sockets]:
            opened.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            assert self._target.hostname is not None
            proxy = socket.create_connection((self._target.hostname, self._target.port or 80))
            self._sockets += [client, proxy]
            threading.Thread(target=self._pass, args=(client, proxy, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(proxy, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    if up:
                        self.upward += len(data)
                        self._begun.set()
                    else:
                        self.downward += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
