"""Writing files so that a reader sees the old contents or the new, never half of them."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from proxywhirl._base.file_lock import FileLock

_Path = Union[str, "os.PathLike[str]"]
# A Path makes one slash of two; one letter before the colon is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:/")


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
    target = Path(os.path.realpath(local_path(path)))
    data = content.encode(encoding) if isinstance(content, str) else content
    keep = mode
    if keep is None and target.exists():
        keep = stat.S_IMODE(target.stat().st_mode)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # Created with the final permissions or stricter: at no moment may others read what they must not.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(temporary, flags, 0o666) if keep is None else create_private(temporary)
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

    The lock is a :class:`~proxywhirl._base.file_lock.FileLock` of a file of its own beside it, ``.NAME.lock``, which
    stays.

    Args:
        path: The file; its folder must exist.
        timeout: Seconds to wait for the lock.

    Raises:
        TimeoutError: Another process or thread still holds it.
    """
    target = Path(path)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    if not lock.acquire(timeout):
        raise TimeoutError(f"{target} has been locked by another process for {timeout:g} s")
    try:
        yield
    finally:
        lock.release()


def local_path(path: _Path) -> Path:
    """A path, expanded; a URL is refused, because it would be quoted with its password as a file that is not there.

    Raises ``ValueError`` (it is a URL).
    """
    if _URL.match(os.fsdecode(path)):
        raise ValueError("the path of a file is needed, not a URL")
    return Path(path).expanduser()


def make_folder(path: _Path) -> None:
    """Make a folder and those above it that are missing, each with mode 0700 under any umask.

    What exists stays as it is.

    Raises ``OSError`` (it cannot be made, or is something else).
    """
    folder = Path(path)
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        try:
            os.mkdir(made, 0o700)
        except FileExistsError:
            continue  # by another process meanwhile
        os.chmod(made, 0o700)
    if not Path(path).is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))


def create_private(path: _Path) -> int:
    """Create a file that only its owner may read and write, under any umask, and open it for writing.

    Raises ``FileExistsError`` (it exists), ``OSError`` (it cannot be made).
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if os.name == "posix":
        os.fchmod(descriptor, 0o600)
    return descriptor


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
