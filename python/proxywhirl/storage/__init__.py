"""Keeping proxies beyond the life of the process.

A storage has three coroutines: ``save(proxies)``, ``load()`` and ``clear()``. A rotator takes one as
``storage_backend=``, or the words ``"file"`` and ``"sqlite"`` with a ``storage_path``.
"""

from __future__ import annotations

from proxywhirl.models._protocols import ProxyStorage, StorageBackend
from proxywhirl.storage._reading import DamagedFileError
from proxywhirl.storage._vault import ClearTextWarning
from proxywhirl.storage.file import FileStorage
from proxywhirl.storage.memory import MemoryStorage

__all__ = [
    "ClearTextWarning",
    "DamagedFileError",
    "FileStorage",
    "MemoryStorage",
    "ProxyStorage",
    "StorageBackend",
]
