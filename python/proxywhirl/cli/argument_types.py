"""Types of arguments: texts of the command line turned into values, or refused with a reason."""

from __future__ import annotations

import argparse
import math
import re
from typing import NoReturn, Optional

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_MOST_RETRIES = 9


def _refuse(text: str) -> NoReturn:
    raise argparse.ArgumentTypeError(text)


def method(text: str) -> str:
    """An HTTP method, upper case."""
    if not _TOKEN.fullmatch(text):
        _refuse(f"{text!r} is no method")
    return text.upper()


def header(text: str) -> tuple[str, str]:
    """Name and value of a header."""
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or any(sign in value for sign in "\r\n\0"):
        _refuse(f"{text!r} is not of the form 'Name: value'")
    return name, value.strip()


def seconds(text: str) -> float:
    """A positive number of seconds."""
    value = _number(text)
    if value is None or not value > 0 or math.isinf(value):
        _refuse(f"{text!r} is no number of seconds above 0")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        _refuse(f"{text!r} is no number from 0 to 1")
    return value


def _number(text: str) -> Optional[float]:
    try:
        return float(text)
    except ValueError:
        return None


def session(text: str) -> str:
    """The id of a session."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,256}", text):
        _refuse(f"{text!r} has other signs than letters, digits and hyphens, or more than 256")
    return text


def country(text: str) -> str:
    """A country's code of two letters, upper case."""
    if not re.fullmatch(r"[A-Za-z]{2}", text):
        _refuse(f"{text!r} is no country code of two letters")
    return text.upper()


def status_codes(text: str) -> frozenset[int]:
    """Statuses: ``200``, ``200,301`` or ``2xx``."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([1-5])(?:(\d\d)|xx)", part.strip())
        if match is None:
            _refuse(f"{text!r} is no list of statuses such as 200,301 or 2xx")
        hundred, rest = int(match[1]) * 100, match[2]
        found.update(range(hundred, hundred + 100) if rest is None else [hundred + int(rest)])
    return frozenset(found)


def retries(text: str) -> int:
    """Further attempts."""
    number = AtLeast(0)(text)
    if number > _MOST_RETRIES:
        _refuse(f"{number} is more than {_MOST_RETRIES}")
    return number


class AtLeast:
    """Whole numbers from a least one on."""

    def __init__(self, least: int) -> None:
        self._least = least

    def __call__(self, text: str) -> int:
        """The number."""
        if not re.fullmatch(r"[0-9]{1,9}", text):
            _refuse(f"{text!r} is no whole number")
        number = int(text)
        if number < self._least:
            _refuse(f"{number} is less than {self._least}")
        return number
