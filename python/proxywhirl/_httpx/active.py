"""The strategy in force, with what makes it sticky for requests of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.strategies._adapter import Adapter

__all__ = ["ActiveStrategy"]


class ActiveStrategy:
    """A strategy with what is needed to make it sticky."""

    __slots__ = ("_hops", "_lock", "_own", "_sticky", "strategy")

    def __init__(self, strategy: _core.Strategy | Adapter) -> None:
        self.strategy = strategy
        self._own = _session_part(strategy)
        self._sticky: _core.SessionPersistenceStrategy | None = None
        self._hops: _core.SessionPersistenceStrategy | None = None
        self._lock = new_lock()

    def for_sessions(self) -> Any:
        """What serves a request with a session: the strategy itself, if it knows sessions."""
        return self.strategy if self._own is not None or _knows_sessions(self.strategy) else self.sticky()

    def sticky(self) -> _core.SessionPersistenceStrategy:
        """The strategy that holds the sessions."""
        if self._own is not None:
            return self._own
        if self._sticky is None:
            with self._lock:
                if self._sticky is None:
                    self._sticky = _pinning(self.strategy)
        return self._sticky

    def hops(self) -> _core.SessionPersistenceStrategy:
        """As :meth:`sticky`, for the hops of redirects; apart, so that these never push out a user's session."""
        if self._hops is None:
            with self._lock:
                if self._hops is None:
                    self._hops = _pinning(self.strategy)
        return self._hops

    def has_sessions(self) -> bool:
        part = self._own if self._own is not None else self._sticky
        return part is not None and len(part.session_manager) > 0

    def take_over(self, pool: _core.ProxyPool, before: ActiveStrategy) -> None:
        sessions = self.sticky().session_manager
        for session in before.sticky().session_manager.get_all_sessions():
            proxy = pool.get_proxy_by_id(session.proxy_id)
            if proxy is not None and session.session_id not in sessions:
                left = session.expires_at - session.last_used_at
                sessions.create_session(session.session_id, proxy, max(1, int(left.total_seconds())))


def _pinning(strategy: Any) -> _core.SessionPersistenceStrategy:
    from proxywhirl import _core

    return _core.SessionPersistenceStrategy(fallback_strategy=strategy)


def _session_part(strategy: Any) -> _core.SessionPersistenceStrategy | None:
    """The part of a strategy that holds sessions, if it has one."""
    from proxywhirl import _core

    for _ in range(8):
        if isinstance(strategy, _core.SessionPersistenceStrategy):
            return strategy
        if isinstance(strategy, _core.CompositeStrategy):
            strategy = strategy.selector
        else:
            return None
    return None


def _knows_sessions(strategy: Any) -> bool:
    """Whether a strategy written in Python says that it handles sessions itself."""
    return bool(getattr(getattr(strategy, "user", strategy), "session_aware", False))
