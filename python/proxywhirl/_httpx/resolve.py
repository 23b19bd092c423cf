"""Names of proxies looked up within a time limit.

``socket.getaddrinfo`` cannot be interrupted: with a name server that does not answer it takes minutes, and event loops
wait for it when they end. So it runs on a daemon thread of its own, which is left behind when time is up. Requests that
want the same name at the same time share one look-up.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ipaddress
import os
import socket
import threading
from typing import Any

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.library import core

_core: Any = core()
# Look-ups under way at the same time; those left behind count until their name server answers, or is given up.
_MOST = 64
# Seconds between two looks for a place, in an event loop.
_AGAIN = 0.02
_free = threading.BoundedSemaphore(_MOST)
_pending: dict[tuple[str, int], concurrent.futures.Future[list[str]]] = {}
_lock = new_lock()


def _after_fork() -> None:
    # The threads that would give their places back, and the answers, are not there.
    global _free
    _free = threading.BoundedSemaphore(_MOST)
    _pending.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """Look up the addresses of a host, blocking.

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
    if _is_address(host):
        return [host]
    if seconds is None:
        return _look_up(host, port)
    answer = _under_way(host, port)
    if answer is None:
        if not _free.acquire(timeout=seconds):
            raise _too_late(host)
        answer = _start(host, port)
    try:
        return answer.result(seconds)
    except concurrent.futures.TimeoutError:
        raise _too_late(host) from None


async def resolve_async(host: str, port: int, seconds: float | None) -> list[str]:
    """As :func:`resolve`, without blocking the event loop.

    On another loop than asyncio's a name comes back as it is, for the loop to resolve.
    """
    if _is_address(host):
        return [host]
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return [host]
    import anyio

    try:
        with anyio.fail_after(seconds):
            answer = _under_way(host, port)
            while answer is None:
                if _free.acquire(blocking=False):
                    answer = _start(host, port)
                else:
                    await asyncio.sleep(_AGAIN)
                    answer = _under_way(host, port)
            return await asyncio.wrap_future(answer)
    except TimeoutError:
        raise _too_late(host) from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _too_late(host: str) -> Exception:
    error: Exception = _core.ConnectTimeout(f"the name {host} was not resolved in time")
    return error


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _core.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _under_way(host: str, port: int) -> concurrent.futures.Future[list[str]] | None:
    with _lock:
        return _pending.get((host, port))


def _start(host: str, port: int) -> concurrent.futures.Future[list[str]]:
    """Start a look-up, for which a place has been taken."""
    places = _free
    key = (host, port)
    answer: concurrent.futures.Future[list[str]] = concurrent.futures.Future()
    # One waiting task may be cancelled; the others still wait.
    answer.set_running_or_notify_cancel()
    with _lock:
        _pending[key] = answer

    def look_up() -> None:
        try:
            found = _look_up(host, port)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            _finish(key, answer, places)
            answer.set_exception(error)
        else:
            _finish(key, answer, places)
            answer.set_result(found)

    try:
        threading.Thread(target=look_up, name="proxywhirl-resolve", daemon=True).start()
    except RuntimeError:
        # No thread is to be had, as at the end of the interpreter.
        look_up()
    return answer


def _finish(key: tuple[str, int], answer: Any, places: threading.BoundedSemaphore) -> None:
    with _lock:
        if _pending.get(key) is answer:
            del _pending[key]
    places.release()
