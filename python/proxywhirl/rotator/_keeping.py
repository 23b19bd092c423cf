"""What a rotator keeps beyond the life of its process: loading, saving, and saving in the background."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, Union

from proxywhirl import _core
from proxywhirl._redact import shown

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl._selection import Chooser
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.models import ProxyStorage
    from proxywhirl.storage._autosave import Autosave, Place
    from proxywhirl.storage._vault import Vault

__all__ = ["KeepingPart", "StorageLike"]

StorageLike = Union[str, "ProxyStorage", None]
"""``"memory"``, ``"file"``, ``"sqlite"``, or a storage."""

_log = logging.getLogger("proxywhirl.storage")


class KeepingPart:
    """The part of a rotator that loads and saves its pool."""

    _chooser: Chooser
    config: ProxyConfiguration
    _watch: Any

    # No keeper until something is to be kept: most rotators never save, and need not import what that takes.
    _autosave: Autosave | None = None
    _encryption_key: str | bytes | None = None
    _atomic_writes = True
    _geo_database: str | os.PathLike[str] | None = None

    def _load_list(self, parsed: _core.ParsedProxies) -> None:
        """Add the proxies of a list that has been read."""
        raise NotImplementedError

    def _init_keeping(
        self,
        *,
        storage_backend: StorageLike = None,
        storage_path: str | os.PathLike[str] | None = None,
        auto_save_interval: float | None = None,
        atomic_writes: bool = True,
        encryption_key: str | bytes | None = None,
        geo_database: str | os.PathLike[str] | None = None,
    ) -> None:
        self._encryption_key = encryption_key
        self._atomic_writes = atomic_writes
        self._geo_database = geo_database
        if auto_save_interval is not None and not auto_save_interval > 0:
            raise ValueError(f"auto_save_interval must be positive, not {shown(auto_save_interval)}")
        backend: Any = self.config.storage_backend if storage_backend is None else storage_backend
        path = self.config.storage_path if storage_path is None else storage_path
        if storage_backend is None and storage_path is not None and backend == "memory":
            backend = "file"
        if backend == "memory":
            if auto_save_interval is not None:
                raise ValueError("auto_save_interval needs a storage: give storage_backend= and storage_path=")
        else:
            place = self._place(backend, path)
            self._autosave = self._make_keeper(place, auto_save_interval)
            if _is_local(backend, path):
                self._autosave.load()
        if geo_database is not None:
            self._locate()

    def _place(self, backend: Any, path: str | os.PathLike[str] | None) -> Place:
        from proxywhirl.storage._autosave import FilePlace, ForeignPlace

        if isinstance(backend, str):
            if backend not in ("file", "sqlite"):
                names = "'memory', 'file', 'sqlite' or a storage"
                raise ValueError(f"storage_backend must be {names}, not {shown(backend)}")
            if path is None:
                raise ValueError(f"storage_path required when storage_backend is {shown(backend)}")
            if backend == "file":
                return FilePlace(path, self._vault(), atomic=self._atomic_writes)
            from proxywhirl.storage.sql import SQLiteStorage

            return SQLiteStorage(path, use_async_driver=False, encryption_key=self._encryption_key)._place()
        from proxywhirl.models import ProxyStorage

        if hasattr(backend, "_place"):
            own: Place = backend._place()
            return own
        if not isinstance(backend, ProxyStorage):
            raise TypeError(
                f"storage_backend must be a name or have save(), load() and clear(), not {type(backend).__name__}"
            )
        return ForeignPlace(backend)

    def _vault(self) -> Vault:
        from proxywhirl.storage._vault import Vault

        return Vault(self._encryption_key)

    def _make_keeper(self, place: Place | None, interval: float | None) -> Autosave:
        from proxywhirl.storage._autosave import Autosave

        keeper = Autosave(
            self._chooser,
            place,
            self._vault(),
            interval=interval,
            atomic=self._atomic_writes,
            profile=getattr(self._watch, "profile", None),
        )
        if interval is not None:
            # Nobody who forgets to close a rotator is to lose what it has learned, or to keep its thread.
            weakref.finalize(self, keeper.stop_soon).atexit = False
        return keeper

    def _keeping(self) -> Autosave:
        """The keeper, made if there is none yet."""
        if self._autosave is None:
            self._autosave = self._make_keeper(None, None)
        return self._autosave

    def _prepare_sources(self, deadline: float | None = None) -> None:
        self._begin_keeping()
        super()._prepare_sources(deadline)  # type: ignore[misc, unused-ignore]

    async def _astock(self, deadline: float | None = None) -> None:
        if self._autosave is not None:
            await self._begin_keeping_async()
        await super()._astock(deadline)  # type: ignore[misc]

    def _begin_keeping(self) -> None:
        """Called before requests: loads what has not been loaded, starts what runs in the background."""
        keeper = self._autosave
        if keeper is not None:
            if not keeper.loaded:
                keeper.load()
                self._locate()
            keeper.begin()

    async def _begin_keeping_async(self) -> None:
        keeper = self._autosave
        if keeper is not None:
            if not keeper.loaded:
                await self._load_async(keeper)
                self._locate()
            keeper.begin()

    async def _load_async(self, keeper: Autosave) -> int:
        import asyncio

        from proxywhirl.storage._autosave import ForeignPlace

        if isinstance(keeper.place, ForeignPlace) and not keeper.loaded:
            keeper.loaded = True
            try:
                return await keeper.place.aload(keeper.pool)
            except BaseException:
                keeper.loaded = False
                raise
        return await asyncio.to_thread(keeper.load)

    async def _save_async(self, path: Any, *, credentials: bool, learned: bool) -> None:
        import asyncio
        import time

        from proxywhirl.storage._autosave import ForeignPlace

        keeper = self._keeping()
        if path is None and isinstance(keeper.place, ForeignPlace):
            await self._load_async(keeper)
            started = time.perf_counter()
            await keeper.place.asave(keeper.pool, credentials)
            keeper.note((time.perf_counter() - started) * 1000.0)
        else:
            await asyncio.to_thread(keeper.save, path, credentials=credentials, learned=learned)

    def _end_keeping(self) -> None:
        if self._autosave is not None:
            self._autosave.stop()

    async def _end_keeping_async(self) -> None:
        import asyncio

        if self._autosave is not None and self._autosave.place is not None:
            await asyncio.to_thread(self._autosave.stop)

    def _locate(self, proxies: list[_core.Proxy] | None = None) -> None:
        """Find the countries of proxies, or of all, that have none, if a database was given."""
        if self._geo_database is not None:
            from proxywhirl.geo import locate

            locate(self._chooser.pool if proxies is None else proxies, self._geo_database)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """Make a rotator from a file that :meth:`save` wrote, or from a list in any form that can be recognised.

        Health, counters and averages are as they were saved, and ``save()`` without a path saves to the same file. A
        list is only read.

        Args:
            path: The file.
            **options: Arguments of the constructor, which win over what the file says. Its strategy is used by default.

        Returns:
            The rotator.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or in no documented form; the message quotes nothing.
            cryptography.fernet.InvalidToken: It is encrypted with another key.
        """
        from pathlib import Path

        from proxywhirl.storage._autosave import FilePlace
        from proxywhirl.storage._open import image_of
        from proxywhirl.storage._reading import settings_of
        from proxywhirl.storage._vault import Vault
        from proxywhirl.strategies._registry import resolve

        vault = Vault(options.get("encryption_key"))
        found = image_of(path, vault)
        if isinstance(found, _core.ParsedProxies):
            # A list is read, and not written over by `save()`.
            rotator = cls(**options)
            rotator._load_list(found)
            return rotator
        image = found
        named = settings_of(image).get("strategy")
        if named and options.get("strategy") is None and options.get("config") is None:
            try:
                resolve(named)
            except (TypeError, ValueError):
                _log.warning("%s names the strategy %r, which is not known here; the default is used", path, named)
            else:
                options["strategy"] = named
        elsewhere = "storage_backend" in options or "storage_path" in options
        interval = options.pop("auto_save_interval", None) if not elsewhere else None
        rotator = cls(**options)
        FilePlace(path, vault, atomic=True).load(rotator._chooser.pool, image)
        if not elsewhere:
            if interval is not None and not interval > 0:
                raise ValueError(f"auto_save_interval must be positive, not {shown(interval)}")
            place = FilePlace(Path(path), rotator._vault(), atomic=rotator._atomic_writes)
            rotator._autosave = rotator._make_keeper(place, interval)
            rotator._autosave.loaded = True
        rotator._locate()
        return rotator


def _is_local(backend: Any, path: Any) -> bool:
    """Whether loading reads a file of this machine and nothing else, which a constructor may do."""
    return isinstance(backend, str) and "://" not in str(path)
