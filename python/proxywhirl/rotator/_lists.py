"""The lists and gateways that a rotator gets its proxies from, and the background work that keeps them fresh."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Union

from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from concurrent.futures import Future

    from proxywhirl import _core
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.fetchers import ProxyFetcher
    from proxywhirl.fetchers._source import SourceLike
    from proxywhirl.models import BootstrapConfig
    from proxywhirl.rotator._insight import Insight
    from proxywhirl.sources._supply.refresh import Refresh
    from proxywhirl.sources._supply.supply import Supply

SourcesLike = Union["Iterable[SourceLike]", "ProxyFetcher", None]
"""Lists to read, or a fetcher that has them and says how they are read and checked."""
BootstrapLike = Union["BootstrapConfig", bool, None]


class Lists:
    """The lists of one rotator. Nothing is read, and no thread started, before the first request.

    Args:
        chooser: Whose pool is filled.
        config: How long a request waits for the first proxies.
        insight: Called with what joins and leaves.
        sources: The lists.
        interval: Seconds until lists are read again.
        remove_dead: Whether a refresh removes dead proxies of lists.
        bootstrap: How to fill an empty pool from public lists.
        allow_local: Whether lists may name addresses of the user's own network.

    Raises:
        ValueError: ``interval`` is not positive.
        TypeError: ``sources`` or ``bootstrap`` is something else.
    """

    def __init__(
        self,
        chooser: Chooser,
        config: ProxyConfiguration,
        insight: Insight,
        sources: SourcesLike,
        interval: float | None,
        *,
        remove_dead: bool,
        bootstrap: BootstrapLike,
        allow_local: bool,
    ) -> None:
        if interval is not None and not interval > 0:
            raise ValueError(f"refresh_interval: Value must be positive, not {shown(interval)}")
        self._chooser = chooser
        self._config = config
        self._insight = insight
        self._remove_dead = remove_dead
        self.bootstrap = _bootstrap_config(bootstrap)
        """How an empty pool is filled; ``None`` if it is not."""
        self.supply: Supply | None = None
        """The background work, if there are lists."""
        if sources is not None or self.bootstrap is not None:
            self.supply = self._make_supply(sources, interval, allow_local)

    def _make_supply(self, sources: SourcesLike, interval: float | None, allow_local: bool) -> Supply:
        from proxywhirl.sources._supply.supply import Supply

        chooser = self._chooser

        def explain(text: str) -> None:
            chooser.when_empty = text

        supply = Supply(
            chooser.pool,
            _fetcher_of(sources, allow_local),
            interval=interval,
            remove_dead=self._remove_dead,
            bootstrap=self.bootstrap,
            listener=self._insight,
            explain=explain,
        )
        explain(
            "No healthy proxies available: the lists are still being read"
            if supply.fetcher.sources or self.bootstrap is not None
            else "No healthy proxies available: there are no lists to read"
        )
        chooser.provided().supply = supply
        weakref.finalize(self, Supply.close, supply)
        return supply

    def add_gateway(self, gateway: Any, tag: str | None = None) -> None:
        """Let a gateway make proxies for the pool."""
        self._chooser.provided().add_gateway(gateway, tag)

    def claim(self, proxies: Iterable[_core.Proxy]) -> None:
        """Note that the user named these proxies: lists may not take them away."""
        if self.supply is not None:
            self.supply.roster.disown(proxies)

    def wait(self, deadline: float | None = None) -> Iterable[Any]:
        """Wait for the first proxies of the lists if there is none to choose; ids of proxies that lists took away."""
        offer = self._offer()
        if offer is not None:
            import concurrent.futures

            concurrent.futures.wait([offer], self._patience(deadline))
        return self._removed()

    async def wait_async(self, deadline: float | None = None) -> Iterable[Any]:
        """As :meth:`wait`, without blocking the loop."""
        offer = self._offer()
        if offer is not None:
            from proxywhirl.sources._supply.refresh import wait_for

            await wait_for(offer, self._patience(deadline))
        return self._removed()

    def _offer(self) -> Future[None] | None:
        if self.supply is None:
            return None
        self.supply.reopen()
        return self.supply.offer()

    def _removed(self) -> Iterator[Any]:
        removed = () if self.supply is None else self.supply.removed
        while removed:
            yield removed.popleft()

    def refresh(self) -> Refresh:
        """Read all lists now."""
        from proxywhirl.sources._supply.refresh import Refresh

        if self.supply is None:
            self.supply = self._make_supply((), None, False)
        self.supply.reopen()
        return Refresh(self.supply.refresh())

    def close(self, wait: float) -> None:
        """End the background work, for which this waits so many seconds."""
        if self.supply is not None:
            self.supply.close(wait)

    def _patience(self, deadline: float | None) -> float:
        patience = float(self._config.pool_timeout)
        return patience if deadline is None else max(min(patience, deadline - time.monotonic()), 0.0)


def _bootstrap_config(given: BootstrapLike) -> BootstrapConfig | None:
    if given is None or given is False:
        return None
    from proxywhirl.models import BootstrapConfig

    if given is True:
        return BootstrapConfig()
    if isinstance(given, Mapping):
        given = BootstrapConfig(**given)
    if not isinstance(given, BootstrapConfig):
        raise TypeError(f"bootstrap must be a BootstrapConfig or a bool, not {type(given).__name__}")
    return given if given.enabled else None


def _fetcher_of(sources: SourcesLike, allow_local: bool) -> ProxyFetcher:
    from proxywhirl._native.enums import ValidationLevel
    from proxywhirl.fetchers import ProxyFetcher

    if isinstance(sources, ProxyFetcher):
        return sources
    if isinstance(sources, (str, bytes, Mapping)):
        raise TypeError("auto_fetch_sources must be a list of sources or a ProxyFetcher, not one source")
    fetcher = ProxyFetcher(sources, allow_local=allow_local)
    # Nothing but the proxies themselves is contacted unasked; what works in earnest shows with the first requests.
    fetcher.level = ValidationLevel.BASIC
    return fetcher
