"""The limits of a rotator: breakers, rates, the queue, credentials, and what retries came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl.rotator._breakers import Breakers, breaker_settings
from proxywhirl.rotator._queue import RequestQueue

if TYPE_CHECKING:
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.credentials import CredentialRotator
    from proxywhirl.retry import RetryExecutor, RetryMetrics, RetryPolicy
    from proxywhirl.rotator._watch import Watch


class Limits:
    """What holds requests of one rotator back.

    Raises ``TypeError`` (an argument of the wrong type), ``ValueError`` (a setting out of its range).
    """

    def __init__(
        self,
        chooser: Chooser,
        watch: Watch,
        config: ProxyConfiguration,
        *,
        circuit_breaker: Any,
        rate_limiter: Any,
        credentials: CredentialRotator | None,
    ) -> None:
        from proxywhirl.retry import RetryMetrics

        if credentials is not None and not callable(getattr(credentials, "current", None)):
            raise TypeError(f"credential_rotator must be a CredentialRotator, not {type(credentials).__name__}")
        settings = self._breaker_settings = breaker_settings(circuit_breaker)
        self._chooser = chooser
        self._credentials = credentials
        self._logged_in_with: Any = None
        self._executor: RetryExecutor | None = None
        self.queue = RequestQueue(config.queue_size) if config.queue_enabled else None
        """The line of requests that wait, if there is one."""
        self.retry_metrics: RetryMetrics = RetryMetrics()
        """What became of every attempt."""
        self.breakers = Breakers(chooser.pool, lambda key: _core.CircuitBreaker(key, **settings))
        """The breaker of every proxy by ``str(proxy.id)``: a live view."""
        chooser.attempts = self.retry_metrics.book
        metrics = watch.metrics
        self.retry_metrics.book.count_into(None if metrics is None else metrics.attempts)
        watch.tap_notices(self.retry_metrics.take_notice)
        chooser.queue = self.queue
        self.use(rate_limiter)

    def use(self, given: Any) -> None:
        """Use a limiter for requests that begin from now on."""
        from proxywhirl.rotator._gate import gate_of, limiter_of

        self._chooser.gate = gate_of(limiter_of(given), waits=self.queue is not None)
        self.limiter = given
        """The limiter as it was handed over."""

    def guard_settings(self) -> dict[str, Any]:
        """What the pool's guard has to know of breakers and rates."""
        from proxywhirl.rotator._gate import limiter_of

        return {**self._breaker_settings, "proxy_rate": getattr(limiter_of(self.limiter), "rate", None)}

    def queue_stats(self) -> dict[str, Any]:
        """See :meth:`ProxyRotatorBase.get_queue_stats`."""
        if self.queue is not None:
            return self.queue.stats()
        return {"enabled": False, "size": 0, "max_size": 0, "is_full": False, "is_empty": True}

    def clear_queue(self) -> int:
        """See :meth:`ProxyRotatorBase.clear_queue`."""
        if self.queue is None:
            raise RuntimeError("The request queue is not enabled: set queue_enabled in the configuration")
        return self.queue.clear(self._chooser.admission)

    def breaker_of(self, proxy_id: Any) -> _core.CircuitBreaker:
        """The breaker of a proxy. Raises ``KeyError`` ("No circuit breaker found ...")."""
        try:
            return self.breakers[str(proxy_id)]
        except KeyError:
            raise KeyError(f"No circuit breaker found for proxy {proxy_id}") from None

    def executor(self, policy: RetryPolicy) -> RetryExecutor:
        """Retries around functions of the caller's own, with these breakers and metrics."""
        from proxywhirl.retry import RetryExecutor

        if self._executor is None:
            self._executor = RetryExecutor(policy, self.breakers, self.retry_metrics)
        self._executor.retry_policy = policy
        return self._executor

    def log_in(self) -> None:
        """Give all proxies the credentials that are due; called before requests."""
        credentials = self._credentials
        if credentials is not None:
            self._log_in_all(credentials.current() if credentials.is_due else credentials.pair)

    async def log_in_async(self) -> None:
        """As :meth:`log_in`, without blocking the loop."""
        credentials = self._credentials
        if credentials is not None:
            self._log_in_all(await credentials.acurrent() if credentials.is_due else credentials.pair)

    def _log_in_all(self, pair: Any) -> None:
        credentials = self._credentials
        # Nearly always it is the pair of the request before.
        if credentials is None or pair is self._logged_in_with:
            return
        # The newest pair: a request that went on with an older one must not bring that back.
        pair = self._logged_in_with = credentials.pair
        if pair is not None:
            self._chooser.pool._log_in(*pair)
