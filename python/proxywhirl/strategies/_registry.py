"""From a name, or anything else that stands for a strategy, to the strategy.

Names are compared without regard to case, and ``-`` and ``_`` are the same. What was registered comes first, then
what is built in, then what installed packages offer under the entry point group ``proxywhirl.strategies``, then
``"package.module:Class"``.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Union

from proxywhirl import _core
from proxywhirl._base.fork import new_rlock
from proxywhirl._native.redact import shown
from proxywhirl.strategies import _adapter, _given

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from proxywhirl.strategies._adapter import Adapter

#: Where installed packages announce their strategies.
ENTRY_POINT_GROUP = "proxywhirl.strategies"

StrategyLike = Union[str, Mapping[str, Any], type, Callable[..., Any], object]

_log = logging.getLogger("proxywhirl.strategies")

# The class behind each built-in name, canonical names before further ones of the same class.
_BUILTIN_CLASSES = _core.builtin_strategy_classes()

_normalise = _core.strategy_key


class StrategyRegistry:
    """Strategies by name, one table for the whole process: ``StrategyRegistry() is StrategyRegistry()``.

    Every method may be called from any thread.

    Example:
        >>> registry = StrategyRegistry()
        >>> registry.register_strategy("mine", MyStrategy)
        >>> rotator = ProxyRotator(strategy="mine")
    """

    _instance: ClassVar[StrategyRegistry | None] = None
    _instance_lock: ClassVar[threading.RLock] = new_rlock()

    # Of the one instance; set where it is made, because __init__ runs on every call of the class.
    _lock: threading.RLock
    _entries: dict[str, tuple[str, Any]]

    def __new__(cls) -> StrategyRegistry:
        with cls._instance_lock:
            if StrategyRegistry._instance is None:
                made = super().__new__(cls)
                made._lock = new_rlock()
                made._entries = {}
                StrategyRegistry._instance = made
            return StrategyRegistry._instance

    @classmethod
    def reset(cls) -> None:
        """Forget everything; the next call makes a fresh registry. Meant for tests."""
        with cls._instance_lock:
            StrategyRegistry._instance = None

    def register_strategy(self, name: str, strategy_class: Any, *, validate: bool = True) -> None:
        """Give a strategy a name.

        A name that is taken is given anew, with a warning in the log.

        Args:
            name: The name.
            strategy_class: A class that can be made without arguments, a callable, or an instance that all users of
                the name will share.
            validate: Look at once whether it has the methods of a strategy.

        Raises:
            ValueError: The name is empty.
            TypeError: A method is missing; the message names it.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a strategy is a string, not {type(name).__name__}")
        key = _normalise(name)
        if not key:
            raise ValueError("the name of a strategy must not be empty")
        if validate and not isinstance(strategy_class, _adapter.Adapter):
            _given.check(strategy_class)
        with self._lock:
            taken = key in self._entries or key in _BUILTIN_CLASSES
            self._entries[key] = (name, strategy_class)
        if taken:
            _log.warning("strategy %r is registered anew; the earlier one is replaced", name, extra={"strategy": name})

    def unregister_strategy(self, name: str) -> None:
        """Take a name away. Built-in names cannot be taken away.

        Raises:
            KeyError: The name is not registered.
        """
        with self._lock:
            if self._entries.pop(_normalise(name), None) is None:
                raise KeyError(_not_found(name))

    def get_strategy(self, name: str) -> Any:
        """What a name stands for.

        Args:
            name: A registered or built-in name, or one of an installed package.

        Returns:
            The class. An instance or a callable, when that is what was registered.

        Raises:
            KeyError: Nothing has this name.
        """
        found = self._find(name)
        if found is None:
            raise KeyError(_not_found(name))
        return found

    def create_strategy(self, name: str, **kwargs: Any) -> Any:
        """Make the strategy of a name.

        Args:
            name: As in :meth:`get_strategy`.
            **kwargs: Handed to the class.

        Returns:
            A new instance. What was registered itself, when that is an instance or a function.

        Raises:
            KeyError: Nothing has this name.
            TypeError: Arguments were given for something that takes none.
        """
        return _make(self.get_strategy(name), kwargs)

    def list_strategies(self) -> list[str]:
        """The registered names, as they were written, in order of registration. Built-in names are not among them."""
        with self._lock:
            return [name for name, _ in self._entries.values()]

    def _find(self, name: str) -> Any | None:
        key = _normalise(name)
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None:
            return entry[1]
        builtin = _BUILTIN_CLASSES.get(key)
        if builtin is not None:
            return builtin
        for point in _entry_points():
            if _normalise(point.name) == key:
                return point.load()
        return None


def resolve(spec: StrategyLike, *, warm_up: bool = False, **kwargs: Any) -> _core.Strategy | Adapter:
    """Make a strategy that the core can use out of whatever stands for one.

    Raises ``ValueError`` (an unknown name ("Unknown strategy ..."), or a mapping without a name), ``TypeError``
    (something that is no strategy, or arguments for something that is made already).
    """
    if isinstance(spec, str):
        return _adapter.adapt(_by_name(spec, kwargs), warm_up=warm_up)
    if isinstance(spec, Mapping):
        arguments = dict(spec)
        name = arguments.pop("name", None)
        if not isinstance(name, str):
            # A ValueError as for an unknown name: it is data, often from a file.
            raise ValueError("a strategy given as a mapping needs its name under 'name'")  # noqa: TRY004
        return _adapter.adapt(_by_name(name, {**arguments, **kwargs}), warm_up=warm_up)
    return _adapter.adapt(_make(spec, kwargs), warm_up=warm_up)


def _by_name(name: str, kwargs: dict[str, Any]) -> Any:
    found = StrategyRegistry()._find(name)
    if found is None and ":" in name:
        found = _imported(name)
    if found is None:
        raise ValueError(_unknown(name))
    return _make(found, kwargs)


def _make(what: Any, kwargs: dict[str, Any]) -> Any:
    if inspect.isclass(what):
        return what(**kwargs)
    if kwargs:
        raise TypeError(
            f"{_adapter.describe(what)} is made already and takes no arguments ({', '.join(sorted(kwargs))})"
        )
    return what


_IMPORT_PATH = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def _imported(path: str) -> Any:
    """What ``"package.module:Class"`` names."""
    if not _IMPORT_PATH.fullmatch(path.strip()):
        raise ValueError(_unknown(path))
    module_name, _, attribute = path.strip().partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"Unknown strategy {path!r}: {error}") from error
    return found


def _entry_points() -> list[EntryPoint]:
    # Read anew each time: it happens only for a name that is neither registered nor built in, and a package may have
    # been installed since.
    from importlib import metadata

    points: Any = metadata.entry_points()
    if hasattr(points, "select"):
        return list(points.select(group=ENTRY_POINT_GROUP))
    return list(points.get(ENTRY_POINT_GROUP, ()))  # Python 3.9


def known_names() -> list[str]:
    """The names of all strategies: built-in, registered, and of installed packages."""
    names = {*_BUILTIN_CLASSES, *StrategyRegistry().list_strategies(), *(point.name for point in _entry_points())}
    return sorted(names)


def _unknown(name: str) -> str:
    import difflib  # of use to a name that is wrong, and to no other

    names = known_names()
    near = difflib.get_close_matches(_normalise(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown strategy {shown(name)}. Valid names: {', '.join(names)}.{hint}"


def _not_found(name: str) -> str:
    return f"Strategy {shown(name)} not found in registry; known: {', '.join(known_names())}"
