"""The sessions of a rotator: which proxy each is bound to, and what each owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._httpx.selection import Chooser, Selection
from proxywhirl.exceptions import SessionNotFoundError
from proxywhirl.rotator._identity import Identities, Identity, checked_on_move

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from proxywhirl._httpx.library import HttpLibrary

_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class Sessions:
    """The sessions of one rotator. Thread-safe."""

    def __init__(self, chooser: Chooser, kind: HttpLibrary, carrier: Any, first: Sequence[Cookie] = ()) -> None:
        self._chooser = chooser
        self._carrier = carrier
        self.identities = Identities(chooser, kind, first)
        """What each session owns."""

    def open(
        self,
        session_id: str | None,
        on_move: str,
        headers: Any,
        restore: Mapping[str, Any] | None,
        timeout_seconds: int | None,
    ) -> Identity:
        """Set up what a session owns, as the arguments of ``rotator.session`` say.

        Raises ``ValueError`` (the id, ``on_move`` or ``restore`` has another form).
        """
        checked_on_move(on_move)
        if restore is not None:
            if not isinstance(restore, Mapping):
                raise TypeError(f"restore must be what export() returned, not {type(restore).__name__}")
            session_id = restore.get("session_id") if session_id is None else session_id
            if on_move == "keep":
                on_move = checked_on_move(restore.get("on_move", on_move))
        identity = self.identities.of(_checked_id(session_id))
        identity.on_move = on_move
        if restore is not None:
            identity.restore(restore)
        if headers is not None:
            identity.headers.update(headers)
        if restore is not None:
            self._bind_again(identity.session_id, restore.get("proxy_id"), timeout_seconds)
        return identity

    def _bind_again(self, session_id: str, proxy_id: Any, timeout_seconds: int | None) -> None:
        """Bind a restored session to the proxy it had, if that is still there."""
        if proxy_id is None or self._chooser.sessions.get_session(session_id) is not None:
            return
        proxy = self._chooser.pool.get_proxy_by_id(str(proxy_id))
        if proxy is not None:
            self.bind(session_id, proxy, timeout_seconds)

    def create(self, session_id: str | None, proxy: _core.Proxy | None, timeout_seconds: int | None) -> _core.Session:
        """See :meth:`ProxyRotatorBase.create_session`."""
        if isinstance(session_id, _core.Proxy):
            raise TypeError("create_session(session_id=None, proxy=None, timeout_seconds=None): the id comes first")
        return self.bind(_checked_id(session_id), proxy, timeout_seconds)

    def bind(self, session_id: str, proxy: _core.Proxy | None, timeout_seconds: int | None) -> _core.Session:
        """Bind a session to a proxy, to one that the strategy chooses by default."""
        self.identities.renew(session_id)
        chooser = self._chooser
        if proxy is None:
            lease = chooser.lease(None, Selection(session_id=session_id), [])
            proxy = lease.proxy
            lease.release()
        if timeout_seconds is None:
            found = chooser.sessions.get_session(session_id)
            if found is not None and found.proxy_id == str(proxy.id):
                return found
            timeout_seconds = chooser.session_strategy._session_timeout_seconds
        return chooser.sessions.create_session(session_id, proxy, timeout_seconds)

    def needs_binding(self, session_id: str, timeout_seconds: int | None) -> bool:
        """Whether a session is to be bound before its request: only one with a life of its own, and only at first."""
        return timeout_seconds is not None and self._chooser.sessions.get_session(session_id) is None

    def get(self, session_id: str) -> _core.Session:
        """See :meth:`ProxyRotatorBase.get_session`."""
        found = self._chooser.sessions.get_session(session_id)
        if found is None:
            # The message does not name the id: a caller that has it shares the session.
            raise SessionNotFoundError("No session of this id: it was never created, was closed, or has expired")
        return found

    def proxy_of(self, session_id: str) -> _core.Proxy | None:
        """The proxy that a session is bound to."""
        found = self._chooser.sessions.get_session(session_id)
        return None if found is None else self._chooser.pool.get_proxy_by_id(found.proxy_id)

    def end(self, session_id: str) -> None:
        """End a session: it is unbound, and what it owned is gone, connections included."""
        identity = self._forget(session_id)
        if identity is not None:
            self._carrier.release(identity.token)

    async def end_async(self, session_id: str) -> None:
        """As :meth:`end`."""
        identity = self._forget(session_id)
        if identity is not None:
            await self._carrier.release(identity.token)

    def _forget(self, session_id: str) -> Identity | None:
        self._chooser.sessions.remove_session(session_id)
        return self.identities.end(session_id)

    def end_at(self, proxy_id: str) -> None:
        """Unbind all sessions of a proxy."""
        sessions = self._chooser.sessions
        for session in sessions.get_all_sessions():
            if session.proxy_id == proxy_id:
                sessions.remove_session(session.session_id)

    def forget_expired(self) -> int:
        """Forget sessions that have expired, and what they owned; how many there were."""
        count = self._chooser.sessions.cleanup_expired_sessions()
        self.identities.forget_ended()
        return count


def _checked_id(session_id: str | None) -> str:
    if session_id is None:
        import uuid

        return str(uuid.uuid4())
    if not isinstance(session_id, str):
        raise TypeError(f"a session id is a string, not {type(session_id).__name__}")
    if not 1 <= len(session_id) <= 256 or not _SIGNS.issuperset(session_id):
        raise ValueError("a session id has 1 to 256 letters, digits and hyphens")
    return session_id
