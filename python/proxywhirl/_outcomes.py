"""What the exceptions of HTTP clients say about the proxy that was used; no client is imported for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Mapping
from typing import Any, Optional

from proxywhirl._enums import Outcome

__all__ = ["has_retry_after", "note_error", "outcome_of_error", "ready"]

# Names of exception classes by package, nearest class first in the order of inheritance. Subclasses follow their bases.
_DOWN = {
    "httpx": {"TransportError"},
    "httpx2": {"TransportError"},
    "httpcore": {"NetworkError", "TimeoutException", "ProxyError", "ProtocolError"},
    "httpcore2": {"NetworkError", "TimeoutException", "ProxyError", "ProtocolError"},
    "requests": {"ConnectionError", "Timeout", "ChunkedEncodingError", "ContentDecodingError"},
    "urllib3": {"HTTPError"},
    "aiohttp": {"ClientConnectionError", "ClientPayloadError", "ServerTimeoutError", "ClientHttpProxyError"},
    "curl_cffi": {"RequestException", "CurlError", "RequestsError"},
    "socksio": {"SOCKSError"},
    "python_socks": {"ProxyError"},
    "http": {"HTTPException"},
}
_CLIENT = {
    "httpx": {"PoolTimeout", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL"},
    "httpx2": {"PoolTimeout", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL"},
    "httpcore": {"PoolTimeout", "UnsupportedProtocol", "LocalProtocolError"},
    "httpcore2": {"PoolTimeout", "UnsupportedProtocol", "LocalProtocolError"},
    "requests": {"InvalidURL", "InvalidSchema", "MissingSchema", "InvalidHeader"},
    "urllib3": {"LocationValueError", "EmptyPoolError", "HTTPWarning"},
    "aiohttp": {"InvalidURL"},
    "curl_cffi": {"InvalidURL", "InvalidSchema", "MissingSchema"},
    "http": {"InvalidURL"},
}
_SYSTEM = (OSError, EOFError)


def outcome_of_error(error: BaseException) -> Optional[Outcome]:
    """Classify an exception that ended a piece of work.

    Args:
        error: The exception.

    Returns:
        The outcome it stands for; ``None`` if it is not about the network, cancellation included.
    """
    if not isinstance(error, Exception):
        return None
    if _wants_login(error):
        return Outcome.PROXY_AUTH
    # urllib wraps what happened.
    reason = getattr(error, "reason", None) if type(error).__module__.startswith("urllib.") else None
    if isinstance(reason, Exception):
        return outcome_of_error(reason)
    for cls in type(error).__mro__:
        package = cls.__module__.partition(".")[0]
        if cls.__name__ in _CLIENT.get(package, ()):
            return Outcome.CLIENT_FAULT
        if cls.__name__ in _DOWN.get(package, ()):
            return Outcome.PROXY_DOWN
    if type(error).__module__.partition(".")[0] in ("asyncio", "concurrent") and "Cancelled" in type(error).__name__:
        return None
    # asyncio.TimeoutError is a class of its own before Python 3.11.
    if isinstance(error, (TimeoutError, socket.timeout)) or type(error).__name__ == "TimeoutError":
        return Outcome.PROXY_DOWN
    if isinstance(error, (ConnectionError, ssl.SSLError, socket.gaierror)):
        return Outcome.PROXY_DOWN
    if isinstance(error, _SYSTEM) and getattr(error, "errno", None) in _NETWORK_ERRORS:
        return Outcome.PROXY_DOWN
    return None


def _network_errors() -> frozenset[int]:
    import errno

    names = ("EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "EHOSTDOWN", "ENETDOWN")
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NETWORK_ERRORS = _network_errors()


def _wants_login(error: BaseException) -> bool:
    status = getattr(error, "status", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 407:
        return True
    text = str(error)
    return "407" in text and ("Proxy" in type(error).__name__ or "Tunnel connection failed" in text)


def has_retry_after(headers: Any) -> bool:
    """Whether an answer's headers ask for a pause.

    Args:
        headers: A mapping, or pairs of name and value, as text or bytes.
    """
    names = (
        headers.keys() if isinstance(headers, Mapping) or hasattr(headers, "keys") else (pair[0] for pair in headers)
    )
    return any(
        (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower() == "retry-after" for name in names
    )


def note_error(proxy: Any, error: Any) -> None:
    """Keep what a failed request said with the proxy: the last ten, without credentials.

    Args:
        proxy: The proxy.
        error: The exception, or its text.
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    proxy._note_error(text)


class ready:  # noqa: N801 - used like a function
    """An awaitable that has its value already.

    Args:
        value: The value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value
        yield
