"""The breakers of a rotator's pool, by proxy id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl import _core

_SETTINGS = ("failure_threshold", "window_duration", "timeout_duration", "success_threshold", "failure_rate")


class Breakers(Mapping[str, "_core.CircuitBreaker"]):
    """The breakers of a pool by ``str(proxy.id)``: a live view, in which breakers can be replaced.

    Every proxy of the pool has one, however it got there. Deleting one replaces it with a new one of the pool's kind.
    """

    def __init__(self, pool: _core.ProxyPool, template: Any) -> None:
        self._pool = pool
        self._template = template

    def __getitem__(self, proxy_id: str | UUID) -> _core.CircuitBreaker:
        try:
            return self._pool._breaker_of(proxy_id)
        except (KeyError, ValueError):
            raise KeyError(str(proxy_id)) from None

    def __setitem__(self, proxy_id: str | UUID, breaker: Any) -> None:
        self._pool._set_breaker(proxy_id, getattr(breaker, "machine", breaker))

    def __delitem__(self, proxy_id: str | UUID) -> None:
        if proxy_id not in self:
            raise KeyError(str(proxy_id))
        self._pool._set_breaker(proxy_id, self._template(str(proxy_id)))

    def __contains__(self, proxy_id: object) -> bool:
        try:
            return self._pool.get_proxy_by_id(proxy_id) is not None  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False

    def __iter__(self) -> Iterator[str]:
        return iter([str(proxy.id) for proxy in self._pool.get_all_proxies()])

    def __len__(self) -> int:
        return len(self._pool)

    def __repr__(self) -> str:
        states = {proxy_id: breaker.state.value for proxy_id, breaker in self.items()}
        return f"<breakers {states}>"


def breaker_settings(template: Any) -> dict[str, Any]:
    """What a pool has to know of ``circuit_breaker=``.

    Raises ``TypeError`` (it is none of these), ``ValueError`` (a setting out of its range).
    """
    if template is None:
        return {}
    template = getattr(template, "machine", template)
    if isinstance(template, Mapping):
        from proxywhirl.models import CircuitBreakerConfig

        template = CircuitBreakerConfig(**template)
    if not all(hasattr(template, name) for name in _SETTINGS):
        raise TypeError(
            f"circuit_breaker must be a CircuitBreaker or a CircuitBreakerConfig, not {type(template).__name__}"
        )
    return {name: getattr(template, name) for name in _SETTINGS}
