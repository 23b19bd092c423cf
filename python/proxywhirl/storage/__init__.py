"""Keeping proxies beyond the life of the process.

A storage has three coroutines: ``save(proxies)``, ``load()`` and ``clear()``. A rotator takes one as
``storage_backend=``, or the words ``"file"`` and ``"sqlite"`` with a ``storage_path``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl.models._protocols import ProxyStorage, StorageBackend
from proxywhirl.storage._reading import DamagedFileError
from proxywhirl.storage._vault import ClearTextWarning
from proxywhirl.storage.file import FileStorage
from proxywhirl.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from proxywhirl.storage.sql import SQLiteStorage

__all__ = [
    "ClearTextWarning",
    "DamagedFileError",
    "FileStorage",
    "MemoryStorage",
    "ProxyStorage",
    "SQLiteStorage",
    "StorageBackend",
]


def __getattr__(name: str) -> Any:
    # It needs an extra, and half a second to import.
    if name == "SQLiteStorage":
        from proxywhirl.storage.sql import SQLiteStorage

        globals()[name] = SQLiteStorage
        return SQLiteStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
