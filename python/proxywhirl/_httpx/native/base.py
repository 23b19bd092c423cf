"""What both carriers of the native engine share: their settings, and the carrier for what is not theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from proxywhirl import _core
from proxywhirl._httpx import engine
from proxywhirl._httpx.body import MOST_BODY
from proxywhirl._httpx.objects import objects_of
from proxywhirl._httpx.said import REASONS

if TYPE_CHECKING:
    from proxywhirl._httpx.carrier import AsyncCarrier, Carrier
    from proxywhirl._httpx.limits import Limits
    from proxywhirl._httpx.native.parcel import Orders
    from proxywhirl._httpx.tls import Tls
    from proxywhirl.rotator._profile import Profile

__all__ = ["NativeBase"]

ByHttpx = TypeVar("ByHttpx", bound="Carrier | AsyncCarrier")


class NativeBase(Generic[ByHttpx]):
    """A carrier of the native engine."""

    _limits: Limits
    _lock: Any
    _orders: Orders
    _other: ByHttpx | None = None
    """The carrier of httpx, from the first request on that the native engine cannot carry."""

    @property
    def tls(self) -> Tls:
        """The certificates that are accepted."""
        return self._orders.tls

    @property
    def profile(self) -> Profile | None:
        """Where the time that connections take is summed up, if it is."""
        return self._orders.profile

    @profile.setter
    def profile(self, profile: Profile | None) -> None:
        self._orders.profile = profile
        if self._other is not None:
            self._other.profile = profile

    def _short_way(
        self, client: Any, identities: Any, upkeep: tuple[Any, Any, Any], wire: _core.Wire | None
    ) -> _core.ShortWay | None:
        kind = client._kind
        objects = objects_of(kind)
        if objects is None:
            return None
        return _core.ShortWay(
            client=client,
            objects=objects,
            package=kind.name,
            transport=client._transport,
            orders=self._orders.native,
            wire=wire,
            tls=self.tls,
            identities=identities,
            owner_of=self._orders.owner_of,
            upkeep=upkeep,
            engine=engine,
            reasons=REASONS,
            most_body=MOST_BODY,
        )

    def _other_by(self, make: Callable[[Tls, Limits], ByHttpx]) -> ByHttpx:
        """The carrier of httpx, made on first need."""
        with self._lock:
            if self._other is None:
                other = make(self.tls, self._limits)
                other.profile = self.profile
                self._other = other
            return self._other
