"""Keeping proxies that a list of others named out of the user's own network: the address that is reached is judged.

A name that a list names can lead anywhere, and elsewhere the next time, so that only the connection itself tells.
"""

from __future__ import annotations

from typing import Any

from proxywhirl._core import address_locality
from proxywhirl._httpx.library import core

_core: Any = core()
_REFUSED = "the proxy's name leads into a private network, where a list of others must not point (see allow_local)"


def _is_inward(stream: Any) -> bool:
    address = stream.get_extra_info("server_addr")
    return not address or address_locality(str(address[0])) != "public"


class PublicOnly(_core.NetworkBackend):  # type: ignore[misc]
    """Opens connections to public addresses alone, blocking; nothing is sent on others."""

    def __init__(self) -> None:
        self._backend = _core.SyncBackend()

    def connect_tcp(self, host: str, port: int, **options: Any) -> Any:
        if address_locality(host) != "public":
            raise _core.ConnectError(_REFUSED)
        stream = self._backend.connect_tcp(host, port, **options)
        if _is_inward(stream):
            stream.close()
            raise _core.ConnectError(_REFUSED)
        return stream


class AsyncPublicOnly(_core.AsyncNetworkBackend):  # type: ignore[misc]
    """The same without blocking."""

    def __init__(self) -> None:
        self._backend = _core.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, **options: Any) -> Any:
        if address_locality(host) != "public":
            raise _core.ConnectError(_REFUSED)
        stream = await self._backend.connect_tcp(host, port, **options)
        if _is_inward(stream):
            await stream.aclose()
            raise _core.ConnectError(_REFUSED)
        return stream
