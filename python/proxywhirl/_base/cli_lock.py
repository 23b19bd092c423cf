"""One command line at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proxywhirl._base.file_lock import FileLock
from proxywhirl._base.files import make_folder

if TYPE_CHECKING:
    from typing_extensions import Self


class CLILockHeldError(SystemExit):
    """Another process holds the lock; uncaught, the error ends the process with exit code 4."""

    EXIT_CODE = 4

    def __init__(self, message: str) -> None:
        super().__init__(self.EXIT_CODE)
        self.message = message

    def __str__(self) -> str:
        return self.message


class CLILock:
    """Exclusive lock of a configuration folder, for the command line.

    The lock belongs to the process: the system lets go of it when the process ends, however it ends. The child of a
    fork does not hold it.

    Args:
        config_dir: The folder; made if it does not exist.
    """

    def __init__(self, config_dir: str | os.PathLike[str]) -> None:
        self.path = Path(config_dir) / "proxywhirl.lock"
        self._lock = FileLock(self.path)

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            CLILockHeldError: Another process, or another lock of this one, holds it. It is a ``SystemExit`` with
                code 4; the reason is printed to standard error.
            OSError: The folder cannot be written.
        """
        if not self.try_acquire():
            holder = self._lock.read() or "unknown"
            message = f"another proxywhirl command is running (process {holder}); wait for it, or use --no-lock"
            print(message, file=sys.stderr)
            raise CLILockHeldError(message)

    def try_acquire(self) -> bool:
        """Take the lock if nothing holds it; whether it is held now. Nothing is printed.

        Raises:
            OSError: The folder cannot be written.
        """
        if self._lock.held:
            return True
        make_folder(self.path.parent)
        if not self._lock.try_acquire():
            return False
        self._lock.write(str(os.getpid()))
        return True

    def release(self) -> None:
        """Let go of the lock; the file stays, because removing it would race with the next process."""
        self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()
