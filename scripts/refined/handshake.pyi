"""Handshakes with proxies."""

from typing_extensions import Self

from proxywhirl._native.enums import Doubt, Outcome

def judge_connect(status: int, details: str = "", headers: Any = None) -> tuple[Outcome | Doubt, float | None]: ...
def judge_socks(reply: int, version: int) -> Outcome | Doubt: ...

class HandshakeRefusal:
    @property
    def outcome(self) -> Outcome | Doubt: ...

class ProxyHandshake:
    def __new__(
        cls,
        protocol: str,
        host: str,
        port: int,
        login: tuple[str, str] | None = None,
        authorization: bytes | None = None,
    ) -> Self: ...
    def start(self) -> bytes | HandshakeRefusal: ...
    def feed(self, data: bytes) -> bytes | HandshakeRefusal | None: ...
