"""Pages as a browser shows them, for lists that JavaScript writes. Needs the extra ``js`` (Playwright)."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from proxywhirl._base.files import make_folder
from proxywhirl._native.redact import redact_url, scrub_text, shown
from proxywhirl.exceptions import ProxyFetchError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BrowserRenderer"]

_log = logging.getLogger("proxywhirl.browser")
_MISSING = (
    "pages that JavaScript writes need Playwright: pip install 'proxywhirl-rs[js]', then playwright install chromium"
)
_BROWSERS = ("chromium", "firefox", "webkit")
_WAITS = ("load", "domcontentloaded", "networkidle", "commit")
# What distributions call a browser that Playwright can drive.
_INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Pages that keep talking to their server are never idle; what is there by then is what is wanted.
_QUIET_MS = 5000.0
_MOST_REDIRECTS = 5


class BrowserRenderer:
    """A headless browser that loads pages and hands over their HTML.

    Belongs to one event loop; several pages may be rendered at once, up to ``max_contexts``. Contexts are kept for the
    next page, without the cookies of the one before.

    ::

        async with BrowserRenderer() as browser:
            html = await browser.render("https://example.com/list", wait_for_selector="table")

    Args:
        headless: Whether no window is shown.
        browser_type: ``"chromium"``, ``"firefox"`` or ``"webkit"``.
        timeout: Milliseconds for one page.
        wait_until: When a page counts as loaded: ``"load"``, ``"domcontentloaded"``, ``"networkidle"``, ``"commit"``.
        user_agent: What the browser calls itself; its own name by default.
        viewport: Width and height in pixels.
        max_contexts: Most pages at the same time, at least 1.
        executable_path: The browser; by default Playwright's own or, for Chromium, one that is installed.
        auto_install: Whether a missing browser is downloaded by Playwright.
        screenshots: A folder for pictures of pages that could not be rendered.

    Raises:
        ValueError: An unknown browser or wait, or a number out of its range.
    """

    def __init__(
        self,
        headless: bool = True,
        browser_type: str = "chromium",
        timeout: int = 30000,
        wait_until: str = "load",
        user_agent: str | None = None,
        viewport: Mapping[str, int] | tuple[int, int] | None = None,
        max_contexts: int = 3,
        *,
        executable_path: str | os.PathLike[str] | None = None,
        auto_install: bool = False,
        screenshots: str | os.PathLike[str] | None = None,
    ) -> None:
        if browser_type not in _BROWSERS:
            raise ValueError(f"browser_type must be one of {', '.join(_BROWSERS)}, not {shown(browser_type)}")
        if wait_until not in _WAITS:
            raise ValueError(f"wait_until must be one of {', '.join(_WAITS)}, not {shown(wait_until)}")
        if timeout <= 0 or max_contexts <= 0:
            raise ValueError("timeout and max_contexts: Value must be positive")
        self.headless = headless
        self.browser_type = browser_type
        self.timeout = timeout
        self.wait_until = wait_until
        self.user_agent = user_agent
        size = viewport or (1280, 720)
        self.viewport = dict(size) if isinstance(size, Mapping) else {"width": size[0], "height": size[1]}
        self.max_contexts = max_contexts
        self._executable = None if executable_path is None else str(executable_path)
        self._auto_install = auto_install
        self._screenshots = None if screenshots is None else Path(screenshots)
        self._playwright: Any = None
        self._browser: Any = None
        self._idle: list[Any] = []
        self._contexts: set[Any] = set()
        self._turn: asyncio.Semaphore | None = None

    async def start(self) -> None:
        """Start the browser, unless it runs.

        Raises:
            ImportError: Playwright is not installed; the text names the extra.
            ProxyFetchError: There is no browser, or it does not start.
        """
        if self._browser is not None:
            return
        try:
            from playwright.async_api import async_playwright
        except ImportError as error:
            raise ImportError(_MISSING) from error
        self._playwright = await async_playwright().start()
        try:
            self._browser = await self._launched()
        except BaseException:
            await self.close()
            raise
        self._turn = asyncio.Semaphore(self.max_contexts)

    async def close(self) -> None:
        """Stop the browser. Closing twice is fine; it can be started again."""
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        self._idle.clear()
        self._contexts.clear()
        self._turn = None
        try:
            if browser is not None:
                await browser.close()
        finally:
            if playwright is not None:
                await playwright.stop()

    async def render(
        self,
        url: str,
        wait_for_selector: str | None = None,
        wait_for_timeout: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> str:
        """Load a page, let its scripts work, and return what it has become.

        Args:
            url: The page.
            wait_for_selector: CSS selector of an element that has to be there.
            wait_for_timeout: Milliseconds to wait for it; by default the renderer's ``timeout``.
            headers: Sent to the server of the page, and to no other.
            auth: User name and password for that server.

        Returns:
            The HTML.

        Raises:
            RuntimeError: The browser is not started.
            ProxyFetchError: The page can't be loaded, or the element does not appear.
        """
        from playwright.async_api import Error

        context = await self.acquire_context()
        try:
            page = await context.new_page()
            try:
                await _send_along(page, url, headers, auth)
                await self._load(page, url)
                if wait_for_selector is not None:
                    await page.wait_for_selector(
                        wait_for_selector, timeout=wait_for_timeout or self.timeout, state="attached"
                    )
                else:
                    await _quiet(page)
                html: str = await page.content()
            except Error as error:
                await self._picture(page)
                # The rest of the text is a protocol of calls, with the address as it was given.
                reason = scrub_text(str(error).splitlines()[0])
                raise ProxyFetchError(f"{redact_url(url)} can't be rendered: {reason}") from None
            finally:
                await page.close()
        finally:
            await self.release_context(context)
        return html

    async def acquire_context(self) -> Any:
        """Take a context of the browser, waiting while all are in use; to be given back.

        Returns:
            Playwright's ``BrowserContext``.

        Raises:
            RuntimeError: The browser is not started.
        """
        turn, browser = self._turn, self._browser
        if turn is None or browser is None:
            raise RuntimeError("the browser is not started: use `async with BrowserRenderer()` or await start()")
        await turn.acquire()
        try:
            if self._idle:
                return self._idle.pop()
            agent = {} if self.user_agent is None else {"user_agent": self.user_agent}
            context = await browser.new_context(viewport=self.viewport, **agent)
            self._contexts.add(context)
        except BaseException:
            turn.release()
            raise
        return context

    async def release_context(self, context: Any) -> None:
        """Give a context back.

        Args:
            context: What :meth:`acquire_context` returned.
        """
        if context not in self._contexts:
            return
        from playwright.async_api import Error

        try:
            await context.clear_cookies()
            self._idle.append(context)
        except Error:
            # It is broken, as after a crash of the browser; the next page gets a new one.
            self._contexts.discard(context)
            _log.debug("a browser context was lost", exc_info=True)
        finally:
            if self._turn is not None:
                self._turn.release()

    @property
    def pool_size(self) -> int:
        """Contexts there are, in use and idle."""
        return len(self._contexts)

    @property
    def pool_capacity(self) -> int:
        """Most contexts there may be."""
        return self.max_contexts

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def _launched(self) -> Any:
        from playwright.async_api import Error

        kind = getattr(self._playwright, self.browser_type)
        own = os.path.exists(kind.executable_path)  # noqa: ASYNC240  # once, and local
        path = self._executable
        if path is None and not own and self.browser_type == "chromium":
            path = next(filter(None, map(shutil.which, _INSTALLED)), None)
        if path is None and not own and self._auto_install:
            await _install(self.browser_type)
            own = True
        try:
            return await kind.launch(headless=self.headless, executable_path=path, timeout=self.timeout)
        except Error as error:
            if path is None and not own:
                raise ProxyFetchError(
                    f"there is no {self.browser_type} on this machine: run `playwright install {self.browser_type}`"
                ) from None
            raise ProxyFetchError(f"{self.browser_type} does not start: {str(error).splitlines()[0]}") from error

    async def _load(self, page: Any, url: str) -> None:
        idle = self.wait_until == "networkidle"
        response = await page.goto(url, wait_until="load" if idle else self.wait_until, timeout=self.timeout)
        if response is not None and response.status >= 400:
            raise ProxyFetchError(f"{redact_url(url)} can't be loaded: the server answers {response.status}")

    async def _picture(self, page: Any) -> None:
        if self._screenshots is None:
            return
        from playwright.async_api import Error

        host = urlsplit(page.url).hostname or "page"
        try:
            make_folder(self._screenshots)
            await page.screenshot(path=str(self._screenshots / f"{host}-{id(page):x}.png"), timeout=self.timeout)
        except (Error, OSError):
            _log.debug("no picture of a page that could not be rendered", exc_info=True)


async def _quiet(page: Any) -> None:
    from playwright.async_api import TimeoutError as PlaywrightTimeout

    try:
        await page.wait_for_load_state("networkidle", timeout=_QUIET_MS)
    except PlaywrightTimeout:
        _log.debug("a page never became quiet; taken as it is")


async def _send_along(page: Any, url: str, headers: Mapping[str, str] | None, auth: tuple[str, str] | None) -> None:
    """Send headers with requests to the server of the page only: scripts and pictures come from others."""
    own = dict(headers or {})
    if auth is not None:
        own["Authorization"] = "Basic " + base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode("ascii")
    if not own:
        return
    home = _origin(url)

    async def pass_on(route: Any) -> None:
        request = route.request
        if _origin(request.url) != home:
            await route.continue_()
            return
        # Playwright would send the headers along wherever the server redirects to, so that is followed here.
        target = request.url
        for _ in range(_MOST_REDIRECTS):
            response = await route.fetch(url=target, headers={**request.headers, **own}, max_redirects=0)
            location = response.headers.get("location")
            if not 300 <= response.status < 400 or location is None:
                await route.fulfill(response=response)
                return
            target = urljoin(target, location)
            if _origin(target) != home:
                break
        await route.abort()

    await page.route("**/*", pass_on)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port)


async def _install(browser: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "playwright", "install", browser, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise ProxyFetchError(f"`playwright install {browser}` failed")
