"""What keeps a rotator's pool: loads it, saves it, and saves it again in the background."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from proxywhirl._base.event_loop import run_to_end
from proxywhirl._base.fork import new_lock
from proxywhirl.storage._extras import How
from proxywhirl.storage._pool_file import PoolFile, Saved
from proxywhirl.storage._reading import load_into, read_file, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from proxywhirl import _core
    from proxywhirl._httpx.selection import Chooser
    from proxywhirl.models import ProxyStorage
    from proxywhirl.rotator._profile import Profile
    from proxywhirl.storage._vault import Vault

_log = logging.getLogger("proxywhirl.storage")


class Place(Protocol):
    """Where a pool is kept."""

    def save(self, pool: _core.ProxyPool, settings: dict[str, Any], how: How) -> Saved:
        """Save the pool."""

    def load(self, pool: _core.ProxyPool) -> int:
        """Add what is kept to the pool; how many proxies that were."""

    def close(self) -> None:
        """Let go of connections; a further call opens new ones."""


class FilePlace:
    """A file, in the documented layout or as JSON Lines."""

    def __init__(self, path: str | os.PathLike[str], vault: Vault, *, atomic: bool) -> None:
        self.path = path
        self._vault = vault
        self._file = PoolFile(path, vault, atomic=atomic)

    def save(self, pool: _core.ProxyPool, settings: dict[str, Any], how: How) -> Saved:
        """See :class:`Place`."""
        return self._file.save(pool, name=pool.name, settings=settings, **how._asdict())

    def close(self) -> None:
        """See :class:`Place`; nothing is kept open."""

    def load(self, pool: _core.ProxyPool, image: _core.PoolImage | None = None) -> int:
        """See :class:`Place`; nothing happens when the file does not exist yet."""
        if image is None:
            try:
                image = read_file(self.path, self._vault)
            except FileNotFoundError:
                return 0
        if settings_of(image).get("auto_remove_dead"):
            pool.auto_remove_dead = True
        return load_into(image, pool, self._vault, self.path, merge=True)[0]


class ForeignPlace:
    """A storage of the user's own, whose methods are coroutines."""

    def __init__(self, storage: ProxyStorage) -> None:
        self.storage = storage

    def save(self, pool: _core.ProxyPool, settings: dict[str, Any], how: How) -> Saved:
        """See :class:`Place`."""
        del settings
        run_to_end(self.storage.save(self.proxies(pool, how.credentials)))
        return Saved(len(pool), len(pool), 0, True)

    def load(self, pool: _core.ProxyPool) -> int:
        """See :class:`Place`."""
        return self.add(pool, run_to_end(self.storage.load()))

    def close(self) -> None:
        """See :class:`Place`; the maker of the storage closes it."""

    async def asave(self, pool: _core.ProxyPool, credentials: bool) -> None:
        """Save in the running event loop, which the storage may be bound to."""
        await self.storage.save(self.proxies(pool, credentials))

    async def aload(self, pool: _core.ProxyPool) -> int:
        """Load in the running event loop."""
        return self.add(pool, await self.storage.load())

    @staticmethod
    def proxies(pool: _core.ProxyPool, credentials: bool) -> list[_core.Proxy]:
        """What is handed to the storage."""
        if not credentials:
            raise ValueError("a storage of your own gets proxies as they are: include_credentials=False is for files")
        return pool.get_all_proxies()

    @staticmethod
    def add(pool: _core.ProxyPool, proxies: list[_core.Proxy]) -> int:
        """Add what was loaded."""
        before = len(pool)
        for proxy in proxies:
            pool.add_proxy(proxy)
        return len(pool) - before


class Autosave:
    """Loads a pool from a place and saves it there. Knows the pool, not the rotator, which it must not keep alive.

    Args:
        chooser: Has the pool, and the strategy whose name is saved.
        place: Where the pool is kept; ``None`` for nowhere in particular.
        vault: Encrypts what is saved elsewhere.
        interval: Seconds between two saves in the background; ``None`` for none.
        learned: Whether such saves include health, counters and averages.
        atomic: Whether files are written whole and at once.
        profile: Called with the duration of each save.
    """

    def __init__(
        self,
        chooser: Chooser,
        place: Place | None,
        vault: Vault,
        *,
        interval: float | None = None,
        learned: bool = True,
        atomic: bool = True,
        profile: Profile | None = None,
    ) -> None:
        self._chooser = chooser
        self.place = place
        self.vault = vault
        self.interval = interval
        self._learned = learned
        self._atomic = atomic
        self._profile = profile
        self.loaded = place is None
        self._loading = new_lock()
        self._lock = new_lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said = False
        # A fork's child has the same file and another pool: it saves when asked, not by itself.
        self._pid = os.getpid()

    @property
    def pool(self) -> _core.ProxyPool:
        """The pool that is kept."""
        return self._chooser.pool

    def load(self) -> int:
        """Load what is kept, once; how many proxies were added."""
        with self._loading:
            if self.loaded or self.place is None:
                return 0
            added = self.place.load(self.pool)
            self.loaded = True
            return added

    def save(self, path: str | Path | os.PathLike[str] | None = None, **how: bool) -> Saved:
        """Save the pool to its place, or to a file; ``how`` is a :class:`How`."""
        place: Place | None = self.place
        if path is not None:
            place = FilePlace(path, self.vault, atomic=self._atomic)
        if place is None:
            raise ValueError("storage_path required: give save() a path, or the rotator a storage_path")
        if place is self.place:
            # What is kept and was never looked at must not be overwritten.
            self.load()
        started = time.perf_counter()
        done = place.save(self.pool, self.settings(), How(**how))
        self.note((time.perf_counter() - started) * 1000.0)
        return done

    def note(self, ms: float) -> None:
        """Tell the profile how long a save took."""
        if self._profile is not None:
            self._profile.add("storage_save", ms)

    def settings(self) -> dict[str, Any]:
        """The ``config`` of the documented layout."""
        pool = self.pool
        return {
            "strategy": _name_of(self._chooser.strategy),
            "max_pool_size": pool.max_pool_size,
            "auto_remove_dead": pool.auto_remove_dead,
        }

    # In the background.

    def begin(self) -> None:
        """Start saving in the background, if that is wanted and not under way. Costs little when it is."""
        if self.interval is None:
            return
        if os.getpid() != self._pid:
            self._say_that_it_is_off()
            return
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._stop = threading.Event()
                thread = threading.Thread(
                    target=self._work, args=(self._stop, self.interval), name="proxywhirl-auto-save", daemon=True
                )
                _running.add(self)
                thread.start()
                self._thread = thread

    def _say_that_it_is_off(self) -> None:
        if not self._said:
            self._said = True
            _log.warning(
                "auto_save_interval is off in process %d, which was forked from %d: both have one file, and each would "
                "overwrite what the other saved. Make the rotator after the fork, with a file of its own, or call "
                "save()",
                os.getpid(),
                self._pid,
            )

    def _work(self, stop: threading.Event, interval: float) -> None:
        while not stop.wait(interval):
            self._save_quietly()
        self._save_quietly()
        self._close_place()

    def _close_place(self) -> None:
        if self.place is not None:
            self.place.close()

    def _save_quietly(self) -> None:
        try:
            self.save(learned=self._learned, only_changed=True, gentle=True)
        except Exception:  # noqa: BLE001
            _log.exception("the pool could not be saved; it will be tried again")

    def stop_soon(self) -> None:
        """Let the thread save once more and end; for when no caller is left to wait for it."""
        self._stop.set()

    def stop(self) -> None:
        """End the thread after a last save, or save here if there is none. Never raises what the save does."""
        with self._lock:
            thread, self._thread = self._thread, None
        if os.getpid() != self._pid:
            return
        if thread is not None:
            self._stop.set()
            thread.join()
            return
        if self.interval is not None:
            self._save_quietly()
        self._close_place()


_running: weakref.WeakSet[Autosave] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """A last save of every rotator that was not closed."""
    for autosave in list(_running):
        if autosave._thread is not None:
            autosave.stop()


def _name_of(strategy: Any) -> str | None:
    """The name a strategy can be made by; ``None`` if it takes more than a name."""
    from proxywhirl.strategies._registry import _BUILTIN_CLASSES, StrategyRegistry

    for name, made in _BUILTIN_CLASSES.items():
        if type(strategy) is made:
            return None if name == "composite" else name
    own = type(getattr(strategy, "user", strategy))
    registry = StrategyRegistry()
    return next((name for name in registry.list_strategies() if registry.get_strategy(name) is own), None)
