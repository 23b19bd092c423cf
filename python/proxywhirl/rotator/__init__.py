"""The rotators: HTTP clients whose every request goes through a proxy chosen for it."""

from __future__ import annotations

from proxywhirl._base.exports import on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.rotator.async_ import AsyncProxyRotator, AsyncProxyWhirl
    from proxywhirl.rotator.base import ProxyRotatorBase
    from proxywhirl.rotator.client_pool import LRUAsyncClientPool, LRUClientPool
    from proxywhirl.rotator.sync import ProxyRotator, ProxyWhirl

__all__ = [
    "AsyncProxyRotator",
    "AsyncProxyWhirl",
    "LRUAsyncClientPool",
    "LRUClientPool",
    "ProxyRotator",
    "ProxyRotatorBase",
    "ProxyWhirl",
]

# A synchronous program does not import asyncio, nor an asynchronous one what only threads need.
_HOMES = {
    "AsyncProxyRotator": "proxywhirl.rotator.async_",
    "AsyncProxyWhirl": "proxywhirl.rotator.async_",
    "LRUAsyncClientPool": "proxywhirl.rotator.client_pool",
    "LRUClientPool": "proxywhirl.rotator.client_pool",
    "ProxyRotator": "proxywhirl.rotator.sync",
    "ProxyRotatorBase": "proxywhirl.rotator.base",
    "ProxyWhirl": "proxywhirl.rotator.sync",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
