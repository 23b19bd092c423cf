"""Locks that a fork may leave locked for ever in the child: whoever held one is not there to let go of it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

__all__ = ["renew_in_child"]

_owners: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def renew_in_child(owner: Any, name: str) -> None:
    """Give an object a new lock after every fork, in the child.

    Args:
        owner: The object; only weakly referred to.
        name: Its attribute with the lock.
    """
    _owners[owner] = name


def _after_fork() -> None:
    for owner, name in list(_owners.items()):
        setattr(owner, name, threading.Lock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
