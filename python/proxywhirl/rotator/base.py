"""What the synchronous and the asynchronous rotator have in common: everything that does not wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, TypeVar
from urllib.parse import quote

from proxywhirl import _core
from proxywhirl._base.exports import on_first_use
from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.cookies import OneJar, PerProxy
from proxywhirl._httpx.library import default_name, flavour
from proxywhirl._httpx.selection import Chooser, LeaseAcquirer, Selection
from proxywhirl._httpx.wishes import wished
from proxywhirl._native.redact import shown
from proxywhirl.rotator._limited import LimitedFace
from proxywhirl.rotator._observed import ObservedFace

if TYPE_CHECKING:
    import uuid

    from typing_extensions import Self

    from proxywhirl._httpx.tls import Verify
    from proxywhirl._native.explain import Explanation
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.models import ProxyChain
    from proxywhirl.resilience import ResilienceConfig
    from proxywhirl.retry import RetryMetrics, RetryPolicy
    from proxywhirl.rotator._keeping import StorageLike
    from proxywhirl.rotator._lists import BootstrapLike, SourcesLike
    from proxywhirl.rotator._members import ProxiesLike, ProxyLike
    from proxywhirl.rotator._settings import ConfigLike

__all__ = ["ProxyLike", "ProxyRotatorBase"]

__getattr__, __dir__ = on_first_use(__name__, {"proxywhirl.rotator._members": "ProxyLike"})

_UNLIMITED = 2**31 - 1
_NO_PROXIES = (
    "No healthy proxies available: the rotator has no proxies and auto-bootstrap is disabled, so none are fetched; "
    "add some with proxies=[...] or add_proxy(), name lists with auto_fetch_sources=[...], or let public lists be used "
    "with bootstrap=True"
)

F = TypeVar("F", bound=Callable[..., Any])


class ProxyRotatorBase(ObservedFace, LimitedFace):
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
        cookies: Where the cookies that sites set on requests without a session are kept: by default not beyond the
            redirects of the request; ``"proxy"`` keeps a jar for each proxy, ``"shared"`` one for all of them. A
            session always has its own.

    Raises:
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

    config: ProxyConfiguration

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
        cookies: str | None = None,
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
        from proxywhirl.rotator._settings import connections_of, policy_of, settings_of, timeout_for

        if cookies not in _COOKIES:
            raise ValueError(f"cookies must be None, 'proxy' or 'shared', not {shown(cookies)}")
        if _is_bootstrap(rate_limiter):
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
        self.config, strategy_config, listed = settings_of(config)
        if strategy is None:
            named = strategy_config.strategy_name if strategy_config is not None else None
            strategy = named or self.config.strategy or "round-robin"
        resolved = _resolved(strategy)
        if strategy_config is not None:
            resolved.configure(strategy_config)
        pool = _core.ProxyPool(name="rotator", max_pool_size=self.config.pool_size or _UNLIMITED)
        self._chooser = Chooser(pool, resolved, when_empty=_NO_PROXIES)
        self._insight = Insight(
            self._chooser, self.config, metrics=enable_metrics, profiling=enable_profiling, in_loop=self._in_loop
        )
        self._lists = Lists(
            self._chooser,
            self.config,
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
        self._keeping.open(self.config, storage_backend, storage_path, auto_save_interval)

        self._chains = Chains(pool)
        self.chains: list[ProxyChain] = self._chains.all
        """The chains added with :meth:`add_chain`."""
        self._flavour = flavour(default_name() if http is None else http)
        self._trust_env = trust_env
        self._lock = new_lock()
        self._opened: Any = None
        self._tls_options: dict[str, Any] = {
            "verify": self.config.verify_ssl if verify is None else verify,
            "proxy_verify": proxy_verify,
            "trust_env": trust_env,
        }
        self._transport = self._make_transport(
            **self._tls_options,
            retry_policy=policy_of(self.config) if retry_policy is None else retry_policy,
            read_bodies=True,
            max_connections=connections_of(self.config),
            max_keepalive_connections=self.config.pool_max_keepalive,
            keepalive_expiry=float(self.config.keepalive_timeout),
            timeout_for=timeout_for if self.config.dynamic_timeout else None,
            auth_statuses=(401, 407) if compat == "0.3" else (407,),
            ban_policy=ban_policy,
            ban_policies=ban_policies,
            raise_on_ban=raise_on_ban,
            allow_direct=allow_direct,
            max_body=max_body,
        )
        self._sessions = Sessions(self._chooser, self._flavour)
        self._transport._keeps_hops = True
        self._transport._cookies = _COOKIES[cookies]()
        self._limits = Limits(
            self._chooser,
            self._insight.watch,
            self.config,
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
        self._transport._carrier.profile = self._insight.watch.profile

    def _make_transport(self, **options: Any) -> Any:
        raise NotImplementedError

    def request(self, method: str, url: Any, **kwargs: Any) -> Any:
        """Send a request through a proxy, and through others if that fails."""
        raise NotImplementedError

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

    # The strategy.

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies; adding to it and removing from it directly is fine."""
        return self._chooser.pool

    @property
    def strategy(self) -> Any:
        """The strategy as it was handed over; assigning is :meth:`set_strategy`."""
        active = self._chooser.strategy
        return active if isinstance(active, _core.Strategy) else active.user

    @strategy.setter
    def strategy(self, strategy: Any) -> None:
        self.set_strategy(strategy)

    @property
    def strategy_version(self) -> int:
        """How often the strategy was swapped."""
        return self._chooser.version

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often to try, and after which pauses."""
        policy: RetryPolicy = self._transport._policy
        return policy

    @retry_policy.setter
    def retry_policy(self, policy: RetryPolicy) -> None:
        self._transport._policy = policy

    def set_strategy(self, strategy: Any, *, atomic: bool = True, **arguments: Any) -> None:
        """Choose differently from the next selection on.

        Requests under way finish with, and report to, the strategy that chose their proxy. Sessions keep their proxies.

        Args:
            strategy: Whatever the constructor accepts.
            atomic: Accepted for compatibility; the swap is always one.
            **arguments: Of the strategy, when it is a name or a class.

        Raises:
            ValueError: An unknown name.
            TypeError: Something that is no strategy.
        """
        del atomic
        before = self._chooser.strategy
        after = _resolved(strategy, **arguments)
        self._chooser.swap(after)
        self._insight.strategy_changed(before, after)

    def register_strategy(self, name: str, strategy_class: Any) -> None:
        """Register a strategy under a name, for this and every other rotator.

        Args:
            name: The name.
            strategy_class: The class.

        Raises:
            TypeError: It lacks a method of a strategy.
        """
        from proxywhirl.strategies._registry import StrategyRegistry

        StrategyRegistry().register_strategy(name, strategy_class)

    # Proxies.

    def get_proxy_sync(self, **wishes: Any) -> _core.Proxy:
        """Choose a proxy for a request that is sent by other means; its start is counted.

        The caller says how it went with ``strategy.record_result``; a :meth:`lease` does that by itself.

        Args:
            **wishes: ``url``, ``session_id``, ``country``, ``region``, ``tags``, ``protocol``, ``context``.

        Returns:
            The proxy.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible.
        """
        self._keeping.begin()
        url = wishes.pop("url", None)
        lease = self._chooser.lease(url, Selection(**wishes), [])
        proxy = lease.proxy
        # From here on no lease is closed, so the start is passed on to the proxy itself: first the new one, so
        # that at no moment the proxy looks free.
        proxy.start_request()
        lease.release()
        return proxy

    def explain(
        self,
        url: str | None = None,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        exclude: Iterable[uuid.UUID | str] = (),
        context: _core.SelectionContext | None = None,
    ) -> Explanation:
        """Say of every proxy whether a request could have it now, and if not, why and until when.

        What a request of this rotator with the same arguments would meet: limits and bans, tokens of the rate limiter,
        connections in use, and what the strategy passes over, unless it is written in Python.

        Args:
            url: The target; without it, what holds at single sites is left out.
            session_id: The session: while the proxy it is bound to may serve, no other is chosen.
            country: Country of the proxy.
            region: Region of the proxy.
            tags: Tags it must have, all of them.
            protocol: Protocol that it must speak, or several of which one will do.
            exclude: Ids of proxies not to take.
            context: A selection context that the other arguments are laid over.

        Returns:
            The verdicts, with ``eligible``, ``refused``, ``waiting`` and ``summary()``.
        """
        selection = Selection(
            session_id=session_id, country=country, region=region, tags=tags, protocol=protocol, context=context
        )
        return self._chooser.explain(url, selection, list(exclude))

    def _taking(self, url: str | None, selection: Selection | None) -> LeaseAcquirer:
        """How a lease for another client is taken."""
        return LeaseAcquirer(self._chooser, url, selection, judge=self._transport.report_judge)

    def _remove(self, proxy_id: str | uuid.UUID) -> Any:
        import uuid

        key = proxy_id if isinstance(proxy_id, uuid.UUID) else uuid.UUID(str(proxy_id))
        leaving = self.pool.get_proxy_by_id(key)
        self.pool.remove_proxy(key)
        if leaving is not None:
            self._insight.removed([leaving])
        store = self._transport._cookies
        if isinstance(store, PerProxy):
            store.drop(key)
        self._sessions.end_at(str(key))
        return key

    def _clear_unhealthy(self) -> int:
        before = self.pool.get_all_proxies() if self._insight.wants_removals else []
        count = self.pool.clear_unhealthy()
        self._insight.removed([proxy for proxy in before if proxy not in self.pool] if count else [], count)
        return count

    @staticmethod
    def _get_proxy_dict(proxy: _core.Proxy) -> dict[str, str]:
        """The proxy's URL by target scheme, credentials quoted."""
        auth = ""
        if proxy.username is not None:
            password = "" if proxy.password is None else proxy.password.get_secret_value()
            auth = f"{quote(proxy.username.get_secret_value(), safe='')}:{quote(password, safe='')}@"
        host = f"[{proxy.host}]" if ":" in proxy.host and not proxy.host.startswith("[") else proxy.host
        url = f"{proxy.protocol}://{auth}{host}:{proxy.port}"
        return {"http://": url, "https://": url}

    # Chains.

    def add_chain(self, chain: ProxyChain) -> None:
        """Add the entry proxy of a chain to the pool.

        The chain itself is not tunnelled: it is the entry proxy that forwards, or does not.

        Args:
            chain: The chain.
        """
        self._chains.add(chain)

    def get_chains(self) -> list[ProxyChain]:
        """The chains, in the order they were added."""
        return list(self._chains.all)

    def remove_chain(self, name: str) -> bool:
        """Remove a chain, and its entry proxy from the pool.

        Args:
            name: Name of the chain.

        Returns:
            Whether there was one.
        """
        found, entry_id = self._chains.remove(name)
        if entry_id is not None:
            self._remove(entry_id)
        return found

    # Sessions.

    def create_session(
        self,
        session_id: str | None = None,
        proxy: _core.Proxy | None = None,
        timeout_seconds: int | None = None,
    ) -> _core.Session:
        """Bind a session to a proxy now, rather than with its first request.

        Args:
            session_id: 1 to 256 letters, digits and hyphens; made up by default.
            proxy: The proxy; chosen by the strategy by default.
            timeout_seconds: Life of the session; by default that of the session strategy, 3600.

        Returns:
            The session.

        Raises:
            ValueError: The id has another form.
            ProxyPoolEmptyError: No proxy is eligible.
        """
        return self._sessions.create(session_id, proxy, timeout_seconds)

    def get_session(self, session_id: str) -> _core.Session:
        """The session of this id.

        Args:
            session_id: The id.

        Returns:
            The session.

        Raises:
            SessionNotFoundError: There is none, or it has expired.
        """
        return self._sessions.get(session_id)

    def cleanup_expired_sessions(self) -> int:
        """Forget sessions that have expired, and what they owned; how many there were."""
        return self._sessions.forget_expired()

    # For the requests of both classes.

    def _client_options(self) -> dict[str, Any]:
        config = self.config
        return {
            "transport": self._transport,
            "timeout": self._flavour.module.Timeout(config.timeout, pool=config.pool_timeout),
            "follow_redirects": config.follow_redirects,
            "trust_env": self._trust_env,
        }

    def _deadline(self, kwargs: Mapping[str, Any]) -> float | None:
        """When a request that begins now must be over, by ``time.monotonic``."""
        policy = kwargs.get("retry_policy") or self._transport._policy
        return None if policy.timeout is None else time.monotonic() + float(policy.timeout)

    def _arguments(
        self, kwargs: dict[str, Any], deadline: float | None = None, *, read_body: bool = True
    ) -> dict[str, Any]:
        """Turn the keywords that concern the choice into the extension that the transport reads."""
        wishes = {name: kwargs.pop(name) for name in _WISHES if name in kwargs}
        extensions = kwargs.get("extensions") or {}
        fixed = kwargs.get("timeout", self) is not self
        given = extensions.get("proxywhirl")
        if not wishes and read_body and not fixed and given is None and deadline is None:
            return kwargs
        if isinstance(given, Mapping):
            wishes = {**given, **wishes}
        selection = wished(**{"read_body": read_body, "fixed_timeout": fixed, **wishes, "deadline": deadline})
        selection.merges_cookies = kwargs.get("cookies") is not None
        session_id = selection.session()
        if session_id is not None:
            identity = self._sessions.identities.of(session_id)
            selection.cookies = identity
            if len(identity.headers):
                headers = identity.headers.copy()
                headers.update(kwargs.get("headers"))
                kwargs["headers"] = headers
        kwargs["extensions"] = {**extensions, "proxywhirl": selection}
        return kwargs


class _Source:
    """What a transport needs of a rotator."""

    def __init__(self, chooser: Any) -> None:
        self._chooser = chooser


_COOKIES: dict[str | None, Any] = {None: lambda: None, "proxy": PerProxy, "shared": OneJar}
_WISHES = (
    *("session_id", "country", "region", "tags", "protocol", "context"),
    *("retry_policy", "ban_policy", "raise_on_ban", "max_body"),
)


def _is_bootstrap(given: Any) -> bool:
    return isinstance(given, bool) or type(given).__name__ == "BootstrapConfig"


def _patience(timeout: float | None) -> float:
    """Seconds that a lease may be waited for."""
    if timeout is None:
        return 0.0
    if timeout != timeout or timeout < 0:
        raise ValueError(f"timeout must be a number of seconds from 0 up, not {shown(timeout)}")
    return timeout


def _resolved(strategy: Any, **arguments: Any) -> Any:
    from proxywhirl.transport import resolve_for_rotation

    return resolve_for_rotation(strategy, **arguments)
