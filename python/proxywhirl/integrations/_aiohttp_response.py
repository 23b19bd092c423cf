"""aiohttp's response with the end of a lease, and a request that is awaited or entered."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Callable

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ProxyWhirlRequest", "ProxyWhirlResponse"]


class ProxyWhirlResponse(aiohttp.ClientResponse):
    """aiohttp's response. The lease of its proxy ends when the response is closed or its body has been read.

    Attributes:
        proxywhirl: ``proxy_id``, ``host`` and ``port`` of the proxy, ``attempts``, and ``outcome``.
    """

    proxywhirl: Mapping[str, Any] = {}
    # Not given the response: one that it held would keep itself alive.
    _settle: Callable[[int, Any, bytes | None, BaseException | None], None] | None = None

    def _settled(self, error: BaseException | None = None) -> None:
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(self.status, self.headers, self._body, error)

    def __del__(self, *arguments: Any) -> None:
        settle, self._settle = self._settle, None
        if settle is not None and self._loop is not None and not self._loop.is_closed():
            # Read in pieces and never closed. The collector may run in any thread.
            self._loop.call_soon_threadsafe(settle, self.status, self.headers, self._body, self._broken())
        super().__del__(*arguments)

    async def read(self) -> bytes:
        """Read the whole body."""
        try:
            body = await super().read()
        except BaseException as error:
            self._settled(error)
            raise
        self._settled()
        return body

    def close(self) -> None:
        """Close the connection."""
        self._settled(self._broken())
        super().close()

    def release(self) -> Any:
        """Let go of the connection."""
        self._settled(self._broken())
        return super().release()

    def _broken(self) -> BaseException | None:
        """What ended a body that was read in pieces."""
        content: Any = self.content
        return None if content is None else content.exception()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._settled(exc_val if exc_val is not None else self._broken())
        await super().__aexit__(exc_type, exc_val, exc_tb)


class ProxyWhirlRequest:
    """A request that is sent when it is awaited or entered."""

    def __init__(self, sending: Any) -> None:
        self._sending = sending
        self._response: ProxyWhirlResponse | None = None

    def __await__(self) -> Generator[Any, None, ProxyWhirlResponse]:
        sent: ProxyWhirlResponse = yield from self._sending.__await__()
        return sent

    async def __aenter__(self) -> ProxyWhirlResponse:
        response: ProxyWhirlResponse = await self._sending
        self._response = response
        await response.__aenter__()
        return response

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036 - handed on
        assert self._response is not None
        await self._response.__aexit__(*error)
