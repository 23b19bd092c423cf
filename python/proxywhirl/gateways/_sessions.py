"""Session ids that are never given out twice."""

from __future__ import annotations

import os
import random
from typing import Callable

from proxywhirl._base.fork import new_lock

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 10
_SHORTEST = 6
_MOST_TRIES = 100
# Ids of a user's function are remembered, so many of them; made-up ones need no memory.
_MOST_REMEMBERED = 200_000


class Sessions:
    """Makes session ids. Thread-safe; a forked child makes others than its parent.

    Made-up ids are lower-case letters and digits: a random beginning, and a number that counts up.
    """

    def __init__(self, make: Callable[[], str] | None = None, length: int = _LENGTH) -> None:
        if make is not None and not callable(make):
            raise TypeError(f"session must be a function that returns an id, not {type(make).__name__}")
        if length < _SHORTEST:
            raise ValueError(f"a session id has at least {_SHORTEST} characters, not {length}")
        self._make = make
        self._length = length
        self._lock = new_lock()
        self._seen: dict[str, None] = {}
        self._begin()

    def next(self) -> str:
        """Another id.

        Raises ``RuntimeError`` (the user's function keeps returning ids that were there before), ``TypeError`` (it
        returns something else than a text).
        """
        if self._make is not None:
            return self._of_user(self._make)
        with self._lock:
            if self._process != os.getpid() or self._number >= self._most:
                self._begin()
            self._number += 1
            return self._prefix + _base36(self._number, self._length - len(self._prefix))

    def _begin(self) -> None:
        # Half of it random, the other half counted: 60 million ids to a beginning at the usual length.
        drawn = self._length // 2
        self._process = os.getpid()
        self._prefix = "".join(random.SystemRandom().choices(_DIGITS, k=drawn))
        self._number = 0
        self._most = 36 ** (self._length - drawn) - 1

    def _of_user(self, make: Callable[[], str]) -> str:
        for _ in range(_MOST_TRIES):
            made = make()
            if not isinstance(made, str) or not made:
                raise TypeError(f"session() must return a text that is not empty, not {type(made).__name__}")
            with self._lock:
                if made not in self._seen:
                    self._seen[made] = None
                    if len(self._seen) > _MOST_REMEMBERED:
                        del self._seen[next(iter(self._seen))]
                    return made
        raise RuntimeError(f"session() returned {_MOST_TRIES} ids in a row that were there before")


def _base36(number: int, width: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(width, "0")
