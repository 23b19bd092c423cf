"""The rules of one policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Union

from proxywhirl._core import BAN_STATUSES, AnswerView, BanRules
from proxywhirl.bans import _arguments as _read
from proxywhirl.bans._custom import CustomRule, is_one_of

Pattern = Union[str, "re.Pattern[str]"]


class BanPolicy:
    r"""Rules by which an answer, or a failure, counts as a refusal of the proxy by the site.

    Any rule that applies is enough. ``custom`` is asked first, and its ``True`` or ``False`` settles it. A policy does
    not change once it is made, and may be shared by rotators and threads.

    ::

        BanPolicy(
            statuses=(403, 429),
            body=["captcha", re.compile(r"error\s+1020")],
            headers={"server": "^ddos-guard"},
            redirect=["/blocked", "//captcha[.]"],
        )

    Args:
        statuses: Statuses, each 100 to 599, that mean it; of these a 429 is a rate limit rather than a ban. An answer
            429 or 503 with ``Retry-After`` is a rate limit under every policy.
        body: Looked for in the first 64 KiB of the body that have been read (a streamed body is not read for it). A
            string is looked for as it is and, where it is one, as a regular expression, both without regard to
            case; a compiled expression keeps its flags.
        headers: Regular expressions by name of the header.
        redirect: Regular expressions for the ``Location`` of a redirect.
        exceptions: Classes of exceptions, or their names (``"ReadError"``, ``"httpx.ReadError"``): a request that ends
            with one was refused by the site. Faults of the request itself are never asked about.
        custom: A function of the response (``httpx.Response``), or an object or class with
            ``response_is_ban(request, response)`` and ``exception_is_ban(request, exception)``, or one of these. Each
            answers ``True``, ``False``, or ``None`` for no opinion. One that raises is reported once through logging
            and has no opinion.

    Raises:
        ValueError: A status out of range, or an invalid regular expression.
        TypeError: An argument of the wrong type.
    """

    __slots__ = ("_custom", "body", "custom", "exceptions", "headers", "redirect", "rules", "statuses")

    statuses: frozenset[int]
    body: tuple[Pattern, ...]
    headers: Mapping[str, Pattern]
    redirect: tuple[Pattern, ...]
    exceptions: tuple[Union[type[BaseException], str], ...]
    custom: Any
    rules: BanRules
    """The rules as the core applies them."""

    def __init__(
        self,
        statuses: Iterable[int] = BAN_STATUSES,
        body: Iterable[Pattern] = (),
        headers: Mapping[str, Pattern] | None = None,
        redirect: Iterable[Pattern] = (),
        exceptions: Iterable[type[BaseException] | str] = (),
        custom: Any = None,
    ) -> None:
        if headers is not None and not isinstance(headers, Mapping):
            raise TypeError(f"headers must be a mapping of names to expressions, not {type(headers).__name__}")
        self.statuses = frozenset(_read.status(status) for status in _read.several("statuses", statuses))
        self.body = tuple(_read.several("body", body))
        self.headers = dict(headers or {})
        self.redirect = tuple(_read.several("redirect", redirect))
        self.exceptions = tuple(_read.exception(kind) for kind in _read.several("exceptions", exceptions))
        self.custom = custom
        self._custom = None if custom is None else CustomRule(custom)
        self.rules = BanRules(
            sorted(self.statuses),
            [_read.body_rule(rule) for rule in self.body],
            [(str(name), *_read.rule("headers", rule)) for name, rule in self.headers.items()],
            [_read.rule("redirect", rule) for rule in self.redirect],
            None if self._custom is None else self._custom.of_response,
            bool(self.exceptions) or (self._custom is not None and self._custom.judges_failures),
        )

    @classmethod
    def of(cls, value: Any) -> BanPolicy:
        """The policy that a keyword means.

        Args:
            value: A policy; ``None`` for the default one; a mapping of arguments; or what ``custom`` takes, which is
                then added to the default rules.

        Returns:
            The policy.

        Raises:
            TypeError: It is none of these.
        """
        if value is None:
            return DEFAULT
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls(**value)
        return cls(custom=value)

    @property
    def looks_inside(self) -> bool:
        """Whether more than the status of an answer matters."""
        return self.rules.looks_inside

    @property
    def judges_failures(self) -> bool:
        """Whether a failure can count as a ban."""
        return self.rules.judges_failures

    def opinion(self, answer: AnswerView) -> bool | None:
        """Whether the answer is a refusal.

        Args:
            answer: The answer.

        Returns:
            ``True`` if a rule other than the status says so, ``False`` if ``custom`` says that it is welcome, ``None``
            if the status decides.
        """
        return self.rules.opinion(answer)

    def opinion_of_failure(self, request: Any, error: BaseException) -> bool | None:
        """Whether a failure is a refusal by the site.

        Args:
            request: The request.
            error: What it ended with; its causes are looked at too.

        Returns:
            ``True``, ``False``, or ``None`` for no opinion.
        """
        found = None if self._custom is None else self._custom.of_failure(request, error)
        if found is not None:
            return found
        return True if self.exceptions and is_one_of(error, self.exceptions) else None

    def _facts(self) -> tuple[Any, ...]:
        return (self.statuses, self.body, tuple(self.headers.items()), self.redirect, self.exceptions, self.custom)

    def __eq__(self, other: object) -> bool:
        return self._facts() == other._facts() if isinstance(other, BanPolicy) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.statuses, self.redirect, self.exceptions))

    def __repr__(self) -> str:
        parts = [f"statuses={tuple(sorted(self.statuses))}"]
        for name in ("body", "headers", "redirect", "exceptions"):
            value = getattr(self, name)
            if value:
                parts.append(f"{name}={value!r}")
        if self.custom is not None:
            parts.append(f"custom={self.custom!r}")
        return f"BanPolicy({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            BanPolicy,
            (tuple(self.statuses), self.body, dict(self.headers), self.redirect, self.exceptions, self.custom),
        )


DEFAULT = BanPolicy()
"""403 is a ban, 429 a rate limit."""
