"""Writing proxies that a command has found to a file."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

from proxywhirl._native.urls import client_url
from proxywhirl.cli.errors import CommandError

if TYPE_CHECKING:
    from proxywhirl import Proxy, ProxyPool


def write_proxies(proxies: Iterable[Proxy], name: str) -> None:
    """Write a list that any tool can read, credentials included; only its owner may read the file.

    Raises ``CommandError`` (it cannot be written).
    """
    from proxywhirl.utils import atomic_write

    path = Path(name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if not {".json", ".jsonl", ".ndjson"}.isdisjoint(suffixes[-2:]):
            save_pool(path, list(proxies))
            return
        text = "".join(f"{client_url(proxy)}\n" for proxy in proxies).encode()
        atomic_write(path, gzip.compress(text) if suffixes[-1:] == [".gz"] else text, mode=0o600)
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror or error}") from error


def save_pool(path: Path, proxies: Union[ProxyPool, list[Proxy]]) -> None:
    """Save proxies and what was learned; credentials are encrypted if there is a key in ``PROXYWHIRL_KEY``.

    Raises ``OSError`` (it cannot be written).
    """
    from proxywhirl.storage._pool_file import PoolFile
    from proxywhirl.storage._vault import ClearTextWarning, Vault

    with warnings.catch_warnings():
        # The user wants a file to use; help and documentation tell of the key.
        warnings.simplefilter("ignore", ClearTextWarning)
        PoolFile(path, Vault(), backup=False).save(proxies, name=path.name.split(".")[0] or "proxies")
