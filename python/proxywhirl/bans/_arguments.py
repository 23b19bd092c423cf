"""The arguments of a ban policy: checked, and as the core takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from proxywhirl._native.redact import shown


def several(name: str, given: Any) -> list[Any]:
    """The items of an argument that is a list, and no single value."""
    if isinstance(given, (str, bytes, Mapping, re.Pattern)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list, not {type(given).__name__}")
    return list(given)


def status(given: Any) -> int:
    """A status that an answer can have."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"statuses must be whole numbers, not {shown(given)}")
    if not 100 <= given <= 599:
        raise ValueError(f"statuses must be between 100 and 599, not {given}")
    return int(given)


def exception(kind: Any) -> type[BaseException] | str:
    """A class of exceptions, or the name of one."""
    if isinstance(kind, str) or (isinstance(kind, type) and issubclass(kind, BaseException)):
        return kind
    raise TypeError(f"exceptions must be classes of exceptions or their names, not {shown(kind)}")


def _compiled(name: str, rule: Any) -> re.Pattern[str]:
    if isinstance(rule, re.Pattern) and isinstance(rule.pattern, str):
        return rule
    if not isinstance(rule, str):
        raise TypeError(f"{name} takes regular expressions, as text or compiled from text, not {shown(rule)}")
    try:
        return re.compile(rule, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{name}: {rule!r} is no regular expression: {error}") from error


def rule(name: str, given: Any) -> tuple[str | None, re.Pattern[str]]:
    """The text of a rule, if it is one, and the expression."""
    return (given if isinstance(given, str) else None), _compiled(name, given)


def body_rule(given: Any) -> tuple[str | None, re.Pattern[str] | None]:
    """As above; a text need not be an expression, because it is looked for as it is, too."""
    if given == "":
        raise ValueError("body: an empty text is in every body")
    try:
        return rule("body", given)
    except ValueError:
        return given, None
