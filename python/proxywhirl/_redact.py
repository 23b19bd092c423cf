"""Taking credentials out of URLs and texts before anybody reads them.

The functions work on text, not on parsed URLs: what must be hidden is often exactly the URL that does not parse.
When in doubt they hide too much. All of them run in time linear in the length of their input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Callable

from proxywhirl._core import LoginSecrets

__all__ = [
    "MASK",
    "MASKED_USERINFO",
    "SECRET_MASK",
    "Secrets",
    "mask_proxy_url",
    "mask_secret_str",
    "redact_url",
    "scrub_credentials_from_dict",
    "scrub_text",
    "scrub_value",
    "shown",
    "shown_path",
    "shown_url",
]

MASK = "***"
MASKED_USERINFO = "***:***@"
SECRET_MASK = "**********"  # what pydantic prints for a SecretStr
"""The text that stands for a secret in dumps."""

_HOST = r"(?:\[[0-9A-Fa-f:.%\w]+\]|[^\s:/?#@\[\]]+)"
_HOST_PORT = re.compile(_HOST + r"(?::\d*)?\Z")
_HOST_WITH_PORT = re.compile(_HOST + r":\d+(?!\w)")
_AUTHORITY_END = re.compile(r"[/?#]")
_URL_IN_TEXT = re.compile(r"://(\S+)")
# Something like ``user:pass@host:8080`` without a scheme; the lookbehind keeps it from restarting inside a word.
_BARE_CREDENTIALS = re.compile(r"(?<![^\s'\"(<\[,=])[^\s:/@'\"(<\[,=]{1,256}:[^\s/@]{1,256}@(?=" + _HOST + r":\d)")
_QUERY_PAIR = re.compile(r"([?&;]([^\s=&;?#]{1,128})=)([^\s&;#'\"]+)")
# The whole of a URL without credentials, as far as it is safe to show: no port that is no number, no path.
_PLAIN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,31}://" + _HOST + r"(?::\d{1,5})?/?")
_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_ .\-]{0,47})?")
_MAX_URLS_IN_A_RUN = 50  # URLs joined without a blank; more than that is not worth telling apart
_SECRET_WORDS = ("password", "passwd", "pwd", "token", "key", "secret", "auth", "authorization")
_SECRET_KEYS = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential", "username", "authorization")


def _is_secret_parameter(name: str) -> bool:
    lowered = name.casefold()
    return lowered.endswith(_SECRET_WORDS) or any(part in _SECRET_WORDS for part in re.split(r"[_.\-]", lowered))


def _userinfo_end(rest: str) -> int:
    """Length of the user information (with its ``@``) at the start of what follows ``scheme://``; 0 if none."""
    last = rest.rfind("@")
    if last < 0:
        return 0
    cut = _AUTHORITY_END.search(rest)
    authority = rest if cut is None else rest[: cut.start()]
    inside = authority.rfind("@")
    if _HOST_WITH_PORT.match(rest, last + 1):
        return last + 1  # also covers an unquoted "/" in a password
    if _HOST_PORT.match(authority[inside + 1 :]):
        return inside + 1  # rfind's -1 makes this 0: an "@" in the path is nobody's secret
    return last + 1


def _replace_userinfo(url: str, replacement: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        end = url.rfind("@") + 1
        return replacement + url[end:] if end else url
    end = _userinfo_end(rest)
    return f"{scheme}{separator}{replacement}{rest[end:]}" if end else url


def _mask_query(text: str) -> str:
    if "=" not in text:
        return text
    return _QUERY_PAIR.sub(lambda pair: pair[1] + MASK if _is_secret_parameter(pair[2]) else pair[0], text)


def redact_url(url: str) -> str:
    """Drop the user information of a URL and hide the values of secret query parameters.

    Args:
        url: Any text meant as a URL; it need not be valid.

    Returns:
        The URL without ``user:password@``, and with ``***`` for the value of each parameter whose name speaks of
        a password, token, key, secret or authorisation.
    """
    return _mask_query(_replace_userinfo(str(url), ""))


def mask_proxy_url(url: str) -> str:
    """Replace the user information of a URL by ``***:***@``; a URL without any comes back unchanged."""
    return _replace_userinfo(str(url), MASKED_USERINFO)


def mask_secret_str(value: object) -> str:
    """Return ``***`` whatever the value, so that not even its length shows."""
    del value
    return MASK


def shown_url(url: object) -> str:
    """A URL as an error may quote it: with ``***:***@`` for credentials, and only if what is left is an address.

    Args:
        url: Anything that was given for a URL.

    Returns:
        ``scheme://host:port``, or ``***`` if the text has any other form, because then any part of it may be secret.
    """
    masked = mask_proxy_url(str(url))
    return masked if _PLAIN_URL.fullmatch(masked.replace(MASKED_USERINFO, "", 1)) else MASK


def shown(value: object) -> str:
    """A value as an error may quote it: a number or a name as it is, of anything else not more than the kind.

    Args:
        value: Anything that was given for a setting.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        return repr(str(value)) if _NAME.fullmatch(value) else repr(MASK)
    return f"a {type(value).__name__}"


def shown_path(path: object) -> str:
    """The path of a file as an error may quote it; ``***`` if it looks like an address with a login."""
    text = str(path)
    return repr(MASK if "@" in text or text.count(":") > 1 else text)


def _mask_found_url(found: re.Match[str]) -> str:
    masked = []
    rest = found[1]
    for _ in range(_MAX_URLS_IN_A_RUN):
        # Quotes and brackets around a URL are part of the run of non-blanks; look again without them.
        end = _userinfo_end(rest) or _userinfo_end(rest.rstrip("'\"`)>]},.;:!"))
        head = MASKED_USERINFO if end else ""
        body, separator, rest = rest[end:].partition("://")
        masked.append("://" + head + body)
        if not separator:
            return "".join(masked)
    return "".join(masked) + "://" + MASK


def scrub_text(text: str) -> str:
    """Hide the credentials of every URL that occurs in a text.

    Args:
        text: Free text, for instance the message of an exception.

    Returns:
        The text with ``***:***@`` for user information and ``***`` for secret query values.
    """
    if "@" in text:
        text = _URL_IN_TEXT.sub(_mask_found_url, text)
        text = _BARE_CREDENTIALS.sub(MASKED_USERINFO, text)
    return _mask_query(text) if "://" in text else text


def scrub_value(value: Any) -> Any:
    """Apply :func:`scrub_text` to every string inside nested lists, tuples, sets and mappings."""
    if type(value) is str:
        return scrub_text(value)
    if isinstance(value, Mapping):
        return {key: scrub_value(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(scrub_value(item) for item in value)
    return value


def is_secret_key(key: object) -> bool:
    """Whether a mapping key speaks of a password, secret, token, API key, credential or user name."""
    if not isinstance(key, str):
        return False
    lowered = key.casefold().replace("-", "_")
    return any(word in lowered for word in _SECRET_KEYS)


def scrub_credentials_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a mapping with its secrets hidden.

    Args:
        data: A mapping; nested mappings, lists, tuples and sets are followed.

    Returns:
        A new dictionary in which the value under every key that speaks of a secret is ``***`` (``None`` stays
        ``None``) and every URL inside a string has its user information masked. The input is not changed.
    """
    return {
        key: (MASK if value is not None else None) if is_secret_key(key) else _scrub_item(value)
        for key, value in data.items()
    }


def _scrub_item(value: Any) -> Any:
    if isinstance(value, Mapping):
        return scrub_credentials_from_dict(value)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_scrub_item(item) for item in value)
    return scrub_text(value) if type(value) is str else value


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
        """The secrets of a value of ``Proxy-Authorization``.

        Args:
            value: The value, of whatever scheme.
        """
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

        Args:
            error: The exception.

        Returns:
            The exception itself where nothing of the login is in it or in its causes; else one of the same class with
            the same text, the login hidden. What cannot be made anew becomes a plain ``Exception``.
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
