"""One command line at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["CLILock", "CLILockHeldError"]


class CLILockHeldError(SystemExit):
    """Another process holds the lock; when nobody catches it the process ends with exit code 4."""

    EXIT_CODE = 4

    def __init__(self, message: str) -> None:
        super().__init__(self.EXIT_CODE)
        self.message = message

    def __str__(self) -> str:
        return self.message


class CLILock:
    """Exclusive lock of a configuration folder, for the command line.

    The lock belongs to the process: the system lets go of it when the process ends, however it ends.

    Args:
        config_dir: The folder; made if it does not exist.
    """

    def __init__(self, config_dir: str | os.PathLike[str]) -> None:
        self.path = Path(config_dir) / "proxywhirl.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            CLILockHeldError: Another process, or another lock of this one, holds it. It is a ``SystemExit`` with
                code 4; the reason is printed to standard error.
            OSError: The folder cannot be written, or the system has no such locks.
        """
        if self._descriptor is not None:
            return
        try:
            import fcntl
        except ImportError as error:
            raise OSError("this system has no file locks of the kind that the command line uses") from error
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            message = f"another proxywhirl command is running (process {holder}); wait for it, or use --no-lock"
            print(message, file=sys.stderr)
            raise CLILockHeldError(message) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode("ascii"))
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock; the file stays, because removing it would race with the next process."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
