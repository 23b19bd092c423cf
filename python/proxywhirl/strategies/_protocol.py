"""The shape of a rotation strategy, for annotations, ``isinstance`` and as a base class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

if TYPE_CHECKING:
    from proxywhirl._core import Proxy, ProxyPool, SelectionContext


def _unimplemented(strategy: object, method: str) -> NoReturn:
    name = type(strategy).__name__
    raise NotImplementedError(f"{name} does not implement {method}()")


@runtime_checkable
class RotationStrategy(Protocol):
    """What chooses the proxy of the next request.

    ``isinstance(obj, RotationStrategy)`` asks for the two methods below. Wherever a strategy is accepted,
    these shapes are accepted too, whether or not they inherit from this class:

    * ``select(pool, context=None)`` and ``record_result(proxy, success, response_time_ms)``;
    * ``select(pool, metadata, context=None)`` and ``record_result(proxy, metadata, success, response_time_ms)``,
      where ``metadata`` maps each proxy's id to the live view of its counters;
    * ``select_proxy(proxies)`` alone, which gets the list of proxies that may be chosen;
    * a callable ``f(pool)``, ``f(pool, context)`` or ``f(proxies)``.

    Counting is done for you: whatever a strategy calls or omits to call, the chosen proxy has one start and
    one completion.

    Example:
        >>> class Shortest(RotationStrategy):
        ...     def select_proxy(self, pool):
        ...         return min(pool, key=lambda proxy: len(proxy.url))
    """

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        """Choose a proxy of ``pool``.

        Args:
            pool: Where to choose from.
            context: What is known about the request; ``None`` when nothing is.

        Returns:
            A proxy that is in ``pool``, healthy, and not excluded by ``context``.

        Raises:
            ProxyPoolEmptyError: There is nothing to choose from.
        """
        # A body that type checkers do not take for a stub: a subclass that has only `select_proxy` can be made.
        return _unimplemented(self, "select")

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """Hear how the request went.

        Args:
            proxy: What :meth:`select` returned.
            success: Whether the request was answered as it should be.
            response_time_ms: How long it took, in milliseconds, at least 0.
        """
        _unimplemented(self, "record_result")
