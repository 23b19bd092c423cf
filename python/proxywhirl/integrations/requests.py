"""Rotation in requests: a transport adapter, and a session that has it mounted.

::

    import requests
    from proxywhirl.integrations.requests import ProxyWhirlAdapter

    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, ProxyWhirlAdapter(["http://10.0.0.1:8080", "socks5://10.0.0.2:1080"]))

Where all attempts fail, the exception is requests' own, that of the last attempt. Where there is none it is one of
``proxywhirl.exceptions``, as :meth:`ProxyWhirlAdapter.send` says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

try:
    import requests
except ImportError as error:
    raise ImportError("requests is not installed: pip install 'requests[socks]'") from error
from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, DEFAULT_RETRIES, HTTPAdapter
from requests.utils import prepend_scheme_if_needed, rewind_body

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.limits import most_routes
from proxywhirl._native.enums import Outcome
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.integrations._lender import Lender, bounded, own_error, shown_of
from proxywhirl.integrations._requests_parts import Hooks, Once, ProxyWhirlResponse, are_of_the_user, hold

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rotator._attempt import Attempt

__all__ = ["ProxyWhirlAdapter", "ProxyWhirlResponse", "ProxyWhirlSession"]


class ProxyWhirlAdapter(HTTPAdapter):
    """Sends every request through a proxy chosen for it, and through others where that fails.

    ``proxies=`` of a request or a session go before; those of the environment do not. Redirects stay on their proxy.
    With ``stream=True`` a proxy is in use until the body is read or closed. May be shared by threads, as far as the
    session may.

    Args:
        source: A :class:`ProxyRotator`, a :class:`ProxyPool`, proxies, or the path of a list or of a saved pool.
        strategy: How to choose; round-robin by default. Not for a rotator.
        session_id: Requests have the same proxy as all others of the same id.
        country, region, tags, protocol, context: Wishes, as those of ``rotator.attempts()``.
        retry_policy, ban_policy, raise_on_ban: In place of the rotator's; as those of ``rotator.attempts()``.
        max_proxies: Most proxies with kept connections; the least recently used goes first. By default a quarter of the
            file descriptors allowed, from 100 to 2,000.
        pool_connections: Most sites with kept connections, of each proxy; as in ``HTTPAdapter``.
        pool_maxsize, max_retries, pool_block: As in ``HTTPAdapter``.

    Raises:
        TypeError: ``source`` is none of these, or another argument has the wrong type.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "_lender", "_max_proxies"]  # noqa: RUF012

    def __init__(
        self,
        source: Any,
        *,
        strategy: Any = None,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: Any = None,
        retry_policy: Any = None,
        ban_policy: Any = None,
        raise_on_ban: bool | None = None,
        max_proxies: int | None = None,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: Any = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
    ) -> None:
        self._lock, self._process = new_lock(), os.getpid()
        self._max_proxies = most_routes() if max_proxies is None else max_proxies
        wishes = {
            "session_id": session_id,
            "country": country,
            "region": region,
            "tags": None if tags is None else frozenset(tags),
            "protocol": protocol if protocol is None or isinstance(protocol, str) else tuple(protocol),
            "context": context,
            "retry_policy": retry_policy,
            "ban_policy": ban_policy,
            "raise_on_ban": raise_on_ban,
        }
        self._lender = Lender(source, wishes, strategy=strategy)
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        return self._lender.pool

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock, self._process = new_lock(), os.getpid()
        super().__setstate__(state)  # type: ignore[misc]

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The connections of a proxy; requests calls this."""
        with self._lock:
            if self._process != os.getpid():
                # In the child of a fork, what is open is the parent's.
                super().close()
                self._process = os.getpid()
            manager = super().proxy_manager_for(proxy, **proxy_kwargs)
            self.proxy_manager[proxy] = self.proxy_manager.pop(proxy)
            while len(self.proxy_manager) > self._max_proxies:
                self.proxy_manager.pop(next(iter(self.proxy_manager))).clear()
        return manager

    def _renew(self, proxy: str) -> None:
        """Close what is open to a gateway, so that the next connection may have another exit."""
        with self._lock:
            key = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
            manager = self.proxy_manager.pop(key, None)
        if manager is not None:
            manager.clear()

    def close(self) -> None:
        """Close all connections. The adapter can be used again; it then opens new ones."""
        with self._lock:
            super().close()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Set how TLS is checked; requests calls this, and would not check a proxy with TLS for a site without."""
        if conn.scheme == "https" and not url.lower().startswith("https"):
            super().cert_verify(conn, "https:", verify, None)  # type: ignore[no-untyped-call]
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """Make a response; requests calls this."""
        response = super().build_response(req, resp)
        response.__class__ = ProxyWhirlResponse
        return response

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request; requests calls this.

        Raises:
            requests.RequestException: All attempts failed; that of the last.
            ProxyPoolEmptyError: No proxy is eligible.
            ProxyAuthenticationError: The last proxy left answered 407.
            ProxyBannedError: Sites refused all proxies that were tried, and ``raise_on_ban`` is set.
            ProxyConnectionError: All attempts were answered, and none is to be returned; the last is its ``response``.
        """
        if are_of_the_user(request.url, proxies):
            return super().send(request, stream, timeout, verify, cert, proxies)
        # For another proxy: one that requests found in the environment, or a user's own.
        request.headers.pop("Proxy-Authorization", None)
        body = request.body
        once = Once.of(request)
        try:
            return self._rotate(request, once, stream=stream, timeout=timeout, verify=verify, cert=cert)
        except ProxyWhirlError as error:
            found = own_error(error, (requests.RequestException,))
            if found is None:
                raise
        finally:
            request.body = body
        raise found

    def _rotate(self, request: Any, once: Once | None, *, stream: bool, timeout: Any, **how: Any) -> requests.Response:
        attempts = self._lender.attempts(request.url, request.method, {}, proxy_id=Hooks.proxy_of(request))
        response: requests.Response | None = None
        for attempt in attempts:
            if response is not None:
                response.close()
            if attempt.number > 1 and isinstance(request._body_position, int):
                rewind_body(request)
            started = time.perf_counter()
            try:
                response = super().send(
                    request,
                    stream=stream,
                    timeout=bounded(timeout, attempt.time_left),
                    proxies=attempt.requests_proxies,
                    **how,
                )
                elapsed_ms = (time.perf_counter() - started) * 1000.0
                if stream and (outcome := attempt.outcome_of(response)) is Outcome.SUCCESS:
                    hold(response, attempt, attempts, elapsed_ms)
                    return _told(response, attempt, outcome)
                if not stream:
                    # A body that is cut short is asked for again.
                    response.content  # noqa: B018
                _told(response, attempt, attempt.report(response, elapsed_ms=elapsed_ms))
            except BaseException as error:
                if not attempt.__exit__(type(error), error, error.__traceback__):
                    raise
                if once is not None and once.begun:
                    attempts.close()
                    raise
                response = None
            finally:
                if attempt.renews:
                    self._renew(attempt.requests_proxies["http"])
            if once is not None and once.begun:
                attempts.close()
        assert response is not None, "the loop ends with an answer, or raises"
        return response


class ProxyWhirlSession(requests.Session):
    """A session of requests that has a :class:`ProxyWhirlAdapter` mounted, of which it has the arguments.

    Its cookies are one jar: make a session, with a ``session_id``, for each visitor that is to be one.
    """

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__()
        adapter = ProxyWhirlAdapter(source, **options)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        adapter = self.get_adapter("https://")
        return adapter.pool  # type: ignore[attr-defined, no-any-return]


def _told(response: requests.Response, attempt: Attempt, outcome: Outcome) -> requests.Response:
    response.proxywhirl = shown_of(attempt, outcome)  # type: ignore[attr-defined]
    if response.is_redirect:
        Hooks.note(response.request, attempt.id)
    return response
