"""Taking credentials out of URLs and texts before anybody reads them.

The functions work on text, not on parsed URLs: what must be hidden is often exactly the URL that does not parse.
When in doubt they hide too much. All of them run in time linear in the length of their input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "MASK",
    "MASKED_USERINFO",
    "SECRET_MASK",
    "mask_proxy_url",
    "mask_secret_str",
    "redact_url",
    "scrub_credentials_from_dict",
    "scrub_text",
    "scrub_value",
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
