"""Reading an exception: the class, its codes, its phrase, and what it wraps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from proxywhirl._httpx.clients import _codes, _phrases
from proxywhirl._httpx.clients._answer import carried, status_of
from proxywhirl._httpx.clients._classes import CLASSES
from proxywhirl._httpx.clients._fault import Fault, Finding, Row

# Wrappers in wrappers: more than any client has, and an end for a chain that bites its tail.
_DEEPEST = 8
# Where clients keep what they wrap: urllib and urllib3, urllib3, aiohttp, PySocks, Twisted's Failure.
_KEPT = ("reason", "original_error", "os_error", "socket_err", "value")
# Several at once: Twisted, and groups of exceptions.
_SEVERAL = ("reasons", "exceptions")
_OTHER_NUMBERS = ("gaierror", "herror", "SSLError")
_SILENT = (Fault.ELSEWHERE, Fault.UNKNOWN)
# Their exceptions without a row have nothing to do with the network.
_STANDARD = getattr(sys, "stdlib_module_names", frozenset({"builtins", "asyncio", "concurrent", "json", "decimal"}))


def read(error: BaseException) -> Finding:
    """Read what an exception of any client says of the attempt that it ended.

    Args:
        error: The exception. Its text is looked at only for the fixed phrases of a client that has nothing else.

    Returns:
        The finding; ``UNKNOWN`` if neither its class nor a base of that is known, and it carries no answer.
    """
    return _read(error, _DEEPEST)


def is_error(value: Any) -> bool:
    """Whether something is an exception, or Twisted's wrapper of one."""
    return isinstance(value, BaseException) or _is_failure(value)


def _read(error: BaseException, depth: int) -> Finding:
    if depth == 0:
        return Finding(Fault.UNKNOWN, None, error)
    if _is_failure(error):
        inner = getattr(error, "value", None)
        return _read(inner, depth - 1) if isinstance(inner, BaseException) else Finding(Fault.ELSEWHERE)
    if not isinstance(error, Exception):
        # Cancellation, an interrupt: they belong to the program.
        return Finding(Fault.ELSEWHERE)
    found = _row_of(error)
    if found is None:
        return _read_unlisted(error, depth)
    package, row = found
    spoken = _of_code(package, error) or _phrases.finding_of(package, error)
    if spoken is not None:
        return spoken
    if row.unless is not None:
        for inner in _inside(error, row.context):
            finding = _read(inner, depth - 1)
            if finding.fault not in _SILENT and finding.fault not in row.unless:
                return finding
    if row.fault is Fault.CONNECT:
        # aiohttp.
        return Finding(row.fault, status_of(error), error, str(getattr(error, "message", "")))
    return Finding(row.fault, None, error)


def _read_unlisted(error: Exception, depth: int) -> Finding:
    """What an exception says whose class has no row: by what it carries, or was explicitly raised from."""
    if carried(Finding(Fault.ANSWER, None, error)) is not None:
        return Finding(Fault.ANSWER, None, error)
    if error.__cause__ is not None:
        finding = _read(error.__cause__, depth - 1)
        if finding.fault not in _SILENT:
            return finding
    package = _package_of(type(error))
    return Finding(Fault.ELSEWHERE if package in _STANDARD or package == "proxywhirl" else Fault.UNKNOWN, None, error)


def _row_of(error: BaseException) -> tuple[str, Row] | None:
    for cls in type(error).__mro__:
        package = _package_of(cls)
        row = CLASSES.get(package, {}).get(cls.__name__)
        if row is not None:
            return package, row
    return None


def _package_of(cls: type) -> str:
    package = cls.__module__.partition(".")[0]
    if package == "exceptions":
        # So wreq's classes call their module; other programs may have one of that name.
        wreq = sys.modules.get("wreq.exceptions")
        if wreq is not None and getattr(wreq, cls.__name__, None) is cls:
            return "wreq"
    return package


def _of_code(package: str, error: Any) -> Finding | None:
    """What a number says that the exception has as an attribute."""
    if package == "curl_cffi":
        return _of_curl(error)
    if package in ("python_socks", "aiohttp_socks"):
        return _of_python_socks(error)
    if isinstance(error, OSError):
        fault = _codes.of_errno(error.errno) if type(error.errno) is int else None
        if fault is not None and not _has_other_numbers(error):
            return Finding(fault, None, error)
    return None


def _of_curl(error: Any) -> Finding | None:
    code = getattr(error, "code", None)
    if not isinstance(code, int) or code == 0 or code in (22, 47):
        # An answer was had: of a status that is raised (22 is libcurl's own way to), or the last of too many redirects.
        return None
    spoken = _phrases.finding_of("curl_cffi", error, "CurlError")
    return spoken or Finding(_codes.of_curl(int(code)), None, error)


def _of_python_socks(error: Any) -> Finding | None:
    code = getattr(error, "error_code", None)
    code = getattr(code, "value", code)
    if not isinstance(code, int):
        return None
    # A status of an HTTP proxy, or a reply of a SOCKS proxy: no number is both, nor of both versions of SOCKS.
    if code >= 100:
        return Finding(Fault.CONNECT, code, error)
    return Finding(_codes.of_socks(code, 4 if code >= 90 else 5), None, error)


def _has_other_numbers(error: OSError) -> bool:
    """Whether its number is one of the resolver's or of the TLS library's, which mean something else."""
    return any(cls.__module__ in ("socket", "ssl") and cls.__name__ in _OTHER_NUMBERS for cls in type(error).__mro__)


def _is_failure(error: object) -> bool:
    return any(cls.__module__ == "twisted.python.failure" and cls.__name__ == "Failure" for cls in type(error).__mro__)


def _inside(error: Any, context: bool) -> Iterator[BaseException]:
    for name in _KEPT:
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException):
            yield inner
    for name in _SEVERAL:
        several = getattr(error, name, None)
        if isinstance(several, (list, tuple)):
            for inner in several:
                if isinstance(inner, BaseException):
                    yield inner
                elif _is_failure(inner) and isinstance(inner.value, BaseException):
                    yield inner.value
    for inner in error.args:
        if isinstance(inner, BaseException):
            yield inner
    cause = error.__cause__ or (error.__context__ if context else None)
    if cause is not None:
        yield cause
