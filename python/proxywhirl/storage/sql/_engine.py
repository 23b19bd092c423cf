"""Engines: one for threads, and one per event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from proxywhirl._base.files import create_private, make_folder
from proxywhirl.exceptions import ProxyStorageError
from proxywhirl.storage.sql._tables import metadata

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_MEMORY = ":memory:"
_READS = "proxywhirl_reads"
# An advisory lock of PostgreSQL: any number that no other program takes.
_LOCK = 0x70726F78


def _parsed(text: str) -> sa.URL:
    """The URL of a database; what is none is not quoted, as it may hold a password."""
    with suppress(SQLAlchemyError, ValueError):
        return sa.make_url(text)
    raise ValueError("this is not the URL of a database: scheme://user:password@host:port/database is needed")


class Engines:
    """Runs work in a transaction, on a thread or in an event loop.

    Args:
        target: A path of an SQLite file, or the URL of a database.
        use_async: Whether work in an event loop uses an asynchronous driver; otherwise it runs on a thread.
        pool: Arguments of the connection pool.
    """

    def __init__(self, target: str | os.PathLike[str], use_async: bool, pool: dict[str, Any]) -> None:
        text = os.fspath(target)
        if "://" in text:
            self.url = _parsed(text)
            if self.url.get_backend_name() not in ("sqlite", "postgresql"):
                raise ValueError(f"a path, or a URL of SQLite or PostgreSQL is needed, not {self.url.drivername}://")
        else:
            self.url = sa.URL.create("sqlite", database=text)
        self.path: Path | None = None
        if self.is_sqlite and self.url.database not in (None, "", _MEMORY):
            self.path = Path(str(self.url.database)).expanduser()
            self.url = self.url.set(database=str(self.path))
        self._use_async = use_async
        self._pool = pool
        self._lock = threading.Lock()
        self._turns: Any = threading.RLock() if self.in_memory else nullcontext()
        self._ready = False
        self._blocking: sa.Engine | None = None
        self._looped: weakref.WeakKeyDictionary[Any, AsyncEngine] = weakref.WeakKeyDictionary()
        _engines.add(self)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, and not a server."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def in_memory(self) -> bool:
        """Whether it is an SQLite database without a file."""
        return self.path is None and self.is_sqlite

    def _options(self, looped: bool) -> dict[str, Any]:
        # Errors would show the parameters of a statement, passwords among them.
        options: dict[str, Any] = {"hide_parameters": True}
        if self.in_memory:
            # One connection for all threads, which take turns.
            options.update(poolclass=StaticPool, connect_args={"check_same_thread": False})
        elif looped and self.is_sqlite:
            # A connection that is kept is a thread that keeps the program from ending; opening one takes a millisecond.
            options["poolclass"] = NullPool
        else:
            options.update(self._pool)
        if not self.is_sqlite and not (looped and self.url.drivername == "postgresql+asyncpg"):
            # Whatever the database is in: text is text.
            options["connect_args"] = {"client_encoding": "utf8"}
        return options

    def _drivername(self, looped: bool) -> str:
        if self.is_sqlite:
            return "sqlite+aiosqlite" if looped else "sqlite+pysqlite"
        name = self.url.drivername
        if looped:
            return name if name in ("postgresql+psycopg", "postgresql+asyncpg") else "postgresql+psycopg"
        return "postgresql+psycopg" if name in ("postgresql", "postgresql+asyncpg") else name

    def blocking(self) -> sa.Engine:
        """The engine for threads."""
        with self._lock:
            if self._blocking is None:
                url = self.url.set(drivername=self._drivername(False))
                self._blocking = sa.create_engine(url, **self._options(False))
                self._prepare(self._blocking)
            return self._blocking

    def _of_this_loop(self) -> AsyncEngine:
        from sqlalchemy.ext.asyncio import create_async_engine

        loop = asyncio.get_running_loop()
        with self._lock:
            engine = self._looped.get(loop)
            if engine is None:
                url = self.url.set(drivername=self._drivername(True))
                engine = self._looped[loop] = create_async_engine(url, **self._options(True))
                self._prepare(engine.sync_engine)
            return engine

    def _prepare(self, engine: sa.Engine) -> None:
        if not self.is_sqlite:
            return

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            # Wait for other processes; let readers read meanwhile; lose nothing that was committed.
            for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
            # The driver would begin a transaction with the first write, and then fail where another process has written
            # since the first read.
            connection.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def begun(connection: sa.Connection) -> None:
            reads = connection.get_execution_options().get(_READS, False)
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    def run(self, work: Callable[..., Any], *arguments: Any, reads: bool = False) -> Any:
        """Run work in a transaction on this thread; ``reads`` says that it writes nothing."""
        with self._explained(), self._turns:
            engine = self.blocking()
            if not self._ready:
                if self.path is not None:
                    self._make_file(self.path)
                with engine.begin() as connection:
                    self._make_tables(connection)
                self._ready = True
            with engine.execution_options(**{_READS: reads}).begin() as connection:
                return work(connection, *arguments)

    async def run_async(self, work: Callable[..., Any], *arguments: Any, reads: bool = False) -> Any:
        """Run work in a transaction, without blocking the loop; ``reads`` says that it writes nothing."""
        if not self._use_async or self.in_memory:
            # A database in memory lives in one connection, which is that of the threads.
            return await asyncio.to_thread(lambda: self.run(work, *arguments, reads=reads))
        with self._explained():
            engine = self._of_this_loop()
            if not self._ready:
                if self.path is not None:
                    await asyncio.to_thread(self._make_file, self.path)
                async with engine.begin() as connection:
                    await connection.run_sync(self._make_tables)
                self._ready = True
            async with engine.execution_options(**{_READS: reads}).begin() as connection:
                return await connection.run_sync(work, *arguments)

    @staticmethod
    def _make_file(path: Path) -> None:
        make_folder(path.parent)
        # SQLite would make it readable for all users; what it makes beside it has the mode of the file.
        try:
            os.close(create_private(path))
        except FileExistsError:
            os.chmod(path, 0o600)

    def _make_tables(self, connection: sa.Connection) -> None:
        if not self.is_sqlite:
            # Two programs that come at once would both find no tables.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        metadata.create_all(connection)
        inspector = sa.inspect(connection)
        for table in metadata.sorted_tables:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            missing = {column.name for column in table.columns} - there
            if missing:
                raise ProxyStorageError(
                    f"the table {table.name} was made by something else: it lacks {', '.join(sorted(missing))}. "
                    "Nothing was changed; use another database"
                )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            raise ImportError("this database needs an extra: pip install 'proxywhirl-rs[storage]'") from error
        except SQLAlchemyError as error:
            # Its first line only: what follows may be a row, with a password in it.
            reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise ProxyStorageError(f"the database {self.url.host or self.url.database} failed: {reason}") from None

    def vacuum(self) -> None:
        """Give back the room of what was deleted."""
        with self._explained(), self._turns, closing(self.blocking().raw_connection()) as connection:
            # Not through the engine, which would begin a transaction, in which this cannot be done.
            connection.cursor().execute("VACUUM")

    async def close(self) -> None:
        """Close all connections of this loop and of the threads."""
        with self._lock:
            looped = self._looped.pop(asyncio.get_running_loop(), None)
        if looped is not None:
            await looped.dispose()
        await asyncio.to_thread(self.close_blocking)

    def close_blocking(self) -> None:
        """Close all connections of the threads."""
        with self._lock:
            blocking, self._blocking = self._blocking, None
            if self.in_memory:
                self._ready = False
        if blocking is not None:
            blocking.dispose()

    def _forked(self) -> None:
        """In the child of a fork: leave the connections to the parent, whose sockets and locks they are."""
        self._lock = threading.Lock()
        if self.in_memory:
            # A copy of its own of everything.
            self._turns = threading.RLock()
            return
        blocking, looped = self._blocking, list(self._looped.values())
        self._blocking = None
        self._looped = weakref.WeakKeyDictionary()
        # Kept for good: collected, they would be closed, and end a session, or remove a log, that are the parent's.
        _left_to_parents.extend(engine for engine in (blocking, *looped) if engine is not None)


_engines: weakref.WeakSet[Engines] = weakref.WeakSet()
_left_to_parents: list[Any] = []


def _after_fork() -> None:
    for engines in list(_engines):
        engines._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
