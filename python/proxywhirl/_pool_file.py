"""Reading a pool from a file of any documented layout."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from proxywhirl._core import ProxyPool

    P = TypeVar("P", bound=ProxyPool)
else:
    P = TypeVar("P")

__all__ = ["load_pool"]


def load_pool(
    cls: type[P], path: str | PathLike[str], lazy: bool = False, encryption_key: str | bytes | None = None
) -> P:
    """Read a pool from a file.

    Args:
        cls: The class of the pool.
        path: A JSON file, gzipped or not: an object with ``proxies``, a bare list of proxies, or one proxy per line. A
            proxy is an object with ``url``, or a URL.
        lazy: The native pool makes a Python object for a proxy when it is first asked for, so there is nothing left to
            put off; the argument is accepted for its users.
        encryption_key: A Fernet key, for credentials that are encrypted; by default that in ``PROXYWHIRL_KEY``.

    Returns:
        The pool.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none of the layouts, or damaged; the message names the line or entry and quotes nothing.
        cryptography.fernet.InvalidToken: It is encrypted with another key.
    """
    from proxywhirl.storage._reading import pour, read_file, settings_of
    from proxywhirl.storage._vault import Vault

    vault = Vault(encryption_key)
    image = read_file(path, vault)
    settings = settings_of(image)
    pool = cls(
        name=image.name or "default",
        max_pool_size=max(int(settings.get("max_pool_size") or 100), len(image), 1),
        auto_remove_dead=bool(settings.get("auto_remove_dead", False)),
    )
    pour(image, pool, vault, path)
    return pool
