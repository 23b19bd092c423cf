"""What is said to a proxy before it passes bytes on: CONNECT, SOCKS4, SOCKS5. No I/O here.

Each function is a generator: it yields bytes to send (perhaps none) and is sent the bytes that were received. It
returns when the way is free and raises :class:`Refused` when the proxy says no. Names are resolved by the proxy
(SOCKS4a, SOCKS5 with a domain name): a target's name never reaches the local resolver.
"""

from __future__ import annotations

import base64
import ipaddress
import struct
from collections.abc import Generator, Iterator

from proxywhirl._judge import Verdict, outcome_of_connect, outcome_of_socks
from proxywhirl._native.enums import AMBIGUOUS, Outcome
from proxywhirl._redact import Secrets

__all__ = ["Handshake", "Refused", "basic_auth", "connect", "socks4", "socks5"]

Handshake = Generator[bytes, bytes, None]

_MAX_HEAD = 64 * 1024

_SOCKS4_REPLIES = {
    91: "request rejected or failed",
    92: "rejected: the proxy cannot reach identd on this machine",
    93: "rejected: identd reports another user",
}
_SOCKS5_REPLIES = {
    1: "general failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}

_PAGE_LOOKED_AT = 4096


class Refused(Exception):
    """The proxy refused, or what it said makes no sense.

    Args:
        message: What it said.
        outcome: What that means; without more, that the proxy is at fault.
        retry_after: Seconds for which it asks to be left alone.
    """

    def __init__(
        self, message: str, *, outcome: Verdict = Outcome.PROXY_DOWN, retry_after: float | None = None
    ) -> None:
        self.outcome = outcome
        self.retry_after = retry_after
        super().__init__(message)


def basic_auth(username: str, password: str) -> bytes:
    """The value of ``Proxy-Authorization`` for a user name and a password (RFC 7617, UTF-8)."""
    return b"Basic " + base64.b64encode(f"{username}:{password}".encode())


def connect(
    host: str, port: int, auth: tuple[str, str] | None = None, *, authorization: bytes | None = None
) -> Handshake:
    """Ask an HTTP proxy for a tunnel (RFC 9110, 9.3.6).

    Args:
        host: The target, a name or an address.
        port: Its port.
        auth: User name and password.
        authorization: A ready value of ``Proxy-Authorization``, in their place.

    Raises:
        Refused: Any answer but a 2xx. Whose fault that is, the status says for some; else it may be the target's.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    head = "\r\n".join(lines).encode("ascii")
    if auth is not None:
        authorization = basic_auth(*auth)
    if authorization is not None:
        head += b"\r\nProxy-Authorization: " + authorization
    buffer = bytearray((yield head + b"\r\n\r\n"))
    interim = 0
    while True:
        end, rest = _end_of_head(buffer)
        if end >= 0:
            status, reason = _status_line(bytes(buffer[:end]), authorization)
            if status >= 200:
                break
            # 100 and its kind announce the answer, they are not it.
            del buffer[:rest]
            interim += rest
            if buffer and interim <= _MAX_HEAD:
                continue
        if interim + len(buffer) > _MAX_HEAD:
            raise Refused(f"the proxy's answer to CONNECT has more than {_MAX_HEAD} bytes of headers")
        buffer += yield b""
    if status >= 300:
        outcome, hold = _meaning(status, reason, bytes(buffer[:end]), bytes(buffer[rest:]))
        message = f"the proxy answered CONNECT with {status} {reason}".rstrip()
        raise Refused(message, outcome=outcome, retry_after=hold)
    if len(buffer) > rest:
        # The client speaks first inside a tunnel; whatever this is, it is not the target.
        raise Refused("the proxy sent data of its own into the tunnel")


def _end_of_head(buffer: bytearray) -> tuple[int, int]:
    """Where the headers end, and where what follows them begins; (-1, -1) if they do not end yet."""
    end = buffer.find(b"\r\n\r\n")
    if end >= 0:
        return end, end + 4
    end = buffer.find(b"\n\n")
    return (end, end + 2) if end >= 0 else (-1, -1)


def _status_line(head: bytes, authorization: bytes | None) -> tuple[int, str]:
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0].strip()
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit() or len(parts[1]) != 3:
        raise Refused("the proxy's answer to CONNECT is not HTTP")
    status = int(parts[1])
    if status < 300 or len(parts) < 3:
        return status, ""
    # Shown in errors: what a proxy sends must not forge lines in a log, nor repeat the login. Hidden before it is cut,
    # for half a password is no secret either.
    reason = "".join(c for c in parts[2].decode("ascii", "replace") if c.isprintable())
    if authorization is not None:
        reason = Secrets.of_authorization(authorization).scrub(reason)
    return status, reason[:100]


def _meaning(status: int, reason: str, head: bytes, page: bytes) -> tuple[Verdict, float | None]:
    """The outcome of a refused CONNECT, and the seconds of the proxy's ``Retry-After``."""
    headers = list(_headers(head))
    told = [value for name, value in headers if any(word in name.lower() for word in ("error", "reason", "message"))]
    said = "\n".join([reason, *told, page[:_PAGE_LOOKED_AT].decode("utf-8", "replace")])
    return outcome_of_connect(status, headers, said)


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            yield name.strip().decode("latin-1"), value.strip().decode("latin-1")


def socks4(host: str, port: int, auth: tuple[str, str] | None = None) -> Handshake:
    """Ask a SOCKS4 proxy for a connection; names go to the proxy as SOCKS4a has it.

    Args:
        host: The target, a name or an IPv4 address.
        port: Its port.
        auth: The user name becomes the user id; the protocol has no password.

    Raises:
        Refused: Any reply but "granted"; or an IPv6 address, which the protocol cannot express.
    """
    user = auth[0].encode() if auth is not None else b""
    if b"\0" in user:
        raise Refused("a SOCKS4 user id cannot contain a zero byte", outcome=Outcome.PROXY_AUTH)
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        raise Refused("SOCKS4 cannot express an IPv6 address", outcome=AMBIGUOUS)
    if address is not None:
        request = struct.pack(">BBH4s", 4, 1, port, address.packed) + user + b"\0"
    else:
        # 0.0.0.1 is the mark for "the name follows".
        request = struct.pack(">BBH4s", 4, 1, port, b"\0\0\0\1") + user + b"\0" + _name(host) + b"\0"
    reader = _Reader()
    reply = yield from reader.exactly(8, request)
    if reply[0] not in (0, 4):
        raise Refused("the proxy's answer is not SOCKS4")
    if reply[1] != 90:
        why = _SOCKS4_REPLIES.get(reply[1], f"reply {reply[1]}")
        raise Refused(f"SOCKS4: {why}", outcome=outcome_of_socks(reply[1], 4))
    reader.finish()


def socks5(host: str, port: int, auth: tuple[str, str] | None = None) -> Handshake:
    """Ask a SOCKS5 proxy for a connection (RFC 1928, 1929); names go to the proxy.

    Args:
        host: The target, a name or an address.
        port: Its port.
        auth: User name and password.

    Raises:
        Refused: Any reply but "succeeded"; its outcome tells other credentials, a rule and the target's trouble apart.
    """
    reader = _Reader()
    # With credentials both methods are offered, theirs first: not every proxy that was given some wants them.
    methods = b"\0" if auth is None else b"\2\0"
    choice = yield from reader.exactly(2, b"\5" + bytes([len(methods)]) + methods)
    if choice[0] != 5:
        raise Refused("the proxy's answer is not SOCKS5")
    if choice[1] == 0xFF or choice[1] not in methods:
        what = "wants credentials" if auth is None else "accepts neither our credentials' kind nor none"
        raise Refused(f"SOCKS5: the proxy {what}", outcome=Outcome.PROXY_AUTH)
    if choice[1] == 2 and auth is not None:
        username, password = auth[0].encode(), auth[1].encode()
        if not 1 <= len(username) <= 255 or len(password) > 255:
            raise Refused("SOCKS5: user name and password may have 255 bytes each", outcome=Outcome.PROXY_AUTH)
        request = b"\1" + bytes([len(username)]) + username + bytes([len(password)]) + password
        verdict = yield from reader.exactly(2, request)
        if verdict[1] != 0:
            raise Refused("SOCKS5: the proxy refused the user name or the password", outcome=Outcome.PROXY_AUTH)
    address = _address(host)
    if address is None:
        name = _name(host)
        target = b"\3" + bytes([len(name)]) + name
    else:
        target = (b"\1" if address.version == 4 else b"\4") + address.packed
    reply = yield from reader.exactly(4, b"\5\1\0" + target + struct.pack(">H", port))
    if reply[0] != 5:
        raise Refused("the proxy's answer is not SOCKS5")
    if reply[1] != 0:
        why = _SOCKS5_REPLIES.get(reply[1], f"reply {reply[1]}")
        raise Refused(f"SOCKS5: {why}", outcome=outcome_of_socks(reply[1], 5))
    # The address the proxy bound follows. It is of no use, but it is in the way.
    if reply[3] == 3:
        length = (yield from reader.exactly(1))[0]
    else:
        length = {1: 4, 4: 16}.get(reply[3], -1)
        if length < 0:
            raise Refused("the proxy's answer is not SOCKS5")
    yield from reader.exactly(length + 2)
    reader.finish()


class _Reader:
    """Collects what arrives in pieces of any size."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def exactly(self, count: int, send: bytes = b"") -> Generator[bytes, bytes, bytes]:
        if send:
            self._buffer += yield send
        while len(self._buffer) < count:
            self._buffer += yield b""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def finish(self) -> None:
        if self._buffer:
            raise Refused("the proxy sent data of its own into the connection")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _name(host: str) -> bytes:
    name = host.encode("ascii")
    if not 1 <= len(name) <= 255 or b"\0" in name:
        raise Refused("the target's name must have 1 to 255 characters to pass through SOCKS", outcome=AMBIGUOUS)
    return name
