"""What a transport takes its proxies from: a rotator, a pool, proxies, gateways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from proxywhirl._core import DEFAULT_STRATEGY
from proxywhirl._httpx.selection import Chooser

if TYPE_CHECKING:
    from proxywhirl.bans import BanPolicies
    from proxywhirl.retry import RetryPolicy


class Source(NamedTuple):
    """What a rotator lends to a transport; ``None`` is left to the transport."""

    chooser: Chooser
    retry_policy: RetryPolicy | None = None
    bans: BanPolicies | None = None
    raise_on_ban: bool = False

    @classmethod
    def of(cls, given: Any, strategy: Any) -> Source:
        """The source that was handed over, with another strategy if one is named.

        Raises ``TypeError`` (it is none of the things that a transport takes).
        """
        lend = getattr(given, "_source", None)
        source: Source | None = given if isinstance(given, Source) else None if lend is None else lend()
        if source is None:
            return cls(_chooser_of(given, strategy))
        if strategy is None:
            return source
        chooser = _chooser_of(source.chooser.pool, strategy)
        chooser.share_provision(source.chooser)
        return source._replace(chooser=chooser)


def _chooser_of(source: Any, strategy: Any) -> Chooser:
    from proxywhirl import _core
    from proxywhirl.strategies._registry import resolve

    gateways: list[Any] = []
    if isinstance(source, _core.ProxyPool):
        pool = source
    elif isinstance(source, Iterable) and not isinstance(source, (str, bytes, Mapping)):
        pool = _core.ProxyPool(name="transport", max_pool_size=2**31 - 1)
        given: list[Any] = [source] if hasattr(source, "_into") else list(source)
        gateways = [item for item in given if hasattr(item, "_into")]
        for proxy in (item for item in given if not hasattr(item, "_into")):
            pool.add_proxy(_core.Proxy(**proxy) if isinstance(proxy, Mapping) else proxy)
    else:
        raise TypeError(f"source must be a rotator, a ProxyPool or a list of proxies, not {type(source).__name__}")
    chooser = Chooser(pool, resolve(DEFAULT_STRATEGY if strategy is None else strategy, warm_up=True))
    for gateway in gateways:
        chooser.provided().add_gateway(gateway)
    return chooser
