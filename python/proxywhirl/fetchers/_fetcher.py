"""Reading many lists of proxies."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core
from proxywhirl._native.redact import shown
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers._build import build
from proxywhirl.fetchers._load import Limits, Loader
from proxywhirl.fetchers._progress import Bars
from proxywhirl.fetchers._reading import Reader, SourceResult, gathered
from proxywhirl.fetchers._register import HOURLY, Register
from proxywhirl.fetchers._source import Source
from proxywhirl.models._sources import SourceStats

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl._native.enums import ValidationLevel
    from proxywhirl.fetchers._progress import Progress
    from proxywhirl.fetchers._source import SourceLike
    from proxywhirl.models import BootstrapConfig

_log = logging.getLogger("proxywhirl.fetch")
# Checks under way at the same time, unless the user brings a validator.
_CHECKS = 200


class ProxyFetcher:
    """Reads lists of proxies from the web and from files, in any format that can be recognised.

    A list that has not changed is not sent again (``ETag``, ``Last-Modified``; of a file the time of its last change);
    its entries are those of the time before. A source that fails is logged, counted and skipped. Addresses of the
    user's own network are dropped from what was fetched, and counted: a hostile list could point a crawler at it. Files
    are the user's own and may name them.

    It may be used with ``async with``, which keeps connections and browser between rounds, and without. Use one from
    one event loop at a time.

    Args:
        sources: URLs, paths of files, mappings of a source's fields, ``ProxySourceConfig`` objects.
        validator: What checks proxies: an object with ``validate_batch(proxies)``; a ``ProxyValidator`` by default.
        refresh_interval: Seconds until a list is read again by :meth:`start_periodic_refresh`, when it does not say
            itself; an hour by default.
        validate_before_add: Whether :meth:`fetch` returns only proxies that work; those of a ``trusted`` source are not
            checked.
        auto_install_browser: Whether a missing browser is downloaded when a source needs one.
        allow_local: Whether addresses of the user's own network are kept.
        timeout: Seconds for one attempt at one list.
        max_bytes: Most bytes of one list, decompressed.
        max_concurrent: Most lists read at the same time, at least 1; of one host at most four.
        max_attempts: Most attempts at one list, at least 1.
        backoff: Seconds of the first pause between attempts.
        progress: Bars on standard error: ``True``, ``False``, or ``None`` for bars on a terminal.
        renderer: A started browser to use, with ``render(url, ...)``; by default one is started when needed.
        http: ``"httpx"`` or ``"httpx2"``; by default the first that is installed.
        verify: Certificates of the servers: ``True``, ``False``, or an ``ssl.SSLContext``.

    Raises:
        pydantic.ValidationError: A source is not acceptable. It is a ``ValueError``.
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        sources: Iterable[SourceLike] | None = None,
        validator: Any = None,
        *,
        refresh_interval: float | None = None,
        validate_before_add: bool = True,
        auto_install_browser: bool = False,
        allow_local: bool = False,
        timeout: float = 30.0,
        max_bytes: int = 256 * 1024 * 1024,
        max_concurrent: int = 20,
        max_attempts: int = 5,
        backoff: float = 1.0,
        progress: bool | None = False,
        renderer: Any = None,
        http: str | None = None,
        verify: Any = True,
    ) -> None:
        if isinstance(sources, str):
            raise TypeError("sources must be a list, not one string")
        for name, value in (
            ("timeout", timeout),
            ("max_bytes", max_bytes),
            ("max_concurrent", max_concurrent),
            ("max_attempts", max_attempts),
        ):
            if not value > 0:
                raise ValueError(f"{name}: Value must be positive, not {shown(value)}")
        if refresh_interval is not None and not refresh_interval >= 0:
            raise ValueError(f"refresh_interval: {refresh_interval!r} is less than 0")
        self.validator = validator
        """What checks proxies; ``None`` until one is needed."""
        self._own_validator = False
        self.level: ValidationLevel | None = None
        """How thoroughly proxies are checked, if there is no validator."""
        self.refresh_interval = refresh_interval
        """Seconds until a list is read again, when it does not say itself."""
        self.validate_before_add = validate_before_add
        """Whether :meth:`fetch` returns only proxies that work."""
        self.allow_local = allow_local
        """Whether addresses of the user's own network are kept."""
        self._auto_install_browser = auto_install_browser
        self._limits = Limits(timeout, max_bytes, max_attempts, backoff)
        self._most = max_concurrent
        self._progress = progress
        self._renderer = renderer
        self._http = http
        self._verify = verify
        self.register = Register()
        """The sources, with what was read of each."""
        self._kept: tuple[asyncio.AbstractEventLoop, Reader] | None = None
        self._keeping = False
        for source in sources or ():
            self.add_source(source)

    # Sources.

    @property
    def sources(self) -> list[Any]:
        """The sources, as ``ProxySourceConfig`` objects, in the order they were added."""
        return [source.config for source in self.register.sources.values()]

    def add_source(self, source: SourceLike) -> None:
        """Add a source; one of the same URL is replaced.

        Args:
            source: A URL, the path of a file, a mapping of fields, or a ``ProxySourceConfig``.

        Raises:
            pydantic.ValidationError: It is not acceptable.
            TypeError: It is none of these.
        """
        self.register.add(Source.of(source))

    def remove_source(self, url: str) -> None:
        """Remove a source, and what is known of it.

        Args:
            url: Its URL or path; an unknown one is ignored.
        """
        try:
            key = Source.of(url).key
        except ValueError:
            return
        self.register.remove(key)

    def get_source_stats(self) -> list[SourceStats]:
        """What has come from each source so far, in the order of the sources."""
        return [self.register.stats_of(source).model_copy() for source in self.register.sources.values()]

    # Fetching.

    async def fetch(
        self,
        *,
        fetch_progress_callback: Progress = None,
        validate_progress_callback: Progress = None,
    ) -> list[_core.Proxy]:
        """Read all sources.

        Args:
            fetch_progress_callback: Called with ``(done, total, found)`` after each source.
            validate_progress_callback: Called with ``(done, total, valid)`` while proxies are checked.

        Returns:
            The proxies, each once, by priority of their sources; only those that work if ``validate_before_add`` is
            set. They carry the tags ``source:fetched`` (of a file ``source:file``) and ``site:`` with the host.
        """
        with Bars(self._progress) as bars:
            results = await self._take_all(bars.watch("reading lists", "proxies", fetch_progress_callback))
            proxies: list[_core.Proxy] = []
            trusted: set[Any] = set()
            for result in results:
                made = await asyncio.to_thread(build, result.entries, result.source, allow_local=self.allow_local)
                proxies += made
                if result.source.config.trusted:
                    trusted.update(proxy.id for proxy in made)
            proxies = await asyncio.to_thread(_core.deduplicate, proxies)
            if not self.validate_before_add:
                return proxies
            doubtful = [proxy for proxy in proxies if proxy.id not in trusted]
            report = bars.watch("checking", "work", validate_progress_callback)
            works = {proxy.id for proxy in await self.check(doubtful, report)}
        return [proxy for proxy in proxies if proxy.id in trusted or proxy.id in works]

    async def fetch_all(
        self,
        validate: bool = True,
        deduplicate: bool = True,
        fetch_progress_callback: Progress = None,
        validate_progress_callback: Progress = None,
    ) -> list[dict[str, Any]]:
        """Read all sources, as dictionaries.

        Args:
            validate: Whether to return only proxies that work; those of a ``trusted`` source are not checked.
            deduplicate: Whether to return a proxy once that is named more than once.
            fetch_progress_callback: Called with ``(done, total, found)`` after each source.
            validate_progress_callback: Called with ``(done, total, valid)`` while proxies are checked.

        Returns:
            For each proxy ``url``, ``source_url``, and whatever its list said.
        """
        with Bars(self._progress) as bars:
            results = await self._take_all(bars.watch("reading lists", "proxies", fetch_progress_callback))
            return await self._entries(
                results, validate, deduplicate, bars.watch("checking", "work", validate_progress_callback)
            )

    async def fetch_from_source(self, source: SourceLike) -> list[dict[str, Any]]:
        """Read one source, whether or not it is one of the fetcher's.

        Args:
            source: As for :meth:`add_source`; ``enabled`` plays no role here.

        Returns:
            For each proxy ``url``, ``source_url``, and whatever the list says.

        Raises:
            ProxyFetchError: It cannot be loaded, or nothing in it can be read.
        """
        async with self.reader() as reader:
            result = await self.register.read(reader, Source.of(source))
        return [{**entry, "source_url": result.source.name} for entry in result.entries]

    async def start_periodic_refresh(
        self,
        callback: Callable[[list[dict[str, Any]]], Awaitable[Any] | Any] | None = None,
        interval: float | None = None,
    ) -> None:
        """Read the sources again and again, each in its own time; ends by being cancelled.

        Args:
            callback: Called after each round with all proxies, as :meth:`fetch_all` returns them; may be a coroutine.
            interval: Seconds between two readings of a source that has no ``refresh_interval`` of its own.

        Raises:
            asyncio.CancelledError: When it is cancelled.
        """
        async with self.reader() as reader:
            while True:
                results = await self._round(reader, None, interval)
                if callback is not None:
                    entries = await self._entries(results, self.validate_before_add, True, None)
                    answer = callback(entries)
                    if inspect.isawaitable(answer):
                        await answer
                await asyncio.sleep(min(max(0.05, self.register.next_due(interval, self.refresh_interval)), HOURLY))

    async def close(self) -> None:
        """Close connections and browser; the fetcher can be used again."""
        self._keeping = False
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] is asyncio.get_running_loop():
            await kept[1].close()

    async def __aenter__(self) -> Self:
        self._keeping = True
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<ProxyFetcher of {len(self.register.sources)} sources>"

    # For the rotators too.

    def like(self, sources: Iterable[SourceLike], config: BootstrapConfig) -> ProxyFetcher:
        """A fetcher of other sources that reads as this one does, and checks as the configuration says."""
        validator = self.validator
        if validator is None or self._own_validator:
            # Of what public lists name, much accepts connections and carries nothing: only a page tells.
            validator = _validator(None, timeout=config.timeout, concurrency=config.max_concurrent)
        return ProxyFetcher(
            sources,
            validator,
            validate_before_add=config.validate_proxies,
            auto_install_browser=self._auto_install_browser,
            allow_local=self.allow_local,
            timeout=self._limits.timeout,
            max_bytes=self._limits.max_bytes,
            max_concurrent=self._most,
            max_attempts=self._limits.attempts,
            backoff=self._limits.backoff,
            renderer=self._renderer,
            http=self._http,
            verify=self._verify,
        )

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """What reads lists, with its connections; kept while the fetcher refreshes periodically."""
        loop = asyncio.get_running_loop()
        if self._kept is not None and self._kept[0] is loop:
            yield self._kept[1]
            return
        reader = Reader(
            Loader(self._limits, http=self._http, verify=self._verify),
            self._renderer,
            self._most,
            allow_local=self.allow_local,
            auto_install=self._auto_install_browser,
        )
        if self._keeping:
            self._kept = (loop, reader)
            yield reader
            return
        try:
            yield reader
        finally:
            await reader.close()

    async def _take_all(self, progress: Progress) -> list[SourceResult]:
        async with self.reader() as reader:
            return await self._round(reader, progress, 0.0, whatever_the_interval=True)

    async def _round(
        self, reader: Reader, progress: Progress, interval: float | None, *, whatever_the_interval: bool = False
    ) -> list[SourceResult]:
        """Read every source that is due; of the others, what is known."""
        register = self.register
        sources = register.enabled()
        now = time.monotonic()
        done = found = 0

        async def one(source: Source) -> SourceResult:
            nonlocal done, found
            if not whatever_the_interval and register.due_at(source, interval, self.refresh_interval) > now:
                result = register.unread(source)
            else:
                try:
                    result = await register.read(reader, source)
                except ProxyFetchError as error:
                    _log.warning("source skipped: %s", error, extra={"source": source.name, "error": str(error)})
                    result = SourceResult(source, [])
            done += 1
            found += len(result.entries)
            if progress is not None:
                progress(done, len(sources), found)
            return result

        return list(await gathered([one(source) for source in sources]))

    async def _entries(
        self, results: list[SourceResult], validate: bool, deduplicate: bool, progress: Progress
    ) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        trusted: set[str] = set()
        for result in results:
            tagged = [{**entry, "source_url": result.source.name} for entry in result.entries]
            entries += tagged
            if result.source.config.trusted:
                trusted.update(entry["url"] for entry in tagged)
        if deduplicate:
            entries = await asyncio.to_thread(_core.deduplicate, entries)
        if not validate:
            return entries
        good: dict[str, dict[str, Any]] = {}
        doubtful = [entry for entry in entries if entry["url"] not in trusted]
        for entry in await self.check(doubtful, progress):
            good[entry["url"]] = entry
        return [good.get(entry["url"], entry) for entry in entries if entry["url"] in trusted or entry["url"] in good]

    async def check(self, proxies: list[Any], progress: Progress) -> list[Any]:
        """Those proxies, or dictionaries, that work."""
        if not proxies:
            return []
        if self.validator is None:
            self.validator, self._own_validator = _validator(self.level), True
        if progress is None:
            return list(await self.validator.validate_batch(proxies))
        return list(await self.validator.validate_batch(proxies, progress_callback=progress))


def _validator(level: ValidationLevel | None, *, timeout: float = 5.0, concurrency: int = _CHECKS) -> Any:
    from proxywhirl.validation import ProxyValidator

    return ProxyValidator(timeout=timeout, level=level, concurrency=concurrency)
