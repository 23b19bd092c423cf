"""The client of a rotator: that of httpx without a cookie jar, and with a short way for what asks nothing special of it.

A client of httpx merges settings, asks for authentication, calls hooks and wraps streams for every request; that costs
more than sending it. The short way leaves out what does nothing for a request: its URL needs no normalising, its body is
at hand, nothing authenticates, and no hook listens. All other requests go the way of httpx, which is the same but for
the time it takes.
"""

from __future__ import annotations

import logging
import time
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
        names = {"cookies": property(lambda client: none), "_kind": kind}
        found = _clients[kind.name, name] = type(name, (own, getattr(kind.module, name)), names)
    return found


def _ignore(cookies: Any, response: Any) -> None:
    """The transport keeps them."""


def _never(cookies: Any) -> bool:
    return False


class _ShortWay:
    """What both clients share: which requests go the short way, and how those are made."""

    # Of the client of httpx.
    _kind: HttpLibrary
    _transport: Any
    _mounts: Any
    _event_hooks: Any
    _auth: Any
    _default_encoding: Any
    headers: Any
    params: Any
    base_url: Any
    timeout: Any
    trust_env: bool
    follow_redirects: bool
    is_closed: bool
    max_redirects: int
    build_request: Any
    _build_redirect_request: Any

    def _filled(self, method: str, url: Any, given: dict[str, Any]) -> Any:
        """The request, if it can be made without the constructors of httpx; else ``None``."""
        objects = objects_of(self._kind)
        if objects is None or type(url) is not str or not given.keys() <= _PLAIN or self.params:
            return None
        query = None
        params = given.get("params")
        if params is not None:
            query = str(self._kind.module.QueryParams(params))
            if not query:
                return None
        content = given.get("content")
        if content is None:
            content = b""
        elif type(content) is not bytes:
            return None
        target = objects.url(url, query)
        if target is None:
            return None
        headers = _merged(self.headers.raw, given.get("headers"), method.upper(), target, content)
        if headers is None:
            return None
        extensions = given.get("extensions")
        extensions = {} if extensions is None else dict(extensions)
        if "timeout" not in extensions:
            timeout = given.get("timeout", self)
            timeout = self.timeout if timeout is self else self._kind.module.Timeout(timeout)
            extensions["timeout"] = timeout.as_dict()
        return objects.request(method.upper(), target, headers, content, extensions)

    def _may_go_short(self, request: Any, auth: Any) -> bool:
        """Whether nothing of what a client does besides sending concerns a request."""
        return (
            (auth is None or (auth is _DEFAULT.get(self._kind.name, self) and self._auth is None))
            and type(request) is self._kind.module.Request
            and "timeout" in request.extensions
            and not request.url.userinfo
            and not self.trust_env
            and not self._mounts
            and not (self._event_hooks["request"] or self._event_hooks["response"])
            and not self.is_closed
            and hasattr(self._transport, "handle_whole")
            and isinstance(request.stream, self._kind.ByteStream)
            and objects_of(self._kind) is not None
        )

    def _complete(self, request: Any, response: Any, started: float) -> None:
        """What a client of httpx does with a response that was read."""
        if "_content" not in vars(response):
            response.request = request
            response.read()
            response.elapsed = _timedelta(time.perf_counter() - started)
        response.default_encoding = self._default_encoding
        log = logging.getLogger(self._kind.name)
        if log.isEnabledFor(logging.INFO):
            log.info(
                'HTTP Request: %s %s "%s %d %s"',
                request.method,
                request.url,
                response.http_version,
                response.status_code,
                response.reason_phrase,
            )
