"""Saving and loading."""

from collections.abc import Callable, Sequence

from typing_extensions import Self, TypeAlias

_Source: TypeAlias = ProxyPool | Sequence[Proxy]

class SealedTexts:
    def missing(self, source: _Source) -> list[UnsealedText]: ...

class PoolImage:
    def __new__(cls, data: bytes, appended: bool = False) -> Self: ...
    def load_into(
        self,
        pool: ProxyPool,
        opened: dict[str, str],
        make: Callable[[int, str], Proxy],
        decorate: Callable[[Proxy, str | None, str | None, str | None, str | None, str], None],
        merge: bool = False,
    ) -> tuple[int, int]: ...

def proxies_with_extras(source: _Source) -> list[Proxy]: ...
def has_credentials(source: _Source) -> bool: ...
def records_of(
    source: _Source,
    *,
    credentials: bool = True,
    learned: bool = True,
    sealed: SealedTexts | None = None,
    extras: SaveExtras | None = None,
    marks: SaveMarks | None = None,
    only_changed: bool = False,
) -> list[str] | None: ...
def dump_proxies(
    source: _Source,
    fd: int,
    *,
    head: bytes | None = None,
    tail: bytes | None = None,
    lines: bool = False,
    compress: bool = False,
    credentials: bool = True,
    learned: bool = True,
    sealed: SealedTexts | None = None,
    extras: SaveExtras | None = None,
    marks: SaveMarks | None = None,
    only_changed: bool = False,
) -> tuple[int, int, int] | None: ...
