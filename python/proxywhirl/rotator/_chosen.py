"""What users set and see of the choice of proxies: the documentation, and calls of what makes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._httpx.selection import Chooser, LeaseAcquirer, Selection, selection_of
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    import uuid

    from proxywhirl._native.explain import Explanation
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.models import ProxyChain
    from proxywhirl.retry import RetryPolicy
    from proxywhirl.rotator._chains import Chains
    from proxywhirl.rotator._insight import Insight
    from proxywhirl.rotator._keeping import Keeping
    from proxywhirl.rotator._sessions import Sessions

__all__ = ["ChosenFace"]


class ChosenFace:
    """Strategy, chains and sessions of a rotator; without state or rules of its own."""

    _chains: Chains
    _chooser: Chooser
    _config: ProxyConfiguration
    """What has its names and values: where nothing is said, no object of pydantic's."""
    _insight: Insight
    _keeping: Keeping
    _sessions: Sessions
    _transport: Any

    def _remove(self, proxy_id: str | uuid.UUID) -> Any:
        raise NotImplementedError

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
    def config(self) -> ProxyConfiguration:
        """The settings."""
        if isinstance(self._config, type):
            from proxywhirl.rotator._settings import configuration

            self._config = configuration()
        return self._config

    @config.setter
    def config(self, config: ProxyConfiguration) -> None:
        self._config = config

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often to try, and after which pauses."""
        from proxywhirl.retry._unset import UNSET

        policy: Any = self._transport.retry_policy
        if policy is UNSET:
            from proxywhirl.retry import RetryPolicy

            policy = self._transport.retry_policy = RetryPolicy()
        found: RetryPolicy = policy
        return found

    @retry_policy.setter
    def retry_policy(self, policy: RetryPolicy) -> None:
        self._transport.retry_policy = policy

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
        from proxywhirl.strategies._registry import resolve

        before = self._chooser.strategy
        after = resolve(strategy, warm_up=True, **arguments)
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

    def _to_lease(
        self, url: str | None, exclude: Iterable[Any], timeout: float | None, **wishes: Any
    ) -> tuple[LeaseAcquirer, tuple[list[Any], int, float]]:
        """How a lease for another client is taken: what takes it, and with which arguments."""
        if timeout is None:
            timeout = 0.0
        elif timeout != timeout or timeout < 0:
            raise ValueError(f"timeout must be a number of seconds from 0 up, not {shown(timeout)}")
        taking = LeaseAcquirer(self._chooser, url, selection_of(**wishes), judge=self._transport.report_judge)
        return taking, (list(exclude), 1, timeout)

    @staticmethod
    def _get_proxy_dict(proxy: _core.Proxy) -> dict[str, str]:
        """The proxy's URL by target scheme, credentials quoted."""
        from proxywhirl._native.urls import client_url

        url = client_url(proxy)
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
