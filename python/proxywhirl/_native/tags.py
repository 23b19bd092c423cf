"""The set behind ``proxy.tags``: a real set whose changes reach the proxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxywhirl._core import Proxy


class TagSet(set[str] if TYPE_CHECKING else set):  # type: ignore[misc]
    """Tags of one proxy. Every change is seen by the next selection.

    Args:
        tags: The tags it has now.
        proxy: Whose they are.
    """

    __slots__ = ("_proxy",)

    def __init__(self, tags: Iterable[str], proxy: Proxy) -> None:
        super().__init__(tags)
        self._proxy = proxy

    def __reduce__(self) -> tuple[Any, ...]:
        return set, (list(self),)

    def __copy__(self) -> set[str]:
        return set(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> set[str]:
        return set(self)

    copy = __copy__


def _writing_through(name: str) -> Any:
    change = getattr(set, name)

    def method(self: TagSet, *args: Any) -> Any:
        result = change(self, *args)
        self._proxy._put_tags(list(self))
        return result

    method.__name__ = name
    method.__doc__ = change.__doc__
    return method


for _name in (
    "add",
    "clear",
    "difference_update",
    "discard",
    "intersection_update",
    "pop",
    "remove",
    "symmetric_difference_update",
    "update",
    "__iand__",
    "__ior__",
    "__isub__",
    "__ixor__",
):
    setattr(TagSet, _name, _writing_through(_name))
