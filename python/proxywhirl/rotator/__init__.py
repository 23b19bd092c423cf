"""The rotators: HTTP clients whose every request goes through a proxy chosen for it."""

from __future__ import annotations

from proxywhirl._base.exports import on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.rotator._attempt import Attempt
    from proxywhirl.rotator._attempts import AsyncAttempts, Attempts
    from proxywhirl.rotator.async_ import AsyncProxyRotator, AsyncProxyWhirl
    from proxywhirl.rotator.base import ProxyRotatorBase
    from proxywhirl.rotator.client_pool import LRUAsyncClientPool, LRUClientPool
    from proxywhirl.rotator.sync import ProxyRotator, ProxyWhirl

__all__ = [
    "AsyncAttempts",
    "AsyncProxyRotator",
    "AsyncProxyWhirl",
    "Attempt",
    "Attempts",
    "LRUAsyncClientPool",
    "LRUClientPool",
    "ProxyRotator",
    "ProxyRotatorBase",
    "ProxyWhirl",
]

# A synchronous program does not import asyncio, nor an asynchronous one what only threads need.
_HOMES = {
    "proxywhirl.rotator._attempt": "Attempt",
    "proxywhirl.rotator._attempts": "AsyncAttempts Attempts",
    "proxywhirl.rotator.async_": "AsyncProxyRotator AsyncProxyWhirl",
    "proxywhirl.rotator.base": "ProxyRotatorBase",
    "proxywhirl.rotator.client_pool": "LRUAsyncClientPool LRUClientPool",
    "proxywhirl.rotator.sync": "ProxyRotator ProxyWhirl",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
