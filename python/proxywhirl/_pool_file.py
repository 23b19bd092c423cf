"""Reading a pool from a file of any documented layout."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from proxywhirl._core import ProxyPool

    P = TypeVar("P", bound=ProxyPool)
else:
    P = TypeVar("P")

__all__ = ["load_pool"]


def load_pool(cls: type[P], path: str | PathLike[str], lazy: bool = False) -> P:
    """Read a pool from a file.

    Args:
        cls: The class of the pool.
        path: A JSON file: an object with ``proxies``, a bare list of proxies, or one proxy per line. A proxy is an
            object with ``url``, or a URL.
        lazy: The native pool makes a Python object for a proxy when it is first asked for, so there is nothing left to
            put off; the argument is accepted for its users.

    Returns:
        The pool.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none of the layouts; the message names the line or entry.
    """
    text = Path(path).read_text(encoding="utf-8-sig")
    document = _parse(text, path)
    pool_name, settings, entries = _parts(document, path)
    pool = cls(
        name=pool_name,
        max_pool_size=max(int(settings.get("max_pool_size") or 100), len(entries), 1),
        auto_remove_dead=bool(settings.get("auto_remove_dead", False)),
    )
    plain = all(isinstance(entry, str) for entry in entries)
    if plain:
        pool.add_many(entries, source="file")
        return pool
    for number, entry in enumerate(entries, start=1):
        try:
            pool.add_proxy(_proxy(entry))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: entry {number} is not a proxy: {error}") from error
    return pool


def _parse(text: str, path: Any) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as whole:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if not lines:
            raise ValueError(f"{path} is empty") from None
        found = []
        for number, line in lines:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                if number == lines[0][0]:
                    raise ValueError(f"{path} is neither JSON nor JSON Lines: {whole}") from None
                raise ValueError(f"{path}: line {number} is not JSON") from None
        return found


def _parts(document: Any, path: Any) -> tuple[str, dict[str, Any], list[Any]]:
    if isinstance(document, dict) and "proxies" in document:
        settings = document.get("config")
        entries = document["proxies"]
        if isinstance(entries, list):
            return str(document.get("pool_name") or "default"), settings if isinstance(settings, dict) else {}, entries
    elif isinstance(document, dict) and "url" in document:
        return "default", {}, [document]
    elif isinstance(document, list):
        return "default", {}, document
    raise ValueError(f"{path} holds neither a list of proxies nor an object with one under 'proxies'")


def _proxy(entry: Any) -> Any:
    from proxywhirl._core import Proxy

    if isinstance(entry, str):
        return Proxy(url=entry, source="file")
    if not isinstance(entry, dict):
        raise TypeError("it must be an object with a url, or a URL")
    return Proxy(**{"source": "file", **entry})
