"""Owners of the cookies that sites set: a session, a proxy, all requests, or the redirects of one request.

Which proxy carries a request is known only when it is sent, so cookies are put on here, attempt by attempt, and not by
the client. The client of a rotator has no jar at all; that of a user's own, over a transport, has the user's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.library import HttpLibrary, default_name, flavour
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from http.cookiejar import Cookie

MOST_JARS = 10_000
"""Proxies, or sessions, whose cookies are kept; those not used for longest go first."""

# The case in which it is written; all look-ups ignore it.
_COOKIE = "Cookie"


class CookieStore:
    """Tells which jar belongs to an attempt."""

    def jar(self, proxy_id: Any, kind: HttpLibrary) -> Any:
        """The jar for requests through a proxy, an ``httpx.Cookies``; made on first use."""
        raise NotImplementedError

    def drop(self, proxy_id: Any) -> None:
        """Forget the cookies of a proxy that is gone, where they are its own."""


class OneJar(CookieStore):
    """The same jar, whatever the proxy. Thread-safe.

    Args:
        cookies: The first cookies, an ``httpx.Cookies``.
    """

    def __init__(self, cookies: Any = None) -> None:
        self.cookies = cookies

    def jar(self, proxy_id: Any, kind: HttpLibrary) -> Any:
        cookies = self.cookies
        if cookies is None:
            # Two threads that come here at once must use the same: setdefault is one step.
            cookies = self.__dict__.setdefault("_made", kind.module.Cookies())
            self.cookies = cookies
        return cookies


class PerProxy(CookieStore):
    """A jar for each proxy. Thread-safe.

    Args:
        first: The cookies that each begins with.
    """

    def __init__(self, first: Sequence[Cookie] = ()) -> None:
        self._first = first
        self._jars: OrderedDict[Any, Any] = OrderedDict()
        self._lock = new_lock()

    def jar(self, proxy_id: Any, kind: HttpLibrary) -> Any:
        with self._lock:
            found = self._jars.get(proxy_id)
            if found is None:
                found = self._jars[proxy_id] = new_jar(kind, self._first)
                if len(self._jars) > MOST_JARS:
                    self._jars.popitem(last=False)
            else:
                self._jars.move_to_end(proxy_id)
            return found

    def drop(self, proxy_id: Any) -> None:
        with self._lock:
            self._jars.pop(proxy_id, None)


def new_jar(kind: HttpLibrary, first: Sequence[Cookie]) -> Any:
    """A jar of a package, with the cookies that it begins with."""
    made = kind.module.Cookies()
    for cookie in first:
        made.jar.set_cookie(cookie)
    return made


def cookies_of(given: Any) -> tuple[CookieStore | None, tuple[Cookie, ...]]:
    """What the argument ``cookies`` of a rotator says: a form of keeping, or cookies in any form that httpx takes.

    Raises ``ValueError`` (another name), ``TypeError`` (no cookies).
    """
    if given is None:
        return None, ()
    if isinstance(given, str):
        if given == "proxy":
            return PerProxy(), ()
        if given == "shared":
            return OneJar(), ()
        raise ValueError(f"cookies must be None, 'proxy', 'shared', or cookies, not {shown(given)}")
    jar = getattr(given, "jar", given)
    try:
        # A jar is copied: sites must not write into that of the caller.
        return None, tuple(flavour(default_name()).module.Cookies(jar).jar)
    except (TypeError, ValueError):
        raise TypeError(f"cookies must be a mapping, pairs or a jar, not {type(given).__name__}") from None


class Wearing:
    """Puts the cookies of each attempt on one request.

    Args:
        store: Where they come from.
        request: The request. Its own ``Cookie`` header, if it has one, stands for itself.
        kind: The package that it belongs to.
        merges: Whether its own header is to be completed by those of the store, as httpx does with ``cookies=``.
    """

    __slots__ = ("_kind", "_merges", "_own", "_request", "_store")

    def __init__(self, store: CookieStore, request: Any, kind: HttpLibrary, *, merges: bool) -> None:
        self._store = store
        self._request = request
        self._kind = kind
        self._merges = merges
        self._own: str | None = request.headers.get(_COOKIE)

    def put_on(self, proxy_id: Any) -> None:
        """Set the ``Cookie`` header for an attempt through a proxy."""
        own = self._own
        if own is not None and not self._merges:
            return
        jar = self._store.jar(proxy_id, self._kind)
        headers = self._request.headers
        if _COOKIE in headers:
            # Of the attempt before, through another proxy.
            del headers[_COOKIE]
        if len(jar.jar):
            jar.set_cookie_header(self._request)
        if own is not None:
            headers[_COOKIE] = _merged(own, headers.get(_COOKIE))

    def take_off(self) -> None:
        """Leave the request as it was, for a client that sends it again."""
        headers = self._request.headers
        if self._own is not None:
            headers[_COOKIE] = self._own
        elif _COOKIE in headers:
            del headers[_COOKIE]


def _merged(own: str, kept: str | None) -> str:
    """Two ``Cookie`` headers in one; the request's own values go before those that were kept."""
    if not kept:
        return own
    names = {pair.partition("=")[0].strip() for pair in own.split(";")}
    rest = [pair.strip() for pair in kept.split(";") if pair.partition("=")[0].strip() not in names]
    return "; ".join([*rest, own])


def keep(store: CookieStore, response: Any, proxy_id: Any, kind: HttpLibrary) -> None:
    """Take the cookies that an answer sets into the jar they belong to."""
    store.jar(proxy_id, kind).extract_cookies(response)


def sets_cookies(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether an answer sets cookies."""
    return any(len(name) == 10 and name.lower() == b"set-cookie" for name, _ in headers)
