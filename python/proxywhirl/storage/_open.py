"""The one reader of files of proxies: saved pools, and lists in any form."""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union

from proxywhirl import _core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxywhirl.storage._vault import Vault

P = TypeVar("P", bound="_core.ProxyPool")
Found = Union["_core.PoolImage", "_core.ParsedProxies"]

_log = logging.getLogger("proxywhirl.storage")
_HEAD = 4096
# The first characters of what may be a saved pool: JSON, or a Fernet token of one.
_POOLS = (b"{", b"[", b'"', b"gAAAAA")


def load_pool(
    cls: type[P], path: str | os.PathLike[str], lazy: bool = False, encryption_key: str | bytes | None = None
) -> P:
    """Read a pool from a file.

    Raises ``FileNotFoundError`` (there is no such file), ``ValueError`` (it is a saved pool that is damaged, or has
    nothing in it that is a proxy; nothing of it is quoted), ``cryptography.fernet.InvalidToken`` (it is encrypted with
    another key).
    """
    from proxywhirl.storage._reading import NotSavedError, load_into, settings_of
    from proxywhirl.storage._vault import Vault

    vault = Vault(encryption_key)
    found = open_file(path, vault)
    if isinstance(found, _core.PoolImage):
        settings = settings_of(found)
        pool = cls(
            name=found.name or "default",
            max_pool_size=max(int(settings.get("max_pool_size") or 100), len(found), 1),
            auto_remove_dead=bool(settings.get("auto_remove_dead", False)),
        )
        try:
            load_into(found, pool, vault, path)
        except NotSavedError as error:
            found = _list_of(path, error)
        else:
            return pool
    pool = cls(max_pool_size=max(100, len(found)))
    pool.load(found)
    return pool


def fill_pool(
    pool: _core.ProxyPool,
    path: str | os.PathLike[str],
    source: Any = None,
    tags: Iterable[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> _core.ParsedProxies | tuple[int, int]:
    """Add a saved pool to a pool, or read a list for it.

    Raises ``OSError`` (the file cannot be read), ``ValueError`` (it is a saved pool that is damaged, or the pool would
    be over its maximum capacity).
    """
    from proxywhirl.storage._reading import NotSavedError, load_into
    from proxywhirl.storage._vault import Vault

    if options:
        return _core.parse_proxy_file(path, **options)
    vault = Vault(None)
    found = open_file(path, vault, strict=False)
    if isinstance(found, _core.ParsedProxies):
        return found
    try:
        if source is None and tags is None:
            return load_into(found, pool, vault, path)
        scratch = _core.ProxyPool(max_pool_size=max(1, len(found)))
        load_into(found, scratch, vault, path)
    except NotSavedError:
        return _core.parse_proxy_file(path)
    proxies = scratch.get_all_proxies()
    for proxy in proxies:
        if source is not None:
            proxy.source = source
        proxy.tags = {*proxy.tags, *(tags or ())}
    before = len(pool)
    for proxy in proxies:
        pool.add_proxy(proxy)
    added = len(pool) - before
    return added, len(proxies) - added


def image_of(path: str | os.PathLike[str], vault: Vault) -> Found:
    """As :func:`open_file`, where a list is distinguished from a saved pool without making proxies of it.

    Raises ``FileNotFoundError`` (there is no such file), ``ValueError`` (as :func:`load_pool`).
    """
    from proxywhirl.storage._reading import NotSavedError, load_into

    found = open_file(path, vault)
    if isinstance(found, _core.PoolImage) and not found.settings:
        try:
            load_into(found, _core.ProxyPool(max_pool_size=max(1, len(found))), vault, path)
        except NotSavedError as error:
            return _list_of(path, error)
    return found


def open_file(path: str | os.PathLike[str], vault: Vault, *, strict: bool = True) -> Found:
    """Read a file, whichever it is: a saved pool, or a list.

    Raises ``FileNotFoundError`` (there is no such file), ``ValueError`` (as :func:`load_pool`),
    ``cryptography.fernet.InvalidToken`` (it is encrypted with another key).
    """
    from proxywhirl.storage._reading import DamagedFileError, is_lines, read_file

    if not (_may_be_pool(path) or is_lines(Path(path))):
        return _list_of(path, None, strict=strict)
    parsed: _core.ParsedProxies | None = None
    if _is_packed(path):
        # Before all of it is unpacked at once: whether that is within bounds.
        parsed = _core.parse_proxy_file(path)
        if any("times its size" in bad.reason for bad in parsed.rejected[-1:]):
            raise DamagedFileError(f"{path} is not read: {parsed.rejected[-1].reason}")
    try:
        return read_file(path, vault)
    except DamagedFileError as error:
        parsed = parsed or _core.parse_proxy_file(path)
        # What is broken off or altered may be a saved pool: half of it must not pass for the whole.
        if any(_is_damage(bad.reason) for bad in parsed.rejected):
            raise
        if strict and not len(parsed):
            raise error from None
        return parsed


def _list_of(path: str | os.PathLike[str], error: Exception | None, *, strict: bool = True) -> _core.ParsedProxies:
    from proxywhirl.storage._reading import DamagedFileError

    parsed = _core.parse_proxy_file(path)
    if strict and not len(parsed):
        if error is not None:
            raise error
        if not parsed.lines or parsed.lines == parsed.blank:
            raise DamagedFileError(f"{path} is empty")
        bad = parsed.rejected[0]
        raise DamagedFileError(f"{path} holds no proxies; line {bad.line}: {bad.reason}")
    if parsed.rejected_count:
        bad = parsed.rejected[0]
        _log.warning("%d entries of %s can't be read; line %d: %s", parsed.rejected_count, path, bad.line, bad.reason)
    return parsed


def _is_damage(reason: str) -> bool:
    return "JSON" in reason or "gzip" in reason


def _is_packed(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _may_be_pool(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a saved pool does, packed or not."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(path) as unpacked:
                head = unpacked.read(_HEAD)
        except (OSError, EOFError, zlib.error):
            return True  # damaged, which is reported where it is read
    head = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(_POOLS) or not head
