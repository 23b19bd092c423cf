"""Adding proxies to the pool of a rotator, in all the forms in which they may be given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from proxywhirl import _core
from proxywhirl._native.model.errors import findings_of
from proxywhirl._native.redact import shown_url
from proxywhirl.exceptions import ProxyValidationError

if TYPE_CHECKING:
    from proxywhirl.gateways import Gateway
    from proxywhirl.rotator._insight import Insight
    from proxywhirl.rotator._keeping import Keeping
    from proxywhirl.rotator._lists import Lists

ProxyLike = Union["_core.Proxy", str, Mapping[str, Any], "Gateway"]
"""A proxy, its URL, its fields, or a gateway that stands for many."""
ProxiesLike = Union[Iterable[ProxyLike], str, "os.PathLike[str]"]
"""Proxies, or the path of a file of them."""


class Members:
    """The way into a pool, and out of it for those that are no good."""

    def __init__(self, pool: _core.ProxyPool, lists: Lists, insight: Insight, keeping: Keeping) -> None:
        self._pool = pool
        self._lists = lists
        self._insight = insight
        self._keeping = keeping

    def add_all(self, proxies: ProxiesLike, tag: str | None = None) -> int:
        """Add proxies, all or none; how many were new."""
        if isinstance(proxies, os.PathLike) or (isinstance(proxies, str) and "://" not in proxies):
            return self._add_file(proxies, tag)
        if isinstance(proxies, (str, bytes, Mapping)):
            raise TypeError(f"a list of proxies or the path of one is needed, not one {type(proxies).__name__}")
        given: list[Any] = [proxies] if _is_gateway(proxies) else list(proxies)
        before = len(self._pool)
        gateways = [item for item in given if _is_gateway(item)]
        made = [_as_proxy(item) for item in given if not _is_gateway(item)]
        if tag is not None:
            for proxy in made:
                proxy.tags = {*proxy.tags, tag}
        for proxy in made:
            self._pool.add_proxy(proxy)
        for gateway in gateways:
            self._lists.add_gateway(gateway, tag)
        self._lists.claim(made)
        added = len(self._pool) - before
        self._keeping.locate(made)
        self._insight.added(added)
        return added

    def add_parsed(self, parsed: _core.ParsedProxies) -> None:
        """Add the proxies of a list that has been read."""
        pool = _core.ProxyPool(max_pool_size=max(1, len(parsed)))
        pool.load(parsed)
        self.add_all(pool.get_all_proxies())

    def clear_unhealthy(self) -> int:
        """Remove the unhealthy and the dead; how many there were."""
        before = self._pool.get_all_proxies() if self._insight.wants_removals else []
        count = self._pool.clear_unhealthy()
        self._insight.removed([proxy for proxy in before if proxy not in self._pool] if count else [], count)
        return count

    def _add_file(self, path: str | os.PathLike[str], tag: str | None) -> int:
        """Add the proxies of a file: a saved pool, or a list in any form; how many were new."""
        from proxywhirl.storage._open import load_pool

        made = load_pool(_core.ProxyPool, path, encryption_key=self._keeping.encryption_key).get_all_proxies()
        return self.add_all(made, tag)


def _is_gateway(item: Any) -> bool:
    # Without importing them where there is none.
    return hasattr(item, "_into")


def _as_proxy(item: Any) -> _core.Proxy:
    if isinstance(item, _core.Proxy):
        return item
    try:
        if isinstance(item, str):
            return _core.Proxy(url=item)
        if isinstance(item, Mapping):
            return _core.Proxy(**item)
    except ValueError as error:
        url = item if isinstance(item, str) else item.get("url")
        given = shown_url(url)
        reason = findings_of(error)[0][1].replace("Value error, ", "").replace("Invalid proxy URL: ", "")
        raise ProxyValidationError(f"Invalid proxy URL {given!r}: {reason}") from None
    raise TypeError(f"a proxy is a Proxy, a URL or a mapping of fields, not {type(item).__name__}")


def proxies_of_environment() -> list[str]:
    """The proxies that ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` name."""
    from urllib.request import getproxies_environment

    found = getproxies_environment()
    urls = [found[scheme] for scheme in ("http", "https", "all") if found.get(scheme)]
    return list(dict.fromkeys(url if "://" in url else f"http://{url}" for url in urls))
