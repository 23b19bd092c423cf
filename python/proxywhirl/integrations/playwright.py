"""Rotation in Playwright: every page in a context on a proxy that was chosen for it.

::

    from playwright.sync_api import sync_playwright

    from proxywhirl.integrations.playwright import ProxyWhirlBrowser

    with sync_playwright() as playwright, playwright.chromium.launch() as chromium:
        with ProxyWhirlBrowser(["http://10.0.0.1:8080", "http://10.0.0.2:8080"], chromium) as browser:
            with browser.page("https://example.com", timeout=10_000) as page:
                title = page.title()

Playwright and its browsers are the user's to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.integrations import _lender
from proxywhirl.integrations._contexts import NOTHING, Held, PageAttemptBase, Shared, known, raise_own

try:
    from playwright.sync_api import Error
except ImportError as error:
    raise ImportError("proxywhirl.integrations.playwright needs Playwright: pip install playwright") from error

from proxywhirl.integrations._playwright_async import AsyncPageAttempt, AsyncProxyWhirlBrowser

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page
    from typing_extensions import Self

__all__ = ["AsyncPageAttempt", "AsyncProxyWhirlBrowser", "PageAttempt", "ProxyWhirlBrowser"]


class PageAttempt(PageAttemptBase):
    """One attempt to get a page: entering it gives a page on the leased proxy, which is closed with the block.

    As with ``rotator.attempts()``, an exception of Playwright's that leaves the block is reported, and the loop goes
    on; a block that ends without a word is a success. For the thread of its browser.

    Attributes:
        number: Which attempt it is, from 1.
        proxy: The proxy.
    """

    def __init__(self, browser: ProxyWhirlBrowser, attempt: Any, session_id: str | None) -> None:
        super().__init__(attempt, session_id)
        self._browser = browser

    def __enter__(self) -> Page:
        try:
            self._held = self._browser._take(self._attempt, self._session_id)
            self._page = self._held.context.new_page()
        except BaseException:
            self._attempt.release()
            self._leave(is_good=False)
            raise
        return self._page  # type: ignore[no-any-return]

    def __exit__(self, kind: object = None, error: BaseException | None = None, traceback: object = None) -> bool:
        handled = self._attempt.__exit__(kind, error, traceback)
        self._leave(is_good=self._is_good(error))
        return handled

    @contextmanager
    def alone(self) -> Iterator[BrowserContext]:
        """The context of this attempt, which no other follows."""
        is_good = False
        try:
            self._held = self._browser._take(self._attempt, self._session_id)
            yield self._held.context
            is_good = True
        except BaseException as error:
            self._attempt.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            self._attempt.__exit__()
        finally:
            held = self._held
            for page in held.context.pages if held is not None and held.users == 1 else ():
                page.close()
            self._leave(is_good=is_good)

    def _leave(self, *, is_good: bool) -> None:
        held, page = self._held, self._page
        self._held = self._page = None
        if page is not None:
            page.close()
        if held is not None:
            self._browser._give_back(held, is_good=is_good)


class ProxyWhirlBrowser(Shared):
    """Pages of a browser, each in a context on a proxy that was chosen for it. For the thread of the browser.

    Args:
        source: A rotator, a ``ProxyPool``, proxies, gateways, or the path of a list.
        browser: A browser of Playwright's, launched by the user, and the user's to close.
        max_contexts: Most contexts that are kept open without a page in them, 1 or more; the least recently used is
            closed first.
        reuse: Whether contexts without a session are kept for the next page on the same proxy, connections and HTTP
            cache with them. Cookies, local storage and IndexedDB are emptied in between. With ``False``, and where
            Playwright is older than 1.60, each page has a new one.
        options_for: Further options of a new context by its proxy: time zone and locale of its country, for instance.
        wishes: Of all pages that name no other: ``session_id``, ``country``, ``region``, ``tags``, ``protocol``,
            ``context``, ``retry_policy``, ``ban_policy``, ``raise_on_ban``, as ``rotator.attempts()`` takes them.
            SOCKS proxies with a login are reached through a relay on this machine: browsers cannot log in to them.
        options: Options of all contexts, as ``browser.new_context()`` takes them; not ``proxy``.

    Raises:
        TypeError: ``source`` is none of these, or ``proxy`` is among the options.
        ValueError: ``max_contexts`` is less than 1.
    """

    _lender_class = _lender.Lender

    def attempts(self, url: str, **wishes: Any) -> Iterator[PageAttempt]:
        """The attempts to get a page: a loop over proxies that ends with the first that brings it.

        Args:
            url: The page; the attempts are judged for its site.
            wishes: As ``wishes`` of the class, for this page. Pages of one ``session_id`` share a context on one
                proxy; when that fails, what sites have stored moves to the next.

        Raises:
            playwright.sync_api.Error: What the last attempt has ended with.
            ProxyPoolEmptyError: No proxy is eligible.
            ProxyBannedError: Sites refused all proxies that were tried, and ``raise_on_ban`` is set.
            ProxyConnectionError: All attempts were answered by failures.
            TypeError: A wish is not known.
        """
        asked = known(wishes)
        loop = self._lender.attempts(url, "GET", asked)
        session_id = self._lender.session_of(asked)
        try:
            while True:
                try:
                    attempt = next(loop)
                except StopIteration:
                    return
                except ProxyWhirlError as error:
                    raise_own(error, Error)
                yield PageAttempt(self, attempt, session_id)
        finally:
            loop.close()

    @contextmanager
    def page(
        self,
        url: str,
        *,
        timeout: float | None = None,
        wait_until: Literal["commit", "domcontentloaded", "load", "networkidle"] | None = None,
        referer: str | None = None,
        **wishes: Any,
    ) -> Iterator[Page]:
        """A page that is at a URL, got through other proxies where the first fail; closed with the block.

        What the block does with the page is tried once. ``page.proxywhirl`` says which proxy it came through
        (``proxy_id``, ``host``, ``port``, ``attempts``, ``outcome``) and with which ``status``.

        Args:
            url: Where to go.
            timeout: Milliseconds of one attempt, as ``page.goto()`` takes it: 30,000 by default.
            wait_until: As ``page.goto()`` takes it.
            referer: As ``page.goto()`` takes it.
            wishes: As for :meth:`attempts`.

        Raises:
            Exception: As :meth:`attempts`.
        """
        last: PageAttempt | None = None
        try:
            for attempt in self.attempts(url, **wishes):
                if last is not None:
                    last.__exit__()
                last, page = None, attempt.__enter__()
                try:
                    response = page.goto(url, timeout=timeout, wait_until=wait_until, referer=referer)
                    attempt.show_on(page, response, attempt.report(response, body=page.content()))
                except BaseException as error:
                    if not attempt.__exit__(type(error), error, error.__traceback__):
                        raise
                else:
                    last = attempt
            yield page
        except BaseException as error:
            if last is not None:
                last.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            if last is not None:
                last.__exit__()

    @contextmanager
    def context(self, url: str, *, key: str | None = None, **wishes: Any) -> Iterator[BrowserContext]:
        """A context on one proxy, for several pages; nothing is tried again, and an exception is reported and raised.

        Args:
            url: A page of the site that it is for.
            key: The identity that it belongs to, as ``session_id``: its cookies and its proxy stay.
            wishes: As for :meth:`attempts`.
        """
        asked = known({**wishes, **({} if key is None else {"session_id": key})})
        loop = self._lender.attempts(url, "GET", asked)
        try:
            with PageAttempt(self, next(loop), self._lender.session_of(asked)).alone() as context:
                yield context
        finally:
            loop.close()

    def close(self) -> None:
        """Close the contexts, and what was made for the source; the browser stays."""
        for context in self._book.clear():
            context.close()
        self._logins.close()
        self._lender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, attempt: Any, session_id: str | None) -> Held:
        key = attempt.id
        if session_id is None:
            held = self._book.at_rest(key)
            return held or Held(key, self._browser.new_context(**self._options_of(attempt)))
        old = self._book.of_session(session_id)
        if old is not None and old.key == key:
            self._book.join(old)
            return old
        options = self._options_of(attempt)
        if old is not None:
            options["storage_state"] = old.context.storage_state()
        held = Held(key, self._browser.new_context(**options))
        for context in self._book.begin_session(session_id, held):
            context.close()
        return held

    def _give_back(self, held: Held, *, is_good: bool) -> None:
        if is_good and not self._book.is_of_a_session(held):
            is_good = self._reuse and hasattr(held.context, "set_storage_state")
            if is_good:
                held.context.set_storage_state(NOTHING)
        for context in self._book.give_back(held, is_good=is_good):
            context.close()
