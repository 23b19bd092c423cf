"""The asynchronous rotator."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.event_loop import in_thread
from proxywhirl.rotator._attempted import AsyncAttemptsFace
from proxywhirl.rotator._session import AsyncRotatorSession
from proxywhirl.rotator._verbs import AsyncVerbs
from proxywhirl.rotator.base import ProxyRotatorBase
from proxywhirl.rotator.client_pool import LRUAsyncClientPool
from proxywhirl.transport import AsyncRotatingTransport
from proxywhirl.transport._source import Source

if TYPE_CHECKING:
    import uuid

    import httpx
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl._httpx.selection import LeaseAcquirer
    from proxywhirl.rotator._members import ProxiesLike, ProxyLike
    from proxywhirl.sources._supply.refresh import Refresh

__all__ = ["AsyncProxyRotator", "AsyncProxyWhirl", "AsyncRotatorSession", "LeaseRequest"]


class AsyncProxyRotator(AsyncAttemptsFace, AsyncVerbs, ProxyRotatorBase):
    """An asynchronous HTTP client whose every request goes through a proxy chosen for it.

    It can be used with ``async with``, and without; it may outlive an event loop and be used in the next: connections
    belong to a loop and are closed with it.

    ::

        async with AsyncProxyRotator(proxies=["http://10.0.0.1:8080"]) as rotator:
            response = await rotator.get("https://example.com", country="DE")

    Arguments are those of :class:`ProxyRotatorBase`.
    """

    _transport: AsyncRotatingTransport
    _in_loop = True

    def _make_transport(self, **options: Any) -> AsyncRotatingTransport:
        # Of the chooser, not of this object: a transport that held its rotator would keep it from being collected.
        return AsyncRotatingTransport(Source(self._chooser), **options)

    async def _prepare_sources(self, deadline: float | None = None) -> None:
        """What has to be done before a request: load, wait for the first proxies, log in."""
        await self._keeping.begin_async()
        if self._lists.supply is not None:
            for proxy_id in await self._lists.wait_async(deadline):
                await self._transport.carrier.remove(proxy_id)
        await self._limits.log_in_async()

    @property
    def _client(self) -> httpx.AsyncClient:
        client: httpx.AsyncClient | None = self._opened
        if client is not None and not client.is_closed:
            return client
        with self._lock:
            client = self._opened
            if client is None or client.is_closed:
                from proxywhirl._httpx.client import client_class

                client = self._opened = client_class(self._flavour, "AsyncClient")(**self._client_options())
            made: httpx.AsyncClient = client
        return made

    def _make_client_pool(self) -> LRUAsyncClientPool:
        return LRUAsyncClientPool()

    async def _get_or_create_client(self, proxy: _core.Proxy, proxy_dict: Any = None) -> httpx.AsyncClient:
        """A client whose every request goes through this proxy, kept in ``_client_pool``."""
        del proxy_dict
        client = await self._client_pool.get(proxy.id)
        if client is None:
            client = self._flavour.module.AsyncClient(**self._client_for(proxy))
            await self._client_pool.put(proxy.id, client)
        made: httpx.AsyncClient = client
        return made

    async def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a request through a proxy, and through others if that fails.

        Arguments, the response and errors are those of :meth:`ProxyRotator.request`.
        """
        deadline = self._deadline(kwargs)
        await self._prepare_sources(deadline)
        try:
            return await self._client.request(method, url, **self._arguments(kwargs, deadline))
        except UnicodeError as error:
            self._flavour.raise_for_host(error)
            raise

    @asynccontextmanager
    async def stream(self, method: str, url: Any, **kwargs: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and leave the body to the caller; as :meth:`ProxyRotator.stream`."""
        deadline = self._deadline(kwargs)
        await self._prepare_sources(deadline)
        arguments = self._arguments(kwargs, deadline, read_body=False)
        try:
            async with self._client.stream(method, url, **arguments) as response:
                yield response
        except UnicodeError as error:
            self._flavour.raise_for_host(error)
            raise

    def session(
        self,
        session_id: str | None = None,
        timeout_seconds: int | None = None,
        *,
        keep: bool = False,
        on_move: str = "keep",
        headers: Any = None,
        restore: Mapping[str, Any] | None = None,
    ) -> AsyncRotatorSession:
        """Requests of one identity: they share a proxy as long as it is usable, cookies, headers and connections.

        Arguments and errors are those of :meth:`ProxyRotator.session`.

        Returns:
            An asynchronous context manager with the verbs, ``session_id``, ``proxy``, ``cookies`` and ``headers``.
        """
        identity = self._sessions.open(session_id, on_move, headers, restore, timeout_seconds)
        return AsyncRotatorSession(self, self._sessions, self._prepare_sources, identity, timeout_seconds, keep=keep)

    def lease(
        self,
        url: str | None = None,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        exclude: Iterable[uuid.UUID | str] = (),
        timeout: float | None = None,
    ) -> LeaseRequest:
        """Take a proxy for a request of another client; arguments are those of :meth:`ProxyRotator.lease`.

        Returns:
            Something to await, or to enter with ``async with``: then the lease is taken.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible; raised when it is awaited or entered.
        """
        taking, asked = self._to_lease(
            url, exclude, timeout, session_id=session_id, country=country, region=region, tags=tags, protocol=protocol
        )
        return LeaseRequest(self._prepare_sources, taking, asked)

    async def get_proxy(self, **wishes: Any) -> _core.Proxy:
        """As :meth:`get_proxy_sync`; waits for the first proxies of the lists if there is no other proxy to choose."""
        await self._prepare_sources()
        return self.get_proxy_sync(**wishes)

    async def add_proxy(self, proxy: ProxyLike) -> None:
        """Add a proxy; as :meth:`ProxyRotator.add_proxy`."""
        self._members.add_all((proxy,))

    async def add_proxies(self, proxies: ProxiesLike) -> int:
        """Add proxies, all or none; as :meth:`ProxyRotator.add_proxies`."""
        return self._members.add_all(proxies)

    async def remove_proxy(self, proxy_id: str | uuid.UUID) -> None:
        """Remove a proxy, its connections and its sessions; as :meth:`ProxyRotator.remove_proxy`."""
        await self._transport.carrier.remove(self._remove(proxy_id))

    async def clear_unhealthy_proxies(self) -> int:
        """Remove the unhealthy and the dead; how many there were."""
        return self._members.clear_unhealthy()

    async def refresh_proxies(self) -> Refresh:
        """Read all lists now: what is new joins, what is gone leaves, what stays keeps what was learned about it.

        A list that cannot be read keeps its proxies.

        Returns:
            The proxies of all lists that are in the pool, with ``added``, ``removed`` and ``errors``.
        """
        return await self._lists.refresh()

    async def save(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        include_credentials: bool = True,
        learned: bool = True,
    ) -> None:
        """Save the pool; arguments and errors are those of :meth:`ProxyRotator.save`. Thread-safe."""
        await self._keeping.save_async(path, credentials=include_credentials, learned=learned)

    async def load(self) -> int:
        """Load what the storage keeps, if that has not been done; as :meth:`ProxyRotator.load`."""
        return await self._keeping.load_async()

    async def aclose(self) -> None:
        """Close all connections and end what runs in the background.

        Closing twice is fine; a further request opens new connections and starts it again.
        """
        if self._lists.supply is not None:
            await in_thread(self._lists.close, 2.0)
        with self._lock:
            client, self._opened = self._opened, None
        if client is not None:
            await client.aclose()
        if self._clients is not None:
            await self._clients.clear()
        await self._transport.aclose()
        await self._insight.aclose()
        await self._keeping.end_async()

    async def close(self) -> None:
        """As :meth:`aclose`."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


AsyncProxyWhirl = AsyncProxyRotator


class LeaseRequest:
    """A lease still to be taken: await it, or enter it with ``async with``."""

    def __init__(
        self, prepare: Callable[[], Awaitable[None]], taking: LeaseAcquirer, asked: tuple[list[Any], int, float]
    ) -> None:
        self._prepare = prepare
        self._taking = taking
        self._asked = asked
        self._lease: _core.Lease | None = None

    async def _take(self) -> _core.Lease:
        await self._prepare()
        lease = self._taking(*self._asked)
        return await self._taking.wait_async(*self._asked) if lease is None else lease

    def __await__(self) -> Generator[Any, Any, _core.Lease]:
        return self._take().__await__()

    async def __aenter__(self) -> _core.Lease:
        self._lease = await self._take()
        return await self._lease.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.__aexit__(kind, error, traceback)
