"""Reading proxies from a file of any documented form."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.files import local_path
from proxywhirl._native.model.errors import findings_of
from proxywhirl.exceptions import ProxyStorageError
from proxywhirl.storage._extras import decorator
from proxywhirl.storage._vault import PREFIX, Vault

if TYPE_CHECKING:
    import os

_log = logging.getLogger("proxywhirl.storage")
# How every Fernet token begins: version 0x80 and a time before 2106.
_TOKEN = b"gAAAAA"


class DamagedFileError(ProxyStorageError, ValueError):
    """A file of proxies cannot be read: it is damaged, cut off, or something else altogether."""

    hint = "restore it from a copy, or remove it to start anew"


class NotSavedError(DamagedFileError):
    """JSON of proxies, but not as a pool is saved: no entry has a URL, so it is a list in some other form."""


def backup_of(path: Path) -> Path:
    """Where the state before the last one is kept."""
    return path.with_name(path.name + ".bak")


def is_lines(path: Path) -> bool:
    """Whether the suffix says JSON Lines: ``.jsonl`` or ``.ndjson``, with or without ``.gz``."""
    suffixes = [suffix.casefold() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1:] in ([".jsonl"], [".ndjson"])


def read_file(path: str | os.PathLike[str], vault: Vault, *, quiet: bool = False) -> _core.PoolImage:
    """Read a file without making proxies yet. What a save that was interrupted left behind is passed over.

    The message of an error does not quote the file.

    Raises ``FileNotFoundError`` (there is no such file), ``DamagedFileError`` (it cannot be read; a ``ValueError``),
    ``cryptography.fernet.InvalidToken`` (it is encrypted with another key).
    """
    data = local_path(path).read_bytes()
    if data.startswith(_TOKEN):
        data = vault.decrypt(data.decode("ascii", "replace").strip()).encode("utf-8")
    try:
        image = _core.PoolImage(data, appended=is_lines(Path(path)))
    except ValueError as error:
        backup = backup_of(Path(path))
        kept = f"; the state before it is in {backup}" if backup.exists() else ""
        raise DamagedFileError(f"{path} {error}{kept}") from None
    if image.torn and not quiet:
        _log.warning(
            "the end of %s was cut off and is left out, as a save was interrupted: the next one repairs it", path
        )
    return image


def settings_of(image: _core.PoolImage) -> dict[str, Any]:
    """The ``config`` of a file; empty if it has none."""
    settings = json.loads(image.settings) if image.settings else None
    return settings if isinstance(settings, dict) else {}


def load_into(
    image: _core.PoolImage, pool: _core.ProxyPool, vault: Vault, path: Any, *, merge: bool = False
) -> tuple[int, int]:
    """Add what was read to a pool.

    Raises ``NotSavedError`` (an entry has no URL, so this is no saved pool; nothing has been added), ``ValueError`` (an
    entry is no proxy; the message names it), ``cryptography.fernet.InvalidToken`` (it is encrypted with another key).
    """

    def make(number: int, text: str) -> _core.Proxy:
        entry = json.loads(text)
        if isinstance(entry, list) or (isinstance(entry, dict) and "url" not in entry):
            raise NotSavedError(f"{path}: entry {number} is not a proxy: it must be an object with a url, or a URL")
        try:
            return _proxy(entry, vault)
        except (TypeError, ValueError) as error:
            raise DamagedFileError(f"{path}: entry {number} is not a proxy: {_reason(error)}") from None

    return image.load_into(pool, vault.open_all(image.sealed()), make, decorator(vault), merge)


def _proxy(entry: Any, vault: Vault) -> _core.Proxy:
    if isinstance(entry, str):
        return _core.Proxy(url=entry, source="file")
    if not isinstance(entry, dict):
        raise TypeError("it must be an object with a url, or a URL")
    password = entry.get("password")
    if isinstance(password, str) and len(password) >= 3 and not password.strip("*"):
        raise ValueError("its credentials are masked, as in a dump made without reveal=True")
    # In flight when it was saved, gone now.
    fields = {"source": "file", **entry, "requests_active": 0}
    for name in ("username", "password", "source_url"):
        if isinstance(fields.get(name), str):
            fields[name] = vault.open(fields[name], _binding(name, entry))
    metadata = fields.get("metadata")
    if isinstance(metadata, str) and metadata.startswith(PREFIX):
        fields["metadata"] = json.loads(vault.open(metadata, _binding("metadata", entry)))
    return _core.Proxy(**fields)


def _binding(field: str, entry: dict[Any, Any]) -> str:
    protocol = entry.get("protocol")
    text = {name: str(entry.get(name) or "") for name in ("id", "url")}
    return _core.seal_binding(field, text["id"], text["url"], None if protocol is None else str(protocol))


def _reason(error: Exception) -> str:
    return "; ".join(f"{place}: {reason}" if place else reason for place, reason in findings_of(error)[:3])
