"""What the rotation logs, in one place: levels, event keys and fields.

DEBUG logs every choice; INFO successful requests, health checks and changes of the pool; WARNING failed requests, and
proxies that are slow or taken out of service; CRITICAL that no proxy is left. Every record has ``event`` among its
fields. Nothing is put together unless its level is on.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import Outcome
from proxywhirl._native.redact import redact_url, scrub_text

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

__all__ = [
    "SLOW_MS",
    "log",
    "name_of",
    "pool_changed",
    "pool_empty",
    "proxy_selected",
    "request_failed",
    "request_succeeded",
    "strategy_changed",
    "tell_attempt",
    "tell_notice",
]

# Silent until configured: without any handler the standard library would print warnings on its own.
logging.getLogger("proxywhirl").addHandler(logging.NullHandler())

log = logging.getLogger("proxywhirl.rotation")
"""Choices and requests."""
pool_log = logging.getLogger("proxywhirl.pool")
"""Changes of the pool and of the state of its proxies."""

SLOW_MS = 5000.0
"""A successful request that took longer, in milliseconds, is logged as slow."""
# Seconds between two reports that the pool is empty: every request finds out anew.
_EMPTY_AGAIN = 10.0


def name_of(strategy: Any) -> str:
    """The name of a strategy's class, the user's own for one that was adapted."""
    return type(getattr(strategy, "user", strategy)).__name__


def strategy_changed(before: str, after: str) -> None:
    """Another strategy chooses from now on."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("strategy changed", extra={"event": "strategy_changed", "from": before, "strategy": after})


def proxy_selected(proxy: Proxy, strategy: str, *, excluded: int = 0) -> None:
    """A proxy was chosen."""
    if log.isEnabledFor(logging.DEBUG):
        fields = {
            "event": "proxy_selected",
            "proxy_id": str(proxy.id),
            "proxy_url": redact_url(proxy.url),
            "strategy": strategy,
            "excluded": excluded,
        }
        log.debug("proxy selected", extra=fields)


def request_succeeded(lease: Any, method: str, url: str, status: int, elapsed_ms: float, attempt: int) -> None:
    """A request got its answer."""
    slow = elapsed_ms > SLOW_MS
    level = logging.WARNING if slow else logging.INFO
    if log.isEnabledFor(level):
        fields = {
            "event": "proxy_slow" if slow else "request_success",
            **_of_attempt(lease, method, url, elapsed_ms, attempt),
            "status_code": status,
        }
        log.log(level, "slow answer through the proxy" if slow else "request succeeded", extra=fields)


def request_failed(
    lease: Any,
    method: str,
    url: str,
    outcome: Any,
    elapsed_ms: float | None,
    attempt: int,
    *,
    error: BaseException | None = None,
    status: int | None = None,
) -> None:
    """An attempt through one proxy failed; another may follow."""
    if log.isEnabledFor(logging.WARNING):
        fields = {
            "event": "proxy_failed",
            **_of_attempt(lease, method, url, elapsed_ms, attempt),
            "status_code": status,
            "outcome": str(getattr(outcome, "value", outcome)),
            "error": _text_of(error, status),
        }
        log.warning("request failed through the proxy", extra=fields)


def tell_attempt(
    lease: Any,
    request: tuple[str, str],
    outcome: Any,
    elapsed_ms: float | None,
    attempt: int,
    error: BaseException | None,
    status: int | None,
) -> None:
    """The end of an attempt, as the rotation reports it; ``request`` is its method and its URL."""
    method, url = request
    if outcome is Outcome.SUCCESS:
        request_succeeded(lease, method, url, status or 0, elapsed_ms or 0.0, attempt)
    else:
        request_failed(lease, method, url, outcome, elapsed_ms, attempt, error=error, status=status)


def _of_attempt(lease: Any, method: str, url: str, elapsed_ms: float | None, attempt: int) -> dict[str, Any]:
    return {
        "proxy_id": str(lease.id),
        "proxy_url": redact_url(lease.url),
        "method": method,
        "url": redact_url(url),
        "duration_ms": None if elapsed_ms is None else round(elapsed_ms, 3),
        "attempt": attempt,
    }


def _text_of(error: BaseException | None, status: int | None) -> str:
    if error is None:
        return f"status {status}"
    return scrub_text(f"{type(error).__name__}: {error}")


class _Seldom:
    """Says yes at most once in a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = new_lock()
        self._next = 0.0

    def now(self) -> bool:
        moment = time.monotonic()
        with self._lock:
            if moment < self._next:
                return False
            self._next = moment + self._seconds
            return True


def seldom() -> _Seldom:
    """For :func:`pool_empty`: one per pool."""
    return _Seldom(_EMPTY_AGAIN)


def pool_empty(proxies: int, gate: _Seldom) -> None:
    """No proxy can be chosen, and waiting will not help."""
    if pool_log.isEnabledFor(logging.CRITICAL) and gate.now():
        text = "every proxy is out of service" if proxies else "the pool has no proxies"
        pool_log.critical(text, extra={"event": "pool_empty", "proxies": proxies})


def pool_changed(event: str, proxies: int, *, size: int) -> None:
    """Proxies came or went.

    Args:
        event: ``proxy_added`` or ``proxy_removed``.
        proxies: How many.
        size: How many there are now.
    """
    if proxies and pool_log.isEnabledFor(logging.INFO):
        what = "added" if event == "proxy_added" else "removed"
        pool_log.info("proxies %s", what, extra={"event": event, "proxies": proxies, "pool_size": size})


# Name of a notice of the core: its event, its level, what it says. A breaker's level depends on where it went.
_NOTICES = {
    "breaker": ("circuit_breaker", logging.INFO, "circuit breaker changed"),
    "panic_guard": ("panic_guard", logging.WARNING, "nothing succeeds: the fault is not the proxies'"),
    "benched": ("proxy_benched", logging.INFO, "proxy benched at a site"),
    "rested": ("proxy_rested", logging.WARNING, "proxy taken out of service"),
    "revived": ("proxy_revived", logging.INFO, "proxy back in service"),
}


def event_of_notice(name: str) -> str | None:
    """The event that a notice of the core becomes; ``None`` for one that is not published."""
    known = _NOTICES.get(name)
    return None if known is None else known[0]


def tell_notice(name: str, proxy: Proxy | None, facts: dict[str, Any]) -> None:
    """Log what the core noticed."""
    known = _NOTICES.get(name)
    if known is None:
        return
    event, level, text = known
    if name == "breaker" and str(getattr(facts.get("to"), "value", facts.get("to"))) == "open":
        level, text = logging.WARNING, "circuit breaker opened"
    if pool_log.isEnabledFor(level):
        of_proxy = {} if proxy is None else {"proxy_id": str(proxy.id), "proxy_url": redact_url(proxy.url)}
        plain = {key: getattr(value, "value", value) for key, value in facts.items()}
        pool_log.log(level, text, extra={"event": event, **of_proxy, **plain})
