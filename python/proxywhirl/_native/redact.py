"""What may be shown: the core's rules (``src/net/redact``) for texts, applied to what Python has besides texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Callable

from proxywhirl import _core
from proxywhirl._core import LoginSecrets

MASK = "***"
MASKED_USERINFO = "***:***@"
SECRET_MASK = "**********"  # what pydantic prints for a SecretStr
"""The text that replaces a secret in dumps."""


def redact_url(url: str) -> str:
    """Drop the user information of a URL and hide the values of secret query parameters.

    Args:
        url: Any text meant as a URL; it need not be valid.

    Returns:
        The URL without ``user:password@``, and with ``***`` for the value of each parameter whose name speaks of
        a password, token, key, secret or authorisation.
    """
    return _core.redact_url(_sendable(str(url)))


def mask_proxy_url(url: str) -> str:
    """Replace the user information of a URL by ``***:***@``; a URL without any comes back unchanged."""
    return _core.mask_url(_sendable(str(url)))


def mask_secret_str(value: object) -> str:
    """Return ``***`` whatever the value, so that not even its length shows."""
    del value
    return MASK


def shown_url(url: object) -> str:
    """A URL as an error may quote it: with ``***:***@`` for credentials, and only if what is left is an address."""
    return _core.shown_url(_sendable(str(url)))


def shown(value: object) -> str:
    """A value as an error may quote it: a number or a name as it is, of anything else not more than the kind."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        return repr(str(value)) if _core.is_plain_name(_sendable(value)) else repr(MASK)
    return f"a {type(value).__name__}"


def shown_path(path: object) -> str:
    """The path of a file as an error may quote it; ``***`` if it looks like an address with a login."""
    text = str(path)
    return repr(MASK if "@" in text or text.count(":") > 1 else text)


def scrub_text(text: str) -> str:
    """Hide the credentials of every URL that occurs in a text."""
    # A text without either has nothing to hide.
    return _core.scrub_text(_sendable(text)) if "@" in text or "://" in text else text


def scrub_value(value: Any, hides: Callable[[object], bool] | None = None) -> Any:
    """Apply :func:`scrub_text` to every string inside nested lists, tuples, sets and mappings."""
    if type(value) is str:
        return scrub_text(value)
    if isinstance(value, Mapping):
        return {
            key: MASK if hides is not None and item is not None and hides(key) else scrub_value(item, hides)
            for key, item in value.items()
        }
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(scrub_value(item, hides) for item in value)
    return value


def is_secret_key(key: object) -> bool:
    """Whether a mapping key speaks of a password, secret, token, API key, credential or user name."""
    return isinstance(key, str) and _core.is_secret_key(_sendable(key))


def scrub_credentials_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a mapping with its secrets hidden.

    Args:
        data: A mapping; nested mappings, lists, tuples and sets are followed.

    Returns:
        A new dictionary in which the value under every key that speaks of a secret is ``***`` (``None`` stays
        ``None``) and every URL inside a string has its user information masked. The input is not changed.
    """
    scrubbed: dict[str, Any] = scrub_value(data, is_secret_key)
    return scrubbed


class Secrets:
    """A login, and how it looks when a proxy repeats it: in clear, quoted for URLs, HTML or Python, in base64.

    What hides it is made when it is first looked for. Thread-safe.

    Args:
        username: The user name. It is taken for a secret where it is the whole login, as an API key is, or where it is
            no plain word.
        password: The password.
    """

    __slots__ = ("_login", "_make")

    def __init__(self, username: str, password: str) -> None:
        self._login: LoginSecrets | None = None
        self._make: Callable[[], LoginSecrets] = partial(LoginSecrets, _sendable(username), _sendable(password))

    @classmethod
    def of_authorization(cls, value: bytes) -> Secrets:
        """The secrets of a value of ``Proxy-Authorization``."""
        made = cls("", "")
        made._make = partial(LoginSecrets.of_authorization, value)
        return made

    @property
    def _native(self) -> LoginSecrets:
        if self._login is None:
            self._login = self._make()
        return self._login

    def gives_away(self, text: str) -> bool:
        """Whether the login is in a text that a site may have written: only what is not met by chance counts."""
        return self._native.gives_away(_sendable(text))

    def occur_in(self, text: str) -> bool:
        """Whether the login, or a part of it that is secret, is in a text."""
        return self._native.occur_in(_sendable(text))

    def scrub(self, text: str) -> str:
        """Hide the login in what a proxy has said, or what quotes it."""
        return self._native.scrub(_sendable(text)) if self.occur_in(text) else text

    def scrub_error(self, error: BaseException) -> BaseException:
        """An exception that does not repeat the login, nor does what it was caused by.

        What cannot be made anew becomes a plain ``Exception``.
        """
        chain = list(_chain_of(error))
        if not any(self._is_in(one) for one in chain):
            return error
        shown = error
        for one in reversed(chain):
            made = self._anew(one)
            made.__cause__ = None if one is chain[-1] else shown
            shown = made
        return shown

    def _is_in(self, error: BaseException) -> bool:
        return any(self.occur_in(text) for text in _texts_of(error))

    def _anew(self, error: BaseException) -> BaseException:
        text = self.scrub(str(error))
        try:
            made: BaseException = type(error)(text)
        except Exception:  # noqa: BLE001 - a class whose constructor wants something else
            made = Exception(f"{type(error).__name__}: {text}")
        # A class may make another text of what it was given.
        return Exception(f"{type(error).__name__}: {text}") if self._is_in(made) else made

    def __repr__(self) -> str:
        return "<secrets>"


_MAX_CHAIN = 16


def _sendable(text: str) -> str:
    """A text without lone surrogates, which the core cannot take."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was caused by, or raised during."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen and len(seen) < _MAX_CHAIN:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _texts_of(error: BaseException) -> Iterator[str]:
    """Every text by which an exception may be shown."""
    yield str(error)
    yield repr(error)
    facts = {name: value for name, value in vars(error).items() if isinstance(value, (str, bytes, bytearray, tuple))}
    if facts:
        yield repr(facts)
    # The object that could not be decoded, or its like.
    shown = getattr(error, "object", None)
    if shown is not None:
        yield repr(shown)
