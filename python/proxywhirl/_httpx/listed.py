"""Which proxies others have named, and so must not lead into the user's own network."""

from __future__ import annotations

from typing import Any

from proxywhirl._core import Proxy
from proxywhirl._native.enums import ProxySource

__all__ = ["named_by_others"]


def named_by_others(lease: Any) -> bool:
    """Whether the proxy of a lease came from a list of others, and so may not be in the user's own network.

    Args:
        lease: The lease; one without a proxy has none that a list named.
    """
    proxy = getattr(lease, "proxy", None)
    return isinstance(proxy, Proxy) and proxy.source in (ProxySource.FETCHED, ProxySource.API) and not proxy.allow_local
