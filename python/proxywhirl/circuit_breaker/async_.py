"""The breaker for code that awaits its methods."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Callable

from typing_extensions import Self

from proxywhirl._core import CircuitBreaker
from proxywhirl._native.enums import CircuitBreakerState
from proxywhirl.circuit_breaker import _state
from proxywhirl.circuit_breaker._state import Storage
from proxywhirl.circuit_breaker.base import CircuitBreakerBase

__all__ = ["AsyncCircuitBreaker", "CircuitBreakerState"]


class AsyncCircuitBreaker(CircuitBreakerBase):
    """As :class:`CircuitBreaker`, with coroutines; safe for threads and for tasks of any event loop.

    Nothing in it waits: the methods are coroutines for the sake of code that awaits them. Fields that are not methods
    are those of :attr:`machine`.

    Args:
        proxy_id: Id of the proxy it guards; left out for a template.
        machine: An existing breaker to be the face of, a rotator's for instance; then nothing else may be given.
        **settings: As for :class:`CircuitBreaker`.

    Raises:
        ValueError: A setting out of its range.
        TypeError: ``machine`` together with something else.
    """

    def __init__(self, proxy_id: str | None = None, *, machine: CircuitBreaker | None = None, **settings: Any) -> None:
        if machine is None:
            machine = CircuitBreaker(proxy_id, **settings)
        elif proxy_id is not None or settings:
            raise TypeError("machine brings its own proxy_id and settings")
        self.machine = machine
        """The breaker behind it."""

    @classmethod
    def create(cls, proxy_id: str | None = None, config: Any = None, **overrides: Any) -> Self:
        """Make a breaker from settings.

        Args:
            proxy_id: Id of the proxy.
            config: A ``CircuitBreakerConfig``.
            **overrides: Settings that win over it.
        """
        return cls(machine=CircuitBreaker.create(proxy_id, config, **overrides))

    @classmethod
    def from_config(cls, proxy_id: str | None = None, config: Any = None, **overrides: Any) -> Self:
        """As :meth:`create`."""
        return cls.create(proxy_id, config, **overrides)

    def __repr__(self) -> str:
        return f"Async{self.machine!r}"

    async def record_failure(self) -> None:
        """Note a failed request."""
        self.machine.record_failure()

    async def record_success(self) -> None:
        """Note a successful request."""
        self.machine.record_success()

    async def should_attempt_request(self) -> bool:
        """Whether a request may go; when half-open, it is thereby the probe, and must be reported."""
        return self.machine.should_attempt_request()

    async def would_allow(self) -> bool:
        """Whether a request might go; changes nothing."""
        return self.machine.would_allow()

    async def reset(self) -> None:
        """Close it and forget all failures."""
        self.machine.reset()

    async def save_state(self, storage: Storage) -> None:
        """Keep the state under the proxy id; see :func:`proxywhirl.circuit_breaker._state.save_state`."""
        await _in_thread(_state.save_state, self.machine, storage)

    async def load_state(self, storage: Storage) -> bool:
        """Take over the state kept under the proxy id; whether there was one."""
        found: bool = await _in_thread(_state.load_state, self.machine, storage)
        return found

    async def delete_state(self, storage: Storage) -> bool:
        """Forget the state kept under the proxy id; whether there was one."""
        found: bool = await _in_thread(_state.delete_state, self.machine, storage)
        return found

    @classmethod
    async def create_with_storage(cls, proxy_id: str, storage: Storage, config: Any = None, **overrides: Any) -> Self:
        """Make a breaker in the state kept for it, or a new one; arguments as for :meth:`create`."""
        made = cls.create(proxy_id, config, **overrides)
        await made.load_state(storage)
        return made

    @property
    def proxy_id(self) -> str | None:
        """Id of the proxy it guards; ``None`` for a template."""
        return self.machine.proxy_id

    @property
    def state(self) -> CircuitBreakerState:
        """Closed, open, or half-open."""
        return self.machine.state

    @property
    def failure_count(self) -> int:
        """Failures in the window."""
        return self.machine.failure_count

    @property
    def failure_window(self) -> Any:
        """When they happened."""
        return self.machine.failure_window

    @property
    def next_test_time(self) -> Any:
        """When an open breaker grants the next probe; ``None`` if it is not open."""
        return self.machine.next_test_time

    @property
    def last_state_change(self) -> Any:
        """When the state changed last."""
        return self.machine.last_state_change

    @property
    def failure_threshold(self) -> int:
        """Failures in the window that open it."""
        return self.machine.failure_threshold

    @property
    def success_threshold(self) -> int:
        """Successful probes that close it."""
        return self.machine.success_threshold

    @property
    def window_duration(self) -> float:
        """Length of the window, in seconds."""
        return self.machine.window_duration

    @property
    def timeout_duration(self) -> float:
        """How long it stays open, in seconds."""
        return self.machine.timeout_duration

    timeout = timeout_duration


async def _in_thread(function: Callable[..., Any], machine: CircuitBreaker, storage: Storage) -> Any:
    """Call what may read or write a file."""
    if isinstance(storage, MutableMapping):
        return function(machine, storage)
    import anyio

    return await anyio.to_thread.run_sync(function, machine, storage)
