"""The asynchronous rotator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from proxywhirl._cookies import client_class
from proxywhirl._selection import Selection
from proxywhirl.rotator._members import ProxiesLike, ProxyLike
from proxywhirl.rotator._session import SessionBase
from proxywhirl.rotator.base import ProxyRotatorBase, _patience, _Source
from proxywhirl.rotator.client_pool import LRUAsyncClientPool
from proxywhirl.transport import AsyncRotatingTransport

if TYPE_CHECKING:
    import uuid

    import httpx
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl.sources._supply.refresh import Refresh

__all__ = ["AsyncProxyRotator", "AsyncProxyWhirl", "AsyncRotatorSession", "LeaseRequest"]


class _AsyncVerbs:
    """The verbs, over ``request``."""

    async def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        raise NotImplementedError

    async def get(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a GET request; arguments as for :meth:`request`."""
        return await self.request("GET", url, **kwargs)

    async def post(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a POST request; arguments as for :meth:`request`."""
        return await self.request("POST", url, **kwargs)

    async def put(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PUT request; arguments as for :meth:`request`."""
        return await self.request("PUT", url, **kwargs)

    async def patch(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PATCH request; arguments as for :meth:`request`."""
        return await self.request("PATCH", url, **kwargs)

    async def delete(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a DELETE request; arguments as for :meth:`request`."""
        return await self.request("DELETE", url, **kwargs)

    async def head(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a HEAD request; arguments as for :meth:`request`."""
        return await self.request("HEAD", url, **kwargs)

    async def options(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send an OPTIONS request; arguments as for :meth:`request`."""
        return await self.request("OPTIONS", url, **kwargs)


class AsyncProxyRotator(_AsyncVerbs, ProxyRotatorBase):
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
        return AsyncRotatingTransport(_Source(self._chooser), **options)

    async def _prepare_sources(self, deadline: float | None = None) -> None:
        """What has to be done before a request: load, wait for the first proxies, log in."""
        await self._keeping.begin_async()
        for proxy_id in await self._lists.wait_async(deadline):
            await self._transport._carrier.remove(proxy_id)
        await self._limits.log_in_async()

    @property
    def _client(self) -> httpx.AsyncClient:
        client: httpx.AsyncClient | None = self._opened
        if client is not None and not client.is_closed:
            return client
        with self._lock:
            client = self._opened
            if client is None or client.is_closed:
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

        Args:
            method: The method.
            url: The target.
            **kwargs: ``session_id``, ``country``, ``region``, ``tags``, ``protocol``, ``context``, ``retry_policy``,
                ``ban_policy``, ``raise_on_ban`` and ``max_body`` concern the choice of the proxy and the judging of the
                answer; all the rest is httpx's, with httpx's meaning.

        Returns:
            The response. Its ``extensions["proxywhirl"]`` has ``outcome``, ``attempts``, ``proxy_id``, ``elapsed_ms``.

        Raises:
            ProxyPoolEmptyError: There is no eligible proxy, and none became so in ``config.pool_timeout`` seconds.
            ProxyBannedError: Sites refused all proxies that were tried, and ``raise_on_ban`` is set.
            ProxyConnectionError: All attempts failed; ``response`` has the last answer, if there was one.
            ProxyAuthenticationError: The last proxy left refused the credentials.
            httpx.RequestError: The request itself is at fault, as with an unsupported protocol.
        """
        deadline = self._deadline(kwargs)
        await self._prepare_sources(deadline)
        return await self._client.request(method, url, **self._arguments(kwargs, deadline))

    @asynccontextmanager
    async def stream(self, method: str, url: Any, **kwargs: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and leave the body to the caller.

        Args:
            method: The method.
            url: The target.
            **kwargs: As for :meth:`request`.

        Yields:
            The response, its body unread. A body that is cut short raises httpx's error; it is not asked for again.
        """
        deadline = self._deadline(kwargs)
        await self._prepare_sources(deadline)
        arguments = self._arguments(kwargs, deadline, read_body=False)
        async with self._client.stream(method, url, **arguments) as response:
            yield response

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

        No other session and no other request sees any of these. They end with the session.

        Args:
            session_id: 1 to 256 letters, digits and hyphens; made up by default.
            timeout_seconds: Life of the session.
            keep: Whether the session outlives the ``with`` block.
            on_move: Whether its cookies are kept or dropped (``"keep"``, ``"drop"``) when it moves to another proxy,
                because its own is gone or fails.
            headers: Headers of every request of the session, as httpx takes them; those of a request go before.
            restore: What :meth:`AsyncRotatorSession.export` returned: the session goes on with its cookies and headers,
                and with its proxy if that is in the pool.

        Returns:
            A context manager with the verbs, ``session_id``, ``proxy``, ``cookies`` and ``headers``.

        Raises:
            ValueError: The id, ``on_move`` or ``restore`` has another form.
        """
        identity = self._new_identity(session_id, on_move, headers, restore)
        if restore is not None:
            self._rebind(identity, restore, timeout_seconds)
        return AsyncRotatorSession(self, identity.session_id, timeout_seconds, keep=keep)

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
        """Take a proxy for a request of another client.

        Args:
            url: The target.
            session_id: Leases of the same id have the same proxy.
            country: Country of the proxy.
            region: Region of the proxy.
            tags: Tags it must have, all of them.
            protocol: Protocol that it must speak, or several of which one will do, for clients that do not speak all:
                ``("http", "https")`` for one without SOCKS.
            exclude: Ids of proxies not to take.
            timeout: Seconds to wait in line for a proxy to become free; ``None`` fails at once. Nobody waits when it is
                known to be of no use.

        Returns:
            Something to await, or to enter with ``async with``: then the lease is taken.

        Raises:
            ProxyPoolEmptyError: Nobody is eligible; raised when it is awaited or entered.
        """
        selection = Selection(session_id=session_id, country=country, region=region, tags=tags, protocol=protocol)
        return LeaseRequest(self, url, selection, list(exclude), timeout)

    async def get_proxy(self, **wishes: Any) -> _core.Proxy:
        """As :meth:`get_proxy_sync`; waits for the first proxies of the lists if there is nobody else to choose."""
        await self._prepare_sources()
        return self.get_proxy_sync(**wishes)

    async def add_proxy(self, proxy: ProxyLike) -> None:
        """Add a proxy; one that is there already is ignored.

        Args:
            proxy: The proxy, its URL, or its fields.

        Raises:
            ProxyValidationError: "Invalid proxy URL ...".
            ValueError: The pool is at its maximum capacity.
        """
        self._members.add_one(proxy)

    async def add_proxies(self, proxies: ProxiesLike) -> int:
        """Add proxies, all or none.

        Args:
            proxies: The proxies, or the path of a file: a saved pool, or a list in any form that can be recognised.

        Returns:
            How many were new.

        Raises:
            ProxyValidationError: One is not acceptable; then none is added.
        """
        return self._members.add_all(proxies)

    async def remove_proxy(self, proxy_id: str | uuid.UUID) -> None:
        """Remove a proxy, its connections and its sessions; requests under way on it finish.

        Args:
            proxy_id: Its id; an unknown one is ignored.

        Raises:
            ValueError: This is no id.
        """
        await self._transport._carrier.remove(self._remove(proxy_id))

    async def clear_unhealthy_proxies(self) -> int:
        """Remove the unhealthy and the dead; how many there were."""
        return self._clear_unhealthy()

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
        """Save the pool, in the documented layout if it goes to a file.

        The file is replaced as a whole and has mode 0600; the state before is kept beside it as ``NAME.bak``.
        Thread-safe.

        Args:
            path: A file: ``.json``, or ``.jsonl`` for a proxy per line, each with or without ``.gz``. By default where
                the rotator keeps its proxies.
            include_credentials: Whether user names and passwords are saved: encrypted with ``encryption_key``, or
                without one in clear, with one warning.
            learned: Whether health, counters and averages are saved, too.

        Raises:
            ValueError: "storage_path required": there is neither a path nor a storage.
            OSError: It cannot be written; what was saved last is still there.
        """
        await self._keeping.save_async(path, credentials=include_credentials, learned=learned)

    async def load(self) -> int:
        """Load what the storage keeps, if that has not been done; requests do it by themselves.

        Returns:
            How many proxies were added.

        Raises:
            ValueError: What is kept is damaged.
        """
        return await self._keeping.load_async()

    async def aclose(self) -> None:
        """Close all connections and end what runs in the background.

        Closing twice is fine; a further request opens new connections and starts it again.
        """
        if self._lists.supply is not None:
            await asyncio.to_thread(self._lists.close, 2.0)
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

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


AsyncProxyWhirl = AsyncProxyRotator


class LeaseRequest:
    """A lease still to be taken: await it, or enter it with ``async with``."""

    def __init__(
        self,
        rotator: AsyncProxyRotator,
        url: str | None,
        selection: Selection,
        exclude: list[Any],
        timeout: float | None,
    ) -> None:
        self._rotator = rotator
        self._url = url
        self._selection = selection
        self._exclude = exclude
        self._seconds = _patience(timeout)
        self._lease: _core.Lease | None = None

    async def _take(self) -> _core.Lease:
        rotator = self._rotator
        await rotator._prepare_sources()
        taking = rotator._taking(self._url, self._selection)
        lease = taking(self._exclude, 1, self._seconds)
        if lease is None:
            lease = await taking.wait_async(self._exclude, 1, self._seconds)
        return lease

    def __await__(self) -> Generator[Any, Any, _core.Lease]:
        return self._take().__await__()

    async def __aenter__(self) -> _core.Lease:
        self._lease = await self._take()
        return await self._lease.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.__aexit__(exc_type, exc_value, traceback)


class AsyncRotatorSession(_AsyncVerbs, SessionBase):
    """Requests of one rotator that share a proxy; made by :meth:`AsyncProxyRotator.session`."""

    _rotator: AsyncProxyRotator

    async def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a request through the session's proxy; arguments as for :meth:`AsyncProxyRotator.request`."""
        await self._rotator._prepare_sources()
        self._bind()
        return await self._rotator.request(method, url, **{**kwargs, "session_id": self.session_id})

    @asynccontextmanager
    async def stream(self, method: str, url: Any, **kwargs: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and leave the body to the caller; arguments as for :meth:`AsyncProxyRotator.stream`."""
        await self._rotator._prepare_sources()
        self._bind()
        async with self._rotator.stream(method, url, **{**kwargs, "session_id": self.session_id}) as response:
            yield response

    async def close(self) -> None:
        """End the session: its proxy is free of it, its cookies, headers and connections are gone."""
        identity = self._rotator._end_session(self.session_id)
        if identity is not None:
            await self._rotator._transport._carrier.release(identity.token)

    def _bind(self) -> None:
        # Only a life of its own needs the session made beforehand; otherwise the first request makes it.
        if self._timeout_seconds is None:
            return
        if self._rotator._chooser.sessions.get_session(self.session_id) is None:
            self._rotator._bind(self.session_id, None, self._timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._keep:
            await self.close()
