"""Rotation in crawlee: a proxy configuration whose proxies learn from what becomes of pages and sessions.

::

    from crawlee.crawlers import ParselCrawler
    from proxywhirl.integrations.crawlee import ProxyWhirlConfiguration

    proxies = ProxyWhirlConfiguration(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
    crawler = ParselCrawler(**proxies.crawler_options())

crawlee is the user's to install. It retries by itself, so that each of its tries is one lease.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

try:
    from crawlee.errors import ProxyError
    from crawlee.http_clients import HttpClient, ImpitHttpClient
    from crawlee.proxy_configuration import ProxyConfiguration, ProxyInfo
    from crawlee.sessions import Session, SessionPool
    from yarl import URL
except ImportError as error:
    raise ImportError("proxywhirl.integrations.crawlee needs crawlee: pip install crawlee") from error

if TYPE_CHECKING:
    from crawlee import Request

    from proxywhirl import _core

__all__ = ["LeasedProxyInfo", "ProxyWhirlConfiguration", "ProxyWhirlHttpClient", "ProxyWhirlSession"]

# How to write the URL of a proxy, by the class of what sends through it.
_CLIENTS = {"HttpxHttpClient": "httpx", "CurlImpersonateHttpClient": "curl_cffi"}
# crawlee cancels a page when its time is up. The client's own timeout comes first: a cancellation teaches nothing.
_SHARE_OF_TIME = 0.9


@dataclass
class LeasedProxyInfo(ProxyInfo):
    """crawlee's facts about a proxy, with the lease for one page.

    Attributes:
        lease: The lease.
        request: The request.
    """

    lease: Any = field(default=None, repr=False, compare=False)
    request: Any = field(default=None, repr=False, compare=False)
    _answer: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<LeasedProxyInfo {self.lease!r}>"

    def answered(self, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        """Take note of an answer. One that may be good is reported when crawlee has done with the page."""
        self._answer = (status, dict(headers), body)
        if status >= 400 or self.session_id is None:
            self.settle()

    def failed(self, error: BaseException) -> None:
        """Report what came instead of an answer."""
        if not self.lease.closed:
            self.lease.report(error=error)

    def settle(self) -> None:
        """Report the answer, if there was one; give the proxy back if not."""
        if self.lease.closed:
            return
        if self._answer:
            self.lease.report(*self._answer)
        else:
            self.lease.release()

    def succeeded(self) -> None:
        """Report the answer; a browser's page that was handled is a success."""
        if self._answer:
            self.settle()
        elif not self.lease.closed:
            self.lease.success()

    def ended_by(self, error: BaseException | None) -> None:
        """Report an error, unless an answer had come: then it is of what was done with it."""
        if self._answer or error is None:
            self.settle()
        else:
            self.failed(error)

    def refused(self) -> None:
        """Report that the site refuses the proxy."""
        if not self.lease.closed:
            self.lease.banned()


# The page that the running task works on.
_page: ContextVar[LeasedProxyInfo | None] = ContextVar("proxywhirl_crawlee_page", default=None)


class ProxyWhirlSession(Session):
    """A session of crawlee that tells the pool what became of it.

    ``retire()`` and ``mark_bad()`` in a handler, a blocked status and a page that crawlee finds blocked mean that the
    site refuses the proxy. An error of the handler blames no proxy.
    """

    def _current(self) -> LeasedProxyInfo | None:
        page = _page.get()
        return page if page is not None and page.session_id == self.id else None

    def mark_good(self) -> None:
        """Mark the session as good."""
        page = self._current()
        if page is not None:
            page.succeeded()
        super().mark_good()

    def mark_bad(self) -> None:
        """Mark the session as bad."""
        page = self._current()
        if page is not None:
            if _is_being_handled(page.request):
                page.refused()
            else:
                page.ended_by(_error())
        super().mark_bad()

    def retire(self) -> None:
        """Retire the session."""
        page = self._current()
        if page is not None:
            error = _error()
            if isinstance(error, ProxyError) and not _is_being_handled(page.request):
                page.ended_by(error)
            else:
                page.refused()
        super().retire()


class ProxyWhirlHttpClient(HttpClient):
    """An HTTP client of crawlee, whose answers and errors are reported to the pool.

    Args:
        inner: The client; crawlee's default one by default.
    """

    def __init__(self, inner: HttpClient | None = None) -> None:
        self._inner = ImpitHttpClient() if inner is None else inner
        super().__init__()

    async def crawl(self, request: Any, *, timeout: timedelta | None = None, **options: Any) -> Any:
        """Fetch the page of a request."""
        info = options.get("proxy_info")
        with _reporting(info):
            result = await self._inner.crawl(request, timeout=_shorter(timeout), **options)
            await _answered(info, result.http_response)
        return result

    async def send_request(self, url: str, *, timeout: timedelta | None = None, **options: Any) -> Any:
        """Send a request."""
        info = options.get("proxy_info")
        with _reporting(info):
            response = await self._inner.send_request(url, timeout=_shorter(timeout), **options)
            await _answered(info, response)
        return response

    @asynccontextmanager
    async def stream(self, url: str, *, timeout: timedelta | None = None, **options: Any) -> AsyncIterator[Any]:
        """Send a request and leave the body to the caller."""
        info = options.get("proxy_info")
        with _reporting(info):
            async with self._inner.stream(url, timeout=_shorter(timeout), **options) as response:
                if isinstance(info, LeasedProxyInfo):
                    info.answered(response.status_code, response.headers, None)
                yield response

    async def cleanup(self) -> None:
        """Close what the client keeps open."""
        await self._inner.cleanup()


class ProxyWhirlConfiguration(ProxyConfiguration):
    """crawlee's proxy configuration over a rotation.

    Each page of a session goes through the proxy of the session for as long as that is usable at the site. What is
    learned of proxies comes by the sessions and the HTTP client of :meth:`crawler_options`; a browser's crawler takes
    no HTTP client, and there the sessions tell. A crawl ends with ``ProxyPoolEmptyError`` when no proxy can be had.

    Args:
        source: An ``AsyncProxyRotator``, the proxies of a ``ProxyPool``, proxies, gateways, or the path of a list.
        tiers: Wishes by tier, for a request that sites refuse: with each session that was retired over it, it takes the
            next tier, and stays with the last. A tier that is asked for goes before.
        client: Of which client's kind the URLs of proxies are; :meth:`crawler_options` sets it.
        wishes: ``country``, ``region``, ``tags`` and ``protocol`` of all requests.

    Raises:
        TypeError: ``source`` is none of these.
    """

    def __init__(
        self,
        source: Any,
        *,
        tiers: Sequence[Mapping[str, Any]] = (),
        client: str = "impit",
        **wishes: Any,
    ) -> None:
        super().__init__(new_url_function=self._new_lease_url)
        self._rotator, self._is_own = _rotator_of(source)
        self._tiers = tuple(tiers)
        self._client = client
        self._wishes = wishes

    @property
    def pool(self) -> _core.ProxyPool:
        """The pool."""
        pool: _core.ProxyPool = self._rotator.pool
        return pool

    def crawler_options(self, http_client: HttpClient | None = None, **session_options: Any) -> dict[str, Any]:
        """Arguments of a crawler: ``proxy_configuration``, ``http_client`` and ``session_pool``.

        Args:
            http_client: What is to fetch pages, one of crawlee's clients; its default one by default.
            session_options: Arguments of each session, such as ``max_usage_count``.
        """
        self._client = _CLIENTS.get(type(http_client).__name__, "impit")
        return {
            "proxy_configuration": self,
            "http_client": ProxyWhirlHttpClient(http_client),
            "session_pool": self.session_pool(**session_options),
        }

    def session_pool(self, max_pool_size: int = 1000, **session_options: Any) -> SessionPool:
        """A pool of sessions that report, for crawlers without an HTTP client of their own."""
        return SessionPool(
            max_pool_size=max_pool_size, create_session_function=lambda: ProxyWhirlSession(**session_options)
        )

    async def new_proxy_info(
        self, session_id: str | None, request: Request | None, proxy_tier: int | None
    ) -> LeasedProxyInfo:
        """Lease a proxy."""
        wishes = dict(self._wishes)
        if self._tiers:
            if proxy_tier is None:
                proxy_tier = 0 if request is None else request.session_rotation_count or 0
            proxy_tier = min(proxy_tier, len(self._tiers) - 1)
            wishes.update(self._tiers[proxy_tier])
        lease = await self._rotator.lease(None if request is None else request.url, session_id=session_id, **wishes)
        url = URL(lease.url_for(self._client))
        info = LeasedProxyInfo(
            url=str(url),
            scheme=url.scheme,
            hostname=lease.proxy.host,
            port=lease.proxy.port,
            username=url.user or "",
            password=url.password or "",
            session_id=session_id,
            proxy_tier=proxy_tier,
            lease=lease,
            request=request,
        )
        _page.set(info)
        return info

    async def _new_lease_url(self, session_id: str | None = None, request: Request | None = None) -> str:
        return (await self.new_proxy_info(session_id, request, None)).url

    async def aclose(self) -> None:
        """Close the rotator, unless it was handed over."""
        if self._is_own:
            await self._rotator.aclose()


@contextmanager
def _reporting(info: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(info, LeasedProxyInfo):
            info.failed(error)
        raise


async def _answered(info: Any, response: Any) -> None:
    if isinstance(info, LeasedProxyInfo):
        info.answered(response.status_code, response.headers, await response.read())


def _shorter(timeout: timedelta | None) -> timedelta | None:
    return None if timeout is None else timeout * _SHARE_OF_TIME


def _is_being_handled(request: Any) -> bool:
    """Whether a user's code is at it, rather than crawlee's own after an error."""
    return request is None or request.state.name not in ("ERROR_HANDLER", "ERROR", "DONE")


def _error() -> BaseException | None:
    """The error that crawlee is dealing with: it marks sessions while it handles one."""
    error = sys.exc_info()[1]
    wrapped = getattr(error, "wrapped_exception", error)
    return wrapped if isinstance(wrapped, BaseException) else None


def _rotator_of(source: Any) -> tuple[Any, bool]:
    from proxywhirl import _core
    from proxywhirl.rotator import AsyncProxyRotator
    from proxywhirl.rotator.base import ProxyRotatorBase

    if isinstance(source, AsyncProxyRotator):
        return source, False
    if isinstance(source, ProxyRotatorBase):
        raise TypeError("crawlee is asynchronous: give an AsyncProxyRotator, or the pool of the rotator")
    return AsyncProxyRotator(proxies=list(source) if isinstance(source, _core.ProxyPool) else source), True
