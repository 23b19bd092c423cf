"""What a strategy of the user is, asked of the object that was handed over."""

from __future__ import annotations

import collections.abc
import inspect
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl.strategies._shapes import candidates_of, describe, excludes, may_serve, method

if TYPE_CHECKING:
    from proxywhirl._core import Proxy, ProxyPool, SelectionContext

# What a built-in strategy calls on itself without asking Python: a subclass that overrides one of these is Python.
_OVERRIDABLE = ("select", "record_result", "filter", "configure", "validate_metadata")
_NATIVE = [value for value in vars(_core).values() if inspect.isclass(value) and issubclass(value, _core.Strategy)]


def allowed(pool: ProxyPool, context: SelectionContext | None) -> ProxyPool:
    """What a strategy that is not given the context may choose from: the pool without what the request excludes."""
    if not excludes(context):
        return pool
    return _core.ProxyPool(name=pool.name, proxies=candidates_of(pool, context), max_pool_size=pool.max_pool_size)


def instantiated(cls: type) -> Any:
    if method(cls, "select") is None and method(cls, "select_proxy") is None and method(cls, "__call__") is None:
        raise missing(cls, [name for name in ("select", "record_result") if method(cls, name) is None])
    try:
        return cls()
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__} cannot be made without arguments ({error}); hand over an instance instead"
        ) from error


def missing(what: Any, names: list[str]) -> TypeError:
    return TypeError(f"{describe(what)} cannot be used as a strategy: missing required methods: {', '.join(names)}")


def is_overridden(strategy: _core.Strategy) -> bool:
    """Whether Python code took the place of something that the core does without asking Python."""
    own = getattr(strategy, "__dict__", {})
    for name in _OVERRIDABLE:
        if name in own:
            return True
        holder = next(base for base in type(strategy).__mro__ if name in vars(base))
        if not _is_native(holder):
            return True
    return False


def _is_native(cls: type) -> bool:
    # Not by module name: a subclass can claim any. Not by hashing the class either: it is a handful of comparisons.
    return any(cls is known for known in _NATIVE)


def has(proxy: Proxy, field: str) -> bool:
    """Whether something is known under this name: in the metadata, on the proxy, or in what the user attached."""
    for value in (
        getattr(proxy._metadata(), field, None),
        getattr(proxy, field, None),
        proxy.metadata.get(field),
    ):
        if value is not None and value != "" and value != set():
            return True
    return False


def setting(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, collections.abc.Mapping) else getattr(config, name, None)


def is_explicit(config: Any, name: str) -> bool:
    """Whether a setting was given, rather than left at its default."""
    if isinstance(config, collections.abc.Mapping):
        return config.get(name) is not None
    given = getattr(config, "model_fields_set", None)
    if given is not None:
        return name in given
    return getattr(config, name, None) is not None


def check(what: Any) -> None:
    """See whether something can be registered as a strategy, without making an instance.

    Raises ``TypeError`` (it is none, or one of the two methods that belong together is missing).
    """
    if method(what, "select_proxy") is not None:
        return
    present = {name: method(what, name) is not None for name in ("select", "record_result")}
    if all(present.values()):
        return
    # Every class is callable, so for a class it is the calling of its instances that counts.
    as_callable = method(what, "__call__") is not None if inspect.isclass(what) else callable(what)
    if as_callable and not any(present.values()):
        return
    raise missing(what, [name for name, there in present.items() if not there])


def usable(pool: ProxyPool, choice: Any, context: SelectionContext | None) -> Proxy | None:
    """The pool's own object of a choice that may serve this request."""
    stored = pool.get_proxy_by_id(choice.id) if isinstance(choice, _core.Proxy) else None
    return stored if stored is not None and may_serve(stored, context) else None
