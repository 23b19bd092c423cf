"""What a rotator keeps beyond the life of its process: loading, saving, and saving in the background."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, Union

from proxywhirl import _core
from proxywhirl._base.event_loop import in_thread
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.models import ProxyStorage
    from proxywhirl.storage._autosave import Autosave, Place
    from proxywhirl.storage._vault import Vault

StorageLike = Union[str, "ProxyStorage", None]
"""``"memory"``, ``"file"``, ``"sqlite"``, or a storage."""

_log = logging.getLogger("proxywhirl.storage")


class Keeping:
    """Loads and saves the pool of one rotator."""

    def __init__(
        self,
        chooser: Chooser,
        profile: Any,
        *,
        atomic: bool,
        encryption_key: str | bytes | None,
        geo_database: str | os.PathLike[str] | None,
    ) -> None:
        self._chooser = chooser
        self._profile = profile
        self._atomic = atomic
        self.encryption_key = encryption_key
        self._geo_database = geo_database
        # None until something is to be kept: most rotators never save, and need not import what that takes.
        self.autosave: Autosave | None = None
        """What loads and saves, if there is a place for it."""

    def open(
        self,
        config: ProxyConfiguration,
        backend: StorageLike,
        path: str | os.PathLike[str] | None,
        interval: float | None,
    ) -> None:
        """Take a storage into use; a local file is loaded at once.

        Args:
            config: What to use if neither backend nor path is given.
            backend: The storage.
            path: Its file or address.
            interval: Seconds between two saves in the background.

        Raises:
            ValueError: An argument that does not fit the others.
            TypeError: ``backend`` is no storage.
        """
        if interval is not None and not interval > 0:
            raise ValueError(f"auto_save_interval must be positive, not {shown(interval)}")
        chosen: Any = config.storage_backend if backend is None else backend
        if backend is None and path is not None and chosen == "memory":
            chosen = "file"
        path = config.storage_path if path is None else path
        if chosen == "memory":
            if interval is not None:
                raise ValueError("auto_save_interval needs a storage: give storage_backend= and storage_path=")
        else:
            self.autosave = self._make_autosave(self._place(chosen, path), interval)
            # Loading reads a file of this machine and nothing else, which a constructor may do.
            if isinstance(chosen, str) and "://" not in str(path):
                self.autosave.load()
        self.locate()

    def restore(
        self, path: str | os.PathLike[str], image: _core.PoolImage, *, adopt: bool, interval: float | None
    ) -> None:
        """Load a saved pool.

        Args:
            path: The file it was read from.
            image: The pool.
            adopt: Whether it is saved to the same file from now on.
            interval: Seconds between two saves in the background.

        Raises:
            ValueError: ``interval`` is not positive.
        """
        from pathlib import Path

        from proxywhirl.storage._autosave import FilePlace

        FilePlace(path, self._vault(), atomic=True).load(self._chooser.pool, image)
        if adopt:
            if interval is not None and not interval > 0:
                raise ValueError(f"auto_save_interval must be positive, not {shown(interval)}")
            place = FilePlace(Path(path), self._vault(), atomic=self._atomic)
            self.autosave = self._make_autosave(place, interval)
            self.autosave.loaded = True
        self.locate()

    def _place(self, backend: Any, path: str | os.PathLike[str] | None) -> Place:
        from proxywhirl.storage._autosave import FilePlace, ForeignPlace

        if isinstance(backend, str):
            if backend not in ("file", "sqlite"):
                names = "'memory', 'file', 'sqlite' or a storage"
                raise ValueError(f"storage_backend must be {names}, not {shown(backend)}")
            if path is None:
                raise ValueError(f"storage_path required when storage_backend is {shown(backend)}")
            if backend == "file":
                return FilePlace(path, self._vault(), atomic=self._atomic)
            from proxywhirl.storage.sql import SQLiteStorage

            return SQLiteStorage(path, use_async_driver=False, encryption_key=self.encryption_key)._place()
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

        return Vault(self.encryption_key)

    def _make_autosave(self, place: Place | None, interval: float | None) -> Autosave:
        from proxywhirl.storage._autosave import Autosave

        autosave = Autosave(
            self._chooser, place, self._vault(), interval=interval, atomic=self._atomic, profile=self._profile
        )
        if interval is not None:
            # A rotator that is forgotten must not lose what it has learned, nor keep its thread.
            weakref.finalize(self, autosave.stop_soon).atexit = False
        return autosave

    def made(self) -> Autosave:
        """What loads and saves, made without a place of its own if there is none yet."""
        if self.autosave is None:
            self.autosave = self._make_autosave(None, None)
        return self.autosave

    def begin(self) -> None:
        """Load what has not been loaded, and start what runs in the background; called before requests."""
        autosave = self.autosave
        if autosave is not None:
            if not autosave.loaded:
                autosave.load()
                self.locate()
            autosave.begin()

    async def begin_async(self) -> None:
        """As :meth:`begin`, without blocking the loop."""
        autosave = self.autosave
        if autosave is not None:
            if not autosave.loaded:
                await self.load_async()
            autosave.begin()

    def load(self) -> int:
        """Load what the storage keeps, if that has not been done; how many proxies were added."""
        added = self.made().load()
        self.locate()
        return added

    async def load_async(self) -> int:
        """As :meth:`load`, without blocking the loop."""
        added = await self._load_async(self.made())
        self.locate()
        return added

    async def _load_async(self, autosave: Autosave) -> int:
        from proxywhirl.storage._autosave import ForeignPlace

        if isinstance(autosave.place, ForeignPlace) and not autosave.loaded:
            autosave.loaded = True
            try:
                return await autosave.place.aload(autosave.pool)
            except BaseException:
                autosave.loaded = False
                raise
        return await in_thread(autosave.load)

    async def save_async(self, path: Any, *, credentials: bool, learned: bool) -> None:
        """As ``made().save``, without blocking the loop."""
        import time

        from proxywhirl.storage._autosave import ForeignPlace

        autosave = self.made()
        if path is None and isinstance(autosave.place, ForeignPlace):
            await self._load_async(autosave)
            started = time.perf_counter()
            await autosave.place.asave(autosave.pool, credentials)
            autosave.note((time.perf_counter() - started) * 1000.0)
        else:
            await in_thread(autosave.save, path, credentials=credentials, learned=learned)

    def end(self) -> None:
        """Save a last time, and end what runs in the background."""
        if self.autosave is not None:
            self.autosave.stop()

    async def end_async(self) -> None:
        """As :meth:`end`, without blocking the loop."""
        if self.autosave is not None and self.autosave.place is not None:
            await in_thread(self.autosave.stop)

    def locate(self, proxies: list[_core.Proxy] | None = None) -> None:
        """Find the countries of proxies, or of all, that have none, if a database was given."""
        if self._geo_database is not None:
            from proxywhirl.geo import locate

            locate(self._chooser.pool if proxies is None else proxies, self._geo_database)


def open_file(
    path: str | os.PathLike[str], options: dict[str, Any]
) -> tuple[_core.ParsedProxies | _core.PoolImage, dict[str, Any]]:
    """Read the file that a rotator is to be made from."""
    from proxywhirl.storage._open import image_of
    from proxywhirl.storage._reading import settings_of
    from proxywhirl.storage._vault import Vault
    from proxywhirl.strategies._registry import resolve

    found = image_of(path, Vault(options.get("encryption_key")))
    if isinstance(found, _core.ParsedProxies):
        return found, options
    named = settings_of(found).get("strategy")
    if named and options.get("strategy") is None and options.get("config") is None:
        try:
            resolve(named)
        except (TypeError, ValueError):
            _log.warning("%s names the strategy %r, which is not known here; the default is used", path, named)
        else:
            options = {**options, "strategy": named}
    return found, options
