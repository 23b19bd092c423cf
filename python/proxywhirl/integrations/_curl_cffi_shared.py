"""What both sessions of curl_cffi share: everything but the waiting."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import urljoin

import curl_cffi
from curl_cffi.requests.exceptions import RequestException

from proxywhirl._base.fork import new_lock
from proxywhirl._native.enums import Outcome
from proxywhirl._native.redact import scrub_text
from proxywhirl.integrations import _lender

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rotator._attempt import Attempt

__all__ = ["ERRORS", "Shared", "settle", "shown_error"]

ERRORS = (RequestException, curl_cffi.CurlError)
_REFUSED = frozenset({"proxy", "proxies", "proxy_auth", "trust_env"})
# Most jars of sessions that are kept; the least recently used goes first.
_JARS = 10_000


class Shared:
    """Options, cookies, verbs, and the end of a lease."""

    _lender: Any

    def __init__(self, options: dict[str, Any]) -> None:
        _refuse(options)
        self._raises = bool(options.pop("raise_for_status", False))
        self._base = options.get("base_url")
        cookies = curl_cffi.Cookies(options.pop("cookies", None))
        self._options = options
        self._jars: OrderedDict[str | None, CookieJar] = OrderedDict({None: cookies.jar})
        self._jars_lock = new_lock()

    @property
    def pool(self) -> _core.ProxyPool:
        """The pool."""
        pool: _core.ProxyPool = self._lender.pool
        return pool

    @property
    def cookies(self) -> curl_cffi.Cookies:
        """The cookies of requests without a ``session_id``."""
        return curl_cffi.Cookies(self._jar(None))

    def cookies_of(self, session_id: str) -> curl_cffi.Cookies:
        """The cookies of a ``session_id``."""
        return curl_cffi.Cookies(self._jar(session_id))

    def request(self, method: str, url: str, **arguments: Any) -> Any:
        """Send a request."""
        raise NotImplementedError

    def get(self, url: str, **arguments: Any) -> Any:
        """Send a GET."""
        return self.request("GET", url, **arguments)

    def head(self, url: str, **arguments: Any) -> Any:
        """Send a HEAD."""
        return self.request("HEAD", url, **arguments)

    def options(self, url: str, **arguments: Any) -> Any:
        """Send an OPTIONS."""
        return self.request("OPTIONS", url, **arguments)

    def post(self, url: str, **arguments: Any) -> Any:
        """Send a POST."""
        return self.request("POST", url, **arguments)

    def put(self, url: str, **arguments: Any) -> Any:
        """Send a PUT."""
        return self.request("PUT", url, **arguments)

    def patch(self, url: str, **arguments: Any) -> Any:
        """Send a PATCH."""
        return self.request("PATCH", url, **arguments)

    def delete(self, url: str, **arguments: Any) -> Any:
        """Send a DELETE."""
        return self.request("DELETE", url, **arguments)

    def _target(self, url: str) -> str:
        return urljoin(self._base, url) if self._base else url

    def _jar(self, identity: str | None) -> CookieJar:
        with self._jars_lock:
            jar = self._jars.setdefault(identity, CookieJar())
            if identity is not None:
                self._jars.move_to_end(identity)
            if len(self._jars) > _JARS:
                self._jars.pop(next(name for name in self._jars if name is not None))
            return jar

    def _options_of(self, place: tuple[str | None, str]) -> dict[str, Any]:
        """Arguments of a session of curl_cffi."""
        options = {**self._options, "trust_env": False}
        no_reuse = getattr(curl_cffi.CurlOpt, "PROXY_CREDENTIAL_NO_REUSE", None)
        if no_reuse is not None:
            # The connections of a sticky session are its own, whatever its login; those of a rotation go by login.
            reuse = {no_reuse: 0 if place[0] is not None else 1}
            options["curl_options"] = {**reuse, **(options.get("curl_options") or {})}
        return options

    def _arguments(self, attempt: Attempt, place: tuple[str | None, str], arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments of an attempt."""
        _refuse(arguments)
        given = {**arguments, "proxy": place[1]}
        if attempt.time_left is not None:
            limit = arguments.get("timeout", self._options.get("timeout", 30))
            given["timeout"] = _within(limit, max(attempt.time_left, 0.001))
        return given

    def _told(self, attempt: Attempt, response: Any, arguments: dict[str, Any], give_back: Callable[[], None]) -> None:
        """Report an answer. A good one that is streamed is reported when it is closed."""
        told = response.proxywhirl = _lender.shown_of(attempt, None)

        def report() -> None:
            if not attempt.closed:
                told["outcome"] = attempt.report(response).value

        if not arguments.get("stream"):
            report()
            give_back()
            return
        if response.status_code >= 400 or attempt.outcome_of(response) is not Outcome.SUCCESS:
            report()
        _watch(response, attempt, report, give_back)

    def _returned(self, response: Any) -> curl_cffi.Response:
        if self._raises:
            response.raise_for_status()
        answer: curl_cffi.Response = response
        return answer


def settle(response: Any, error: BaseException | None) -> None:
    """End the lease of a streamed response, unless it has ended."""
    response._proxywhirl_settle(error)


def shown_error(error: BaseException) -> BaseException:
    """An exception of curl_cffi without the credentials of URLs in its text."""
    error.args = tuple(scrub_text(one) if type(one) is str else one for one in error.args)
    return error


def _watch(response: Any, attempt: Attempt, report: Callable[[], None], give_back: Callable[[], None]) -> None:
    """Let a streamed response end its lease: when it is closed, or by what breaks its body."""
    close, aclose = response.close, response.aclose
    iter_content, aiter_content = response.iter_content, response.aiter_content

    def settled(error: BaseException | None) -> None:
        if error is None:
            report()
        elif not attempt.closed:
            attempt.__exit__(type(error), error, None)

    returns = [give_back]
    # At the end of a body, and at what breaks it, the iterator closes the response before it says so.
    reading: list[bool] = []

    def returned(error: BaseException | None = None) -> None:
        settled(error)
        if returns:
            returns.pop()()

    def close_and_settle() -> None:
        close()
        if not reading:
            returned()

    async def aclose_and_settle() -> None:
        await aclose()
        if not reading:
            returned()

    def iter_and_settle(*arguments: Any, **named: Any) -> Iterator[bytes]:
        reading.append(True)
        try:
            yield from iter_content(*arguments, **named)
        except ERRORS as error:
            returned(error)
            raise
        else:
            returned()
        finally:
            reading.clear()

    async def aiter_and_settle(*arguments: Any, **named: Any) -> AsyncIterator[bytes]:
        reading.append(True)
        try:
            async for chunk in aiter_content(*arguments, **named):
                yield chunk
        except ERRORS as error:
            returned(error)
            raise
        else:
            returned()
        finally:
            reading.clear()

    response._proxywhirl_settle = settled
    response.close, response.aclose = close_and_settle, aclose_and_settle
    response.iter_content, response.aiter_content = iter_and_settle, aiter_and_settle


def _refuse(given: dict[str, Any]) -> None:
    refused = _REFUSED & set(given)
    if refused:
        raise TypeError(f"{', '.join(sorted(refused))}: not an option here, proxies are the rotation's")


def _within(limit: Any, seconds: float) -> Any:
    """A timeout of curl_cffi that ends within these seconds."""
    if isinstance(limit, tuple):
        connect = min(limit[0], seconds)
        return connect, min(limit[1], seconds - connect)
    return min(limit, seconds) if isinstance(limit, (int, float)) and limit else seconds
