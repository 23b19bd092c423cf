"""Reading one list: loaded or rendered, parsed, and judged whether it is one."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from proxywhirl._native.enums import RenderMode
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers import _listing

if TYPE_CHECKING:
    from proxywhirl.fetchers._listing import Entries
    from proxywhirl.fetchers._load import Loaded, Loader, Validators
    from proxywhirl.fetchers._source import Source

T = TypeVar("T")
_PER_HOST = 4


class SourceResult(NamedTuple):
    """What came of one source in one round."""

    source: Source
    entries: Entries
    """Its proxies, those of the time before when it has not changed; none when it could not be read."""
    unchanged: bool = False

    def __repr__(self) -> str:
        # Not the entries: there are logins among them.
        return f"SourceResult({self.source!r}, {len(self.entries)} entries)"


class Reader:
    """What a round of reading works with; belongs to one event loop."""

    def __init__(
        self, loader: Loader, renderer: Any, most: int, *, allow_local: bool = False, auto_install: bool = False
    ) -> None:
        self._loader = loader
        self._renderer = renderer
        self._started: Any = None
        self._starting = asyncio.Lock()
        self._turn = asyncio.Semaphore(most)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._allow_local = allow_local
        self._auto_install = auto_install

    async def close(self) -> None:
        """Close the connections, and the browser if it was started here."""
        started, self._started = self._started, None
        try:
            if started is not None:
                self._renderer = None
                await started.close()
        finally:
            await self._loader.close()

    async def read(self, source: Source, known: Validators | None) -> tuple[_listing.Listing, Validators] | None:
        """Read a list, in its turn; ``None`` if it has not changed.

        Raises ``ProxyFetchError`` (it cannot be loaded, or it is no list).
        """
        host = self._hosts.setdefault(source.site, asyncio.Semaphore(_PER_HOST))
        async with host, self._turn:
            return await self._read(source, known)

    async def _read(self, source: Source, known: Validators | None) -> tuple[_listing.Listing, Validators] | None:
        mode = source.config.render_mode
        if mode.needs_browser and not source.is_file:
            return await self._rendered(source)
        loaded = await self._loader.load(source, known, allow_local=self._allow_local)
        if loaded.data is None:
            return None
        public_only = self._public_only(source)
        try:
            listing = await _listing.read(loaded.data, source, loaded.content_type, public_only=public_only)
            problem = None if listing.entries else _why_empty(listing, loaded)
            if problem is None:
                return listing, loaded.validators
        except ProxyFetchError as error:
            problem = error.message
        if mode is RenderMode.AUTO and not source.is_file and _looks_like_a_page(loaded):
            if self._renderer is not None or importlib.util.find_spec("playwright") is not None:
                return await self._rendered(source)
            problem += "; a browser might help (pip install 'proxywhirl-rs[js]')"
        raise ProxyFetchError(f"{source.name}: {problem}")

    async def _rendered(self, source: Source) -> tuple[_listing.Listing, Validators]:
        from proxywhirl.browser import BrowserRenderer
        from proxywhirl.fetchers._load import Validators

        config = source.config
        try:
            async with self._starting:
                if self._renderer is None:
                    renderer = BrowserRenderer(wait_until="networkidle", auto_install=self._auto_install)
                    await renderer.start()
                    self._renderer = self._started = renderer
            text = await self._renderer.render(
                source.key,
                wait_for_selector=config.wait_selector,
                wait_for_timeout=config.wait_timeout,
                headers=dict(config.headers) or None,
                auth=config.auth,
            )
        except ImportError as error:
            raise ProxyFetchError(f"{source.name} needs a browser: {error}") from error
        listing = await _listing.read(text.encode(), source, "text/html", public_only=self._public_only(source))
        if not listing.entries:
            raise ProxyFetchError(f"{source.name}: the rendered page has no proxies that can be read")
        return listing, Validators()

    def _public_only(self, source: Source) -> bool:
        return not (source.is_file or self._allow_local)


async def gathered(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; when one raises, or the caller is cancelled, none goes on in the background."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _why_empty(listing: _listing.Listing, loaded: Loaded) -> str | None:
    """What is wrong with a list without proxies; ``None`` if it is just empty."""
    data = (loaded.data or b"").lstrip()
    if data[:1] == b"{" and b"[" not in data:
        return "it is a JSON object without a list"
    count = listing.rejected_count - listing.local_count
    if count:
        reasons = (f"; line {number}: {scrub_text(why)}" for number, why in listing.rejected if why != _listing.LOCAL)
        return f"none of its {count} lines is a proxy{next(reasons, '')}"
    if _looks_like_a_page(loaded):
        return "it is a page without proxies"
    return None


def _looks_like_a_page(loaded: Loaded) -> bool:
    start = (loaded.data or b"")[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--"))
