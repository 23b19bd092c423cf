"""The live list behind ``pool.proxies``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence
from typing import TYPE_CHECKING, Any, overload

from proxywhirl._core import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxywhirl._core import ProxyPool


class ProxyList(MutableSequence[Proxy]):
    """The proxies of a pool, in the pool's order, as a list that writes through.

    Whatever is done to the list is done to the pool, its look-ups included, and seen by the next selection. Like
    the pool's constructor, and unlike ``add_proxy``, it knows no capacity. Where a proxy is written, its URL may be
    given instead. Iterating goes over the members there were when it began, so removing inside the loop is safe.

    Args:
        pool: The pool to show.
    """

    __slots__ = ("_pool",)
    __hash__ = None  # type: ignore[assignment]  # equal by content and mutable, as a list is

    def __init__(self, pool: ProxyPool) -> None:
        self._pool = pool

    def __len__(self) -> int:
        return len(self._pool)

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self._pool.get_all_proxies())

    def __reversed__(self) -> Iterator[Proxy]:
        return reversed(self._pool.get_all_proxies())

    def __contains__(self, value: object) -> bool:
        # By id rather than by looking at each: equal proxies have equal ids.
        if not isinstance(value, Proxy):
            return False
        stored = self._pool.get_proxy_by_id(value.id)
        return stored is not None and (stored is value or stored == value)

    @overload
    def __getitem__(self, index: int) -> Proxy: ...
    @overload
    def __getitem__(self, index: slice) -> list[Proxy]: ...
    def __getitem__(self, index: int | slice) -> Proxy | list[Proxy]:
        if isinstance(index, slice):
            return self._pool.get_all_proxies()[index]
        return self._pool._item(self._position(index))

    @overload
    def __setitem__(self, index: int, value: Proxy | str) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Proxy | str]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            items = [_proxy(item) for item in value]
            with self._pool:
                content = self._pool.get_all_proxies()
                content[index] = items
                self._pool._replace_all(content)
        else:
            self._pool._set_item(self._position(index, "assignment "), _proxy(value))

    def __delitem__(self, index: int | slice) -> None:
        if isinstance(index, slice):
            with self._pool:
                content = self._pool.get_all_proxies()
                del content[index]
                self._pool._replace_all(content)
        else:
            self._pool._del_item(self._position(index, "assignment "))

    def insert(self, index: int, value: Proxy | str) -> None:
        """Put a proxy before the one at ``index``.

        Args:
            index: Where to, in the way of ``list.insert``: below 0 from the end, beyond the ends at the ends.
            value: The proxy, or its URL.

        Raises:
            TypeError: ``value`` is neither a proxy nor a string.
        """
        item = _proxy(value)
        with self._pool:
            length = len(self._pool)
            if index < 0:
                index = max(0, length + index)
            self._pool._insert(min(index, length), item)

    def append(self, value: Proxy | str) -> None:
        """Put a proxy at the end.

        Args:
            value: The proxy, or its URL.
        """
        item = _proxy(value)
        with self._pool:
            self._pool._insert(len(self._pool), item)

    def extend(self, values: Iterable[Proxy | str]) -> None:
        """Put several proxies at the end, all of them or, when one is not a proxy, none.

        Args:
            values: Proxies, or their URLs.
        """
        items = [_proxy(value) for value in values]
        with self._pool:
            for item in items:
                self._pool._insert(len(self._pool), item)

    def remove(self, value: Proxy) -> None:
        """Take a proxy out.

        Args:
            value: The proxy.

        Raises:
            ValueError: It is not in the list.
        """
        with self._pool:
            if value not in self:
                raise ValueError("the proxy is not in the list")
            self._pool.remove_proxy(value.id)

    def clear(self) -> None:
        """Take every proxy out."""
        self._pool._replace_all([])

    def reverse(self) -> None:
        """Turn the order round."""
        with self._pool:
            self._pool._replace_all(self._pool.get_all_proxies()[::-1])

    def sort(self, *, key: Callable[[Proxy], Any] | None = None, reverse: bool = False) -> None:
        """Bring the proxies into an order, stably.

        Args:
            key: What to sort a proxy by. Proxies as such have no order, so it is needed.
            reverse: Largest first.
        """
        # The caller's function runs without the pool's lock; a member that came or went meanwhile is kept or left out.
        wanted: list[Proxy] = sorted(self._pool.get_all_proxies(), key=key, reverse=reverse)  # type: ignore[type-var,arg-type]
        with self._pool:
            now = {proxy.id: proxy for proxy in self._pool.get_all_proxies()}
            content = [now.pop(proxy.id) for proxy in wanted if proxy.id in now]
            self._pool._replace_all(content + list(now.values()))

    def copy(self) -> list[Proxy]:
        """An ordinary list of the same proxies."""
        return self._pool.get_all_proxies()

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Proxy]:
        from copy import deepcopy

        return deepcopy(self._pool.get_all_proxies(), memo)

    def __reduce__(self) -> tuple[Any, ...]:
        # A list without its pool is a list.
        return (list, (self._pool.get_all_proxies(),))

    def __add__(self, other: object) -> list[Proxy]:
        if isinstance(other, (list, ProxyList)):
            return [*self, *other]
        return NotImplemented

    def __radd__(self, other: object) -> list[Proxy]:
        if isinstance(other, list):
            return [*other, *self]
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ProxyList):
            return self._pool is other._pool or self.copy() == other.copy()
        if isinstance(other, list):
            return self.copy() == other
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self._pool.get_all_proxies())

    def _position(self, index: int, what: str = "") -> int:
        """``index`` counted from the front; what is out of range is refused in the words of a list."""
        length = len(self._pool)
        position = index.__index__()
        if position < 0:
            position += length
        if not 0 <= position < length:
            raise IndexError(f"list {what}index out of range")
        return position


def _proxy(value: object) -> Proxy:
    if isinstance(value, Proxy):
        return value
    if isinstance(value, str):
        return Proxy(url=value)
    raise TypeError(f"a pool holds Proxy objects or URLs, not {type(value).__name__}")
