"""Locks that a fork may leave locked for ever in the child: whoever held one is not there to let go of it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

__all__ = ["renew_in_child"]

_owners: weakref.WeakKeyDictionary[Any, tuple[str, ...]] = weakref.WeakKeyDictionary()


def renew_in_child(owner: Any, *names: str) -> None:
    """Give an object new locks after every fork, in the child.

    Args:
        owner: The object; only weakly referred to.
        *names: Its attributes with the locks.
    """
    _owners[owner] = names


def _after_fork() -> None:
    for owner, names in list(_owners.items()):
        for name in names:
            setattr(owner, name, threading.Lock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
