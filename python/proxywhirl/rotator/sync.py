"""The synchronous rotator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from proxywhirl._base.event_loop import loop_is_running
from proxywhirl._base.exports import on_first_use
from proxywhirl._core import HandedOver
from proxywhirl.rotator._attempted import AttemptsFace
from proxywhirl.rotator._verbs import Verbs
from proxywhirl.rotator.base import ProxyRotatorBase

if TYPE_CHECKING:
    import uuid

    import httpx
    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl.rotator._members import ProxiesLike, ProxyLike
    from proxywhirl.rotator._session import RotatorSession
    from proxywhirl.rotator.client_pool import LRUClientPool
    from proxywhirl.sources._supply.refresh import Refresh
    from proxywhirl.transport import RotatingTransport

__all__ = ["ProxyRotator", "ProxyWhirl", "RotatorSession"]

__getattr__, __dir__ = on_first_use(__name__, {"proxywhirl.rotator._session": "RotatorSession"})


class ProxyRotator(AttemptsFace, Verbs, ProxyRotatorBase):
    """An HTTP client whose every request goes through a proxy chosen for it.

    It may be shared by threads. It can be used with ``with``, and without; connections are closed at the end of the
    block, by :meth:`close`, or when it is collected.

    ::

        rotator = ProxyRotator(proxies=["http://10.0.0.1:8080", "socks5://user:secret@10.0.0.2:1080"])
        response = rotator.get("https://example.com", country="DE")

    Arguments are those of :class:`ProxyRotatorBase`.
    """

    _transport: RotatingTransport

    def _make_transport(self, **options: Any) -> RotatingTransport:
        from proxywhirl.transport import RotatingTransport
        from proxywhirl.transport._source import Source

        # Of the chooser, not of this object: a transport that held its rotator would keep it from being collected.
        return RotatingTransport(Source(self._chooser), **options)

    def _prepare_sources(self, deadline: float | None = None) -> None:
        """What has to be done before a request: load, wait for the first proxies, log in."""
        self._keeping.begin()
        if self._lists.supply is not None:
            for proxy_id in self._lists.wait(deadline):
                self._transport.carrier.remove(proxy_id)
        self._limits.log_in()

    @property
    def _client(self) -> Any:
        client = self._opened
        if client is not None and not client.is_closed:
            return client
        with self._lock:
            client = self._opened
            if client is None or client.is_closed:
                from proxywhirl._httpx.client import client_class

                client = self._opened = client_class(self._flavour, "Client")(**self._client_options())
                self._short = self._short_way(client)
        return client

    def _make_client_pool(self) -> LRUClientPool:
        from proxywhirl.rotator.client_pool import LRUClientPool

        return LRUClientPool()

    def _get_or_create_client(self, proxy: _core.Proxy, proxy_dict: Any = None) -> httpx.Client:
        """A client whose every request goes through this proxy, kept in ``_client_pool``."""
        del proxy_dict
        client = self._client_pool.get(proxy.id)
        if client is None:
            client = self._flavour.module.Client(**self._client_for(proxy))
            self._client_pool.put(proxy.id, client)
        made: httpx.Client = client
        return made

    def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
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
        short = self._short
        try:
            response: Any = None if short is None else short.send(method, url, kwargs)
            if type(response) is HandedOver:
                response = self._client.resume(response, kwargs)
            elif response is None:
                deadline = self._deadline(kwargs)
                self._prepare_sources(deadline)
                response = self._client.request(method, url, **self._arguments(kwargs, deadline))
            return response  # type: ignore[no-any-return]
        except UnicodeError as error:
            self._flavour.raise_for_host(error)
            raise

    @contextmanager
    def stream(self, method: str, url: Any, **kwargs: Any) -> Iterator[httpx.Response]:
        """Send a request and leave the body to the caller.

        Args:
            method: The method.
            url: The target.
            **kwargs: As for :meth:`request`.

        Yields:
            The response, its body unread. A body that is cut short raises httpx's error; it is not asked for again.
        """
        deadline = self._deadline(kwargs)
        self._prepare_sources(deadline)
        arguments = self._arguments(kwargs, deadline, read_body=False)
        try:
            with self._client.stream(method, url, **arguments) as response:
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
    ) -> RotatorSession:
        """Requests of one identity: they share a proxy as long as it is usable, cookies, headers and connections.

        No other session and no other request sees any of these. They end with the session.

        Args:
            session_id: 1 to 256 letters, digits and hyphens; made up by default.
            timeout_seconds: Life of the session.
            keep: Whether the session outlives the ``with`` block.
            on_move: Whether its cookies are kept or dropped (``"keep"``, ``"drop"``) when it moves to another proxy,
                because its own is gone or fails.
            headers: Headers of every request of the session, as httpx takes them; those of a request go before.
            restore: What :meth:`RotatorSession.export` returned: the session goes on with its cookies and headers,
                and with its proxy if that is in the pool.

        Returns:
            A context manager with the verbs, ``session_id``, ``proxy``, ``cookies`` and ``headers``.

        Raises:
            ValueError: The id, ``on_move`` or ``restore`` has another form.
        """
        from proxywhirl.rotator._session import RotatorSession

        identity = self._sessions.open(session_id, on_move, headers, restore, timeout_seconds)
        return RotatorSession(self, self._sessions, self._prepare_sources, identity, timeout_seconds, keep=keep)

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
    ) -> _core.Lease:
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
            timeout: Seconds to wait in line for a proxy to become free; ``None`` fails at once. It does not
                wait when that is known to be of no use.

        Returns:
            The lease, a context manager.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible.
        """
        taking, asked = self._to_lease(
            url, exclude, timeout, session_id=session_id, country=country, region=region, tags=tags, protocol=protocol
        )
        self._prepare_sources()
        lease = taking(*asked)
        return taking.wait(*asked) if lease is None else lease

    def get_proxy(self, **wishes: Any) -> _core.Proxy:
        """As :meth:`get_proxy_sync`; waits for the first proxies of the lists if there is no other proxy to choose."""
        self._prepare_sources()
        return self.get_proxy_sync(**wishes)

    def add_proxy(self, proxy: ProxyLike) -> None:
        """Add a proxy; one that is there already is ignored.

        Args:
            proxy: The proxy, its URL, or its fields.

        Raises:
            ProxyValidationError: "Invalid proxy URL ...".
            ValueError: The pool is at its maximum capacity.
        """
        self._members.add_all((proxy,))

    def add_proxies(self, proxies: ProxiesLike) -> int:
        """Add proxies, all or none.

        Args:
            proxies: The proxies, or the path of a file: a saved pool, or a list in any form that can be recognised.

        Returns:
            How many were new.

        Raises:
            ProxyValidationError: One is not acceptable; then none is added.
        """
        return self._members.add_all(proxies)

    def remove_proxy(self, proxy_id: str | uuid.UUID) -> None:
        """Remove a proxy, its connections and its sessions; requests under way on it finish.

        Args:
            proxy_id: Its id; an unknown one is ignored.

        Raises:
            ValueError: This is no id.
        """
        self._transport.carrier.remove(self._remove(proxy_id))

    def clear_unhealthy_proxies(self) -> int:
        """Remove the unhealthy and the dead; how many there were."""
        return self._members.clear_unhealthy()

    def refresh_proxies(self) -> Refresh:
        """Read all lists now: what is new joins, what is gone leaves, what stays keeps what was learned about it.

        A list that cannot be read keeps its proxies. May be called from any thread.

        Returns:
            The proxies of all lists that are in the pool, with ``added``, ``removed`` and ``errors``. It is complete
            when the call returns; inside a running event loop it returns at once, and is complete when awaited.
        """
        refresh = self._lists.refresh()
        return refresh if loop_is_running() else refresh.wait()

    def save(
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
        self._keeping.made().save(path, credentials=include_credentials, learned=learned)

    def load(self) -> int:
        """Load what the storage keeps, if that has not been done; requests do it by themselves.

        Returns:
            How many proxies were added.

        Raises:
            ValueError: What is kept is damaged.
        """
        return self._keeping.load()

    def close(self) -> None:
        """Close all connections and end what runs in the background.

        Closing twice is fine; a further request opens new connections and starts it again.
        """
        self._lists.close(2.0)
        with self._lock:
            client, self._opened, self._short = self._opened, None, None
        if client is not None:
            client.close()
        if self._clients is not None:
            self._clients.clear()
        self._transport.close()
        self._insight.close()
        self._keeping.end()

    async def aclose(self) -> None:
        """As :meth:`close`, for code that does not know which kind it has."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


ProxyWhirl = ProxyRotator
