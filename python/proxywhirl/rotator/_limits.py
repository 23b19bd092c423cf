"""The part of the rotators that is about limits: breakers, rates, the queue, credentials, and what retries came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl.rotator._breakers import Breakers, breaker_settings
from proxywhirl.rotator._queue import RequestQueue

if TYPE_CHECKING:
    import uuid

    from proxywhirl._selection import Chooser
    from proxywhirl._watch import Watch
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.retry import RetryExecutor, RetryMetrics, RetryPolicy

__all__ = ["LimitsPart"]


class LimitsPart:
    """Mixed into :class:`ProxyRotatorBase`."""

    _chooser: Chooser
    _watch: Watch
    config: Any
    retry_policy: Any
    request: Any
    _transport: Any
    _tls_options: dict[str, Any]

    # Nothing runs in the background for any of this; scripts that look for what once did find that it does not.
    _aggregation_timer: Any = None
    _aggregation_thread: Any = None
    _stop_event: Any = None
    _bootstrap_config: Any = None
    _credentials: CredentialRotator | None = None

    def _init_limits(
        self,
        *,
        circuit_breaker: Any = None,
        rate_limiter: Any = None,
        credential_rotator: CredentialRotator | None = None,
    ) -> None:
        from proxywhirl.retry import RetryMetrics

        if credential_rotator is not None and not callable(getattr(credential_rotator, "current", None)):
            raise TypeError(f"credential_rotator must be a CredentialRotator, not {type(credential_rotator).__name__}")
        self._breaker_settings = breaker_settings(circuit_breaker)
        self._credentials = credential_rotator
        self._logged_in_with: Any = None
        self._given_limiter: Any = None
        self._queue = RequestQueue(self.config.queue_size) if self.config.queue_enabled else None
        self.retry_metrics: RetryMetrics = RetryMetrics()
        """What became of every attempt; see :meth:`get_retry_metrics`."""
        self._executor: RetryExecutor | None = None
        self._clients: Any = None
        settings = self._breaker_settings
        self.circuit_breakers = Breakers(self._chooser.pool, lambda key: _core.CircuitBreaker(key, **settings))
        """The breaker of every proxy by ``str(proxy.id)``: a live view."""
        self._chooser.stories = self.retry_metrics.story
        self._watch.tap_notices(self.retry_metrics.take_notice)
        self._chooser.queue = self._queue
        self._use_limiter(rate_limiter)

    # Rates and the queue.

    @property
    def rate_limiter(self) -> Any:
        """The limiter as it was handed over; assigning another holds for requests that begin from then on."""
        return self._given_limiter

    @rate_limiter.setter
    def rate_limiter(self, limiter: Any) -> None:
        self._use_limiter(limiter)
        self._configure_guard()

    def _use_limiter(self, given: Any) -> None:
        from proxywhirl._gate import Gate, limiter_of

        limiter = limiter_of(given)
        log_in = None if self._credentials is None else self._credentials.log_in
        waits = self._queue is not None
        self._chooser.gate = None if limiter is None and log_in is None else Gate(limiter, log_in, waits=waits)
        self._given_limiter = given

    def _limits_for_guard(self) -> dict[str, Any]:
        """What the pool's guard has to know of breakers and rates."""
        from proxywhirl._gate import limiter_of

        limiter = limiter_of(self._given_limiter)
        return {**self._breaker_settings, "proxy_rate": getattr(limiter, "rate", None)}

    def _configure_guard(self) -> None:
        raise NotImplementedError

    def _client_options(self) -> dict[str, Any]:
        raise NotImplementedError

    def get_proxy_sync(self, **wishes: Any) -> _core.Proxy:
        """See :class:`ProxyRotatorBase`."""
        raise NotImplementedError

    @property
    def _request_queue(self) -> RequestQueue | None:
        return self._queue

    def get_queue_stats(self) -> dict[str, Any]:
        """The line of requests that wait because a limit was reached.

        Returns:
            ``enabled`` (``config.queue_enabled``), ``size`` (how many wait), ``max_size``, ``is_full``, ``is_empty``.
        """
        if self._queue is not None:
            return self._queue.stats()
        return {"enabled": False, "size": 0, "max_size": 0, "is_full": False, "is_empty": True}

    def clear_queue(self) -> int:
        """Send away the requests that wait; each fails with ``ProxyConnectionError``.

        Returns:
            How many there were.

        Raises:
            RuntimeError: The queue is not enabled.
        """
        if self._queue is None:
            raise RuntimeError("The request queue is not enabled: set queue_enabled in the configuration")
        return self._queue.clear(self._chooser.admission)

    # Breakers.

    def get_circuit_breaker_states(self) -> dict[str, _core.CircuitBreaker]:
        """The breakers by ``str(proxy.id)``; the dictionary is a copy, the breakers are not."""
        return dict(self.circuit_breakers)

    def reset_circuit_breaker(self, proxy_id: str | uuid.UUID) -> None:
        """Close a proxy's breaker and forget its failures.

        Args:
            proxy_id: Id of the proxy.

        Raises:
            KeyError: "No circuit breaker found ...".
        """
        try:
            breaker = self.circuit_breakers[str(proxy_id)]
        except KeyError:
            raise KeyError(f"No circuit breaker found for proxy {proxy_id}") from None
        breaker.reset()

    def _select_proxy_with_circuit_breaker(self) -> _core.Proxy:
        # The core chooses among those whose breaker lets them pass, so this is what it always does.
        return self.get_proxy_sync()

    # Retries.

    def get_retry_metrics(self) -> RetryMetrics:
        """What became of every attempt: the latest one by one, older ones by the hour."""
        return self.retry_metrics

    @property
    def retry_executor(self) -> RetryExecutor:
        """Retries around functions of the caller's own, with the policy, breakers and metrics of this rotator."""
        from proxywhirl.retry import RetryExecutor

        executor = self._executor
        if executor is None:
            executor = RetryExecutor(self.retry_policy, self.circuit_breakers, self.retry_metrics)
            self._executor = executor
        executor.retry_policy = self.retry_policy
        return executor

    # Credentials.

    def _prepare_sources(self, deadline: float | None = None) -> None:
        """What has to be done before a request, credentials that are due among it."""
        super()._prepare_sources(deadline)  # type: ignore[misc, unused-ignore]
        rotator = self._credentials
        if rotator is not None:
            self._log_in_all(rotator.current() if rotator.is_due else rotator.pair)

    async def _astock(self, deadline: float | None = None) -> None:
        """As :meth:`_prepare_sources`, without blocking the loop."""
        await super()._astock(deadline)  # type: ignore[misc, unused-ignore]
        rotator = self._credentials
        if rotator is not None:
            self._log_in_all(await rotator.acurrent() if rotator.is_due else rotator.pair)

    def _log_in_all(self, pair: Any) -> None:
        rotator = self._credentials
        # Nearly always it is the pair of the request before.
        if rotator is None or pair is self._logged_in_with:
            return
        # The newest, whoever got it: a request that went on with the old pair must not bring that back.
        self._logged_in_with = rotator.pair
        for proxy in self._chooser.pool.get_all_proxies():
            rotator.log_in(proxy)

    # Kept for scripts that reach for it.

    def _make_request(self, method: str, url: Any, retry_policy: RetryPolicy | None = None, **kwargs: Any) -> Any:
        if retry_policy is not None:
            kwargs["retry_policy"] = retry_policy
        return self.request(method, url, **kwargs)

    @property
    def _client_pool(self) -> Any:
        # For code that wants clients; the rotators themselves keep connections.
        if self._clients is None:
            self._clients = self._make_client_pool()
        return self._clients

    def _make_client_pool(self) -> Any:
        raise NotImplementedError

    def _client_for(self, proxy: _core.Proxy) -> dict[str, Any]:
        """Arguments of a client whose every request goes through one proxy."""
        from proxywhirl.retry import RetryPolicy

        once = RetryPolicy(max_attempts=1)
        transport = type(self._transport)([proxy], retry_policy=once, **self._tls_options)
        return {**self._client_options(), "transport": transport}
