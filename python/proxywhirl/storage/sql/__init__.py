"""Proxies in a database: SQLite, or a PostgreSQL server. Needs the extra ``storage``."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.crypto import KEY_VARIABLE
from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import redact_url
from proxywhirl.storage._extras import How, with_secrets
from proxywhirl.storage._pool_file import Saved
from proxywhirl.storage._reading import load_into
from proxywhirl.storage._vault import Vault

if TYPE_CHECKING:
    from proxywhirl.storage._vault import Source

try:
    from proxywhirl.storage.sql import _work
    from proxywhirl.storage.sql._engine import Engines
except ModuleNotFoundError as error:
    raise ImportError("SQLiteStorage needs an extra: pip install 'proxywhirl-rs[storage]'") from error

__all__ = ["SQLiteStorage"]

_HOUR = 3600.0
_DAY = 24 * _HOUR
_ALL = How()
# Lets a thread that waits for the interpreter have it.
_PAUSE = 0.0002


class SQLiteStorage:
    """Keeps proxies in an SQLite file of mode 0600, or in a PostgreSQL database, with all that is known of them.

    Credentials are never part of a key. They are encrypted with ``encryption_key``, else with the key in
    ``PROXYWHIRL_CACHE_ENCRYPTION_KEY`` or ``PROXYWHIRL_KEY``; without any they are stored in clear, and one warning
    says so. A key in ``PROXYWHIRL_CACHE_KEY_PREVIOUS`` still decrypts. Several processes may use one database; every
    method is one transaction. May be used from any thread and any event loop.

    Args:
        filepath: A file, ``":memory:"``, or a URL such as ``postgresql://user@host/database``.
        use_async_driver: Whether an asynchronous driver is used (aiosqlite, psycopg); otherwise threads are.
        pool_size: Connections kept open. SQLite under the asynchronous driver keeps none.
        pool_max_overflow: Connections beyond those.
        pool_timeout: Seconds to wait for a connection.
        pool_recycle: Seconds after which a connection is replaced.
        encryption_key: A Fernet key.

    Raises:
        ValueError: A URL of another kind of database.
        ImportError: The extra is not installed.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        use_async_driver: bool = True,
        pool_size: int = 5,
        pool_max_overflow: int = 10,
        pool_timeout: float = 30.0,
        pool_recycle: int = 3600,
        *,
        encryption_key: str | bytes | None = None,
    ) -> None:
        pool = {
            "pool_size": pool_size,
            "max_overflow": pool_max_overflow,
            "pool_timeout": pool_timeout,
            "pool_recycle": pool_recycle,
        }
        self.filepath = filepath
        self._engines = Engines(filepath, use_async_driver, pool)
        self._vault = Vault(
            encryption_key, ("PROXYWHIRL_CACHE_ENCRYPTION_KEY", KEY_VARIABLE), "PROXYWHIRL_CACHE_KEY_PREVIOUS"
        )

    def __repr__(self) -> str:
        return f"SQLiteStorage({redact_url(str(self.filepath))!r})"

    async def initialize(self) -> None:
        """Make the tables, if they are not there; every other method does so by itself.

        Raises:
            ProxyStorageError: The database cannot be reached, or has other tables of these names, which stay.
        """
        await self._engines.run_async(_nothing)

    async def close(self) -> None:
        """Close all connections; a further call opens new ones."""
        await self._engines.close()

    async def __aenter__(self) -> SQLiteStorage:
        await self.initialize()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def save(self, proxies: list[_core.Proxy], validated: bool = False) -> None:
        """Keep these proxies, beside those kept before: new ones are inserted, known ones updated.

        Args:
            proxies: The proxies, with all that is known of them.
            validated: Whether they have just been checked and found to work.

        Raises:
            ProxyStorageError: The database failed; what was kept before still is.
        """
        await self._put(proxies, validated=validated)

    async def replace(self, proxies: list[_core.Proxy], validated: bool = False) -> None:
        """Keep these proxies instead of those kept before.

        Args:
            proxies: The proxies, with all that is known of them; none of them deletes everything.
            validated: Whether they have just been checked and found to work.

        Raises:
            ProxyStorageError: The database failed; what was kept before still is.
        """
        await self._put(proxies, replace=True, validated=validated)

    async def add_proxy(self, proxy: _core.Proxy) -> bool:
        """Add a proxy; whether it was new. One that is there stays as it is."""
        return (await self._put([proxy], only_new=True))[0] == 1

    async def add_proxies_batch(self, proxies: list[_core.Proxy], validated: bool = False) -> tuple[int, int]:
        """Add proxies.

        Args:
            proxies: The proxies.
            validated: Whether they have just been checked and found to work.

        Returns:
            How many were new, and how many were there and stayed as they are.
        """
        return await self._put(proxies, only_new=True, validated=validated)

    async def _put(self, proxies: list[_core.Proxy], **how: Any) -> tuple[int, int]:
        unique = {proxy.id: proxy for proxy in proxies}
        records = await asyncio.to_thread(self._records, list(unique.values()))
        done: tuple[int, int] = await self._engines.run_async(_put, records, self._vault.open, how)
        return done[0], done[1] + len(proxies) - len(unique)

    async def delete(self, proxy_url: str) -> bool:
        """Delete the proxies of an address; whether there were any.

        Args:
            proxy_url: The address. With credentials in it, only the proxy that has these.
        """
        gone: bool = await self._engines.run_async(_work.delete, proxy_url, self._vault.open)
        return gone

    async def clear(self) -> None:
        """Delete everything."""
        await self._engines.run_async(_work.clear)

    async def load(self) -> list[_core.Proxy]:
        """Return the proxies that are kept, in order; new objects.

        Raises:
            ProxyStorageError: The database failed.
            cryptography.fernet.InvalidToken: Credentials are encrypted with another key.
        """
        return await self._find()

    async def load_validated(self, max_age_hours: float = 48) -> list[_core.Proxy]:
        """Return the proxies that worked when they were checked, within that many hours."""
        return await self.get_healthy_proxies(max_age_hours)

    async def query(self, **filters: Any) -> list[_core.Proxy]:
        """Return the proxies that meet all filters.

        Args:
            **filters: ``source``, ``health_status``, ``protocol``, ``country_code``, ``region``, ``host``.

        Raises:
            ValueError: There is no such filter.
        """
        unknown = set(filters) - {"source", "health_status", "protocol", "country_code", "region", "host"}
        if unknown:
            raise ValueError(f"no such filter: {', '.join(sorted(unknown))}")
        return await self._find(**filters)

    async def get_proxies_by_status(self, status: str) -> list[_core.Proxy]:
        """Return the proxies of that health."""
        return await self._find(health_status=status)

    async def get_healthy_proxies(
        self,
        max_age_hours: float = 48,
        protocol: str | None = None,
        country_code: str | None = None,
        limit: int | None = None,
    ) -> list[_core.Proxy]:
        """Return proxies that worked when they were checked.

        Args:
            max_age_hours: How long ago that may be.
            protocol: Only those of this protocol.
            country_code: Only those in this country.
            limit: Most proxies.
        """
        return await self._find(
            validated_since=time.time() - max_age_hours * _HOUR,
            limit=limit,
            health_status="healthy",
            protocol=protocol,
            country_code=country_code,
        )

    async def _find(self, **filters: Any) -> list[_core.Proxy]:
        records: list[str] = await self._engines.run_async(_find, filters, reads=True)
        return await asyncio.to_thread(self._proxies, records)

    async def record_validation(
        self,
        proxy_url: str,
        is_valid: bool,
        response_time_ms: float | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
    ) -> None:
        """Record the result of a check. A success makes a proxy healthy, a failure unhealthy, the third in a row dead.

        Args:
            proxy_url: The address; one that is not there is passed over.
            is_valid: Whether it worked.
            response_time_ms: How long it took, in milliseconds; averaged with a weight of 0.2.
            error_type: What kind of failure.
            error_message: Its text; credentials in it are masked.
        """
        result = (proxy_url, is_valid, response_time_ms, error_type, error_message)
        await self._engines.run_async(_work.validate, [result], self._vault.open)

    async def record_validations_batch(self, results: list[tuple[str, bool, float | None, str | None]]) -> int:
        """Record results of checks: address, whether it worked, milliseconds, kind of failure.

        Returns:
            How many were of proxies that are there.
        """
        whole = [(*result, None) for result in results]
        done: int = await self._engines.run_async(_work.validate, whole, self._vault.open)
        return done

    async def cleanup(
        self,
        remove_dead: bool = True,
        remove_stale_days: float | None = 7,
        remove_never_validated: bool = True,
        vacuum: bool = True,
    ) -> dict[str, int]:
        """Delete proxies that are of no use.

        Args:
            remove_dead: Those that are dead.
            remove_stale_days: Those last checked that many days ago, or earlier; ``None`` for none.
            remove_never_validated: Those never checked.
            vacuum: Whether the room is given back to the system.

        Returns:
            How many went, as ``dead``, ``stale`` and ``never_validated``.
        """
        before = None if remove_stale_days is None else time.time() - remove_stale_days * _DAY
        counts: dict[str, int] = await self._engines.run_async(_work.clean, remove_dead, before, remove_never_validated)
        if vacuum and self._engines.is_sqlite:
            await asyncio.to_thread(self._engines.vacuum)
        return counts

    async def get_stats(self) -> dict[str, Any]:
        """Counts: ``total_proxies``, ``by_status``, ``by_source``, ``by_protocol``, ``total_validations``."""
        counts: dict[str, Any] = await self._engines.run_async(_work.stats, reads=True)
        return counts

    # Records and proxies.

    def _records(self, source: Source, how: How = _ALL, marks: _core.SaveMarks | None = None) -> list[str]:
        if how.credentials and self._vault.key is None and _core.has_credentials(source):
            self._vault.warn_of_clear_text(repr(self), gentle=how.gentle)

        def write(sealed: _core.SealedTexts | None, extras: _core.SaveExtras) -> list[str] | None:
            return _core.records_of(
                source,
                credentials=how.credentials,
                learned=how.learned,
                sealed=sealed,
                extras=extras,
                marks=marks,
                only_changed=how.only_changed,
            )

        return with_secrets(source, self._vault, write, how)

    def _image(self, records: list[str]) -> _core.PoolImage:
        return _core.PoolImage(f"[{','.join(records)}]".encode())

    def _proxies(self, records: list[str]) -> list[_core.Proxy]:
        pool = _core.ProxyPool(max_pool_size=max(len(records), 1))
        load_into(self._image(records), pool, self._vault, repr(self))
        return pool.get_all_proxies()

    def _place(self) -> _SqlPlace:
        """Where a rotator keeps its pool."""
        return _SqlPlace(self)


class _SqlPlace:
    """A database, for a rotator: blocking, on whatever thread it is called. Thread-safe."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self._storage = storage
        self._marks = _core.SaveMarks()
        self._form: tuple[bool, bool, bool] | None = None
        self._lock = new_lock()

    def save(self, pool: _core.ProxyPool, settings: dict[str, Any], how: How) -> Saved:
        """Save a pool; whatever else is there goes."""
        del settings
        storage = self._storage
        with self._lock:
            form = (how.credentials, how.learned, storage._vault.key is not None)
            if not how.only_changed or form != self._form:
                self._marks.clear()
                self._form = None
            partly = self._form is not None
            records = storage._records(pool, how._replace(only_changed=partly), self._marks)
            options: dict[str, Any] = {"replace": not partly, "pause": _breathe if how.gentle else None}
            if records or not partly:
                storage._engines.run(_put, records, storage._vault.open, options)
            self._marks.commit()
            self._form = form
            removed = sum('"removed":true' in record for record in records) if partly else 0
            return Saved(len(pool), len(records) - removed, removed, bool(records) or not partly)

    def close(self) -> None:
        """Close the connections; a database in memory lives as long as its storage."""
        if not self._storage._engines.in_memory:
            self._storage._engines.close_blocking()

    def load(self, pool: _core.ProxyPool) -> int:
        """Add what is kept to a pool."""
        storage = self._storage
        records = storage._engines.run(_find, {}, reads=True)
        return load_into(storage._image(records), pool, storage._vault, repr(storage), merge=True)[0]


def _breathe() -> None:
    time.sleep(_PAUSE)


def _nothing(_connection: Any) -> None:
    """Making the tables is all there is to do."""


def _put(connection: Any, records: list[str], open_text: Any, how: dict[str, Any]) -> tuple[int, int]:
    return _work.put(connection, records, open_text, **how)


def _find(connection: Any, filters: dict[str, Any]) -> list[str]:
    return _work.find(connection, **filters)
