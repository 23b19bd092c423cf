"""Locks of files, between processes and threads, that a fork does not hand on."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import threading
import time
from typing import Union

_Path = Union[str, "os.PathLike[str]"]
_log = logging.getLogger("proxywhirl.storage")
_PAUSE = 0.01
# A file system without locks: some network and user-space ones.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

if sys.platform == "win32":
    import msvcrt

    # Locks are of bytes there, and keep others from reading them: a byte that no file has.
    _PLACE = 1 << 30

    def _take(descriptor: int) -> bool:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def _give_back(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _give_back(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock of a file, made if it does not exist, with mode 0600 under any umask.

    It excludes other processes and other locks of this one. The system ends it with the process, however that ends. A
    child made by a fork does not hold it: it closes its copy of the descriptor, and the owner unlocks the descriptor
    itself instead of only closing it, because a copy in a child would keep the lock alive. Where the file system has no
    locks there is none, and one warning says so. Not thread-safe: one object belongs to one thread.

    Args:
        path: The file to lock; its folder must exist. It stays: removing it would race with the next process.
    """

    def __init__(self, path: _Path) -> None:
        self.path = os.fspath(path)
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; whether it is held now. Raises ``OSError`` (the file cannot be opened)."""
        if self._descriptor is not None:
            return True
        with _opening:
            # With the descriptor known to the hooks of a fork from its first moment on.
            descriptor = self._descriptor = _open(self.path)
            _held.add(self)
        taken = False
        try:
            taken = _take(descriptor)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _warn_of_no_locks(self.path)
            taken = True
        finally:
            if not taken:
                self._close()
        return taken

    def acquire(self, timeout: float) -> bool:
        """Wait for the lock.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it is held now.

        Raises:
            OSError: The file cannot be opened.
        """
        deadline = time.monotonic() + timeout
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def read(self) -> str:
        """What the file holds: a few words by the process that has it."""
        with open(self.path, encoding="ascii", errors="replace") as file:
            return file.read(64).strip()

    def write(self, text: str) -> None:
        """Put a few words into the file; the lock must be held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, text.encode("ascii"))

    def release(self) -> None:
        """Let go of the lock, if it is held by this process."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        try:
            _give_back(descriptor)
        except OSError as error:
            # Closing ends it as well, unless a child has a copy.
            _log.debug("unlocking %s failed: %s", self.path, error)
        finally:
            self._close()

    def _close(self) -> None:
        with _opening:
            descriptor, self._descriptor = self._descriptor, None
            _held.discard(self)
            if descriptor is not None:
                os.close(descriptor)


def _open(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.name == "posix":
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != 0o600:
            # A umask may have taken the owner's rights away as well.
            os.fchmod(descriptor, 0o600)
    return descriptor


_warned: set[str] = set()


def _warn_of_no_locks(path: str) -> None:
    folder = os.path.dirname(path)
    if folder not in _warned:
        _warned.add(folder)
        _log.warning("%s is on a file system without locks: processes that save there are not kept apart", folder)


_held: set[FileLock] = set()
# Reentrant: a signal handler may fork in the middle of it.
_opening = threading.RLock()


def _before_fork() -> None:
    _opening.acquire()


def _after_fork_in_parent() -> None:
    _opening.release()


def _after_fork_in_child() -> None:
    # Closed, not unlocked: unlocking would take the lock from the parent, which shares the open file.
    for lock in list(_held):
        descriptor, lock._descriptor = lock._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
    _held.clear()
    _opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
