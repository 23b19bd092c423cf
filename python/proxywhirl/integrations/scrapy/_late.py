"""The download handler that takes the proxy when a request is sent, rather than before it waits for its slot."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from scrapy.core.downloader.handlers import DownloadHandlers
from scrapy.downloadermiddlewares.httpproxy import HttpProxyMiddleware
from scrapy.utils.defer import deferred_f_from_coro_f, maybe_deferred_to_future
from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.misc import load_object

from proxywhirl.integrations.scrapy._middleware import LEASE, middlewares

if TYPE_CHECKING:
    from typing_extensions import Self


class LateHandler:
    """Wraps the handlers that ``PROXYWHIRL_HANDLERS`` names by scheme; the add-on does so with ``PROXYWHIRL_LATE``.

    With delays a request may wait in its slot for longer than a short-lived proxy lives, or stays good. Here it is
    given the proxy after that. Slots are then those of the sites, since the proxy is not known before.
    """

    lazy = False

    def __init__(self, crawler: Any) -> None:
        self._crawler = crawler
        self._inner: dict[str, Any] = {}
        self._split: Any = None

    @classmethod
    def from_crawler(cls, crawler: Any) -> Self:
        """Make it of the settings of a crawler."""
        return cls(crawler)

    async def download_request(self, request: Any, spider: Any = None) -> Any:
        """Take the proxy and send the request."""
        del spider
        middleware = middlewares.get(self._crawler)
        if middleware is not None and request.meta.get(LEASE) == "":
            answer = await middleware.take(request)
            if answer is not None:
                return answer
            self._make_header(request)
        inner = self._handler(urlparse_cached(request).scheme)
        if inspect.iscoroutinefunction(inner.download_request):
            return await inner.download_request(request)
        return await maybe_deferred_to_future(inner.download_request(request, self._crawler.spider))

    async def close(self) -> None:
        """Close the handlers inside."""
        for inner in self._inner.values():
            if hasattr(inner, "close"):
                closing = inner.close()
                if closing is not None:
                    await (closing if inspect.iscoroutine(closing) else maybe_deferred_to_future(closing))

    def _make_header(self, request: Any) -> None:
        """Let Scrapy's own middleware make a header of the login: it has come by already, when there was none."""
        if self._split is None:
            self._split = HttpProxyMiddleware(self._crawler.settings.get("HTTPPROXY_AUTH_ENCODING"))
        process = self._split.process_request
        process(request) if _takes_no_spider(process) else process(request, self._crawler.spider)

    def _handler(self, scheme: str) -> Any:
        found = self._inner.get(scheme)
        if found is None:
            kind = load_object(self._crawler.settings.getdict("PROXYWHIRL_HANDLERS")[scheme])
            make = getattr(kind, "from_crawler", None)
            found = self._inner[scheme] = kind(self._crawler.settings) if make is None else make(self._crawler)
        return found


if not hasattr(DownloadHandlers, "download_request_async"):
    # Scrapy awaits no coroutines of handlers before 2.14.
    for _method in ("download_request", "close"):
        setattr(LateHandler, _method, deferred_f_from_coro_f(getattr(LateHandler, _method)))


def _takes_no_spider(function: Any) -> bool:
    spider = inspect.signature(function).parameters.get("spider")
    return spider is None or spider.default is not inspect.Parameter.empty
