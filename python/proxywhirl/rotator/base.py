"""What the synchronous and the asynchronous rotator have in common: everything that does not wait."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.exports import on_first_use
from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.cookies import cookies_of
from proxywhirl._httpx.library import default_name, flavour
from proxywhirl._httpx.selection import Chooser
from proxywhirl._native.redact import shown
from proxywhirl.rotator._limited import LimitedFace
from proxywhirl.rotator._money import MoneyFace
from proxywhirl.rotator._requests import RequestsFace, Unset, client_options

if TYPE_CHECKING:
    import uuid

    from typing_extensions import Self

    from proxywhirl._httpx.tls import Cert, Verify
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.models import ProxyChain
    from proxywhirl.resilience import ResilienceConfig
    from proxywhirl.retry import RetryMetrics, RetryPolicy
    from proxywhirl.rotator._keeping import StorageLike
    from proxywhirl.rotator._lists import BootstrapLike, SourcesLike
    from proxywhirl.rotator._members import ProxiesLike, ProxyLike
    from proxywhirl.rotator._settings import ConfigLike
    from proxywhirl.transport._source import Source

__all__ = ["ProxyLike", "ProxyRotatorBase"]

__getattr__, __dir__ = on_first_use(__name__, {"proxywhirl.rotator._members": "ProxyLike"})

_UNLIMITED = 2**31 - 1
_NO_PROXIES = (
    "No healthy proxies available: the rotator has no proxies and auto-bootstrap is disabled, so none are fetched; "
    "add some with proxies=[...] or add_proxy(), name lists with auto_fetch_sources=[...], or let public lists be used "
    "with bootstrap=True"
)


class ProxyRotatorBase(RequestsFace, LimitedFace, MoneyFace):
    """Pool, strategy, sessions and settings of a rotator; :class:`ProxyRotator` and its twin add the requests.

    Args:
        proxies: The first proxies: objects, URLs, mappings of a proxy's fields, gateways; or the path of a file: a
            saved pool, or a list in any form that can be recognised.
        strategy: How to choose: a name, ``{"name": ..., **arguments}``, a class, an instance or a callable. Round-robin
            by default, or what the configuration names.
        config: Settings: a ``ProxyConfiguration``, a ``StrategyConfig`` (handed to the strategy), a mapping, or the
            path of a file.
        retry_policy: How often to try, and after which pauses; by default ``RetryPolicy()``, with the attempts of
            ``config.max_retries`` if that was set.
        rate_limiter: A :class:`~proxywhirl.rate_limiting.RateLimiter`, or anything with ``acquire(proxy_id) -> bool``.
            One made with ``requests_per_second`` delays requests; any other refuses them with ``ProxyConnectionError``
            ("Rate limit exceeded"), or lets them wait in line with ``config.queue_enabled``.
        bootstrap: How to fill an empty pool from public lists at the first request: ``True``, or a ``BootstrapConfig``.
            Off unless asked for: no traffic goes through strangers' proxies unasked.
        circuit_breaker: A ``CircuitBreaker`` or ``CircuitBreakerConfig``: the pattern for the breaker of every proxy.
        credential_rotator: Where user name and password of all proxies come from.
        user_proxies: More proxies, tagged ``source:user``.
        auto_fetch_sources: Lists of proxies: URLs, paths of files, mappings, ``ProxySourceConfig`` objects; or a
            ``ProxyFetcher`` that has them and says how they are read and checked. The first request starts reading them
            in the background and waits only if there is no other proxy to choose. Their proxies are tagged
            ``source:fetched`` (of files ``source:file``) and ``site:`` with the host. New ones join if
            their port can be reached. Files are read again when they change.
        refresh_interval: Seconds until lists are read again; what stays on its list keeps what was learned about it.
        remove_dead_on_refresh: Whether a refresh removes dead proxies of lists.
        allow_local: Whether lists may name addresses of the user's own network.
        trust_env: Whether ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` add proxies, and ``SSL_CERT_FILE``,
            ``SSL_CERT_DIR`` and ``.netrc`` are honoured.
        http: ``"httpx"`` or ``"httpx2"``; by default the first that is installed.
        compat: ``"0.3"`` treats a 401 of the target like a refusal by the proxy, as that version did.
        verify: Certificates of targets: ``True``, ``False``, a CA file or folder, or an ``ssl.SSLContext``. By default
            what ``config.verify_ssl`` says.
        proxy_verify: Certificates of HTTPS proxies; like ``verify`` by default.
        enable_metrics: Whether attempts are counted for :meth:`get_metrics`.
        enable_profiling: Whether durations are summed up for :meth:`get_performance_profile`.
        ban_policy: By which answers a site refuses a proxy: a :class:`BanPolicy`, its arguments, or what its ``custom``
            takes. By default 403 is a ban and 429 a rate limit; ``BanPolicy(statuses=())`` turns that off.
        ban_policies: Policies of single sites, by domain.
        raise_on_ban: Whether a final ban or rate limit raises ``ProxyBannedError`` instead of being returned.
        allow_direct: Whether a request goes without a proxy when none can be had. The target then sees this machine.
        max_in_flight: Most requests under way per proxy, at least 1; no limit by default. A proxy with as many is
            passed over; when all are, a request waits up to ``config.pool_timeout``.
        slow_start: Whether an unproven or recovering proxy gets one, then two, then four requests at a time.
        site_rate_limit: A ``RateLimit`` for each pair of proxy and site.
        resilience: How long proxies rest and stay benched, and when the panic guard acts.
        storage_backend: Where proxies are kept: ``"memory"`` (nowhere), ``"file"``, ``"sqlite"``, or a storage with the
            coroutines ``save``, ``load`` and ``clear``. What is kept there is loaded: from a local file at once,
            from anywhere else before the first request. By default what ``config.storage_backend`` says.
        storage_path: The file, or the address of a database; by default ``config.storage_path``.
        auto_save_interval: Seconds between two saves in the background, from the first request on, and once more at the
            end; ``None`` for none.
        atomic_writes: Whether files are replaced as a whole, so that a crash leaves the old state or the new.
        encryption_key: A Fernet key to encrypt saved credentials with; by default that in ``PROXYWHIRL_KEY``.
        geo_database: A database in MaxMind's format, from which proxies without a country get theirs (extra ``geo``).
        max_body: Most bytes of a body, on the wire and unpacked. By default 64 MiB for a body that is read whole, and
            no bound for :meth:`stream`; ``math.inf`` for no bound. A larger one is an answer that cannot be read: the
            request goes on through another proxy, and fails with ``ProxyConnectionError`` when there is no other.
        engine: ``"native"`` or ``"httpx"``; by default what ``PROXYWHIRL_ENGINE`` says, or else ``"native"``. See
            :class:`RotatingTransport`.
        cookies: Where cookies of requests without a session are kept: by default not beyond the redirects of the
            request; ``"proxy"`` keeps a jar for each, ``"shared"`` one for all. A session has its own. Or cookies
            themselves, as httpx takes them: every request, and every session, begins with those.
        headers: Headers of every request. Those of a session go before, and those of a request before both.
        user_agent: The ``User-Agent`` of every request that has no such header; ``proxywhirl/`` and the version by
            default.
        base_url: What relative URLs of requests are appended to.
        auth: How every request authenticates to its site: user name and password, an ``httpx.Auth``, or a function.
        event_hooks: Functions by ``"request"`` and ``"response"``, called for each request and each redirect; not for
            each proxy tried. Those of :class:`AsyncProxyRotator` are coroutine functions.
        follow_redirects: Whether redirects are followed; by default what ``config.follow_redirects`` says.
        timeout: Seconds for each step of a request, an ``httpx.Timeout``, or ``None`` for no bound; by default
            ``config.timeout``, and ``config.pool_timeout`` to wait for a proxy.
        budget: The most that may be spent on paid proxies; no bound by default. See :attr:`budget`.
        cert: Certificate by which sites know this side: the path of a PEM file with certificate and key, or of two
            files, and the key's password. Proxies are not shown it.
        http2: Whether sites with TLS are offered HTTP/2 (extra ``http2``); httpx carries the requests then.

    Raises:
        ImportError: ``http2=True`` without the package that it needs.
        ProxyValidationError: One of the proxies is not acceptable.
        ValueError: An unknown strategy or setting, or a setting out of its range.
        TypeError: An argument of the wrong type.
    """

    _transport: Any
    # Whether health checks and coroutines of callbacks belong into the running event loop.
    _in_loop = False

    # Nothing runs in the background for any of this; scripts that look for what once did find that it does not.
    _aggregation_timer: Any = None
    _aggregation_thread: Any = None
    _stop_event: Any = None

    def __init__(
        self,
        proxies: ProxiesLike | None = None,
        strategy: Any = None,
        config: ConfigLike = None,
        retry_policy: RetryPolicy | None = None,
        rate_limiter: Any = None,
        bootstrap: BootstrapLike = None,
        *,
        circuit_breaker: Any = None,
        credential_rotator: CredentialRotator | None = None,
        user_proxies: ProxiesLike | None = None,
        auto_fetch_sources: SourcesLike = None,
        refresh_interval: float | None = None,
        remove_dead_on_refresh: bool = False,
        allow_local: bool = False,
        trust_env: bool = False,
        http: str | None = None,
        compat: str | None = None,
        verify: Verify | None = None,
        proxy_verify: Verify | None = None,
        enable_metrics: bool = False,
        enable_profiling: bool = False,
        ban_policy: Any = None,
        ban_policies: Mapping[str, Any] | None = None,
        raise_on_ban: bool = False,
        allow_direct: bool = False,
        max_in_flight: int | None = None,
        slow_start: bool = False,
        site_rate_limit: Any = None,
        resilience: ResilienceConfig | None = None,
        storage_backend: StorageLike = None,
        storage_path: str | os.PathLike[str] | None = None,
        auto_save_interval: float | None = None,
        atomic_writes: bool = True,
        encryption_key: str | bytes | None = None,
        geo_database: str | os.PathLike[str] | None = None,
        max_body: float | None = None,
        engine: str | None = None,
        cookies: Any = None,
        headers: Any = None,
        user_agent: str | None = None,
        base_url: Any = None,
        auth: Any = None,
        event_hooks: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        timeout: Any = Unset.UNSET,
        cert: Cert | None = None,
        http2: bool = False,
        budget: float | None = None,
    ) -> None:
        # Making a rotator costs more than importing these; importing the class is to cost little.
        from proxywhirl.resilience import guard_settings
        from proxywhirl.rotator._chains import Chains
        from proxywhirl.rotator._insight import Insight
        from proxywhirl.rotator._keeping import Keeping
        from proxywhirl.rotator._limits import Limits
        from proxywhirl.rotator._lists import Lists
        from proxywhirl.rotator._members import Members, proxies_of_environment
        from proxywhirl.rotator._sessions import Sessions
        from proxywhirl.rotator._settings import connections_of, policy_of, settings_of, strategy_of, timeout_for

        cookie_store, first_cookies = cookies_of(cookies)
        if isinstance(rate_limiter, bool) or type(rate_limiter).__name__ == "BootstrapConfig":
            # In the fifth place 0.3 had the limiter on the synchronous class, and this on the other.
            rate_limiter, bootstrap = None, rate_limiter
        if compat not in (None, "0.3"):
            raise ValueError(f"compat must be '0.3' or None, not {shown(compat)}")
        if retry_policy is not None and not hasattr(retry_policy, "calculate_delay"):
            raise TypeError(f"retry_policy must be a RetryPolicy, not {type(retry_policy).__name__}")
        self._guard = guard_settings(
            max_in_flight=max_in_flight,
            slow_start=slow_start or None,
            site_rate_limit=site_rate_limit,
            resilience=resilience,
        )
        self._config, strategy_config, listed = settings_of(config)
        pool = _core.ProxyPool(name="rotator", max_pool_size=self._config.pool_size or _UNLIMITED)
        pool._budget = budget
        self._chooser = Chooser(pool, strategy_of(strategy, strategy_config, self._config), when_empty=_NO_PROXIES)
        self._insight = Insight(
            self._chooser, self._config, metrics=enable_metrics, profiling=enable_profiling, in_loop=self._in_loop
        )
        self._lists = Lists(
            self._chooser,
            self._config,
            self._insight,
            auto_fetch_sources,
            refresh_interval,
            remove_dead=remove_dead_on_refresh,
            bootstrap=bootstrap,
            allow_local=allow_local,
        )
        self._bootstrap_config = self._lists.bootstrap
        self._keeping = Keeping(
            self._chooser,
            self._insight.watch.profile,
            atomic=atomic_writes,
            encryption_key=encryption_key,
            geo_database=geo_database,
        )
        self._members = Members(pool, self._lists, self._insight, self._keeping)
        self._members.add_all(listed)
        self._members.add_all(() if proxies is None else proxies)
        self._members.add_all(() if user_proxies is None else user_proxies, tag="source:user")
        if trust_env:
            self._members.add_all(proxies_of_environment(), tag="source:env")
        self._keeping.open(self._config, storage_backend, storage_path, auto_save_interval)

        self._chains = Chains(pool)
        self.chains: list[ProxyChain] = self._chains.all
        """The chains added with :meth:`add_chain`."""
        self._flavour = flavour(default_name() if http is None else http)
        self._trust_env = trust_env
        self._lock = new_lock()
        self._opened: Any = None
        self._tls_options: dict[str, Any] = {
            "verify": self._config.verify_ssl if verify is None else verify,
            "proxy_verify": proxy_verify,
            "cert": cert,
            "trust_env": trust_env,
            "http2": http2,
        }
        self._given = client_options(
            self._flavour,
            headers=headers,
            user_agent=user_agent,
            base_url=base_url,
            auth=auth,
            event_hooks=event_hooks,
            follow_redirects=follow_redirects,
            timeout=timeout,
        )
        self._transport = self._make_transport(
            **self._tls_options,
            retry_policy=policy_of(self._config) if retry_policy is None else retry_policy,
            read_bodies=True,
            max_connections=connections_of(self._config),
            max_keepalive_connections=self._config.pool_max_keepalive,
            keepalive_expiry=float(self._config.keepalive_timeout),
            timeout_for=timeout_for if self._config.dynamic_timeout else None,
            auth_statuses=(401, 407) if compat == "0.3" else None,
            ban_policy=ban_policy,
            ban_policies=ban_policies,
            raise_on_ban=raise_on_ban,
            allow_direct=allow_direct,
            max_body=max_body,
            engine=engine,
        )
        self._sessions = Sessions(self._chooser, self._flavour, self._transport.carrier, first_cookies)
        self._transport.keeps_hops = True
        self._transport.cookies = cookie_store
        self._transport.first_cookies = first_cookies
        self._limits = Limits(
            self._chooser,
            self._insight.watch,
            self._config,
            circuit_breaker=circuit_breaker,
            rate_limiter=rate_limiter,
            credentials=credential_rotator,
        )
        self.circuit_breakers = self._limits.breakers
        """The breaker of every proxy by ``str(proxy.id)``: a live view."""
        self.retry_metrics: RetryMetrics = self._limits.retry_metrics
        """What became of every attempt; see :meth:`get_retry_metrics`."""
        self._clients: Any = None
        self._configure_guard()
        # Connecting is summed up where connections are made.
        self._transport.carrier.profile = self._insight.watch.profile

    def _make_transport(self, **options: Any) -> Any:
        raise NotImplementedError

    def _source(self) -> Source:
        """What a transport over this rotator shares with it."""
        from proxywhirl.transport._source import Source

        own = self._transport
        return Source(self._chooser, self.retry_policy, own.bans, own.raise_on_ban)

    def _configure_guard(self) -> None:
        """Tell the pool all it has to know at once: what is left out goes back to its default."""
        settings = {**self._guard, **self._limits.guard_settings()}
        if settings:
            self.pool._guard_configure(**settings)

    @classmethod
    def from_config(cls, config: ConfigLike, **options: Any) -> Self:
        """Make a rotator from settings.

        Args:
            config: A file, a mapping (``proxies`` included), or a configuration object.
            **options: Arguments of the constructor.

        Returns:
            The rotator.
        """
        return cls(config=config, **options)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """Make a rotator from a file that :meth:`save` wrote, or from a list in any form that can be recognised.

        Health, counters and averages are as they were saved, and ``save()`` without a path saves to the same file. A
        list is only read.

        Args:
            path: The file.
            **options: Arguments of the constructor, which win over what the file says. Its strategy is used by default.

        Returns:
            The rotator.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or in no documented form; the message quotes nothing.
            cryptography.fernet.InvalidToken: It is encrypted with another key.
        """
        from proxywhirl.rotator._keeping import open_file

        found, options = open_file(path, options)
        if isinstance(found, _core.ParsedProxies):
            # A list is read, and not written over by `save()`.
            rotator = cls(**options)
            rotator._members.add_parsed(found)
            return rotator
        elsewhere = "storage_backend" in options or "storage_path" in options
        interval = None if elsewhere else options.pop("auto_save_interval", None)
        rotator = cls(**options)
        rotator._keeping.restore(path, found, adopt=not elsewhere, interval=interval)
        return rotator

    def __repr__(self) -> str:
        strategy = type(self.strategy).__name__
        return f"<{type(self).__name__} proxies={len(self.pool)} strategy={strategy}>"

    def _remove(self, proxy_id: str | uuid.UUID) -> Any:
        import uuid

        key = proxy_id if isinstance(proxy_id, uuid.UUID) else uuid.UUID(str(proxy_id))
        leaving = self.pool.get_proxy_by_id(key)
        self.pool.remove_proxy(key)
        if leaving is not None:
            self._insight.removed([leaving])
        store = self._transport.cookies
        if store is not None:
            store.drop(key)
        self._sessions.end_at(str(key))
        return key
