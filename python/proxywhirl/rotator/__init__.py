"""The rotators: HTTP clients whose every request goes through a proxy chosen for it."""

from __future__ import annotations

from proxywhirl.rotator.async_ import AsyncProxyRotator
from proxywhirl.rotator.base import ProxyRotatorBase
from proxywhirl.rotator.client_pool import LRUAsyncClientPool, LRUClientPool
from proxywhirl.rotator.sync import ProxyRotator

__all__ = [
    "AsyncProxyRotator",
    "AsyncProxyWhirl",
    "LRUAsyncClientPool",
    "LRUClientPool",
    "ProxyRotator",
    "ProxyRotatorBase",
    "ProxyWhirl",
]

ProxyWhirl = ProxyRotator
AsyncProxyWhirl = AsyncProxyRotator
