"""What the command line says on standard error, without the secrets that it was given."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Optional
from urllib.parse import unquote

from proxywhirl._native.redact import MASK, Secrets, scrub_text

_SECRET_OPTIONS = ("-p", "--password", "-u", "--username", "-H", "--header", "-d", "--data")


class Secrecy:
    """Takes the secrets of a command line out of texts.

    Logins in URLs are hidden wherever they occur; passwords of the command line also by themselves, because messages of
    libraries quote parts of what they are given.
    """

    def __init__(self, words: Optional[Sequence[str]] = None) -> None:
        self._words = list(sys.argv[1:] if words is None else words)
        logins = sorted(set(self._logins()), key=lambda login: len(":".join(login)), reverse=True)
        self._secrets = [Secrets(username, password) for username, password in logins]

    def _logins(self) -> Iterable[tuple[str, str]]:
        for number, word in enumerate(self._words):
            for part in word.split():
                login, at, _ = part.split("://", 1)[-1].rpartition("@")
                if at:
                    username, _, password = login.partition(":")
                    yield unquote(username), unquote(password)
            name, _, value = word.partition("=")
            if number and self._words[number - 1] in _SECRET_OPTIONS:
                yield from _passwords(word)
            if name in _SECRET_OPTIONS:
                yield from _passwords(value)
            elif word[:2] in _SECRET_OPTIONS:
                yield from _passwords(word[2:])

    def hide(self, text: str) -> str:
        """A text without the secrets."""
        for secret in self._secrets:
            text = secret.scrub(text)
        return scrub_text(text)

    def hide_arguments(self, text: str) -> str:
        """A usage error without what was given: names of options stay, values do not."""
        values: set[str] = set()
        for word in self._words:
            if not word.startswith("-"):
                values.add(word)
                continue
            name, equals, value = word.partition("=")
            values.add(value if equals else "")
            if not name.startswith("--"):
                values.add(word[2:])
        for value in sorted(values - {""}, key=len, reverse=True):
            for quoted in (repr(value), f'"{value}"'):
                text = text.replace(quoted, repr(MASK))
            text = re.sub(rf"(?<![^\s=]){re.escape(value)}(?!\S)", MASK, text)
        return self.hide(text)


def _passwords(value: str) -> Iterable[tuple[str, str]]:
    """The value of an option as a secret; of ``name: value`` and ``user:password`` the second part by itself, too."""
    return (("", part) for part in (value, value.partition(":")[2].strip()) if part)
