"""Proxies in one JSON file."""

from __future__ import annotations

import os
from pathlib import Path

from proxywhirl import _core
from proxywhirl._base.event_loop import in_thread
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._reading import load_into, read_file
from proxywhirl.storage._vault import Vault

__all__ = ["FileStorage"]


class FileStorage:
    """Keeps a list of proxies in a file: a bare JSON list, or whatever else the suffix says.

    Each save replaces the file at once and for good: at every moment one whole list is there, and the one before it
    beside it as ``NAME.bak``. The mode is 0600. Other processes may use the same file; they take turns. Thread-safe.

    Args:
        filepath: The file: ``.json``, or ``.jsonl`` or ``.ndjson`` for JSON Lines, each with or without ``.gz``.
            Missing folders are made.
        encryption_key: A Fernet key to encrypt credentials with; by default that in ``PROXYWHIRL_KEY``. Without one
            they are saved in clear, and one warning says so.
    """

    def __init__(self, filepath: str | os.PathLike[str], encryption_key: str | bytes | None = None) -> None:
        self.filepath = Path(filepath)
        self._vault = Vault(encryption_key)
        self._file = PoolFile(self.filepath, self._vault, bare=True)

    def __repr__(self) -> str:
        return f"FileStorage({str(self.filepath)!r})"

    async def save(self, proxies: list[_core.Proxy]) -> None:
        """Keep these proxies instead of those kept before.

        Args:
            proxies: The proxies, with all that is known of them.

        Raises:
            OSError: The file cannot be written; what was kept before still is.
            ImportError: There is a key, and the extra ``security`` is not installed.
        """
        await in_thread(self._file.save, list(proxies))

    async def load(self) -> list[_core.Proxy]:
        """Return the proxies that were kept.

        Returns:
            New objects, in order.

        Raises:
            FileNotFoundError: Nothing has been saved yet.
            ValueError: The file is damaged; the message names the entry and quotes nothing.
            cryptography.fernet.InvalidToken: It is encrypted with another key.
        """
        return await in_thread(self._load)

    def _load(self) -> list[_core.Proxy]:
        image = read_file(self.filepath, self._vault)
        pool = _core.ProxyPool(max_pool_size=max(len(image), 1))
        load_into(image, pool, self._vault, self.filepath)
        return pool.get_all_proxies()

    async def clear(self) -> None:
        """Remove the file and its backup; nothing happens when there is none."""
        await in_thread(self._file.clear)
