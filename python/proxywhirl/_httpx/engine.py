"""Which engine carries requests: the native one, or the packages of httpx.

The native engine has its own HTTP and TLS. What cannot pass through it stays with httpx: an ``ssl.SSLContext``, whose
settings cannot be read back, and mocks that have replaced the methods by which httpx opens connections.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from proxywhirl._httpx.tls import Tls

__all__ = ["ENGINES", "engine_of", "is_mocked"]

ENGINES = ("native", "httpx")

_VARIABLE = "PROXYWHIRL_ENGINE"
_log = logging.getLogger("proxywhirl.rotation")

# What mocks of httpx replace: package, class and method.
_REPLACED = tuple(
    (package, name, method)
    for packages, names in (
        (("httpcore", "httpcore2"), ("ConnectionPool", "AsyncConnectionPool")),
        (("httpx", "httpx2"), ("HTTPTransport", "AsyncHTTPTransport")),
    )
    for package in packages
    for name, method in zip(names, ("handle_request", "handle_async_request"))
)
# Those of the packages that are imported: package, class, method, and what the package itself has there if it is known.
_methods: list[tuple[str, Any, str, Any]] = []
_seen: set[tuple[str, str, str]] = set()
_told: set[str] = set()


def engine_of(engine: str | None, tls: Tls, default: str) -> str:
    """The engine of a new transport.

    Args:
        engine: ``"native"`` or ``"httpx"``; ``None`` for what ``PROXYWHIRL_ENGINE`` says, or else the default.
        tls: The settings of TLS.
        default: The engine where nothing is said.

    Raises:
        ValueError: There is no such engine.
    """
    asked, name = engine, "engine"
    if asked is None:
        asked, name = os.environ.get(_VARIABLE) or default, _VARIABLE
    if asked not in ENGINES:
        raise ValueError(f"{name} must be 'native' or 'httpx', not {shown(asked)}")
    if asked == "native" and tls.has_context():
        _tell_once("verify= is an ssl.SSLContext, whose settings cannot be read: httpx carries the requests")
        return "httpx"
    return asked


def is_mocked() -> bool:
    """Whether a mock, as those of respx and pytest-httpx, has replaced methods of httpx; said once in the log."""
    if len(_seen) < len(_REPLACED):
        _look()
    for package, cls, method, own in _methods:
        found = getattr(cls, method)
        if found is not own and not _is_of(package, found):
            _tell_once(f"{package} is mocked: httpx carries the requests as long as it is")
            return True
    return False


def _look() -> None:
    """Note the packages that were imported since the last time."""
    for entry in _REPLACED:
        package, name, method = entry
        cls = getattr(sys.modules.get(package), name, None)
        if entry not in _seen and cls is not None:
            _seen.add(entry)
            found = getattr(cls, method)
            _methods.append((package, cls, method, found if _is_of(package, found) else None))


def _is_of(package: str, function: Any) -> bool:
    """Whether a method was defined by its own package."""
    return str(getattr(function, "__module__", None)).partition(".")[0] == package


def _tell_once(text: str) -> None:
    if text not in _told:
        _told.add(text)
        _log.info(text)
