"""Several proxies in a row."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from typing import Optional

from pydantic import Field

from proxywhirl._core import Proxy
from proxywhirl._native.model.quiet import QuietModel


class ProxyChain(QuietModel):
    """An ordered chain of at least two proxies, from the one nearest to the caller to the one nearest to the site.

    Attributes:
        proxies: The links, in order.
        name: Name of the chain.
        description: What it is for.
    """

    proxies: list[Proxy] = Field(min_length=2)
    name: Optional[str] = None
    description: Optional[str] = None

    @property
    def entry_proxy(self) -> Proxy:
        """The first link: the one the caller connects to."""
        return self.proxies[0]

    @property
    def exit_proxy(self) -> Proxy:
        """The last link: the one the site sees."""
        return self.proxies[-1]

    @property
    def chain_length(self) -> int:
        """Number of links."""
        return len(self.proxies)

    def get_chain_urls(self) -> list[str]:
        """The URLs of the links, in order, as they were given: meant for a client, so credentials are in them."""
        return [proxy.url for proxy in self.proxies]
