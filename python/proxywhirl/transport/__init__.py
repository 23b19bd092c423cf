"""Transports for httpx (and httpx2) that rotate: every request goes through a proxy chosen for it.

::

    import httpx
    from proxywhirl import ProxyPool, RotatingTransport

    with httpx.Client(transport=RotatingTransport(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])) as client:
        client.get("https://example.com")

A transport cannot see whether the client streams. Unless told otherwise it therefore returns as soon as the headers are
there, and a body that is cut short later raises httpx's error to the reader of the body; the proxy is held to account
all the same. ``read_bodies=True`` (what the rotators use for everything but ``stream``) reads the body first, so that a
body cut short is asked for again through another proxy.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from proxywhirl._httpx.library import default_name, flavour
from proxywhirl.transport._drive import AsyncDriver, Driver

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Self

    _SyncBase = httpx.BaseTransport
    _AsyncBase = httpx.AsyncBaseTransport
else:
    # Whichever is installed: a client only calls the methods, it does not look at the base class.
    _SyncBase = flavour(default_name()).module.BaseTransport
    _AsyncBase = flavour(default_name()).module.AsyncBaseTransport

__all__ = ["AsyncRotatingTransport", "RotatingTransport"]


class RotatingTransport(Driver, _SyncBase):
    """A transport for ``httpx.Client`` that sends every request through a proxy chosen for it.

    A failed request goes to another proxy, as far as the policy and the method allow. Redirects of one request stay on
    its proxy. Wishes of a single request travel in ``extensions={"proxywhirl": {...}}``: ``session_id``, ``country``,
    ``region``, ``tags``, ``protocol``, ``context``, ``retry_policy``, ``read_body``, ``max_body``, ``ban_policy``,
    ``raise_on_ban``. The response's ``extensions["proxywhirl"]`` has ``outcome``, ``attempts``, ``proxy_id`` and
    ``elapsed_ms``.

    Args:
        source: A rotator, a :class:`ProxyPool`, proxies, gateways.
        strategy: How to choose; round-robin by default, or what the rotator uses.
        retry_policy: How often to try; ``RetryPolicy()`` by default, or the rotator's.
        read_bodies: Whether to read the body before returning; see the text of the module.
        verify: Certificates of targets: ``True``, ``False``, a CA file or folder, or an ``ssl.SSLContext``.
        proxy_verify: Certificates of HTTPS proxies; as ``verify`` by default.
        cert: Certificate by which sites know this side: the path of a PEM file with certificate and key, or of two
            files, and the key's password. Proxies are not shown it.
        trust_env: Whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured.
        max_connections: Most requests of transports under way per proxy of the pool, each with a connection of its own.
            A proxy with as many is passed over; when all are, the request waits as long as its ``pool`` timeout says.
            Of several transports over one pool the lowest number holds, as long as its transport is there.
        max_keepalive_connections: Most idle connections per proxy, and of each session.
        keepalive_expiry: Seconds an idle connection is kept.
        max_proxies: Most proxies with open connections; the least recently used goes first. By default a quarter of
            the file descriptors allowed, from 100 to 2,000.
        timeout_for: Seconds for each phase of a request through this proxy; ``None`` leaves the request's own.
        auth_statuses: Statuses by which a proxy refuses credentials; 407 by default.
        ban_policy: By which answers a site refuses a proxy: a :class:`BanPolicy`, its arguments, or what its ``custom``
            takes. By default the rotator's rules, or that 403 is a ban and 429 a rate limit;
            ``BanPolicy(statuses=())`` turns that off.
        ban_policies: Policies of single sites, by domain.
        raise_on_ban: Whether a final ban or rate limit raises ``ProxyBannedError`` instead of being returned; by
            default as in the rotator, or not.
        allow_direct: Whether a request goes without a proxy when none can be had. The target then sees this machine.
        max_in_flight: Most requests under way per proxy of the pool, at least 1; no limit by default.
        slow_start: Whether an unproven or recovering proxy gets one, then two, then four requests at a time.
        site_rate_limit: A ``RateLimit`` for each pair of proxy and site.
        resilience: Further settings of the pool; like the three before, they replace what it was configured with.
        max_body: Most bytes of a body, on the wire and unpacked. By default 64 MiB for a body that the transport reads
            whole, and no bound for one that the client reads; ``math.inf`` for no bound. A larger one is an answer that
            cannot be read: the request goes on through another proxy, or the reader gets ``RemoteProtocolError``.
        engine: What carries the requests: ``"native"``, the core's own HTTP and TLS, or ``"httpx"``; by default what
            ``PROXYWHIRL_ENGINE`` says, or else the native one. With ``verify=`` an ``ssl.SSLContext``, while httpx is
            mocked, and under trio, it is httpx.
        http2: Whether sites with TLS are offered HTTP/2 (extra ``http2``); it is httpx that carries the requests then.

    Warns:
        RuntimeWarning: Once, if the client has a proxy of its own that requests take instead (by ``proxy=``, or by
            ``mounts=``): seen when the client is entered or closed, or when a request comes here after all.

    Raises:
        ImportError: ``http2=True`` without the package that it needs.
        TypeError: ``source`` or ``verify`` is none of these, or another argument has the wrong type.
        ValueError: A number or a rule is not acceptable.
    """

    def __enter__(self) -> Self:
        self._meet(sys._getframe(1))
        return self

    def close(self) -> None:
        """Close all connections. The transport can be used again; it then opens new ones."""
        self._meet(sys._getframe(1))
        self.carrier.close()


class AsyncRotatingTransport(AsyncDriver, _AsyncBase):
    """As :class:`RotatingTransport`, for ``httpx.AsyncClient``.

    One transport may serve several event loops, in turn or at once: connections belong to a loop, are made anew in each
    and are closed when it ends.
    """

    async def __aenter__(self) -> Self:
        self._meet(sys._getframe(1))
        return self

    async def aclose(self) -> None:
        """Close all connections. The transport can be used again; it then opens new ones."""
        self._meet(sys._getframe(1))
        await self.carrier.aclose()
