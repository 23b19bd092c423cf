"""Writing proxies that a command has found to a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from proxywhirl.cli.errors import CommandError

if TYPE_CHECKING:
    from proxywhirl import Proxy

__all__ = ["write_proxies"]


def write_proxies(proxies: Iterable[Proxy], name: str) -> None:
    """Write a list that any tool can read, credentials included; only its owner may read the file.

    Args:
        proxies: The proxies.
        name: The file: ``.json`` and ``.jsonl`` (and either with ``.gz``) are written as pools, anything else as one URL
            per line.

    Raises:
        CommandError: It cannot be written.
    """
    from proxywhirl import ProxyPool
    from proxywhirl.storage._pool_file import PoolFile
    from proxywhirl.utils import atomic_write

    path = Path(name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if ".json" in suffixes or ".jsonl" in suffixes:
            pool = ProxyPool(name=path.stem, max_pool_size=2**31 - 1)
            for proxy in proxies:
                pool.add_proxy(proxy)
            PoolFile(path).save(pool)
            return
        text = "".join(f"{proxy.url}\n" for proxy in proxies).encode()
        atomic_write(path, gzip.compress(text) if suffixes[-1:] == [".gz"] else text, mode=0o600)
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror or error}") from error
