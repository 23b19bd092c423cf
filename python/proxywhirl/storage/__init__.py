"""Keeping proxies beyond the life of the process.

A storage has three coroutines: ``save(proxies)``, ``load()`` and ``clear()``. A rotator takes one as
``storage_backend=``, or the words ``"file"`` and ``"sqlite"`` with a ``storage_path``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._base.exports import on_first_use
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

# It needs an extra, and half a second to import.
__getattr__, __dir__ = on_first_use(__name__, {"proxywhirl.storage.sql": "SQLiteStorage"})
