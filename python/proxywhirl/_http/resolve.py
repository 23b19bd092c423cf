"""Names of proxies looked up within a time limit, for blocking callers.

``socket.getaddrinfo`` cannot be interrupted: with a name server that does not answer it takes minutes. So it runs on a
thread of its own, which is left behind when time is up.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from typing import Any

from proxywhirl._http.flavour import core

__all__ = ["resolve"]

_core: Any = core()
# Look-ups under way at the same time; those left behind count until their name server answers, or is given up.
_MOST = 64
_free = threading.BoundedSemaphore(_MOST)


def _after_fork() -> None:
    # The threads that would give their places back are not there.
    global _free
    _free = threading.BoundedSemaphore(_MOST)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """Look up the addresses of a host.

    Args:
        host: A name or an address.
        port: The port to connect to.
        seconds: How long it may take; ``None`` for as long as the system's resolver takes.

    Returns:
        The addresses, in the resolver's order; an address as it is.

    Raises:
        ConnectError: There is no such name.
        ConnectTimeout: Time is up.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _look_up(host, port) if seconds is None else _within(host, port, seconds)
    return [host]


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _core.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _within(host: str, port: int, seconds: float) -> list[str]:
    places = _free
    if not places.acquire(timeout=seconds):
        raise _core.ConnectTimeout(f"{_MOST} names are being looked up already")
    done = threading.Event()
    found: list[str] = []
    failed: list[BaseException] = []

    def look_up() -> None:
        try:
            found.extend(_look_up(host, port))
        except BaseException as error:  # noqa: BLE001 - raised by the caller's thread
            failed.append(error)
        finally:
            places.release()
            done.set()

    try:
        threading.Thread(target=look_up, name="proxywhirl-resolve", daemon=True).start()
    except RuntimeError:
        # No thread is to be had, as at the end of the interpreter.
        places.release()
        return _look_up(host, port)
    if not done.wait(seconds):
        raise _core.ConnectTimeout(f"the name {host} was not resolved in time")
    if failed:
        raise failed[0]
    return found
