"""What one request has taught about proxies of the stored pool, kept for the next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.proxy_writer import save_pool
from proxywhirl.cli.stored_pool import StoredPool

if TYPE_CHECKING:
    from proxywhirl import ProxyPool

_PATIENCE = 2.0  # seconds; another command saves within milliseconds, and a check holds the lock for minutes


class Learned:
    """The stored pool in memory, as a request uses it.

    Args:
        path: The file of the pool.
        pool: Where its proxies go, with what is known of sites that have banned them.

    Raises ``OSError`` (it cannot be read), ``ValueError`` (it is no saved pool).
    """

    def __init__(self, path: Path, pool: ProxyPool) -> None:
        from proxywhirl.storage._autosave import FilePlace
        from proxywhirl.storage._vault import Vault

        self._path = path
        self._pool = pool
        self._version = _version(path)
        before = len(pool)
        FilePlace(path, Vault(None), atomic=True).load(pool)
        self.added = len(pool) - before
        """How many proxies it has."""
        self._started = {proxy.id: proxy.requests_started for proxy in pool}

    def keep(self, *, lock: bool = True) -> Optional[str]:
        """Save what was learned. The lock is held for the moment of saving only.

        Returns:
            Why it could not be saved; ``None`` if it was.
        """
        tried = [proxy for proxy in self._pool if proxy.requests_started != self._started.get(proxy.id)]
        if not tried:
            return None
        try:
            with _locked(self._path.parent, lock) as free:
                if not free:
                    return f"another command holds the lock: what was learned is not in {self._path}"
                if _version(self._path) == self._version:
                    save_pool(self._path, self._pool)
                    return None
                # Another command has saved meanwhile: of the proxies that were tried, what this one knows.
                stored = StoredPool(self._path)
                for proxy in tried:
                    if stored.pool.get_proxy_by_id(proxy.id) is not None:
                        stored.pool.update_proxy(proxy)
                stored.save()
        except CommandError as error:
            return str(error)
        except OSError as error:
            return f"{self._path} cannot be written: {error.strerror or error}"
        return None


@contextmanager
def _locked(folder: Path, wanted: bool) -> Iterator[bool]:
    """The lock of the commands; whether it was had in time."""
    from proxywhirl.utils import CLILock

    lock = CLILock(folder)
    end = time.monotonic() + _PATIENCE
    while wanted and not lock.try_acquire():
        if time.monotonic() > end:
            yield False
            return
        time.sleep(0.05)
    try:
        yield True
    finally:
        lock.release()


def _version(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
