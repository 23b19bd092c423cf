"""Which engine carries requests: the native one, or the packages of httpx.

The native engine has its own HTTP and TLS. What cannot pass through it stays with httpx: HTTP/2, an ``ssl.SSLContext``,
whose settings cannot be read back, and mocks that have replaced the methods by which httpx opens connections. That no
loop of asyncio runs is noticed by :mod:`proxywhirl._httpx.native.tasks`.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from proxywhirl._httpx.tls import Tls

ENGINES = ("native", "httpx")

_VARIABLE = "PROXYWHIRL_ENGINE"
_log = logging.getLogger("proxywhirl.rotation")

# What mocks of httpx replace: by package, classes and their methods.
_CONNECTS = (("ConnectionPool", "handle_request"), ("AsyncConnectionPool", "handle_async_request"))
_SENDS = (("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request"))
_REPLACED = {"httpcore": _CONNECTS, "httpcore2": _CONNECTS, "httpx": _SENDS, "httpx2": _SENDS}
# What each library opens connections with.
_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}
# Packages that had not been imported at the last look.
_missing = list(_REPLACED)
methods: list[tuple[str, Any, str, Any]] = []
"""Of those that are imported: package, class, method, and what the package itself has there if it is known."""
_told: set[str] = set()
_lock = new_lock()


def engine_of(engine: str | None, tls: Tls, default: str) -> str:
    """The engine of a new transport. Raises ``ValueError`` (there is no such engine)."""
    asked, name = engine, "engine"
    if asked is None:
        asked, name = os.environ.get(_VARIABLE) or default, _VARIABLE
    if asked not in ENGINES:
        raise ValueError(f"{name} must be 'native' or 'httpx', not {shown(asked)}")
    reason = tls.needs_httpx() if asked == "native" else None
    if reason is not None:
        tell_once(f"{reason}: httpx carries the requests")
        return "httpx"
    return asked


def is_mocked() -> bool:
    """Whether a mock, as those of respx and pytest-httpx, has replaced methods of httpx; said once in the log."""
    package = _mocked_package(None)
    if package is not None:
        tell_once(f"{package} is mocked: httpx carries the requests as long as it is")
    return package is not None


def are_transports_mocked(library: str, *, forwards: bool) -> bool:
    """Whether a request is to go through the transports of httpx itself for the mock that is there to see it."""
    if _mocked_package(library) is not None:
        return True
    return forwards and _mocked_package(_CORES[library]) is not None


def _mocked_package(only: str | None) -> str | None:
    """A package of which methods are replaced; ``only`` that one, if it is named."""
    for package in _missing:
        if package in sys.modules:
            _look()
            break
    for package, cls, method, own in methods:
        if only is None or only == package:
            found = getattr(cls, method)
            if found is not own and not _is_of(package, found):
                return package
    return None


def _look() -> None:
    """Note the packages that were imported since the last look."""
    with _lock:
        for package in tuple(_missing):
            module = sys.modules.get(package)
            found = [(getattr(module, name, None), method) for name, method in _REPLACED[package]]
            if any(cls is None for cls, _ in found):
                # Another thread is importing it.
                continue
            for cls, method in found:
                there = getattr(cls, method)
                methods.append((package, cls, method, there if _is_of(package, there) else None))
            _missing.remove(package)


def _is_of(package: str, function: Any) -> bool:
    """Whether a method was defined by its own package."""
    # Not by its `__module__` alone: what wraps a method, as vcrpy does, takes that over.
    home = getattr(function, "__globals__", {}).get("__name__") or getattr(function, "__module__", None)
    return str(home).partition(".")[0] == package


def tell_once(text: str) -> None:
    """Say in the log why httpx carries requests; each reason once in a process."""
    if text not in _told:
        _told.add(text)
        _log.info(text)
