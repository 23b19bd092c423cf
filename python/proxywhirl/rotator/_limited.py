"""What users set and see of the limits of a rotator: the documentation, and calls of what keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl.rotator._observed import ObservedFace

if TYPE_CHECKING:
    import uuid

    from proxywhirl import _core
    from proxywhirl.retry import RetryExecutor, RetryMetrics, RetryPolicy
    from proxywhirl.rotator._breakers import Breakers
    from proxywhirl.rotator._limits import Limits
    from proxywhirl.rotator._queue import RequestQueue


class LimitedFace(ObservedFace):
    """Limits of a rotator; without state or rules of its own."""

    _limits: Limits
    _clients: Any
    _tls_options: dict[str, Any]
    circuit_breakers: Breakers
    retry_metrics: RetryMetrics
    request: Any

    def _configure_guard(self) -> None:
        raise NotImplementedError

    def _client_options(self) -> dict[str, Any]:
        raise NotImplementedError

    # Rates and the queue.

    @property
    def rate_limiter(self) -> Any:
        """The limiter as it was handed over; assigning another holds for requests that begin from then on."""
        return self._limits.limiter

    @rate_limiter.setter
    def rate_limiter(self, limiter: Any) -> None:
        self._limits.use(limiter)
        self._configure_guard()

    @property
    def _request_queue(self) -> RequestQueue | None:
        return self._limits.queue

    def get_queue_stats(self) -> dict[str, Any]:
        """The line of requests that wait because a limit was reached.

        Returns:
            ``enabled`` (``config.queue_enabled``), ``size`` (how many wait), ``max_size``, ``is_full``, ``is_empty``.
        """
        return self._limits.queue_stats()

    def clear_queue(self) -> int:
        """Send away the requests that wait; each fails with ``ProxyConnectionError``.

        Returns:
            How many there were.

        Raises:
            RuntimeError: The queue is not enabled.
        """
        return self._limits.clear_queue()

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
        self._limits.breaker_of(proxy_id).reset()

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
        return self._limits.executor(self.retry_policy)

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
