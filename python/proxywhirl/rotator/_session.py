"""The sessions of both rotators, as users hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from proxywhirl.rotator._verbs import AsyncVerbs, Verbs

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl.rotator._identity import Identity
    from proxywhirl.rotator._sessions import Sessions


class _Session:
    """Requests of one rotator that share a proxy, cookies, headers and connections.

    Args:
        rotator: Sends the requests.
        sessions: The sessions of the rotator.
        prepare: Does what has to be done before a request.
        identity: What the session owns.
        timeout_seconds: Life of the session.
        keep: Whether the session outlives the block it is used in.
    """

    def __init__(
        self,
        rotator: Any,
        sessions: Sessions,
        prepare: Any,
        identity: Identity,
        timeout_seconds: int | None,
        *,
        keep: bool,
    ) -> None:
        self.session_id = identity.session_id
        """Id of the session."""
        self._rotator = rotator
        self._sessions = sessions
        self._prepare = prepare
        self._timeout_seconds = timeout_seconds
        self._keep = keep

    @property
    def proxy(self) -> _core.Proxy | None:
        """The proxy of the session; ``None`` before the first request, and after the session has expired."""
        return self._sessions.proxy_of(self.session_id)

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
        return self._sessions.identities.of(self.session_id)

    def _needs_binding(self) -> bool:
        return self._sessions.needs_binding(self.session_id, self._timeout_seconds)

    def _bind(self) -> None:
        self._sessions.bind(self.session_id, None, self._timeout_seconds)


class RotatorSession(Verbs, _Session):
    """Requests of one rotator that share a proxy; made by :meth:`ProxyRotator.session`."""

    def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a request through the session's proxy; arguments as for :meth:`ProxyRotator.request`."""
        self._begin()
        response: httpx.Response = self._rotator.request(method, url, **{**kwargs, "session_id": self.session_id})
        return response

    @contextmanager
    def stream(self, method: str, url: Any, **kwargs: Any) -> Iterator[httpx.Response]:
        """Send a request and leave the body to the caller; arguments as for :meth:`ProxyRotator.stream`."""
        self._begin()
        with self._rotator.stream(method, url, **{**kwargs, "session_id": self.session_id}) as response:
            yield response

    def close(self) -> None:
        """End the session: its proxy is free of it, its cookies, headers and connections are gone."""
        self._sessions.end(self.session_id)

    def _begin(self) -> None:
        if self._needs_binding():
            self._prepare()
            self._bind()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self._keep:
            self.close()


class AsyncRotatorSession(AsyncVerbs, _Session):
    """Requests of one rotator that share a proxy; made by :meth:`AsyncProxyRotator.session`."""

    async def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a request through the session's proxy; arguments as for :meth:`AsyncProxyRotator.request`."""
        await self._begin()
        response: httpx.Response = await self._rotator.request(method, url, **{**kwargs, "session_id": self.session_id})
        return response

    @asynccontextmanager
    async def stream(self, method: str, url: Any, **kwargs: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and leave the body to the caller; arguments as for :meth:`AsyncProxyRotator.stream`."""
        await self._begin()
        async with self._rotator.stream(method, url, **{**kwargs, "session_id": self.session_id}) as response:
            yield response

    async def close(self) -> None:
        """End the session: its proxy is free of it, its cookies, headers and connections are gone."""
        await self._sessions.end_async(self.session_id)

    async def _begin(self) -> None:
        if self._needs_binding():
            await self._prepare()
            self._bind()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if not self._keep:
            await self.close()
