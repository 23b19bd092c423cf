"""The part of a rotator that gets its proxies from lists and gateways."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from proxywhirl._redact import shown

if TYPE_CHECKING:
    import concurrent.futures

    from proxywhirl import _core
    from proxywhirl._selection import Chooser
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.fetchers import ProxyFetcher
    from proxywhirl.fetchers._source import SourceLike
    from proxywhirl.models import BootstrapConfig
    from proxywhirl.sources._supply.provision import Sources
    from proxywhirl.sources._supply.refresh import Refresh, Report
    from proxywhirl.sources._supply.supply import Supply

__all__ = ["BootstrapLike", "SourcesLike", "SupplyMixin"]

SourcesLike = Union["Iterable[SourceLike]", "ProxyFetcher", None]
"""Lists to read, or a fetcher that has them and says how they are read and checked."""
BootstrapLike = Union["BootstrapConfig", bool, None]


class SupplyMixin:
    """Lists, gateways, and the background work that keeps them fresh; for :class:`ProxyRotatorBase`."""

    config: ProxyConfiguration
    _chooser: Chooser
    _transport: Any
    _supply: Supply | None

    def _init_supply(
        self,
        auto_fetch_sources: SourcesLike,
        refresh_interval: float | None,
        remove_dead_on_refresh: bool,
        bootstrap: BootstrapLike,
        allow_local: bool,
    ) -> None:
        """Note where proxies come from. Nothing is read, and no thread started, before the first request."""
        if refresh_interval is not None and not refresh_interval > 0:
            raise ValueError(f"refresh_interval: Value must be positive, not {shown(refresh_interval)}")
        self._supply = None
        self._remove_dead_on_refresh = remove_dead_on_refresh
        config = _bootstrap_config(bootstrap)
        self._bootstrap_config = config
        if auto_fetch_sources is None and config is None:
            return
        self._supply = self._make_supply(auto_fetch_sources, refresh_interval, config, allow_local)

    def _make_supply(
        self, sources: SourcesLike, interval: float | None, bootstrap: BootstrapConfig | None, allow_local: bool
    ) -> Supply:
        from proxywhirl.sources._supply.supply import Supply

        chooser = self._chooser

        def explain(text: str) -> None:
            chooser._when_empty = text

        supply = Supply(
            chooser.pool,
            _fetcher_of(sources, allow_local),
            interval=interval,
            remove_dead=self._remove_dead_on_refresh,
            bootstrap=bootstrap,
            listener=_Teller(self),
            explain=explain,
        )
        explain(
            "No healthy proxies available: the lists are still being read"
            if supply.fetcher.sources or bootstrap is not None
            else "No healthy proxies available: there are no lists to read"
        )
        self._sources_behind.supply = supply
        weakref.finalize(self, Supply.close, supply)
        return supply

    @property
    def _sources_behind(self) -> Sources:
        return self._chooser.provided()

    def _add_gateway(self, gateway: Any, tag: str | None = None) -> None:
        self._sources_behind.add_gateway(gateway, tag)

    def _claim(self, proxies: Iterable[_core.Proxy]) -> None:
        """The user named these: lists may not take them away."""
        if self._supply is not None:
            self._supply.roster.disown(proxies)

    def _worth_waiting_for(self) -> concurrent.futures.Future[None] | None:
        """What a request waits for before it begins; ``None`` as a rule."""
        supply = self._supply
        if supply is None:
            return None
        supply.reopen()
        return supply.offer()

    def _removed_by_lists(self) -> list[Any]:
        """Ids of proxies whose connections can go."""
        supply = self._supply
        if supply is None or not supply.removed:
            return []
        gone: list[Any] = []
        while supply.removed:
            gone.append(supply.removed.popleft())
        return gone

    def _refresh(self) -> concurrent.futures.Future[Report]:
        if self._supply is None:
            self._supply = self._make_supply((), None, None, False)
        self._supply.reopen()
        return self._supply.refresh()

    def _prepare_sources(self, deadline: float | None = None) -> None:
        """Wait for the first proxies of the lists if there is none to choose; for the synchronous rotator.

        Args:
            deadline: When the request must be over, by ``time.monotonic``.
        """
        if self._supply is None:
            return
        offer = self._worth_waiting_for()
        if offer is not None:
            import concurrent.futures

            concurrent.futures.wait([offer], self._patience_for_lists(deadline))
        for key in self._removed_by_lists():
            self._transport._carrier.routes.remove(key)

    async def _astock(self, deadline: float | None = None) -> None:
        """As :meth:`_prepare_sources`, without blocking the loop."""
        if self._supply is None:
            return
        offer = self._worth_waiting_for()
        if offer is not None:
            from proxywhirl.sources._supply.refresh import wait_for

            await wait_for(offer, self._patience_for_lists(deadline))
        for key in self._removed_by_lists():
            await self._transport._carrier.remove(key)

    def _patience_for_lists(self, deadline: float | None) -> float:
        patience = float(self.config.pool_timeout)
        return patience if deadline is None else max(min(patience, deadline - time.monotonic()), 0.0)

    def _refresh_proxies(self) -> Refresh:
        from proxywhirl.sources._supply.refresh import Refresh

        return Refresh(self._refresh())


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
    # Nobody but the proxies themselves is contacted unasked; what works in earnest shows with the first requests.
    fetcher._level = ValidationLevel.BASIC
    return fetcher


class _Teller:
    """Passes on to a rotator what happens, without keeping it alive."""

    def __init__(self, rotator: Any) -> None:
        self._rotator = weakref.ref(rotator)

    def added(self, count: int) -> None:
        rotator = self._rotator()
        if rotator is not None:
            rotator._tell_added(count)

    def removed(self, proxies: list[_core.Proxy]) -> None:
        rotator = self._rotator()
        if rotator is not None:
            rotator._tell_removed(proxies, len(proxies))

    def read(self, **facts: Any) -> None:
        rotator = self._rotator()
        if rotator is not None:
            rotator._emit("fetch_complete", **facts)
