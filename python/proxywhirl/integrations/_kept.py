"""What a client keeps open for each proxy: a bounded map, the least recently used out first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Callable, Generic, TypeVar

__all__ = ["Kept"]

V = TypeVar("V")


class _Entry(Generic[V]):
    __slots__ = ("is_dropped", "users", "value")

    def __init__(self, value: V) -> None:
        self.value = value
        self.users = 0
        self.is_dropped = False


class Kept(Generic[V]):
    """Values by key, each for several users at once. What leaves the map is returned, to be closed by the caller.

    A value in use is not closed under its users: the map may exceed its bound for as long as all of it is used. For one
    thread or event loop.

    Args:
        most: Most values that are kept without a user, 1 or more.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("at least one has to be kept")
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: Hashable, make: Callable[[], V]) -> _Entry[V]:
        """The entry of a key, made if there is none; to be given back."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(make())
        entry.users += 1
        self._entries.move_to_end(key)
        return entry

    def give_back(self, entry: _Entry[V]) -> list[V]:
        """Give an entry back; the values to be closed."""
        entry.users -= 1
        if entry.is_dropped:
            return [] if entry.users else [entry.value]
        idle = [key for key, one in self._entries.items() if not one.users] if len(self) > self._most else []
        return [self._entries.pop(key).value for key in idle[: len(self) - self._most]]

    def drop(self, matches: Callable[[Any], bool]) -> list[V]:
        """Forget the entries of matching keys, those in use once they are given back; the values to be closed."""
        gone = [self._entries.pop(key) for key in list(self._entries) if matches(key)]
        for entry in gone:
            entry.is_dropped = True
        return [entry.value for entry in gone if not entry.users]

    def clear(self) -> list[V]:
        """Forget everything, used or not; the values to be closed."""
        gone = [entry.value for entry in self._entries.values()]
        self._entries.clear()
        return gone
