"""One file that a pool is saved to: written whole and at once, or, as JSON Lines, only what has changed."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.files import create_private, file_lock, local_path, make_folder, sync_folder
from proxywhirl._base.fork import new_lock
from proxywhirl.storage._extras import How, with_secrets
from proxywhirl.storage._reading import DamagedFileError, backup_of, is_lines, read_file
from proxywhirl.storage._vault import Vault

if TYPE_CHECKING:
    from proxywhirl.storage._vault import Source

_log = logging.getLogger("proxywhirl.storage")
_HEADER = re.compile(rb'"credentials":\s*"(clear|encrypted|omitted)"')
# Less is not worth rewriting a file of JSON Lines for.
_COMPACT_FROM = 1 << 20


@dataclass(frozen=True)
class Saved:
    """What a save did.

    Attributes:
        proxies: Proxies in the file now.
        changed: Of those, new or changed since the last save by this object.
        removed: Proxies that went since then.
        written: Whether the file was touched at all.
    """

    proxies: int
    changed: int
    removed: int
    written: bool


class PoolFile:
    """A file that proxies are saved to, again and again. Thread-safe, and safe against other processes that use it.

    A save goes to a temporary file that is flushed to the disk and then renamed, so that at every moment there is one
    whole state; the one before it is kept as ``NAME.bak``. The mode is 0600.

    Args:
        path: The file. ``.jsonl`` and ``.ndjson`` mean JSON Lines, a further ``.gz`` gzip; anything else is JSON.
        vault: Encrypts credentials, if it has a key.
        bare: A bare list, instead of the documented object around it.
        atomic: Whether to write a temporary file first; otherwise the file itself is overwritten.
        backup: Whether to keep the state before the last.
        compress: Whether to gzip; by default what the suffix says.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        vault: Vault,
        *,
        bare: bool = False,
        atomic: bool = True,
        backup: bool = True,
        compress: bool | None = None,
    ) -> None:
        self.path = local_path(path)
        self._compress = self.path.suffix.casefold() == ".gz" if compress is None else compress
        self._lines = is_lines(self.path)
        self._vault = vault
        self._bare = bare
        self._atomic = atomic
        self._backup = backup
        self._lock = new_lock()
        self._marks = _core.SaveMarks()
        # The file as this object left it, and its size after the last whole write.
        self._left: tuple[int, ...] | None = None
        self._base = 0
        self._form: tuple[bool, bool, bool] | None = None

    def save(
        self, source: Source, *, name: str = "default", settings: dict[str, Any] | None = None, **how: bool
    ) -> Saved:
        """Save proxies; ``name`` is the pool's, ``settings`` are the ``config`` of the file, ``how`` is a :class:`How`.

        What was saved last is still there if this fails. A ``TimeoutError`` means that another process holds the file.

        Raises ``OSError`` (it cannot be written; what was saved last is still there).
        """
        with self._lock:
            target = Path(os.path.realpath(self.path))
            make_folder(target.parent)
            with file_lock(target):
                return self._save(target, source, name, settings or {}, How(**how))

    def _save(self, target: Path, source: Source, name: str, settings: dict[str, Any], how: How) -> Saved:
        sealed = self._vault.key is not None
        form = (how.credentials, how.learned, sealed)
        ours = self._left is not None and self._left == _identity(target) and self._form == form
        if not ours:
            self._marks.clear()
        arguments: dict[str, Any] = {"marks": self._marks, "compress": self._compress}
        secrecy = "omitted" if not how.credentials else "encrypted" if sealed else "clear"
        if secrecy == "clear" and _core.has_credentials(source):
            self._vault.warn_of_clear_text(self.path, gentle=how.gentle)

        if how.only_changed and ours and self._lines and self._atomic and target.stat().st_size <= self._most():
            done = self._append(target, source, arguments, how)
        else:
            head, tail = (b"", b"") if self._lines or self._bare else _frame(name, settings, secrecy)
            arguments.update(head=head, tail=tail, lines=self._lines)
            done = self._rewrite(target, source, arguments, secrecy, ours, how)
        self._marks.commit()
        self._left, self._form = _identity(target), form
        return done

    def _most(self) -> int:
        return max(2 * self._base, _COMPACT_FROM)

    def _dump(self, source: Source, descriptor: int, arguments: dict[str, Any], how: How) -> tuple[int, int, int]:
        start = os.lseek(descriptor, 0, os.SEEK_END)

        def write(sealed: _core.SealedTexts | None, extras: _core.SaveExtras) -> tuple[int, int, int] | None:
            if os.lseek(descriptor, 0, os.SEEK_END) != start:
                # Of an attempt before, which credentials that changed have ended.
                os.ftruncate(descriptor, start)
                os.lseek(descriptor, start, os.SEEK_SET)
            return _core.dump_proxies(
                source,
                descriptor,
                credentials=how.credentials,
                learned=how.learned,
                sealed=sealed,
                extras=extras,
                **arguments,
            )

        return with_secrets(source, self._vault, write, how)

    def _append(self, target: Path, source: Source, arguments: dict[str, Any], how: How) -> Saved:
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND)
        try:
            before = os.fstat(descriptor).st_size
            try:
                arguments = {**arguments, "lines": True, "only_changed": True}
                seen, changed, removed = self._dump(source, descriptor, arguments, how)
                touched = bool(changed or removed)
                if touched:
                    os.fsync(descriptor)
                elif os.fstat(descriptor).st_size != before:
                    os.ftruncate(descriptor, before)  # the frame of an empty gzip member
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        return Saved(seen, changed, removed, touched)

    def _rewrite(
        self, target: Path, source: Source, arguments: dict[str, Any], secrecy: str, ours: bool, how: How
    ) -> Saved:
        if not self._atomic:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
                seen, changed, removed = self._dump(source, descriptor, arguments, how)
            finally:
                os.close(descriptor)
            self._base = target.stat().st_size
            return Saved(seen, changed, removed, True)
        for left_over in target.parent.glob(f".{escape(target.name)}.*.saving"):
            left_over.unlink(missing_ok=True)  # of a save that was killed: the lock says that none is under way
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.saving")
        descriptor = create_private(temporary)
        try:
            try:
                seen, changed, removed = self._dump(source, descriptor, arguments, how)
                if how.only_changed and ours and not changed and not removed:
                    temporary.unlink()
                    return Saved(seen, 0, 0, False)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._keep_last(target, secrecy, ours)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
        self._base = target.stat().st_size
        return Saved(seen, changed, removed, True)

    def _keep_last(self, target: Path, secrecy: str, ours: bool) -> None:
        """Keep the state that is about to be replaced, unless it is damaged, or says more than the new one may."""
        backup = backup_of(target)
        if not target.exists():
            return
        if not ours and not self._is_whole(target):
            damaged = target.with_name(target.name + ".damaged")
            with suppress(OSError):
                os.chmod(target, 0o600)
            os.replace(target, damaged)
            _log.warning("%s was damaged; it is kept as %s", target, damaged)
            return
        if secrecy != "clear" and not ours and _secrecy_of(target) != secrecy:
            # It may hold in clear what is encrypted or left out from now on.
            backup.unlink(missing_ok=True)
            return
        if not self._backup:
            return
        link = target.with_name(f".{target.name}.{secrets.token_hex(8)}.saving")
        try:
            os.link(target, link)
        except OSError:
            return  # a file system without hard links: the state to be replaced is not worth a copy
        with suppress(OSError):
            os.chmod(link, 0o600)
        os.replace(link, backup)
        # Renaming onto another name of the same file does nothing: a save was killed between the two steps.
        link.unlink(missing_ok=True)

    def _is_whole(self, target: Path) -> bool:
        try:
            read_file(target, self._vault, quiet=True)
        except DamagedFileError:
            return False
        except Exception:  # noqa: BLE001
            # Encrypted with another key, or without what decrypts it: whole as far as can be seen.
            return True
        return True

    def clear(self) -> None:
        """Remove the file and what is kept beside it."""
        with self._lock:
            target = Path(os.path.realpath(self.path))
            if not target.parent.is_dir():
                return
            with file_lock(target):
                for path in (target, backup_of(target)):
                    path.unlink(missing_ok=True)
            self._left = None
            self._marks.clear()


def _frame(name: str, settings: dict[str, Any], secrecy: str) -> tuple[bytes, bytes]:
    """What stands before and after the list in the documented object."""
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    head = {"version": "1.0", "pool_name": name, "last_updated": now, "credentials": secrecy}
    text = json.dumps(head)
    return f'{text[:-1]}, "proxies": '.encode(), f', "config": {json.dumps(settings)}}}\n'.encode()


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode)


def _secrecy_of(path: Path) -> str | None:
    """What the head of a file says of its credentials; ``None`` if it says nothing."""
    with open(path, "rb") as file:
        start = file.read(4096)
    if start.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError), gzip.open(path) as unpacked:
            start = unpacked.read(4096)
    found = _HEADER.search(start)
    return found[1].decode() if found else None
