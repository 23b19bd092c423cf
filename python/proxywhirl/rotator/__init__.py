"""The rotators: HTTP clients whose every request goes through a proxy chosen for it."""

from __future__ import annotations

from proxywhirl._base.exports import names_in, on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.rotator._attempt import Attempt as Attempt
    from proxywhirl.rotator._attempts import AsyncAttempts as AsyncAttempts
    from proxywhirl.rotator._attempts import Attempts as Attempts
    from proxywhirl.rotator.async_ import AsyncProxyRotator as AsyncProxyRotator
    from proxywhirl.rotator.async_ import AsyncProxyWhirl as AsyncProxyWhirl
    from proxywhirl.rotator.base import ProxyRotatorBase as ProxyRotatorBase
    from proxywhirl.rotator.client_pool import LRUAsyncClientPool as LRUAsyncClientPool
    from proxywhirl.rotator.client_pool import LRUClientPool as LRUClientPool
    from proxywhirl.rotator.sync import ProxyRotator as ProxyRotator
    from proxywhirl.rotator.sync import ProxyWhirl as ProxyWhirl

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
__all__ = names_in(_HOMES)
