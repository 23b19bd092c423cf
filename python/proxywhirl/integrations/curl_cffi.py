"""Rotation in curl_cffi: sessions whose every request goes through a proxy chosen for it, with a browser's fingerprint.

::

    from proxywhirl.integrations.curl_cffi import ProxyWhirlSession

    with ProxyWhirlSession(["http://10.0.0.1:8080", "socks5://10.0.0.2:1080"], impersonate="chrome") as session:
        page = session.get("https://example.com").text

curl_cffi is the user's to install. libcurl keeps connections, and TLS sessions, by session: here each proxy has
sessions of its own, so that no site can tell by them that two proxies are one visitor.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl.integrations import _lender
from proxywhirl.integrations._body import Body
from proxywhirl.integrations._kept import Kept

try:
    import curl_cffi
except ImportError as error:
    raise ImportError("proxywhirl.integrations.curl_cffi needs curl_cffi: pip install curl_cffi") from error

from proxywhirl.integrations._curl_cffi_shared import ERRORS, Shared, settle, shown_error

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl.rotator._attempt import Attempt

__all__ = ["AsyncProxyWhirlSession", "ProxyWhirlSession"]

_BODIES = ("data", "content", "multipart")
_Place = tuple["str | None", str]


class ProxyWhirlSession(Shared):
    """A session of curl_cffi with rotation: the same verbs, arguments (``impersonate`` too) and responses.

    Each request leases a proxy and goes through others if that fails, as far as its method and body allow. A request
    may have ``session_id``, ``country``, ``region``, ``tags``, ``protocol``, ``context``, ``retry_policy``,
    ``ban_policy`` and ``raise_on_ban`` beside curl_cffi's arguments. Redirects stay on the proxy, proxies resolve
    names. Requests of one ``session_id`` have cookies and connections of their own; all others share the cookies of
    the session.

    The lease has ended when the response is returned, so that its ``raise_for_status()`` blames no proxy; that of a
    stream ends when it has been read or is closed. ``response.proxywhirl`` has ``proxy_id``, ``host``, ``port``,
    ``attempts`` and ``outcome``. What curl_cffi raised last is raised when no attempt is left; where there was nothing
    of the kind, it is one of ours (``ProxyPoolEmptyError``, ``ProxyBannedError``, ``ProxyConnectionError`` after a
    status).

    For any number of threads: a request has a session of curl_cffi to itself, which is not for several at once.

    Args:
        source: A rotator, a ``ProxyPool``, proxies, gateways, or the path of a list.
        max_sessions: Most idle sessions of curl_cffi that are kept. The least recently used is closed first.
        options: Wishes for all requests, by the names above, and arguments of ``curl_cffi.Session``.

    Raises:
        TypeError: ``source`` is none of these, or an option is the rotation's to say (``proxy``, ``proxies``,
            ``proxy_auth``, ``trust_env``).
    """

    def __init__(self, source: Any, *, max_sessions: int = 100, **options: Any) -> None:
        self._lender = _lender.Lender(source, _lender.split_wishes(options))
        super().__init__(options)
        if max_sessions < 1:
            raise ValueError("max_sessions must be at least 1")
        self._most = max_sessions
        # Idle sessions, the least recently used first. Those in use belong to their requests.
        self._idle: OrderedDict[curl_cffi.Session[Any], _Place] = OrderedDict()
        self._lock = new_lock()
        # In a child of a fork they are the parent's: neither used nor closed there.
        self._pid = os.getpid()
        self._of_parent: list[Any] = []

    def request(self, method: str, url: str, **arguments: Any) -> curl_cffi.Response:
        """Send a request; as ``curl_cffi.Session.request``."""
        wishes = _lender.split_wishes(arguments)
        identity = self._lender.session_of(wishes)
        body = Body(arguments, _BODIES)
        response: Any = None
        own: BaseException | None = None
        try:
            for attempt in self._lender.attempts(self._target(url), method, wishes):
                if response is not None:
                    response.close()
                    response = None
                try:
                    response = self._send(attempt, identity, method, url, body.arguments())
                except BaseException as error:
                    if not attempt.__exit__(type(error), error, error.__traceback__) or not body.is_fresh:
                        raise
                    continue
                if not attempt.closed or attempt.is_last or not body.is_fresh:
                    break
        except BaseException as error:
            if response is not None:
                response.close()
            own = _lender.own_error(error, ERRORS)
            if own is None:
                raise
        # Not where it was caught: it would be raised in the context of an error that it is the cause of.
        if own is not None:
            raise shown_error(own)
        return self._returned(response)

    @contextmanager
    def stream(self, method: str, url: str, **arguments: Any) -> Iterator[curl_cffi.Response]:
        """Send a request and leave the body to the caller; as ``curl_cffi.Session.stream``."""
        response: Any = self.request(method, url, **{**arguments, "stream": True})
        try:
            yield response
        except BaseException as error:
            settle(response, error)
            raise
        finally:
            response.close()

    def _send(self, attempt: Attempt, identity: str | None, method: str, url: str, arguments: dict[str, Any]) -> Any:
        place = (identity, attempt.url_for("curl_cffi"))
        session: Any = self._take(place)
        try:
            response = session.request(method, url, **self._arguments(attempt, place, arguments))
        except BaseException as error:
            # libcurl itself closes the connection that failed; what an interrupt left behind is not used again.
            self._give_back(session, place, is_good=isinstance(error, Exception))
            raise
        self._told(attempt, response, arguments, lambda: self._give_back(session, place, is_good=not attempt.renews))
        return response

    def _take(self, place: _Place) -> curl_cffi.Session[Any]:
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._of_parent += self._idle
                self._idle.clear()
            found = next((session for session in reversed(self._idle) if self._idle[session] == place), None)
            if found is not None:
                del self._idle[found]
                return found
        # Not bound to a thread: this one has it to itself now, another one later.
        session: curl_cffi.Session[Any] = curl_cffi.Session(use_thread_local_curl=False, **self._options_of(place))
        session.cookies = self._jar(place[0])
        return session

    def _give_back(self, session: curl_cffi.Session[Any], place: _Place, *, is_good: bool) -> None:
        gone = [] if is_good else [session]
        with self._lock:
            if is_good:
                self._idle[session] = place
            else:
                gone += [one for one, at in self._idle.items() if at == place]
                for one in gone[1:]:
                    del self._idle[one]
            while len(self._idle) > self._most:
                gone.append(self._idle.popitem(last=False)[0])
        for one in gone:
            one.close()

    def close(self) -> None:
        """Close all sessions. This one can be used again; a rotator that was handed over stays open."""
        with self._lock:
            gone = list(self._idle)
            self._idle.clear()
        for session in gone:
            session.close()
        self._lender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncProxyWhirlSession(Shared):
    """As :class:`ProxyWhirlSession`, with the coroutines of ``curl_cffi.AsyncSession``. For one event loop.

    Requests side by side through one proxy share a session of curl_cffi, and do so up to its ``max_clients``.
    """

    def __init__(self, source: Any, *, max_sessions: int = 100, **options: Any) -> None:
        self._lender = _lender.AsyncLender(source, _lender.split_wishes(options))
        super().__init__(options)
        self._kept: Kept[curl_cffi.AsyncSession[Any]] = Kept(max_sessions)
        self._closing: set[asyncio.Future[None]] = set()

    async def request(self, method: str, url: str, **arguments: Any) -> curl_cffi.Response:
        """Send a request; as ``curl_cffi.AsyncSession.request``."""
        wishes = _lender.split_wishes(arguments)
        identity = self._lender.session_of(wishes)
        body = Body(arguments, _BODIES)
        response: Any = None
        own: BaseException | None = None
        try:
            async for attempt in self._lender.attempts(self._target(url), method, wishes):
                if response is not None:
                    await response.aclose()
                    response = None
                try:
                    response = await self._send(attempt, identity, method, url, body.arguments())
                except BaseException as error:
                    if not attempt.__exit__(type(error), error, error.__traceback__) or not body.is_fresh:
                        raise
                    continue
                if not attempt.closed or attempt.is_last or not body.is_fresh:
                    break
        except BaseException as error:
            if response is not None:
                await response.aclose()
            own = _lender.own_error(error, ERRORS)
            if own is None:
                raise
        if own is not None:
            raise shown_error(own)
        return self._returned(response)

    @asynccontextmanager
    async def stream(self, method: str, url: str, **arguments: Any) -> AsyncIterator[curl_cffi.Response]:
        """Send a request and leave the body to the caller; as ``curl_cffi.AsyncSession.stream``."""
        response: Any = await self.request(method, url, **{**arguments, "stream": True})
        try:
            yield response
        except BaseException as error:
            settle(response, error)
            raise
        finally:
            await response.aclose()

    async def _send(
        self, attempt: Attempt, identity: str | None, method: str, url: str, arguments: dict[str, Any]
    ) -> Any:
        place = (identity, attempt.url_for("curl_cffi"))
        entry = self._kept.take(place, lambda: self._made(place))
        try:
            session: Any = entry.value
            response = await session.request(method, url, **self._arguments(attempt, place, arguments))
        except BaseException:
            self._retire(self._kept.give_back(entry))
            raise

        def give_back() -> None:
            if attempt.renews:
                self._retire(self._kept.drop(lambda key: key == place))
            self._retire(self._kept.give_back(entry))

        self._told(attempt, response, arguments, give_back)
        return response

    def _made(self, place: _Place) -> curl_cffi.AsyncSession[Any]:
        session: curl_cffi.AsyncSession[Any] = curl_cffi.AsyncSession(**self._options_of(place))
        session.cookies = self._jar(place[0])
        return session

    def _retire(self, sessions: list[curl_cffi.AsyncSession[Any]]) -> None:
        for session in sessions:
            task = asyncio.ensure_future(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all sessions. This one can be used again; a rotator that was handed over stays open."""
        gone = self._kept.clear()
        await asyncio.gather(*(session.close() for session in gone), *self._closing)
        await self._lender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
