"""Writing files so that a reader sees the old contents or the new, never half of them."""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

__all__ = ["atomic_write", "atomic_write_json", "file_lock", "sync_folder"]

_Path = Union[str, "os.PathLike[str]"]


def atomic_write(path: _Path, content: str | bytes, encoding: str = "utf-8", *, mode: int | None = None) -> None:
    """Write a file at once: into a temporary file beside it, flushed to the disk, then renamed.

    Args:
        path: The file; its folder must exist. A symbolic link stays one: the file it leads to is replaced.
        content: Text or bytes.
        encoding: Of the text.
        mode: Permissions, for instance ``0o600``; by default those of the file being replaced, or for a new file
            what the process's umask leaves.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    target = Path(os.path.realpath(path))
    data = content.encode(encoding) if isinstance(content, str) else content
    keep = mode
    if keep is None and target.exists():
        keep = stat.S_IMODE(target.stat().st_mode)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # Created with the final permissions or stricter: at no moment may others read what they must not.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if keep is None else keep & 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            os.chmod(temporary, keep)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the renaming itself last; not every system lets folders be opened, and then there is nothing to do."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(path: _Path, timeout: float = 30.0) -> Iterator[None]:
    """Keep other processes and threads that ask for it from working on a file.

    The lock is of a file of its own beside it, ``.NAME.lock``, which stays: removing it would race with the next to
    come. The system lets go of it when the process ends, however it ends. Where there are no such locks, there is none.

    Args:
        path: The file; its folder must exist.
        timeout: Seconds to wait for the lock.

    Raises:
        TimeoutError: Somebody else still holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    target = Path(path)
    descriptor = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{target} has been locked by another process for {timeout:g} s") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def atomic_write_json(
    path: _Path, data: Any, *, encoding: str = "utf-8", mode: int | None = None, **options: Any
) -> None:
    """Write data as JSON, as :func:`atomic_write` does.

    Args:
        path: The file.
        data: What ``json.dumps`` takes.
        encoding: Of the file.
        mode: Permissions.
        **options: For ``json.dumps``.

    Raises:
        TypeError: The data cannot be written as JSON; the file is as it was.
        OSError: It cannot be written; the file is as it was.
    """
    atomic_write(path, json.dumps(data, **options), encoding, mode=mode)
