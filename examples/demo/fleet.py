"""The fleet of the demo, its pages, and what counts as having one."""

from __future__ import annotations

import random
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from demo.listed import answering, places_of, read_list
from proxywhirl import AsyncProxyRotator, ProxyConfiguration, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet

if TYPE_CHECKING:
    import httpx

    from demo.plan import Plan
    from proxywhirl import Proxy, ProxyPool

__all__ = ["Site"]

_HOST = "shop.test"
_HTTPS_EVERY = 10
# A hanging proxy costs this much whenever it is tried; the slowest honest one answers in a fifth of it.
_TIMEOUT_S = 1
_ATTEMPTS = 6
_PAGE_BUDGET_S = 10.0


class Site:
    """A running fleet and the site behind it, to be used with ``with``.

    Args:
        plan: The numbers.

    Raises:
        OSError: The fleet cannot be started.
    """

    def __init__(self, plan: Plan) -> None:
        listed = [] if plan.list is None else read_list(plan.list)
        places = places_of(listed, plan.proxies, plan.seed) if listed else []
        self.fleet = ProxyFleet.demo(plan.proxies, seed=plan.seed, addresses=places).start()
        proxies = list(self.fleet)
        self.listed = len(listed)
        """How many proxies the list has that they were found in, if there is one."""
        if listed:
            alive = answering(listed)
            proxies = [proxy for proxy in proxies if f"{proxy.host}:{proxy.port}" in alive]
        self.names = [proxy.name for proxy in proxies]
        """The names of the proxies, in the order of the fleet."""
        self.pools: list[ProxyPool] = []
        """The pools of all rotators made so far."""
        self._names = {(proxy.host, proxy.port): proxy.name for proxy in self.fleet}
        # Real lists are not sorted by quality.
        self._urls = [proxy.url for proxy in proxies]
        random.Random(plan.seed).shuffle(self._urls)
        self._options: dict[str, Any] = {
            # All of them given, so that the user's environment has no say.
            "config": ProxyConfiguration(
                timeout=_TIMEOUT_S,
                pool_size=plan.proxies,
                # No request waits for a connection: that time would count as the proxy's latency.
                pool_connections=max(plan.tasks, plan.threads),
                pool_max_keepalive=max(plan.tasks, plan.threads),
                strategy="round-robin",
                dynamic_timeout=False,
            ),
            "retry_policy": RetryPolicy(
                max_attempts=_ATTEMPTS, base_delay=0.05, max_backoff_delay=0.2, timeout=_PAGE_BUDGET_S
            ),
            "verify": self.fleet.ssl_context(),
        }

    @property
    def kinds(self) -> Counter[str]:
        """How many proxies there are of each kind."""
        return Counter(kind for proxy in self.fleet for kind in proxy.tags)

    def named(self, kind: str) -> set[str]:
        """The names of the proxies of one kind."""
        return {proxy.name for proxy in self.fleet if kind in proxy.tags}

    def name_of(self, proxy: Proxy) -> str:
        """The fleet's name of a proxy."""
        return self._names[proxy.host, proxy.port or 0]

    def rotator(self, strategy: Any, only: Optional[set[str]] = None, **options: Any) -> ProxyRotator:
        """A rotator over the fleet.

        Args:
            strategy: Its strategy.
            only: Names of the proxies it gets; all by default.
            **options: Further arguments of the rotator.
        """
        rotator = ProxyRotator(self._chosen(only), strategy, **{**self._options, **options})
        self.pools.append(rotator.pool)
        return rotator

    def async_rotator(self, strategy: Any) -> AsyncProxyRotator:
        """An asynchronous rotator over the fleet.

        Args:
            strategy: Its strategy.
        """
        rotator = AsyncProxyRotator(self._urls, strategy, **self._options)
        self.pools.append(rotator.pool)
        return rotator

    def url(self, page: int, host: str = _HOST) -> str:
        """The address of a page; every tenth is read over HTTPS.

        Args:
            page: Its number.
            host: The site it is on.
        """
        return self.fleet.site_url(host, f"/echo?page={page}", https=page % _HTTPS_EVERY == 0)

    def carrier(self, response: httpx.Response, page: int, pool: ProxyPool) -> str:
        """Check that a response is the page that was asked for, and that it came the way the rotator says.

        Args:
            response: The response.
            page: The number of the page.
            pool: The rotator's pool.

        Returns:
            The name of the proxy that brought it, as the site saw it.

        Raises:
            ValueError: It is another page, or another proxy brought it.
        """
        if response.status_code != 200:
            raise ValueError(f"page {page} has status {response.status_code}")
        document = response.json()
        if document["path"] != "/echo" or document["args"] != {"page": str(page)}:
            raise ValueError(f"page {page} has the content of {document['path']} {document['args']}")
        seen: str = document["caller"]["proxy"]
        proxy = pool.get_proxy_by_id(response.extensions["proxywhirl"]["proxy_id"])
        reported = "no proxy" if proxy is None else self.name_of(proxy)
        if seen != reported:
            raise ValueError(f"page {page} came through {seen}, but the rotator says {reported}")
        return seen

    def stop(self) -> None:
        """Stop the fleet; a request that waits for one of its proxies fails at once."""
        self.fleet.stop()

    def _chosen(self, only: Optional[set[str]]) -> list[str]:
        if only is None:
            return self._urls
        allowed = {self.fleet[name].url for name in only}
        return [url for url in self._urls if url in allowed]

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()
