"""A failed transfer as the rotation takes it: what it means, and its exception of httpx."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from proxywhirl._httpx.coding import excess
from proxywhirl._httpx.judge import meaning_of
from proxywhirl._httpx.library import core
from proxywhirl._httpx.rotation import Failure
from proxywhirl._httpx.unreachable import ProxyUnreachable
from proxywhirl._native.enums import Outcome

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl._httpx.library import HttpLibrary
    from proxywhirl._native.redact import Secrets


def failure_of(
    error: BaseException,
    request: Any,
    kind: HttpLibrary,
    secrets: Secrets | None,
    tunnel: bool,
    started: float,
    *,
    sent: bool | None = None,
    stale: bool = False,
) -> Failure | None:
    """What the failure of a transfer means; ``None`` if this is no exception of a transfer.

    ``stale``: a connection that had been idle was found closed, which is the proxy's right (RFC 9112, 9.3.1). The
    request is tried again where it may reach the site twice, and counts against no proxy.
    """
    meaning = meaning_of(error, tunnel=tunnel) if isinstance(error, Exception) else None
    if meaning is None:
        return None
    if secrets is not None:
        error = secrets.scrub_error(error)
    shown = kind.error(meaning.name, str(error) or type(error).__name__)
    shown.request = request  # type: ignore[attr-defined]
    shown.__cause__ = error
    elapsed = None if meaning.outcome is Outcome.CLIENT_FAULT else (time.perf_counter() - started) * 1000.0
    return Failure(
        Outcome.TARGET_FAULT if stale else meaning.outcome,
        shown,
        sent=meaning.sent if sent is None else meaning.sent and sent,
        elapsed_ms=elapsed,
        timed_out=meaning.name.endswith("Timeout"),
        retry_after=getattr(error, "retry_after", None),
    )


def as_closed(error: BaseException) -> BaseException:
    """The error of a connection that the other side has ended, where httpcore takes that for a fault of this side.

    Requests share a connection of HTTP/2. When one of them reads that it ends, the others find it closed as they write.
    """
    package = core()
    if isinstance(error, package.LocalProtocolError) and "ConnectionState.CLOSED" in str(error):
        closed: BaseException = package.RemoteProtocolError("the connection was ended while the request was under way")
        closed.__cause__ = error
        return closed
    return error


def error_of_wire(
    failure: _core.WireFailure, kind: HttpLibrary, most: float | None, *, has_proxy: bool, tunnel: bool
) -> Exception:
    """The exception that a failure of the native engine stands for."""
    text = failure.message
    cause: BaseException | None = None
    if failure.errno is not None:
        cause = OSError(failure.errno, os.strerror(failure.errno))
        text = str(cause)
    error: Exception
    if failure.excess is not None:
        error = kind.error(failure.name, excess(most or 0, packed=failure.excess == "body"))
    elif failure.phase is not None and has_proxy and tunnel:
        # The way through the proxy was not open yet.
        if failure.name == "ConnectError":
            text = f"{text} while {failure.phase}"
        outcome = Outcome.PROXY_DOWN if failure.outcome is None else failure.outcome
        error = ProxyUnreachable(text, kind=failure.name, outcome=outcome, retry_after=failure.retry_after)
    else:
        error = kind.error(failure.name, text)
    error.__cause__ = cause
    return error
