"""Ban rules: how to tell from an answer that a site does not want this proxy."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from typing import Any, Callable, Union
from urllib.parse import urlsplit

from proxywhirl._native.redact import shown

__all__ = ["BODY_LIMIT", "BanPolicies", "BanPolicy", "Seen"]

BODY_LIMIT = 64 * 1024
"""Bytes of a body that rules look at."""

_log = logging.getLogger("proxywhirl.ban")

Pattern = Union[str, "re.Pattern[str]"]

_ABSENT = object()


class Seen:
    """An answer as rules see it, made when the first of them looks.

    Args:
        status: The status.
        headers: Its headers, by ``get(name)`` without regard to case.
        text: Gives the first 64 KiB of the body that have been read, as text; ``None`` when nothing has been read.
        response: Gives what a rule of the user's is called with.
        request: The request, for rules that look at it.
    """

    __slots__ = ("_make_response", "_make_text", "_response", "_text", "headers", "request", "status")

    def __init__(
        self,
        status: int,
        headers: Any,
        text: Callable[[], str | None],
        response: Callable[[], Any],
        request: Any = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.request = request
        self._make_text = text
        self._make_response = response
        self._text: Any = _ABSENT
        self._response: Any = _ABSENT

    @property
    def text(self) -> str | None:
        """The beginning of the body; ``None`` if it cannot be read."""
        if self._text is _ABSENT:
            self._text = self._make_text()
        text: str | None = self._text
        return text

    @property
    def response(self) -> Any:
        """The response, for rules that are functions of it."""
        if self._response is _ABSENT:
            self._response = self._make_response()
        return self._response


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

    __slots__ = (
        "_custom",
        "_header_rules",
        "_redirect_rules",
        "_reported",
        "_texts",
        "body",
        "custom",
        "exceptions",
        "headers",
        "redirect",
        "statuses",
    )

    statuses: frozenset[int]
    body: tuple[Pattern, ...]
    headers: Mapping[str, Pattern]
    redirect: tuple[Pattern, ...]
    exceptions: tuple[Union[type[BaseException], str], ...]
    custom: Any

    def __init__(
        self,
        statuses: Iterable[int] = (403, 429),
        body: Iterable[Pattern] = (),
        headers: Mapping[str, Pattern] | None = None,
        redirect: Iterable[Pattern] = (),
        exceptions: Iterable[type[BaseException] | str] = (),
        custom: Any = None,
    ) -> None:
        if headers is not None and not isinstance(headers, Mapping):
            raise TypeError(f"headers must be a mapping of names to expressions, not {type(headers).__name__}")
        self.statuses = frozenset(_status(status) for status in _several("statuses", statuses))
        self.body = tuple(_several("body", body))
        self.headers = dict(headers or {})
        self.redirect = tuple(_several("redirect", redirect))
        self.exceptions = tuple(_exception(kind) for kind in _several("exceptions", exceptions))
        self.custom = custom
        self._texts = [_text_rule(rule) for rule in self.body]
        self._header_rules = [(str(name), _compiled("headers", rule)) for name, rule in self.headers.items()]
        self._redirect_rules = [_compiled("redirect", rule) for rule in self.redirect]
        self._custom = None if custom is None else _Custom(custom)
        self._reported: set[str] = set()

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
        return bool(self._texts or self._header_rules or self._redirect_rules or self._custom)

    @property
    def judges_failures(self) -> bool:
        """Whether a failure can count as a ban."""
        return bool(self.exceptions) or (self._custom is not None and self._custom.exception is not None)

    def opinion(self, seen: Seen) -> bool | None:
        """Whether the answer is a refusal.

        Args:
            seen: The answer.

        Returns:
            ``True`` if a rule other than the status says so, ``False`` if ``custom`` says that it is welcome, ``None``
            if the status decides.
        """
        custom = self._custom
        if custom is not None:
            found: bool | None = self._ask("custom", custom.response, seen)
            if found is not None:
                return found
        for name, rule in self._header_rules:
            value = seen.headers.get(name)
            if value is not None and rule.search(value):
                return True
        if self._redirect_rules and 300 <= seen.status < 400:
            location = seen.headers.get("location")
            if location is not None and any(rule.search(location) for rule in self._redirect_rules):
                return True
        if self._texts:
            text = self._ask("body", lambda: seen.text)
            if isinstance(text, str) and any(rule(text) for rule in self._texts):
                return True
        return None

    def opinion_of_failure(self, request: Any, error: BaseException) -> bool | None:
        """Whether a failure is a refusal by the site.

        Args:
            request: The request.
            error: What it ended with; its causes are looked at too.

        Returns:
            ``True``, ``False``, or ``None`` for no opinion.
        """
        custom = self._custom
        if custom is not None and custom.exception is not None:
            found: bool | None = self._ask("custom", custom.exception, request, error)
            if found is not None:
                return found
        return True if self.exceptions and _is_one_of(error, self.exceptions) else None

    def _ask(self, rule: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            found = function(*arguments)
            if isinstance(found, Awaitable):
                if isinstance(found, Coroutine):
                    found.close()
                raise TypeError("a ban rule must answer at once: coroutines are not awaited")
        except Exception:  # noqa: BLE001 - a rule of the user's, which must not decide by failing
            if rule not in self._reported:
                self._reported.add(rule)
                _log.warning(
                    "a %s rule of a ban policy raised, and has no opinion; further times are not reported",
                    rule,
                    exc_info=True,
                    extra={"rule": rule},
                )
            return None
        if isinstance(found, str):
            return found
        return None if found is None else bool(found)

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


class _Custom:
    """A rule of the user's, whichever of the accepted shapes it has."""

    __slots__ = ("exception", "response")

    def __init__(self, given: Any) -> None:
        rule = given
        if isinstance(given, type):
            rule = given()
        is_ban = getattr(rule, "response_is_ban", None)
        self.exception: Callable[[Any, BaseException], Any] | None = getattr(rule, "exception_is_ban", None)
        if callable(is_ban):
            ask = is_ban
            self.response: Callable[[Seen], Any] = lambda seen: ask(seen.request, seen.response)
        elif self.exception is not None:
            self.response = lambda seen: None
        elif callable(rule):
            self.response = lambda seen: rule(seen.response)
        else:
            raise TypeError(
                "custom must be a function of the response, or have response_is_ban(request, response) and "
                f"exception_is_ban(request, exception); {type(rule).__name__} has neither"
            )


class BanPolicies:
    """The policy of each site, and the one for all others.

    Args:
        general: The policy of sites without one of their own; see :meth:`BanPolicy.of`.
        by_site: Policies by domain. The longest that the target's host equals or ends with applies, wholly in the place
            of the general one. ``*.`` and a leading dot are ignored; a URL means its host.

    Raises:
        TypeError: ``by_site`` is no mapping, or a policy is none.
        ValueError: A key has no host in it.
    """

    __slots__ = ("_by_host", "general", "looks_inside")

    def __init__(self, general: Any = None, by_site: Mapping[str, Any] | None = None) -> None:
        if by_site is not None and not isinstance(by_site, Mapping):
            raise TypeError(f"ban_policies must be a mapping of domains to policies, not {type(by_site).__name__}")
        self.general = BanPolicy.of(general)
        self._by_host = {_host_key(site): BanPolicy.of(policy) for site, policy in (by_site or {}).items()}

    @property
    def is_plain(self) -> bool:
        """Whether the default rules apply everywhere."""
        return self.general is DEFAULT and not self._by_host

    @property
    def is_by_status(self) -> bool:
        """Whether the status of an answer decides, by the same rules at every site."""
        return not self._by_host and not self.general.looks_inside

    def for_host(self, host: str) -> BanPolicy:
        """The policy for a target.

        Args:
            host: Its host.
        """
        by_host = self._by_host
        if by_host:
            rest = _ascii(host)
            while rest:
                found = by_host.get(rest)
                if found is not None:
                    return found
                if ":" in rest:
                    break
                rest = rest.partition(".")[2]
        return self.general

    def for_url(self, url: str | None) -> BanPolicy:
        """The policy for a target.

        Args:
            url: Its URL; ``None`` if it is not known.
        """
        if url is None or not self._by_host:
            return self.general
        return self.for_host(urlsplit(url).hostname or "")


def _several(name: str, given: Any) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping, re.Pattern)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list, not {type(given).__name__}")
    return list(given)


def _status(status: Any) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"statuses must be whole numbers, not {shown(status)}")
    if not 100 <= status <= 599:
        raise ValueError(f"statuses must be between 100 and 599, not {status}")
    return int(status)


def _exception(kind: Any) -> type[BaseException] | str:
    if isinstance(kind, str) or (isinstance(kind, type) and issubclass(kind, BaseException)):
        return kind
    raise TypeError(f"exceptions must be classes of exceptions or their names, not {shown(kind)}")


def _is_one_of(error: BaseException, kinds: tuple[type[BaseException] | str, ...]) -> bool:
    found: BaseException | None = error
    # What the user sees is httpx's; what happened below it may be what they named.
    for _ in range(8):
        if found is None:
            return False
        if any(_is_a(found, kind) for kind in kinds):
            return True
        found = found.__cause__
    return False


def _is_a(error: BaseException, kind: type[BaseException] | str) -> bool:
    if not isinstance(kind, str):
        return isinstance(error, kind)
    package, _, name = kind.rpartition(".")
    return any(
        cls.__name__ == name and (not package or f"{cls.__module__}.".startswith(f"{package}."))
        for cls in type(error).__mro__
    )


def _compiled(name: str, rule: Any) -> re.Pattern[str]:
    if isinstance(rule, re.Pattern) and isinstance(rule.pattern, str):
        return rule
    if not isinstance(rule, str):
        raise TypeError(f"{name} takes regular expressions, as text or compiled from text, not {shown(rule)}")
    try:
        return re.compile(rule, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{name}: {rule!r} is no regular expression: {error}") from error


def _text_rule(rule: Any) -> Callable[[str], Any]:
    if not isinstance(rule, str):
        return _compiled("body", rule).search
    if not rule:
        raise ValueError("body: an empty text is in every body")
    literal = re.compile(re.escape(rule), re.IGNORECASE).search
    try:
        pattern = re.compile(rule, re.IGNORECASE).search
    except re.error:
        return literal
    if re.escape(rule) == rule:
        return literal
    return lambda text: literal(text) or pattern(text)


def _host_key(site: Any) -> str:
    if not isinstance(site, str):
        raise TypeError(f"ban_policies: a domain is a string, not {shown(site)}")
    text = site.strip().lower()
    if "://" in text:
        text = urlsplit(text).hostname or ""
    host = _ascii(text[2:] if text.startswith("*.") else text)
    if not host or any(character in host for character in "/@?# "):
        raise ValueError(f"ban_policies: {shown(site)} is no domain")
    return host


def _ascii(host: str) -> str:
    """A host in the one spelling that is compared: lower case, no brackets, no dot at either end, IDNA."""
    host = host.strip("[].").lower()
    if ":" in host:
        import ipaddress

        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            return host
    if not host.isascii():
        try:
            return host.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    return host


DEFAULT = BanPolicy()
"""403 is a ban, 429 a rate limit."""
