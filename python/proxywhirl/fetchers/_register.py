"""The sources of a fetcher, with what was read of each and when it is due."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from proxywhirl._base.utc import utc_now
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers._reading import Reader, SourceResult
from proxywhirl.models._sources import SourceStats

if TYPE_CHECKING:
    from proxywhirl.fetchers._listing import Entries
    from proxywhirl.fetchers._load import Validators
    from proxywhirl.fetchers._source import Source

_log = logging.getLogger("proxywhirl.fetch")
HOURLY = 3600.0
"""Seconds until a source is read again, where nothing says otherwise."""
# A source that failed is tried again sooner than one that was read.
_AFTER_FAILURE = 60.0
_FOREVER = float("inf")


class _Known(NamedTuple):
    """A source as it was read the last time."""

    entries: Entries
    validators: Validators
    read_at: float

    def __repr__(self) -> str:
        # Not the entries: there are logins among them.
        return f"_Known({len(self.entries)} entries)"


class Register:
    """The sources of one fetcher."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        """The sources by key, in the order they were added."""
        self._known: dict[str, _Known] = {}
        self._failed: dict[str, float] = {}
        self._stats: dict[str, SourceStats] = {}

    def add(self, source: Source) -> None:
        """Add a source; one of the same key is replaced, and what was read of it is forgotten."""
        self.sources[source.key] = source
        self._known.pop(source.key, None)
        self._failed.pop(source.key, None)

    def remove(self, key: str) -> None:
        """Remove a source, and what is known of it."""
        for store in (self.sources, self._known, self._failed, self._stats):
            store.pop(key, None)

    def enabled(self) -> list[Source]:
        """The sources that are to be read, those of higher priority first."""
        enabled = [source for source in self.sources.values() if source.config.enabled]
        return sorted(enabled, key=lambda source: -source.config.priority)

    def stats_of(self, source: Source) -> SourceStats:
        """What has come from a source so far."""
        found = self._stats.get(source.key)
        if found is None:
            found = SourceStats(source_url=source.name)
            if source.key in self.sources:
                self._stats[source.key] = found
        return found

    def due_at(self, source: Source, *intervals: float | None) -> float:
        """When a source is to be read again, by the monotonic clock; 0 if it has never been read.

        Args:
            source: The source.
            *intervals: Seconds between two readings; the first that is known counts, the source's own before all.
        """
        seconds = next((float(one) for one in (source.interval, *intervals) if one is not None), HOURLY)
        known = self._known.get(source.key)
        due = 0.0 if known is None else known.read_at + seconds
        failed_at = self._failed.get(source.key)
        return due if failed_at is None else max(due, failed_at + min(seconds, _AFTER_FAILURE))

    def next_due(self, *intervals: float | None) -> float:
        """Seconds until the first source is due; below zero if one is."""
        return min((self.due_at(one, *intervals) for one in self.enabled()), default=_FOREVER) - time.monotonic()

    def unread(self, source: Source) -> SourceResult:
        """What is known of a source, without reading it."""
        known = self._known.get(source.key)
        return SourceResult(source, known.entries if known is not None else [], unchanged=True)

    async def read(self, reader: Reader, source: Source) -> SourceResult:
        """Read a source, and count what came.

        Raises ``ProxyFetchError`` (it cannot be loaded, or nothing in it can be read).
        """
        began = time.perf_counter()
        stats = self.stats_of(source)
        known = self._known.get(source.key)
        try:
            found = await reader.read(source, known.validators if known is not None else None)
        except ProxyFetchError as error:
            stats.fetch_failure_count += 1
            stats.last_error = scrub_text(str(error))
            if source.key in self.sources:
                self._failed[source.key] = time.monotonic()
            raise
        finally:
            stats.last_fetch_at = utc_now()
            stats.last_fetch_duration_ms = (time.perf_counter() - began) * 1000.0
        stats.last_error = None
        self._failed.pop(source.key, None)
        if found is None:
            assert known is not None  # only what is known can be unchanged
            if source.key in self.sources:
                self._known[source.key] = known._replace(read_at=time.monotonic())
            return SourceResult(source, known.entries, unchanged=True)
        listing, validators = found
        entries, dropped = listing.entries, listing.local_count
        if dropped:
            _log.warning(
                "%d local addresses dropped from %s",
                dropped,
                source.name,
                extra={"source": source.name, "dropped": dropped},
            )
        for number, reason in listing.rejected[:5]:
            _log.debug("line %d of %s can't be read: %s", number, source.name, scrub_text(reason))
        stats.total_fetched += len(entries) + listing.rejected_count
        stats.valid_count += len(entries)
        stats.invalid_count += listing.rejected_count
        stats.local_count += dropped
        if source.key in self.sources:
            self._known[source.key] = _Known(entries, validators, time.monotonic())
        return SourceResult(source, entries)
