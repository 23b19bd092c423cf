"""``AsyncProxyWhirlBrowser`` of :mod:`proxywhirl.integrations.playwright`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from playwright.async_api import Error

from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.integrations import _lender
from proxywhirl.integrations._contexts import NOTHING, Held, PageAttemptBase, Shared, known, raise_own

if TYPE_CHECKING:
    from playwright.async_api import Browser as AsyncBrowser
    from playwright.async_api import BrowserContext as AsyncBrowserContext
    from playwright.async_api import Page as AsyncPage
    from typing_extensions import Self

__all__ = ["AsyncPageAttempt", "AsyncProxyWhirlBrowser"]


class AsyncPageAttempt(PageAttemptBase):
    """One attempt to get a page, for ``async with``; as :class:`PageAttempt`. For the event loop of its browser."""

    def __init__(self, browser: AsyncProxyWhirlBrowser, attempt: Any, session_id: str | None) -> None:
        super().__init__(attempt, session_id)
        self._browser = browser

    async def __aenter__(self) -> AsyncPage:
        try:
            self._held = await self._browser._take(self._attempt, self._session_id)
            self._page = await self._held.context.new_page()
        except BaseException:
            self._attempt.release()
            await self._leave(is_good=False)
            raise
        return self._page  # type: ignore[no-any-return]

    async def __aexit__(
        self, kind: object = None, error: BaseException | None = None, traceback: object = None
    ) -> bool:
        handled = self._attempt.__exit__(kind, error, traceback)
        await self._leave(is_good=self._is_good(error))
        return handled

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncBrowserContext]:
        """The context of this attempt, which no other follows."""
        is_good = False
        try:
            self._held = await self._browser._take(self._attempt, self._session_id)
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
                await page.close()
            await self._leave(is_good=is_good)

    async def _leave(self, *, is_good: bool) -> None:
        held, page = self._held, self._page
        self._held = self._page = None
        if page is not None:
            await page.close()
        if held is not None:
            await self._browser._give_back(held, is_good=is_good)


class AsyncProxyWhirlBrowser(Shared):
    """Pages of a browser of ``playwright.async_api``; as ``ProxyWhirlBrowser``. For one event loop."""

    _lender_class = _lender.AsyncLender

    def __init__(self, source: Any, browser: AsyncBrowser, **options: Any) -> None:
        super().__init__(source, browser, **options)
        self._moving = asyncio.Lock()

    async def attempts(self, url: str, **wishes: Any) -> AsyncIterator[AsyncPageAttempt]:
        """The attempts to get a page, for ``async for``; as :meth:`ProxyWhirlBrowser.attempts`."""
        asked = known(wishes)
        loop = self._lender.attempts(url, "GET", asked)
        session_id = self._lender.session_of(asked)
        try:
            while True:
                try:
                    attempt = await loop.__anext__()
                except StopAsyncIteration:
                    return
                except ProxyWhirlError as error:
                    raise_own(error, Error)
                yield AsyncPageAttempt(self, attempt, session_id)
        finally:
            loop.close()

    @asynccontextmanager
    async def page(
        self,
        url: str,
        *,
        timeout: float | None = None,
        wait_until: Literal["commit", "domcontentloaded", "load", "networkidle"] | None = None,
        referer: str | None = None,
        **wishes: Any,
    ) -> AsyncIterator[AsyncPage]:
        """A page that is at a URL, for ``async with``; as :meth:`ProxyWhirlBrowser.page`."""
        last: AsyncPageAttempt | None = None
        try:
            async for attempt in self.attempts(url, **wishes):
                if last is not None:
                    await last.__aexit__()
                last, page = None, await attempt.__aenter__()
                try:
                    response = await page.goto(url, timeout=timeout, wait_until=wait_until, referer=referer)
                    attempt.show_on(page, response, attempt.report(response, body=await page.content()))
                except BaseException as error:
                    if not await attempt.__aexit__(type(error), error, error.__traceback__):
                        raise
                else:
                    last = attempt
            yield page
        except BaseException as error:
            if last is not None:
                await last.__aexit__(type(error), error, error.__traceback__)
            raise
        else:
            if last is not None:
                await last.__aexit__()

    @asynccontextmanager
    async def context(self, url: str, *, key: str | None = None, **wishes: Any) -> AsyncIterator[AsyncBrowserContext]:
        """A context on one proxy; as :meth:`ProxyWhirlBrowser.context`."""
        asked = known({**wishes, **({} if key is None else {"session_id": key})})
        loop = self._lender.attempts(url, "GET", asked)
        try:
            attempt = AsyncPageAttempt(self, await loop.__anext__(), self._lender.session_of(asked))
            async with attempt.alone() as context:
                yield context
        finally:
            loop.close()

    async def aclose(self) -> None:
        """Close the contexts, and what was made for the source; the browser stays."""
        for context in self._book.clear():
            await context.close()
        self._logins.close()
        await self._lender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _take(self, attempt: Any, session_id: str | None) -> Held:
        key = attempt.id
        if session_id is None:
            held = self._book.at_rest(key)
            return held or Held(key, await self._browser.new_context(**self._options_of(attempt)))
        async with self._moving:
            # Pages of a session that begin side by side find one context.
            old = self._book.of_session(session_id)
            if old is not None and old.key == key:
                self._book.join(old)
                return old
            options = self._options_of(attempt)
            if old is not None:
                options["storage_state"] = await old.context.storage_state()
            held = Held(key, await self._browser.new_context(**options))
            closed = self._book.begin_session(session_id, held)
        for context in closed:
            await context.close()
        return held

    async def _give_back(self, held: Held, *, is_good: bool) -> None:
        if is_good and not self._book.is_of_a_session(held):
            is_good = self._reuse and hasattr(held.context, "set_storage_state")
            if is_good:
                await held.context.set_storage_state(NOTHING)
        for context in self._book.give_back(held, is_good=is_good):
            await context.close()
