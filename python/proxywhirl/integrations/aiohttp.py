"""Rotation in aiohttp: a session whose every request goes through a proxy chosen for it.

::

    from proxywhirl.integrations.aiohttp import ProxyWhirlSession

    async with ProxyWhirlSession(["http://10.0.0.1:8080", "socks5://10.0.0.2:1080"]) as session:
        async with session.get("https://example.com") as response:
            page = await response.text()

aiohttp and aiohttp-socks, for SOCKS proxies, are the user's to install.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from proxywhirl._native.enums import Outcome
from proxywhirl.integrations import _lender
from proxywhirl.integrations._body import Body
from proxywhirl.integrations._kept import Kept

try:
    import aiohttp
    from yarl import URL
except ImportError as error:
    raise ImportError("proxywhirl.integrations.aiohttp needs aiohttp: pip install aiohttp") from error

from proxywhirl.integrations._aiohttp_response import ProxyWhirlRequest, ProxyWhirlResponse
from proxywhirl.integrations._aiohttp_shown import hide_login, hide_login_in_response, hide_logins_in_logs

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl.rotator._attempt import Attempt

__all__ = ["ProxyWhirlResponse", "ProxyWhirlSession"]

_log = logging.getLogger("proxywhirl.integrations")
_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
# Most jars of sessions that are kept; the least recently used goes first.
_JARS = 10_000


class ProxyWhirlSession:
    """A session of aiohttp with rotation: the same verbs, arguments and responses.

    Each request leases a proxy and goes through others if that fails, as far as its method and body allow; a body from
    a file or an iterator is not sent again once any of it has been taken. A request may have ``session_id``,
    ``country``, ``region``, ``tags``, ``protocol``, ``context``, ``retry_policy``, ``ban_policy`` and ``raise_on_ban``
    beside aiohttp's arguments. Redirects stay on the proxy. Requests of one ``session_id`` have a cookie jar and
    connections of their own; all others share the session's jar.

    What aiohttp raised last is raised when no attempt is left, with no login in it; where there was nothing of the
    kind, it is one of ours (``ProxyPoolEmptyError``, ``ProxyBannedError``, ``ProxyConnectionError`` after a status).
    For one event loop.

    Args:
        source: A rotator, a ``ProxyPool``, proxies, gateways, or the path of a list.
        read_bodies: Whether to read a body before the response is returned, so that one cut short, or with the text of
            a ban, is asked for again through another proxy. Nothing is left to ``response.content`` then.
        max_connectors: Most connectors that are kept, one for each proxy and ``session_id``. The least recently used
            goes first.
        connector_options: Arguments of each connector, such as ``limit`` or ``keepalive_timeout``.
        raise_for_status: As in aiohttp.
        cookie_jar: The cookies of requests without a ``session_id``.
        options: Wishes for all requests, by the names above, and arguments of ``aiohttp.ClientSession``, such as
            ``headers`` and ``timeout``. ``timeout`` counts for each attempt, and aiohttp's own is five minutes: name
            one. Without aiohttp-socks, ``protocol`` is HTTP and HTTPS unless named.

    Raises:
        TypeError: ``source`` is none of these, or an option is unknown, or is the rotation's to say (``connector``,
            ``proxy``, ``trust_env``).
    """

    def __init__(
        self,
        source: Any,
        *,
        read_bodies: bool = False,
        max_connectors: int = 100,
        connector_options: Mapping[str, Any] | None = None,
        raise_for_status: Any = False,
        cookie_jar: aiohttp.abc.AbstractCookieJar | None = None,
        **options: Any,
    ) -> None:
        refused = {"connector", "proxy", "proxy_auth", "trust_env", "response_class"} & set(options)
        if refused:
            raise TypeError(f"{', '.join(sorted(refused))}: not an option here, proxies are the rotation's")
        self._lender = _lender.AsyncLender(source, _lender.split_wishes(options))
        self._read_bodies = read_bodies
        self._kept: Kept[aiohttp.ClientSession] = Kept(max_connectors)
        self._connector_options = dict(connector_options or {})
        self._raise_for_status = raise_for_status
        self._options = options
        self._jars: OrderedDict[str | None, aiohttp.abc.AbstractCookieJar] = OrderedDict()
        if cookie_jar is not None:
            self._jars[None] = cookie_jar
        self._has_socks: bool | None = None
        self._closing: set[asyncio.Future[None]] = set()
        hide_logins_in_logs()

    @property
    def pool(self) -> _core.ProxyPool:
        """The pool."""
        return self._lender.pool

    @property
    def cookie_jar(self) -> aiohttp.abc.AbstractCookieJar:
        """The cookies of requests without a ``session_id``."""
        return self._jar(None)

    def cookies_of(self, session_id: str) -> aiohttp.abc.AbstractCookieJar:
        """The cookies of a ``session_id``."""
        return self._jar(session_id)

    def request(self, method: str, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a request; to be awaited, or entered with ``async with``."""
        return ProxyWhirlRequest(self._request(method, url, arguments))

    def get(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a GET."""
        return self.request("GET", url, **arguments)

    def options(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send an OPTIONS."""
        return self.request("OPTIONS", url, **arguments)

    def head(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a HEAD; redirects are not followed unless told to."""
        return self.request("HEAD", url, **{"allow_redirects": False, **arguments})

    def post(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a POST."""
        return self.request("POST", url, **arguments)

    def put(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a PUT."""
        return self.request("PUT", url, **arguments)

    def patch(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a PATCH."""
        return self.request("PATCH", url, **arguments)

    def delete(self, url: Any, **arguments: Any) -> ProxyWhirlRequest:
        """Send a DELETE."""
        return self.request("DELETE", url, **arguments)

    async def close(self) -> None:
        """Close all connections. The session can be used again; a rotator that was handed over stays open."""
        gone = self._kept.clear()
        await asyncio.gather(*(session.close() for session in gone), *self._closing)
        await self._lender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _request(self, method: str, url: Any, arguments: dict[str, Any]) -> ProxyWhirlResponse:
        if "proxy" in arguments or "proxy_auth" in arguments:
            raise TypeError("proxy: not an argument here, proxies are the rotation's")
        wishes = _lender.split_wishes(arguments)
        if not self._lender.has_protocol(wishes):
            wishes["protocol"] = self._spoken(url)
        raises = arguments.pop("raise_for_status", self._raise_for_status)
        response = await self._rotate(method, url, wishes, Body(arguments, ["data"], (aiohttp.FormData,)))
        if raises is True:
            response.raise_for_status()
        elif callable(raises):
            await raises(response)
        return response

    async def _rotate(self, method: str, url: Any, wishes: dict[str, Any], body: Body) -> ProxyWhirlResponse:
        identity = self._lender.session_of(wishes)
        response: ProxyWhirlResponse | None = None
        own: BaseException | None = None
        try:
            async for attempt in self._lender.attempts(self._target(url), method, wishes):
                if response is not None:
                    response.close()
                    response = None
                try:
                    response = await self._send(attempt, identity, method, url, body.arguments())
                except BaseException as error:
                    if not attempt.__exit__(type(error), error, error.__traceback__) or not body.is_fresh:
                        raise
                    continue
                if not attempt.closed or attempt.is_last or not body.is_fresh:
                    return response
        except BaseException as error:
            if response is not None:
                response.close()
            own = _lender.own_error(error, _ERRORS)
            if own is None:
                raise
        # Not where it was caught: it would be raised in the context of an error that it is the cause of.
        if own is not None:
            raise hide_login(own)
        assert response is not None, "the loop ends with an answer, or by raising"
        return response

    async def _send(
        self, attempt: Attempt, identity: str | None, method: str, url: Any, arguments: dict[str, Any]
    ) -> ProxyWhirlResponse:
        """Send one attempt. A good answer is left to its response to report; any other is reported."""
        place = (identity, attempt.url)
        entry = self._kept.take(place, lambda: self._made(attempt, identity))
        began = time.monotonic()
        try:
            response = await entry.value.request(
                method,
                url,
                proxy=None if _is_socks(attempt) else attempt.url_for("aiohttp"),
                timeout=self._timeout(arguments.pop("timeout", None), attempt.time_left),
                raise_for_status=False,
                **arguments,
            )
        except BaseException:
            self._retire(self._kept.give_back(entry))
            raise
        assert isinstance(response, ProxyWhirlResponse)
        elapsed_ms = (time.monotonic() - began) * 1000
        hide_login_in_response(response)
        told: dict[str, Any] = _lender.shown_of(attempt, None)
        response.proxywhirl = told

        def settle(status: int, headers: Any, body: bytes | None, error: BaseException | None) -> None:
            self._retire(self._kept.give_back(entry))
            if attempt.closed:
                return
            if error is None:
                told["outcome"] = attempt.report(status, headers, body, elapsed_ms=elapsed_ms).value
            else:
                attempt.__exit__(type(error), error, None)
            self._after(attempt, place)

        response._settle = settle
        if self._read_bodies:
            await response.read()
        elif response.status >= 400 or attempt.outcome_of(response) is not Outcome.SUCCESS:
            told["outcome"] = attempt.report(response, elapsed_ms=elapsed_ms).value
            self._after(attempt, place)
        return response

    def _after(self, attempt: Attempt, place: tuple[str | None, str]) -> None:
        """A rotating gateway gives the next connection another exit: the ones that are open are not used again."""
        if attempt.renews:
            self._retire(self._kept.drop(lambda key: key == place))

    def _retire(self, sessions: list[aiohttp.ClientSession]) -> None:
        for session in sessions:
            task = asyncio.ensure_future(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _made(self, attempt: Attempt, identity: str | None) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if _is_socks(attempt):
            try:
                from aiohttp_socks import ProxyConnector
            except ImportError as error:
                raise ImportError("aiohttp speaks no SOCKS by itself: pip install aiohttp-socks") from error
            connector = ProxyConnector.from_url(attempt.url_for("aiohttp_socks"), rdns=True, **self._connector_options)
        else:
            connector = aiohttp.TCPConnector(**self._connector_options)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=self._jar(identity),
            response_class=ProxyWhirlResponse,
            trust_env=False,
            **self._options,
        )

    def _jar(self, identity: str | None) -> aiohttp.abc.AbstractCookieJar:
        jar = self._jars.get(identity)
        if jar is None:
            jar = self._jars[identity] = aiohttp.CookieJar()
        if identity is not None:
            self._jars.move_to_end(identity)
        if len(self._jars) > _JARS:
            self._jars.pop(next(name for name in self._jars if name is not None))
        return jar

    def _target(self, url: Any) -> Any:
        base = self._options.get("base_url")
        return url if base is None else URL(base).join(URL(url))

    def _timeout(self, given: Any, time_left: float | None) -> Any:
        limit = self._options.get("timeout") if given is None else given
        if limit is None:
            limit = aiohttp.ClientTimeout(total=5 * 60, sock_connect=30)
        elif not isinstance(limit, aiohttp.ClientTimeout):
            limit = aiohttp.ClientTimeout(total=limit)
        if time_left is None or (limit.total is not None and limit.total <= time_left):
            return limit
        return aiohttp.ClientTimeout(time_left, limit.connect, limit.sock_read, limit.sock_connect)

    def _spoken(self, url: Any) -> tuple[str, ...] | None:
        """What this machine can speak to a proxy; ``None`` for everything."""
        if self._has_socks is None:
            self._has_socks = find_spec("aiohttp_socks") is not None
            if not self._has_socks and any(proxy.protocol.startswith("socks") for proxy in self.pool):
                _log.warning("SOCKS proxies are left out: aiohttp speaks none by itself, pip install aiohttp-socks")
        # TLS inside TLS is Python's to do, since 3.11.
        has_https = sys.version_info >= (3, 11) or not str(url).startswith("https:")
        if self._has_socks and has_https:
            return None
        return ("http", *(("https",) if has_https else ()), *(_SOCKS if self._has_socks else ()))


def _is_socks(attempt: Attempt) -> bool:
    return attempt.url.startswith("socks")
