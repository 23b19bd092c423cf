"""Where the modules of this package have their attempts from, and what they share about wishes, bodies and errors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl.config._defaults import Defaults
from proxywhirl.exceptions import ProxyWhirlError

if TYPE_CHECKING:
    from proxywhirl._core import ProxyPool

__all__ = ["WISHES", "AsyncLender", "Lender", "bounded", "own_error", "shown_of", "split_wishes"]

WISHES = (
    "session_id",
    "country",
    "region",
    "tags",
    "protocol",
    "context",
    "retry_policy",
    "ban_policy",
    "raise_on_ban",
)
"""Arguments of a request that ``attempts()`` takes; no client has arguments of these names."""


class _Lender:
    """Attempts over a rotator, a pool, or proxies of which a rotator is made.

    Args:
        source: What a :class:`~proxywhirl.RotatingTransport` takes, or the path of a list or a saved pool.
        wishes: Wishes of all requests; those of a request go before.
        strategy: How to choose; not for a rotator, which has its own.

    Raises:
        TypeError: ``source`` is none of these, or a rotator with a strategy beside it.
    """

    pool: ProxyPool
    _is_async = False

    def __init__(self, source: Any, wishes: Mapping[str, Any], *, strategy: Any = None) -> None:
        self.wishes = {name: wish for name, wish in wishes.items() if wish is not None}
        self._strategy = strategy
        self._given = source
        self._open()

    def _open(self) -> None:
        source, strategy = self._given, self._strategy
        self._owned: Any = None
        self._lent: Any = None
        if strategy is not None and not isinstance(source, _core.ProxyPool) and hasattr(source, "attempts"):
            raise TypeError("strategy: a rotator has its own")
        if isinstance(source, self._rotator_class()):
            self._attempts = source.attempts
            self.pool = source.pool
        elif isinstance(source, _pools_and_rotators()):
            self._lend(source, strategy)
        else:
            made: Any = self._rotator_class()
            if isinstance(source, (str, os.PathLike)):
                self._owned = made.from_file(source, **({} if strategy is None else {"strategy": strategy}))
            elif isinstance(source, Iterable):
                self._owned = made(proxies=source, strategy=strategy)
            else:
                raise TypeError(f"source must be a rotator, a pool, proxies or a path, not {type(source).__name__}")
            self._attempts = self._owned.attempts
            self.pool = self._owned.pool

    def __getstate__(self) -> dict[str, Any]:
        given = self._given
        if self._owned is not None and not isinstance(given, (str, os.PathLike)):
            given = self.pool
        elif not isinstance(given, (_core.ProxyPool, str, os.PathLike)):
            raise TypeError("what rotates over a rotator cannot be pickled: give it a pool, proxies or a path instead")
        return {"wishes": self.wishes, "_strategy": self._strategy, "_given": given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _lend(self, source: Any, strategy: Any) -> None:
        """Attempts of a pool, or of a rotator of the other kind: those of a transport that shares it."""
        from proxywhirl import transport

        make: Any = transport.AsyncRotatingTransport if self._is_async else transport.RotatingTransport
        lent = make(source, strategy=strategy)
        self._lent = lent
        self.pool = lent.chooser.pool
        config = getattr(source, "config", None)
        patience = Defaults.pool_timeout if config is None else config.pool_timeout
        prepare = _nothing_to_wait_for if self._is_async else _nothing

        def attempts(url: str, *, method: str = "GET", **wishes: Any) -> Any:
            from proxywhirl._httpx.wishes import wished
            from proxywhirl.rotator._attempts import AsyncAttempts, Attempts

            every = {**dict.fromkeys(WISHES), **wishes}
            kind: Any = AsyncAttempts if self._is_async else Attempts
            return kind(lent, prepare, url, method, wished(**every), patience)

        self._attempts = attempts

    def attempts(self, url: Any, method: str, wishes: Mapping[str, Any], *, proxy_id: Any = None) -> Any:
        """The attempts of one request; the first through the proxy of this id, if one is named and can be had."""
        loop = self._attempts(str(url), method=method, **{**self.wishes, **wishes})
        if proxy_id is not None:
            loop.stay_on(proxy_id)
        return loop

    def session_of(self, wishes: Mapping[str, Any]) -> str | None:
        """Identifier of the sticky session that a request belongs to."""
        found = wishes.get("session_id", self.wishes.get("session_id"))
        return None if found is None else str(found)

    def has_protocol(self, wishes: Mapping[str, Any]) -> bool:
        """Whether a protocol is asked for."""
        return (wishes.get("protocol") or self.wishes.get("protocol")) is not None

    @classmethod
    def _rotator_class(cls) -> Any:
        from proxywhirl.rotator import AsyncProxyRotator, ProxyRotator

        return AsyncProxyRotator if cls._is_async else ProxyRotator


class Lender(_Lender):
    """For synchronous clients."""

    def close(self) -> None:
        """Close what was made here."""
        for made in (self._owned, self._lent):
            if made is not None:
                made.close()


class AsyncLender(_Lender):
    """For asynchronous clients."""

    _is_async = True

    async def aclose(self) -> None:
        """Close what was made here."""
        for made in (self._owned, self._lent):
            if made is not None:
                await made.aclose()


def split_wishes(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the wishes out of the arguments of a request."""
    return {name: arguments.pop(name) for name in WISHES if name in arguments}


def own_error(error: BaseException, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """The client's exception that a rotation ended with; ``None`` where it ended with something else."""
    found: BaseException | None = error
    while isinstance(found, ProxyWhirlError):
        found = found.__cause__
    return found if isinstance(found, kinds) else None


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


def _pools_and_rotators() -> tuple[type, ...]:
    from proxywhirl.rotator.base import ProxyRotatorBase

    return _core.ProxyPool, ProxyRotatorBase


def _nothing(deadline: float | None) -> None:
    del deadline


async def _nothing_to_wait_for(deadline: float | None) -> None:
    del deadline


def shown_of(attempt: Any, outcome: Any) -> dict[str, Any]:
    """What a response tells of its proxy, without credentials."""
    proxy = attempt.proxy
    return {
        "proxy_id": attempt.id,
        "host": proxy.host,
        "port": proxy.port,
        "attempts": attempt.number,
        "outcome": outcome,
    }
