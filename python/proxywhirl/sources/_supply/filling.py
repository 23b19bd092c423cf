"""One round of filling a pool: lists are read, checked, and brought into it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from proxywhirl._native.enums import HealthStatus
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers._build import build, build_some, urls_of
from proxywhirl.fetchers._load import stamp_of
from proxywhirl.fetchers._progress import Bars
from proxywhirl.fetchers._reading import gathered
from proxywhirl.sources._supply.roster import Roster

if TYPE_CHECKING:
    from pathlib import Path

    from proxywhirl import _core
    from proxywhirl.fetchers._fetcher import ProxyFetcher
    from proxywhirl.fetchers._progress import Progress
    from proxywhirl.fetchers._reading import SourceResult
    from proxywhirl.fetchers._source import Source
    from proxywhirl.models import BootstrapConfig
    from proxywhirl.sources._supply.refresh import Report

_log = logging.getLogger("proxywhirl.fetch")
# New proxies are checked, and join the pool, in portions: the first requests need not wait for the last check.
_PORTION = 500
_MOST_REMOVED = 10_000


class Listener(Protocol):
    """The receiver of what happens to a pool."""

    def added(self, count: int) -> None:
        """So many proxies of lists joined."""

    def removed(self, proxies: list[_core.Proxy]) -> None:
        """These proxies of lists left."""

    def read(self, **facts: Any) -> None:
        """A list was read, or could not be; the facts are fields of the event ``fetch_complete``."""


class RefreshRound:
    """Brings lists into a pool. Rounds run one at a time, in whichever loop they are run."""

    def __init__(
        self,
        pool: _core.ProxyPool,
        fetcher: ProxyFetcher,
        *,
        remove_dead: bool,
        bootstrap: BootstrapConfig | None,
        listener: Listener | None,
        explain: Callable[[str], None] | None,
        on_first: Callable[[], None],
    ) -> None:
        self.roster = Roster(pool)
        self.removed: deque[Any] = deque(maxlen=_MOST_REMOVED)
        """Ids of proxies that left, so that connections to them are closed."""
        self.stamps: dict[str, Any] = {}
        """By file: its fingerprint when it was read."""
        self._pool = pool
        self._fetcher = fetcher
        self._remove_dead = remove_dead
        self._bootstrap = bootstrap
        self._listener = listener
        self._explain = explain
        self._on_first = on_first

    async def run(self, due: list[Source], report: Report) -> None:
        """Read lists, and change the pool accordingly."""
        self.expire(report)
        dead = self._drop_dead(report) if self._remove_dead else set()
        await self._read(self._fetcher, due, report, dead)
        if self._bootstrap is not None and not len(self._pool):
            await self._run_bootstrap(self._bootstrap, report, dead)
        report.proxies = self.roster.owned()
        self._explain_emptiness(report)

    async def _read(
        self,
        fetcher: ProxyFetcher,
        sources: list[Source],
        report: Report,
        dead: set[str],
        most: int | None = None,
        progress: Progress = None,
    ) -> None:
        if not sources:
            return
        done = 0
        validating = asyncio.Lock()  # checks are concurrent in themselves

        async def one(source: Source) -> None:
            nonlocal done
            await into_the_pool(source)
            done += 1
            if progress is not None:
                progress(done, len(sources), len(report.added))

        async def into_the_pool(source: Source) -> None:
            began = time.perf_counter()
            if source.path is not None:
                self.stamps[source.key] = await asyncio.to_thread(file_stamp, source.path)
            try:
                result = await fetcher.register.read(reader, source)
                before = len(report.added), len(report.removed)
                await self._merge(fetcher, result, report, dead, validating, most)
            except ProxyFetchError as error:
                report.errors[source.name] = scrub_text(error.message)
                _log.warning("list kept as it was: %s", error, extra={"source": source.name, "error": str(error)})
                self._tell(source, began, error=error)
                return
            added, removed = len(report.added) - before[0], len(report.removed) - before[1]
            _log.info("list read: %s", source.name, extra={"source": source.name, "added": added, "removed": removed})
            facts = {"found": len(result.entries), "added": added, "removed": removed, "unchanged": result.unchanged}
            self._tell(source, began, facts=facts)

        async with fetcher.reader() as reader:
            await gathered([one(source) for source in sources])

    async def _merge(
        self,
        fetcher: ProxyFetcher,
        result: SourceResult,
        report: Report,
        dead: set[str],
        validating: asyncio.Lock,
        most: int | None,
    ) -> None:
        """Bring one list into the pool."""
        source, key = result.source, result.source.key
        urls = urls_of(result.entries)
        await asyncio.to_thread(self.roster.adopt, key, source.name)
        unknown = await asyncio.to_thread(self.roster.note, key, urls, source.tags())
        proxies = await asyncio.to_thread(build_some, result.entries, unknown, source, allow_local=fetcher.allow_local)
        proxies = [proxy for proxy in proxies if proxy.url not in dead]
        if isinstance(result.entries, list) and not result.unchanged:
            # Only what a parser of the user's made can have a time to live.
            self.roster.renew(await asyncio.to_thread(build, result.entries, source))
        if fetcher.validate_before_add and not source.config.trusted:
            for start in range(0, len(proxies), _PORTION):
                if most is not None and len(report.added) >= most:
                    break
                async with validating:
                    good = await fetcher.check(proxies[start : start + _PORTION], None)
                self._join(key, good, report, most)
        else:
            self._join(key, proxies, report, most)
        self._let_go(await asyncio.to_thread(self.roster.keep_only, key, urls), report)

    def _join(self, key: str, proxies: list[_core.Proxy], report: Report, most: int | None) -> None:
        if most is not None:
            proxies = proxies[: max(0, most - len(report.added))]
        joined = self.roster.add(key, proxies)
        report.added += joined.added
        if joined.refused:
            _log.warning("%d proxies of a list found no room: the pool is at its maximum capacity", joined.refused)
        if joined.added:
            self._on_first()
            if self._listener is not None:
                self._listener.added(len(joined.added))

    async def _run_bootstrap(self, config: BootstrapConfig, report: Report, dead: set[str]) -> None:
        """Fill an empty pool from lists drawn at random."""
        given: list[Any] | None = None if config.sources is None else list(config.sources)
        if given is None:
            from proxywhirl.sources import ALL_SOURCES

            given = list(ALL_SOURCES)
        drawn = random.sample(given, min(config.sample_size, len(given)))
        _log.info("filling an empty pool from %d lists", len(drawn))
        fetcher = self._fetcher.like(drawn, config)
        with Bars(config.show_progress) as bars:
            progress = bars.watch("filling the pool", "proxies", None)
            await self._read(fetcher, fetcher.register.enabled(), report, dead, config.max_proxies, progress)

    def expire(self, report: Report | None = None) -> None:
        expired = self.roster.expired()
        if expired:
            self._let_go(self.roster.remove(expired), report)

    def _drop_dead(self, report: Report) -> set[str]:
        """Remove the dead of the lists; their URLs, since the lists may still name them."""
        dead = [proxy for proxy in self.roster.owned() if proxy.health_status is HealthStatus.DEAD]
        removed = self.roster.remove(dead)
        self._let_go(removed, report)
        return {proxy.url for proxy in removed}

    def _let_go(self, proxies: list[_core.Proxy], report: Report | None) -> None:
        if report is not None:
            report.removed += proxies
        self.removed.extend(proxy.id for proxy in proxies)
        if proxies and self._listener is not None:
            self._listener.removed(proxies)

    def _tell(
        self, source: Source, began: float, *, error: Exception | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        if self._listener is not None:
            self._listener.read(
                url=source.name,
                success=error is None,
                error=error,
                duration_ms=(time.perf_counter() - began) * 1000.0,
                metadata=facts or {},
            )

    def _explain_emptiness(self, report: Report) -> None:
        if self._explain is None or len(self._pool):
            return
        if report.errors:
            source, why = next(iter(report.errors.items()))
            more = f" (and {len(report.errors) - 1} more)" if len(report.errors) > 1 else ""
            self._explain(f"No healthy proxies available: {source} could not be read{more}: {why}")
        else:
            self._explain("No healthy proxies available: the lists that were read have no usable proxies")


def file_stamp(path: Path) -> tuple[int, int, int] | None:
    """As :func:`stamp_of`; ``None`` for a file that is not there."""
    try:
        return stamp_of(path)
    except OSError:
        return None
