"""How a proxy is asked whether it works."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Union

from proxywhirl._core import may_be_of_the_proxy
from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import client_url

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl._core import Proxy
    from proxywhirl.models import HealthChecker

__all__ = ["CheckFailed", "HttpCheck", "TcpCheck", "probe_of"]

Probe = Callable[["Proxy"], Awaitable[None]]
Checker = Union["HealthChecker", Callable[["Proxy"], Any]]


class CheckFailed(Exception):
    """A proxy did not pass a check; the text says why, without credentials."""


class TcpCheck:
    """Whether the proxy's port accepts a connection.

    Args:
        timeout: Seconds for the name look-up and the connection together.
    """

    def __init__(self, timeout: float = 10.0) -> None:
        self.timeout = timeout

    async def probe(self, proxy: Proxy) -> None:
        """Connect, and hang up.

        Raises:
            CheckFailed: It cannot be reached.
        """
        host = proxy.host.strip("[]")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, proxy.port), self.timeout)
        except asyncio.TimeoutError:
            raise CheckFailed(f"no connection within {self.timeout:g} s") from None
        except (OSError, UnicodeError) as error:
            raise CheckFailed(f"no connection: {error}") from None
        writer.close()

    async def check(self, proxy: Proxy) -> bool:
        """Whether the port accepts a connection."""
        return await _passes(self.probe(proxy))


class HttpCheck:
    """Whether a page can be had through the proxy, whichever of the schemes it speaks.

    A page that answers 4xx or 500 has been reached; 407, 502, 503 and 504 are taken for the proxy's own.

    Args:
        url: The page.
        timeout: Seconds for everything.
        tls: The contexts for TLS; by default certificates are verified against the usual authorities.
    """

    def __init__(self, url: str, timeout: float = 10.0, tls: Any = None) -> None:
        from proxywhirl._httpx.carrier import AsyncCarrier
        from proxywhirl._httpx.library import default_name, flavour
        from proxywhirl._httpx.limits import Limits
        from proxywhirl._httpx.tls import Tls

        self.url = url
        self.timeout = timeout
        self._flavour = flavour(default_name())
        # Raises what httpx raises if this is no URL, now rather than at the first check.
        scheme = self._request().url.scheme
        if scheme not in ("http", "https"):
            raise ValueError(f"the URL of a health check begins with http:// or https://, not {scheme!r}")
        # A connection that is kept would only say that it was good a minute ago.
        self._carrier = AsyncCarrier(Tls(True, None) if tls is None else tls, Limits(keepalive=0, routes=2000))

    def _request(self) -> Any:
        phases = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout)
        headers = {"User-Agent": "proxywhirl health check", "Accept": "*/*"}
        return self._flavour.module.Request("GET", self.url, headers=headers, extensions={"timeout": phases})

    async def probe(self, proxy: Proxy) -> None:
        """Get the page.

        Raises:
            CheckFailed: It cannot be had through this proxy.
        """
        from proxywhirl._httpx.rotation import SendOptions

        terms = SendOptions(self._flavour, read=True, repeatable=True)
        sending = self._carrier.send(_Stand(proxy.id, client_url(proxy)), self._request(), terms)
        try:
            reply = await asyncio.wait_for(sending, self.timeout)
        except asyncio.TimeoutError:
            raise CheckFailed(f"no answer within {self.timeout:g} s") from None
        except OSError as error:
            raise CheckFailed(f"no answer: {scrub_text(str(error))}") from None
        failure = getattr(reply, "error", None)
        if failure is not None:
            raise CheckFailed(scrub_text(f"{type(failure).__name__}: {failure}"))
        status = getattr(reply, "status", 0)
        if may_be_of_the_proxy(status):
            raise CheckFailed(f"status {status}")

    async def check(self, proxy: Proxy) -> bool:
        """Whether the page can be had."""
        return await _passes(self.probe(proxy))

    async def aclose(self) -> None:
        """Close what is still open."""
        await self._carrier.aclose()


class _Stand(NamedTuple):
    """What a carrier needs of a lease."""

    id: UUID
    url: str


async def _passes(probing: Awaitable[None]) -> bool:
    try:
        await probing
    except CheckFailed:
        return False
    return True


def probe_of(checker: Checker) -> Probe:
    """Make one kind of function of whatever can check.

    Args:
        checker: An object with ``check(proxy)``, or a function; it returns, or a coroutine does, whether the proxy
            works. One that blocks is run in a thread.

    Returns:
        A coroutine function that raises :class:`CheckFailed`.

    Raises:
        TypeError: It is neither.
    """
    probe: Probe | None = getattr(checker, "probe", None)
    if probe is not None and inspect.iscoroutinefunction(probe):
        return probe
    check: Any = getattr(checker, "check", None) or checker
    if not callable(check):
        raise TypeError(f"a checker has a method check(proxy), or is a function; not {type(checker).__name__}")

    async def ask(proxy: Proxy) -> None:
        try:
            if inspect.iscoroutinefunction(check):
                passed = await check(proxy)
            else:
                passed = await asyncio.get_running_loop().run_in_executor(None, functools.partial(check, proxy))
                if inspect.isawaitable(passed):
                    passed = await passed
        except CheckFailed:
            raise
        except Exception as error:
            raise CheckFailed(scrub_text(f"{type(error).__name__}: {error}")) from error
        if not passed:
            raise CheckFailed("the checker says no")

    return ask
