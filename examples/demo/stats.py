"""What was fetched, how fast, and what each proxy did for it."""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from demo.fleet import Site
    from proxywhirl import ProxyPool

__all__ = ["Page", "ProxyRow", "Stats", "rows_of"]

_RECENT = 2000  # pages that the percentiles shown while running look at, so that looking stays cheap


class Page(NamedTuple):
    """One page that was asked for."""

    proxy: Optional[str]
    """The proxy of the fleet that brought it; ``None`` if the page did not arrive as it should."""
    elapsed_ms: float
    """From asking to having it, failed attempts included, in milliseconds."""
    attempts: int = 1
    """Attempts it took."""
    trouble: Optional[str] = None
    """Why it did not arrive."""


class Stats:
    """Counts pages; safe for threads. The clock runs from the first to the last page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._last = self._started
        self._latencies = array("d")
        self.done = 0
        """Pages asked for, answered or not."""
        self.attempts = 0
        """Attempts that the pages that arrived took."""
        self.by_proxy: Counter[str] = Counter()
        """Pages that arrived, by the proxy that brought them."""
        self.troubles: list[str] = []
        """Why pages did not arrive, the first few."""

    def add(self, page: Page) -> None:
        """Count a page."""
        now = time.perf_counter()
        with self._lock:
            if not self.done:
                self._started = now - page.elapsed_ms / 1000.0
            self._last = now
            self.done += 1
            if page.proxy is None:
                if len(self.troubles) < 3:
                    self.troubles.append(page.trouble or "unknown trouble")
                return
            self.attempts += page.attempts
            self.by_proxy[page.proxy] += 1
            self._latencies.append(page.elapsed_ms)

    @property
    def arrived(self) -> int:
        """Pages that arrived as they should."""
        return len(self._latencies)

    @property
    def success_rate(self) -> float:
        """Part of the pages that arrived, 0 to 1."""
        done = self.done
        return self.arrived / done if done else 0.0

    @property
    def per_second(self) -> float:
        """Requests per second."""
        seconds = self._last - self._started
        return self.done / seconds if seconds > 0 else 0.0

    @property
    def mean_ms(self) -> float:
        """Mean time of the pages that arrived, in milliseconds; NaN without any."""
        with self._lock:
            return sum(self._latencies) / len(self._latencies) if self._latencies else float("nan")

    def percentiles(self, *ranks: float, recent: bool = False) -> list[float]:
        """Times that so many of the pages that arrived did not exceed, in milliseconds.

        Args:
            *ranks: Each 0 to 100.
            recent: Whether to look at the latest pages only.

        Returns:
            One time per rank; NaN without any page.
        """
        with self._lock:
            times = sorted(self._latencies[-_RECENT:] if recent else self._latencies)
        if not times:
            return [float("nan")] * len(ranks)
        return [times[min(int(len(times) * rank / 100.0), len(times) - 1)] for rank in ranks]

    def share_of(self, names: set[str]) -> float:
        """Part of the pages that some proxies brought, 0 to 1."""
        with self._lock:
            return sum(self.by_proxy[name] for name in names) / max(self.arrived, 1)


class ProxyRow(NamedTuple):
    """One proxy as the tables show it."""

    name: str
    state: str
    """Its health."""
    share: float
    """Its part of all attempts, 0 to 1."""
    latency_ms: Optional[float]
    """Its latency average; ``None`` before its first success."""
    successes: int
    failures: int


def rows_of(site: Site, pool: ProxyPool) -> list[ProxyRow]:
    """What the proxies of a pool have done, in the order of the fleet.

    Args:
        site: The site, which knows the names.
        pool: The pool of a rotator.
    """
    found = {site.name_of(proxy): proxy for proxy in pool}
    counts = {name: proxy.total_requests for name, proxy in found.items()}
    total = max(sum(counts.values()), 1)
    return [
        ProxyRow(
            name,
            found[name].health_status.value,
            counts[name] / total,
            found[name].average_response_time_ms,
            found[name].total_successes,
            found[name].total_failures,
        )
        for name in site.names
    ]
