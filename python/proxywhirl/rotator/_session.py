"""What the sessions of both rotators have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from proxywhirl import _core
    from proxywhirl.rotator._identity import Identity
    from proxywhirl.rotator.base import ProxyRotatorBase

__all__ = ["SessionBase"]


class SessionBase:
    """Requests of one rotator that share a proxy, cookies, headers and connections.

    Args:
        rotator: The rotator.
        session_id: Id of the session.
        timeout_seconds: Life of the session.
        keep: Whether the session outlives the block it is used in.
    """

    def __init__(self, rotator: ProxyRotatorBase, session_id: str, timeout_seconds: int | None, *, keep: bool) -> None:
        self.session_id = session_id
        """Id of the session."""
        self._rotator = rotator
        self._timeout_seconds = timeout_seconds
        self._keep = keep

    @property
    def proxy(self) -> _core.Proxy | None:
        """The proxy of the session; ``None`` before the first request, and after the session has expired."""
        bound: _core.Proxy | None = self._rotator._sessions.proxy_of(self.session_id)
        return bound

    @property
    def cookies(self) -> httpx.Cookies:
        """The session's cookies; may be added to."""
        made: httpx.Cookies = self._identity.cookies
        return made

    @property
    def headers(self) -> httpx.Headers:
        """The headers of every request of the session; may be added to."""
        made: httpx.Headers = self._identity.headers
        return made

    def export(self) -> dict[str, Any]:
        """The session as a dictionary that can be saved as JSON, for ``session(restore=...)``.

        Its cookies carry the login: keep it like a password.
        """
        return self._identity.dump()

    @property
    def _identity(self) -> Identity:
        identity: Identity = self._rotator._sessions.identities.of(self.session_id)
        return identity
