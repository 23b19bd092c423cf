"""Credentials that change while a program runs.

A provider that hands out passwords for an hour is asked again by the first request that finds the pair too old; there
is no timer. Meanwhile other requests go on with the old pair, so a slow provider holds up one request, not all.
"""

from __future__ import annotations

import inspect
import logging
import math
import threading
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Callable, NamedTuple, Union

from proxywhirl._base.event_loop import run_to_end
from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import MASK, scrub_text, shown

__all__ = ["CredentialRotator"]

_log = logging.getLogger("proxywhirl.credentials")

RefreshCallback = Callable[[], Union[Mapping[str, Any], Awaitable[Mapping[str, Any]]]]
"""Returns ``{"username": ..., "password": ...}``, or a coroutine that does."""

# A provider that is down is not asked by every request.
_SECONDS_AFTER_ERROR = 10.0
_LOOK_AGAIN = 0.01


class _Pair(NamedTuple):
    username: str
    password: str

    def __repr__(self) -> str:
        return f"<credentials {MASK}>"


class CredentialRotator:
    """Asks for user name and password when they are older than an interval; safe for threads and tasks.

    Given to a rotator as ``credential_rotator=``, its pair is used for all proxies of that rotator. The callback never
    runs twice at once. When it fails, that is logged, and the old pair stays; it is asked again after ten seconds, or
    after ``refresh_interval`` if that is shorter.

    Args:
        refresh_callback: Returns a mapping with ``username`` and ``password``; may be a coroutine function.
        refresh_interval: Seconds a pair is good for, above 0.

    Raises:
        TypeError: The callback cannot be called.
        ValueError: The interval is not above 0.
    """

    def __init__(
        self,
        refresh_callback: RefreshCallback,
        refresh_interval: float = 3600.0,
        *,
        _clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(refresh_callback):
            raise TypeError(f"refresh_callback must be callable, not {type(refresh_callback).__name__}")
        if isinstance(refresh_interval, bool) or not isinstance(refresh_interval, (int, float)):
            raise TypeError(f"refresh_interval must be a number of seconds, not {type(refresh_interval).__name__}")
        if math.isnan(refresh_interval) or refresh_interval <= 0:
            raise ValueError(f"refresh_interval must be above 0 seconds, not {shown(refresh_interval)}")
        self.refresh_callback = refresh_callback
        """What is asked."""
        self.refresh_interval = float(refresh_interval)
        """Seconds a pair is good for."""
        self._clock = _clock
        # Held while the callback runs, across threads and tasks; only its holder writes the two below.
        self._busy = new_lock()
        self._pair: _Pair | None = None
        self._due = -math.inf

    def __repr__(self) -> str:
        return f"<CredentialRotator refresh_interval={self.refresh_interval:g}>"

    @property
    def is_due(self) -> bool:
        """Whether the next request asks the callback."""
        return self._clock() >= self._due

    @property
    def pair(self) -> tuple[str, str] | None:
        """User name and password as last handed out, without a call of the callback. ``None`` before the first."""
        return self._pair

    def invalidate(self) -> None:
        """Let the next request ask the callback, however old the pair is."""
        self._due = -math.inf

    def current(self) -> tuple[str, str] | None:
        """The pair to use now, asking for it if it is due.

        Waits only for the call that gets the very first pair.

        Returns:
            User name and password; ``None`` as long as the callback has only failed.
        """
        if self.is_due and self._busy.acquire(blocking=self._pair is None):
            try:
                if self.is_due:
                    self._ask()
            finally:
                self._busy.release()
        return self._pair

    async def acurrent(self) -> tuple[str, str] | None:
        """As :meth:`current`, without blocking the event loop: a plain callback is called in a thread of its own."""
        while self.is_due:
            if not self._busy.acquire(blocking=False):
                if self._pair is not None:
                    break
                # Another thread, or a task of another loop, gets the first pair.
                await _sleep(_LOOK_AGAIN)
            elif inspect.iscoroutinefunction(self.refresh_callback):
                try:
                    if self.is_due:
                        await self._aask()
                finally:
                    self._busy.release()
            else:
                # The thread gives the lock back: a cancelled request must not let a second call begin beside the first.
                thread = threading.Thread(target=self._ask_and_release, name="proxywhirl-credentials", daemon=True)
                try:
                    thread.start()
                except BaseException:
                    self._busy.release()
                    raise
                while thread.is_alive():
                    await _sleep(_LOOK_AGAIN)
        return self._pair

    def log_in(self, proxy: Any) -> bool:
        """Give a proxy the pair that was last handed out, in one step, without a call of the callback.

        Args:
            proxy: The proxy.

        Returns:
            Whether it had another.
        """
        pair = self._pair
        return pair is not None and bool(proxy._log_in(*pair))

    def _ask_and_release(self) -> None:
        try:
            if self.is_due:
                self._ask()
        finally:
            self._busy.release()

    def _ask(self) -> None:
        try:
            found = self.refresh_callback()
            if inspect.isawaitable(found):
                found = run_to_end(found)
            self._accept(found)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old pair is better than none
            self._note(error)

    async def _aask(self) -> None:
        try:
            found: Any = self.refresh_callback()
            self._accept(await found)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old pair is better than none
            self._note(error)

    def _accept(self, found: Any) -> None:
        if not isinstance(found, Mapping):
            raise TypeError(f"refresh_callback must return a mapping, not {type(found).__name__}")
        username, password = (_plain(found.get(name)) for name in ("username", "password"))
        if not isinstance(username, str) or not isinstance(password, str) or not username:
            raise ValueError("refresh_callback must return a mapping with the strings 'username' and 'password'")
        # First the pair: a thread that sees that nothing is due must find it.
        self._pair = _Pair(username, password)
        self._due = self._clock() + self.refresh_interval

    def _note(self, error: Exception) -> None:
        self._due = self._clock() + min(self.refresh_interval, _SECONDS_AFTER_ERROR)
        text = scrub_text(str(error))
        for secret in self._pair or ():
            text = text.replace(secret, MASK)
        _log.warning(
            "proxy credentials could not be refreshed, %s: %s: %s",
            "there are none yet" if self._pair is None else "the old ones stay",
            type(error).__name__,
            text,
        )


def _plain(value: Any) -> Any:
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if callable(reveal) else value


async def _sleep(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)
