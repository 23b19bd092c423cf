"""What integrations share: what they rotate over, and what they say of the proxy that was used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from proxywhirl.rotator import ProxyRotator

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl._native.enums import Outcome
    from proxywhirl.rotator._attempt import Attempt
    from proxywhirl.rotator._attempts import Attempts

# As `pool_timeout` of a rotator.
_PATIENCE = 30.0


class Rotating:
    """A source of attempts: a rotator that the user has, or one's own settings over a pool.

    Args:
        source: A :class:`ProxyRotator`, a :class:`ProxyPool`, proxies, or the path of a list or of a saved pool.
        strategy: How to choose from a pool, proxies or a list; a rotator has its own.
        wishes: What ``rotator.attempts()`` takes as keywords; those that are ``None`` are left out.

    Raises:
        TypeError: ``source`` is none of these, or a rotator with a strategy beside it.
    """

    def __init__(self, source: Any, *, strategy: Any = None, **wishes: Any) -> None:
        self._strategy = strategy
        self._wishes = {name: wish for name, wish in wishes.items() if wish is not None}
        self._given: Any = source
        self._open()

    def _open(self) -> None:
        source, strategy = self._given, self._strategy
        self._rotator: ProxyRotator | None = None
        if isinstance(source, (str, os.PathLike)):
            source = ProxyRotator.from_file(source, **({} if strategy is None else {"strategy": strategy}))
        elif isinstance(source, ProxyRotator) and strategy is not None:
            raise TypeError("strategy: the rotator has one")
        if isinstance(source, ProxyRotator):
            self._rotator = source
            self._transport: Any = source._transport
        else:
            from proxywhirl.transport import RotatingTransport

            self._transport = RotatingTransport(source, strategy=strategy, max_connections=None)
            self._given = self._transport.pool

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        return self._transport.pool  # type: ignore[no-any-return]

    def attempts(self, url: str, method: str, *, proxy_id: Any = None) -> Attempts:
        """The attempts of one request; the first through the proxy of this id, if one is named and can be had."""
        if self._rotator is not None:
            loop = self._rotator.attempts(url, method=method, **self._wishes)
        else:
            from proxywhirl._httpx.wishes import wished
            from proxywhirl.rotator._attempts import Attempts

            loop = Attempts(self._transport, _ready, url, method, wished(**self._wishes), _PATIENCE)
        if proxy_id is not None:
            loop.stay_on(proxy_id)
        return loop

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._given, ProxyRotator):
            raise TypeError("what rotates over a rotator cannot be pickled: give it a pool, proxies or a path instead")
        return {"_given": self._given, "_strategy": self._strategy, "_wishes": self._wishes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def _ready(deadline: float | None) -> None:
    """There are no lists to wait for."""


def used(attempt: Attempt, outcome: Outcome) -> dict[str, Any]:
    """What a response says of the proxy it came through: nothing secret."""
    proxy = attempt.proxy
    return {
        "proxy_id": attempt.id,
        "host": proxy.host,
        "port": proxy.port,
        "attempts": attempt.number,
        "outcome": outcome,
    }


def own_error(error: BaseException, kind: type[BaseException] | tuple[type[BaseException], ...]) -> BaseException:
    """The exception of the client that stands behind one of ours; that itself where there is none."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__
    return error if found is None else found


def bounded(timeout: Any, most: float | None) -> Any:
    """A timeout in seconds, or several of them, none of which is longer than that; other forms are left alone."""
    if most is None:
        return timeout
    if timeout is None:
        return most
    if isinstance(timeout, (int, float)):
        return min(timeout, most)
    if isinstance(timeout, tuple):
        return tuple(bounded(one, most) for one in timeout)
    return timeout


__all__ = ["Rotating", "bounded", "own_error", "used"]
