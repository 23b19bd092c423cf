"""Locks that the child of a fork finds free: the threads of the parent that held them are not in the child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _thread import RLock

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def new_lock() -> threading.Lock:
    """A lock that every child of a fork finds free: for a lock that lives as long as what it guards."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def new_rlock() -> RLock:
    """As :func:`new_lock`, reentrant."""
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def _after_fork() -> None:
    for lock in list(_locks):
        # What the standard library does for the locks of its own modules.
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
