"""The client of a rotator: that of httpx without a cookie jar, and with a short way for most requests.

For every request a client of httpx merges settings, asks for authentication, calls hooks and wraps streams, which costs
more than sending it. The short way leaves that out where it does nothing: nothing authenticates the request, no hook
listens, and its body is at hand. All other requests go the way of httpx, to the same end.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from proxywhirl._httpx.library import HttpLibrary
from proxywhirl._httpx.objects import objects_of

if TYPE_CHECKING:
    from proxywhirl import _core

__all__ = ["client_class"]

_clients: dict[tuple[str, str], type] = {}


def client_class(kind: HttpLibrary, name: str) -> Any:
    """A client class of a package that keeps no cookies itself, and has the short way.

    Args:
        kind: The package.
        name: ``"Client"`` or ``"AsyncClient"``.
    """
    found = _clients.get((kind.name, name))
    if found is None:
        none = type("_NoCookies", (kind.module.Cookies,), {"extract_cookies": _ignore, "__bool__": _never})()
        own = _AsyncShort if name == "AsyncClient" else _Short
        names = {"cookies": property(lambda client: none), "_kind": kind, "_logger": logging.getLogger(kind.name)}
        found = _clients[kind.name, name] = type(name, (own, getattr(kind.module, name)), names)
    return found


def _ignore(cookies: Any, response: Any) -> None:
    """The transport keeps them."""


def _never(cookies: Any) -> bool:
    return False


# What a client does more for than make the request.
_OF_AUTH = frozenset({"auth", "cookies"})


class _ShortWay:
    """What both clients share: which requests go the short way, and how those are made."""

    # Of the client of httpx.
    _build_redirect_request: Any
    _transport: Any
    auth: Any
    build_request: Any
    event_hooks: Any
    follow_redirects: bool
    headers: Any
    is_closed: bool
    max_redirects: int
    params: Any
    send: Any
    timeout: Any

    _kind: HttpLibrary
    _logger: logging.Logger

    def _begin(self, method: Any, url: Any, given: dict[str, Any]) -> tuple[Any, bool]:
        """Make a request; the request, and whether it goes the short way. Without one, it is all the client's."""
        objects = self._kind.objects or objects_of(self._kind)
        if objects is None or self.is_closed or not _OF_AUTH.isdisjoint(given):
            return None, False
        request = objects.plain_request(self, method, url, given)
        is_plain = request is not None
        if not is_plain:
            made = {name: value for name, value in given.items() if name != "follow_redirects"}
            request = self.build_request(method, url, **made)
            # A login in the URL authenticates, and a body to be pulled is for the client to check.
            is_plain = not request.url.userinfo and isinstance(request.stream, self._kind.ByteStream)
        hooks = self.event_hooks
        return request, is_plain and self.auth is None and not hooks["request"] and not hooks["response"]

    def _next_hop(self, request: Any, response: Any, history: list[Any], follows: bool) -> Any:
        """Complete a response; the request that its redirect leads to, if it is to be followed."""
        if history:
            response.history = list(history)
        if self._logger.isEnabledFor(logging.INFO):
            self._log(request, response)
        if not 300 <= response.status_code < 400 or not response.has_redirect_location:
            return None
        following = self._build_redirect_request(request, response)
        if not follows:
            response.next_request = following
            return None
        history.append(response)
        if len(history) > self.max_redirects:
            raise self._kind.module.TooManyRedirects("Exceeded maximum allowed redirects.", request=following)
        return following

    def _log(self, request: Any, response: Any) -> None:
        self._logger.info(
            'HTTP Request: %s %s "%s %d %s"',
            request.method,
            request.url,
            response.http_version,
            response.status_code,
            response.reason_phrase,
        )

    def _follows(self, given: dict[str, Any]) -> bool:
        follows = given.get("follow_redirects")
        return follows if isinstance(follows, bool) else self.follow_redirects


class _Short(_ShortWay):
    def request(self, method: Any, url: Any, **given: Any) -> Any:
        """As the client of httpx does."""
        request, is_short = self._begin(method, url, given)
        if request is None:
            return super().request(method, url, **given)  # type: ignore[misc]
        follows = self._follows(given)
        if not is_short:
            return self.send(request, follow_redirects=follows)
        return self._follow(request, follows)

    def resume(self, handed: _core.HandedOver, given: dict[str, Any]) -> Any:
        """Go on with a request that the native short way has begun; ``given`` as for :meth:`request`."""
        return self._follow(handed.request, self._follows(given), handed)

    def _follow(self, request: Any, follows: bool, handed: _core.HandedOver | None = None) -> Any:
        history: list[Any] = []
        while True:
            try:
                response = self._transport.handle_whole(request, handed)
            except self._kind.module.RequestError as error:
                error.request = request
                raise
            following = self._next_hop(request, response, history, follows)
            if following is None:
                return response
            request, handed = following, None


class _AsyncShort(_ShortWay):
    async def request(self, method: Any, url: Any, **given: Any) -> Any:
        """As the client of httpx does."""
        request, is_short = self._begin(method, url, given)
        if request is None:
            return await super().request(method, url, **given)  # type: ignore[misc]
        follows = self._follows(given)
        if not is_short:
            return await self.send(request, follow_redirects=follows)
        return await self._follow(request, follows)

    async def resume(self, handed: _core.HandedOver, given: dict[str, Any]) -> Any:
        """Go on with a request that the native short way has begun; ``given`` as for :meth:`request`."""
        return await self._follow(handed.request, self._follows(given), handed)

    async def _follow(self, request: Any, follows: bool, handed: _core.HandedOver | None = None) -> Any:
        history: list[Any] = []
        while True:
            try:
                response = await self._transport.handle_whole_async(request, handed)
            except self._kind.module.RequestError as error:
                error.request = request
                raise
            following = self._next_hop(request, response, history, follows)
            if following is None:
                return response
            request, handed = following, None
