"""The middleware that takes a proxy for each request, and reports what came of it."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional
from weakref import WeakKeyDictionary

from scrapy import signals
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.utils.httpobj import urlparse_cached

from proxywhirl._httpx.clients import Fault, read
from proxywhirl.exceptions import ProxyPoolEmptyError, ProxyWhirlError
from proxywhirl.integrations.scrapy import _figures, _playwright, _reactor
from proxywhirl.integrations.scrapy._bans import BAN, hooked
from proxywhirl.integrations.scrapy._handlers import Abilities
from proxywhirl.integrations.scrapy._options import Options, attempts_for, read_options

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("proxywhirl.scrapy")
_ROTATION_LOG = logging.getLogger("proxywhirl.rotation")

WISHES = "proxywhirl"
"""Where a request says what proxy it wants: ``session_id``, ``country``, and what else ``rotator.attempts()`` takes."""
LEASE = "_proxywhirl_lease"
"""Marks requests whose ``proxy`` was set here: the id of the lease, empty while a handler has yet to take it."""
_COURSE = "_proxywhirl_request"
_SLOT = "download_slot"
# Requests that wait in the scheduler for another attempt, at most; beyond that the oldest begin anew.
_MOST_WAITING = 1000
_FOREIGN = (Fault.ELSEWHERE, Fault.UNKNOWN)

middlewares: WeakKeyDictionary[Any, RotatingProxyMiddleware] = WeakKeyDictionary()
"""The middleware of each crawler, for :class:`LateHandler`."""


class _Course:
    """One page: the loop of its attempts, and what the last of them gave."""

    __slots__ = ("answer", "attempt", "attempts", "error", "id")

    def __init__(self, attempts: Any) -> None:
        self.id = uuid.uuid4().hex
        self.attempts = attempts
        self.attempt: Any = None
        self.answer: Any = None
        self.error: Optional[BaseException] = None


class RotatingProxyMiddleware:
    """Gives every request a proxy, and tries pages that a proxy spoils through others; at 610.

    Each page has a loop of ``rotator.attempts()`` in the middleware, so that what is tried again, how often, and
    through which proxies is what it is for all other clients. Between two attempts the request goes through the
    scheduler like any other that Scrapy retries; its copy has the id of the loop in its ``meta``, and no object. A
    copy that comes out of a queue on disk in another process begins a loop anew.
    """

    def __init__(self, crawler: Any, options: Options) -> None:
        self._crawler = crawler
        self._options = options
        self._stats = crawler.stats
        self._abilities = Abilities(crawler.settings)
        self._sets_slots = options.slots and not options.is_late
        self._of_browsers = _playwright.protocols(self.pool)
        self._bans, self._rule = hooked(options.ban_policy)
        # By the request itself: the lease of one that never comes back is released when that is collected.
        self._open: WeakKeyDictionary[Any, _Course] = WeakKeyDictionary()
        self._waiting: OrderedDict[str, _Course] = OrderedDict()
        self._log_loop: Any = None

    @classmethod
    def from_crawler(cls, crawler: Any) -> Self:
        """Make it of the settings of a crawler.

        Raises:
            NotConfigured: There are no proxies, or none that the project's download handlers can use.
        """
        made = cls(crawler, read_options(crawler, in_loop=_reactor.runs_asyncio()))
        if not made._abilities.warn_of(made.pool) and len(made.pool):
            raise NotConfigured("no download handler of this project can use any of the proxies")
        middlewares[crawler] = made
        if not _ROTATION_LOG.level:
            # A line for each page is what Scrapy's own debugging lines are for.
            _ROTATION_LOG.setLevel(logging.WARNING)
        crawler.signals.connect(made._engine_started, signal=signals.engine_started)
        crawler.signals.connect(made._spider_closed, signal=signals.spider_closed)
        crawler.signals.connect(made._engine_stopped, signal=signals.engine_stopped)
        return made

    @property
    def pool(self) -> Any:
        """The proxies."""
        return self._options.lender.pool

    async def process_request(self, request: Any, spider: Any = None) -> Any:
        """Take a proxy, unless the request has one of its own or wants none (``meta["proxy"] = None``)."""
        del spider
        meta = request.meta
        if ("proxy" in meta and LEASE not in meta) or urlparse_cached(request).scheme not in ("http", "https"):
            return None
        if self._options.is_late:
            # None: the environment's proxy is not to be used either.
            meta["proxy"], meta[LEASE] = None, ""
            return None
        return await self.take(request)

    async def take(self, request: Any) -> Any:
        """Take a proxy for a request; an answer if there is none but that, and ``None`` otherwise."""
        course = self._waiting.pop(request.meta.pop(_COURSE, ""), None) or _Course(self._begin(request))
        try:
            course.attempt = await _reactor.next_attempt(course.attempts, self._is_closing)
        except _reactor.ClosingError:
            course.attempts.close()
            raise IgnoreRequest("the spider is being closed") from None
        except ProxyWhirlError as error:
            if isinstance(error, ProxyPoolEmptyError) and self._options.closes_spider:
                _reactor.close_spider(self._crawler, "no_proxies")
                raise IgnoreRequest("no proxies are left") from error
            # What Scrapy raised of the last attempt, where it raised: errbacks know that.
            raise course.error or error from error
        if course.attempt is None:
            return course.answer
        self._open[request] = course
        self._put(request, course)
        return None

    def _begin(self, request: Any) -> Any:
        meta = request.meta
        wishes = meta.get(WISHES) or {}
        if not isinstance(wishes, Mapping):
            raise TypeError(f"meta['{WISHES}'] must be a mapping, not {type(wishes).__name__}")
        options: dict[str, Any] = {
            "protocol": self._of_browsers
            if meta.get("playwright")
            else self._abilities.of(urlparse_cached(request).scheme).protocols,
            "retry_policy": self._options.retry_policy,
            "ban_policy": self._bans,
            **wishes,
        }
        most = meta.get("max_proxies_to_try")
        if most is not None:
            options["retry_policy"] = options["retry_policy"].model_copy(update={"max_attempts": attempts_for(most)})
        session = options.get("session_id")
        if session is not None:
            # Cookies of a session are its own, as its proxy is.
            meta.setdefault("cookiejar", session)
        return self._options.lender.attempts(request.url, request.method, options)

    def _put(self, request: Any, course: _Course) -> None:
        meta, attempt = request.meta, course.attempt
        meta[LEASE] = f"{course.id}/{attempt.number}"
        if meta.get("playwright"):
            _playwright.put(meta, attempt)
            return
        # With the login: HttpProxyMiddleware, at 750, makes a header of it and takes it out.
        meta["proxy"] = attempt.url_for(self._abilities.of(urlparse_cached(request).scheme).client)
        if self._sets_slots:
            # Concurrency, delays and AutoThrottle act on each proxy at each site.
            meta[_SLOT] = f"{attempt.id}@{attempt.site}"

    async def process_response(self, request: Any, response: Any, spider: Any = None) -> Any:
        """Report an answer; the request once more where it is to be tried through another proxy."""
        del spider
        course = self._open.pop(request, None)
        if course is None:
            return response
        if "cached" in response.flags:
            course.attempt.release()
            return response
        outcome = self._report(request, course, response)
        _figures.note_response(self._stats, outcome, response)
        course.answer, course.error = response, None
        retry = self._again(request, course, f"{outcome.value} {response.status}")
        if retry is None and not course.attempts.goes_on:
            # Raises where rotator.get() would: a login that all refuse, or a ban with raise_on_ban.
            await _reactor.next_attempt(course.attempts, self._is_closing)
        return retry or response

    async def process_exception(self, request: Any, exception: Exception, spider: Any = None) -> Any:
        """Report a failure; the request once more where it is to be tried through another proxy."""
        del spider
        course = self._open.pop(request, None)
        if course is None:
            return None
        if read(exception).fault in _FOREIGN:
            # Of a middleware, or of the user's own: nothing was learned of the proxy.
            course.attempt.release()
            return None
        outcome = self._report(request, course, exception)
        _figures.note_exception(self._stats, outcome, exception)
        course.answer, course.error = None, exception
        return self._again(request, course, exception)

    def _report(self, request: Any, course: _Course, what: Any) -> Any:
        self._rule.said = request.meta.get(BAN)
        try:
            return course.attempt.report(what)
        finally:
            self._rule.said = None

    def _again(self, request: Any, course: _Course, reason: Any) -> Any:
        """The request for its next attempt, if the rotation calls for one."""
        if not course.attempts.goes_on:
            return None
        if request.meta.get("dont_retry") or self._is_closing():
            course.attempts.close()
            return None
        before = request.meta.get("retry_times")
        retry: Any = get_retry_request(
            request,
            spider=self._crawler.spider,
            reason=reason,
            # The rotation has counted; Scrapy's own retries have their count to themselves.
            max_retry_times=(before or 0) + 1,
            # Next: what another proxy gets out of the page decides whether this one or the site is to blame.
            priority_adjust=1,
            stats_base_key="proxywhirl/retry",
        )
        meta = retry.meta
        for key in ("retry_times", LEASE, "proxy", BAN, *([_SLOT] if self._sets_slots else ())):
            meta.pop(key, None)
        if meta.get("playwright"):
            _playwright.take_off(meta)
        if before is not None:
            meta["retry_times"] = before
        meta["proxy_retry_times"] = course.attempt.number
        meta[_COURSE] = course.id
        course.attempt = None
        self._waiting[course.id] = course
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
        return retry

    def _is_closing(self) -> bool:
        return _reactor.is_closing(self._crawler)

    def _log_standing(self) -> None:
        found = _figures.note_standing(self._stats, self.pool)
        _log.info("Proxies: %s", ", ".join(f"{count} {state}" for state, count in found.items()))

    def _engine_started(self) -> None:
        if self._options.interval > 0:
            self._log_loop = _reactor.looping(self._log_standing)
            self._log_loop.start(self._options.interval, now=False)

    async def _spider_closed(self) -> None:
        for course in (*self._open.values(), *self._waiting.values()):
            course.attempts.close()
        self._open.clear()
        self._waiting.clear()
        self._log_standing()

    async def _engine_stopped(self) -> None:
        loop, self._log_loop = self._log_loop, None
        if loop is not None and loop.running:
            loop.stop()
        for made in (self._options.lender, self._options.own):
            if hasattr(made, "aclose"):
                await made.aclose()
            elif made is not None:
                made.close()
