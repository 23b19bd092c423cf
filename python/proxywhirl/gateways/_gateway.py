"""A gateway and the proxies that it creates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, Union

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import mask_proxy_url, shown
from proxywhirl.gateways._sessions import Sessions
from proxywhirl.gateways._template import Template

if TYPE_CHECKING:
    from proxywhirl.gateways._gateway_pool import GatewayPool

Values = Union[str, int, Iterable[Union[str, int]]]
"""What is filled into a placeholder: one value, or several to choose from."""
_USUAL_SIZE = 100


class Gateway:
    """One address of a provider, behind which every user name is another exit.

    Wherever proxies are accepted, a gateway counts as many of them as its ``size`` says, each with a session id of
    its own. One that is benched by a site, at rest, or at the end of its ``ttl`` is replaced by one with a new session
    id; no id is used twice. Requests under way on the old one finish. What a whole gateway in trouble may cost is
    bounded: in a minute as many are replaced as it has.

    Placeholders are ``{session}``; ``{country}`` and ``{COUNTRY}``, the code in lower and in upper case; ``{seconds}``
    and ``{minutes}``, the ``ttl``; and any others, whose values are given by name. They may be in user name,
    password, host and port. With several values for one placeholder, all combinations take turns, and a replacement has
    the values of the one it replaces.

    Iterating over a gateway creates ``size`` proxies. Thread-safe. Nothing that identifies the account is shown by
    ``repr`` or in errors.

    Args:
        url: The URL, with placeholders.
        size: How many proxies at a time; 100 by default, or as many as there are without ``{session}``.
        ttl: Seconds a session lives; forever by default.
        countries: Two-letter codes for ``{country}``; they are also what ``country=`` of a request looks at.
        session: Makes session ids; by default ten random letters and digits.
        tags: Tags of the proxies, beside ``source:gateway`` and ``gateway:`` with the host.
        **values: For other placeholders: a value, or several.

    Raises:
        ValueError: A placeholder is empty, unknown or without a value; a value has no placeholder; the URL is not that
            of a proxy; a number is out of its range; or there are not as many different proxies as ``size`` asks for.
        TypeError: An argument of the wrong type.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int | None = None,
        ttl: float | None = None,
        countries: Iterable[str] | None = None,
        session: Callable[[], str] | None = None,
        tags: Iterable[str] = (),
        **values: Values,
    ) -> None:
        self._template = Template(url)
        self._sessions = session if isinstance(session, Sessions) else Sessions(session)
        self.ttl = None if ttl is None else _checked_ttl(ttl)
        """Seconds a session lives; ``None`` for as long as it works."""
        names = self._template.names
        self.renewable = "session" in names
        """Whether a proxy can be replaced by another: whether there is a ``{session}``."""
        if session is not None and not self.renewable:
            raise ValueError("session is given, but the URL of the gateway has no {session}")
        if ttl is not None and not self.renewable:
            raise ValueError("ttl is given, but without {session} there is nothing to replace an old proxy by")
        self._choices = _choices(names, self.ttl, countries, values)
        distinct = len(self._choices)
        if size is None:
            size = _USUAL_SIZE if self.renewable else distinct
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"size must be a whole number, not {type(size).__name__}")
        if size < 1:
            raise ValueError(f"size: Value must be positive, not {size}")
        if not self.renewable and size > distinct:
            raise ValueError(
                f"size is {size}, but without {{session}} the gateway has no more than {distinct} different proxies"
            )
        self.size = size
        """How many proxies at a time."""
        self._lock = new_lock()
        self._turn = -1
        sample = self._template.fill({**self._choices[0], "session": "x"})
        parts = _core.parse_proxy_url(sample, require_port=True)
        self._shown = mask_proxy_url(f"{parts['protocol']}://u:p@{sample.rpartition('@')[2]}")
        if isinstance(tags, str):
            raise TypeError("tags must be a set or list of strings, not one string")
        self._tags = {"source:gateway", f"gateway:{parts['host']}", *tags}
        for choice in self._choices[1:]:
            self._template.fill({**choice, "session": "x"})

    @classmethod
    def preset(
        cls,
        name: str,
        *,
        host: str | None = None,
        port: int | None = None,
        scheme: str = "http",
        size: int | None = None,
        ttl: float | None = None,
        countries: Iterable[str] | None = None,
        session: Callable[[], str] | None = None,
        tags: Iterable[str] = (),
        **values: Values,
    ) -> Gateway:
        """A gateway of a provider whose user names follow a known grammar; see :func:`proxywhirl.gateways.presets`.

        Args:
            name: Name of the preset.
            host: Instead of the provider's usual one.
            port: Instead of the provider's usual one.
            scheme: What the gateway speaks.
            size: As in the constructor.
            ttl: As in the constructor.
            countries: As in the constructor.
            session: As in the constructor.
            tags: As in the constructor.
            **values: What the grammar asks for, as a rule ``user`` and ``password``.

        Returns:
            The gateway.

        Raises:
            ValueError: There is no such preset, or something that it needs is missing.
        """
        from proxywhirl.gateways._presets import find

        preset = find(name)
        given = set(values) | ({"minutes", "seconds"} if ttl is not None else set())
        given |= {"session"} | ({"country", "COUNTRY"} if countries is not None else set())
        url = preset.url(given, host=host, port=port, scheme=scheme)
        sessions: Any = session
        if session is None and preset.session_length is not None and "{session}" in url:
            sessions = Sessions(length=preset.session_length)
        return cls(url, size=size, ttl=ttl, countries=countries, session=sessions, tags=tags, **values)

    def mint(self, count: int = 1) -> list[_core.Proxy]:
        """Make proxies, each with a session id that was never used.

        Args:
            count: How many.

        Returns:
            The proxies.
        """
        return [self._mint(self._next_choice()) for _ in range(count)]

    def attach(self, pool: _core.ProxyPool) -> GatewayPool:
        """Fill a pool of one's own; rotators and transports do this by themselves.

        Args:
            pool: The pool.

        Returns:
            What keeps it filled: call its ``tend()`` now and then.
        """
        from proxywhirl.gateways._gateway_pool import GatewayPool

        gateway_pool = GatewayPool(self, pool)
        gateway_pool.fill()
        return gateway_pool

    def __iter__(self) -> Iterator[_core.Proxy]:
        return iter(self.mint(self.size))

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        life = "" if self.ttl is None else f", ttl={self.ttl:g}"
        return f"Gateway({self._shown!r}, size={self.size}{life})"

    def _next_choice(self) -> int:
        with self._lock:
            self._turn = (self._turn + 1) % len(self._choices)
            return self._turn

    def _mint(self, index: int, tag: str | None = None) -> _core.Proxy:
        choice = self._choices[index]
        session = {"session": self._sessions.next()} if self.renewable else {}
        return _core.Proxy(
            url=self._template.fill({**choice, **session}),
            ttl=None if self.ttl is None else max(1, math.ceil(self.ttl)),
            country_code=choice.get("COUNTRY"),
            region=choice.get("region"),
            tags=self._tags if tag is None else {*self._tags, tag},
            # A session keeps its exit, and another session is another exit; without one every connection may be.
            rotating=not self.renewable,
        )

    def _into(self, pool: _core.ProxyPool, tag: str | None = None) -> tuple[GatewayPool, int]:
        """For rotators and transports: fill a pool and keep it filled."""
        from proxywhirl.gateways._gateway_pool import GatewayPool

        gateway_pool = GatewayPool(self, pool, tag)
        return gateway_pool, gateway_pool.fill()


def _checked_ttl(ttl: float) -> float:
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise TypeError(f"ttl must be a number of seconds, not {type(ttl).__name__}")
    if not 0 < ttl < math.inf:
        raise ValueError(f"ttl: Value must be positive, not {shown(ttl)}")
    return float(ttl)


def _choices(
    names: frozenset[str], ttl: float | None, countries: Iterable[str] | None, values: dict[str, Values]
) -> list[dict[str, str]]:
    """All combinations of values for the placeholders but the session."""
    lists: dict[str, Sequence[str]] = {name: _texts(name, value) for name, value in values.items()}
    taken = {"session", "country", "COUNTRY", "seconds", "minutes"} & set(lists)
    if taken:
        raise ValueError(f"{{{min(taken)}}} is filled in from session, countries or ttl, not by name")
    known = {"session"}
    codes = None if countries is None else [_code(code) for code in _texts("countries", countries)]
    asked = {"country", "COUNTRY"} & names
    if codes is not None and not asked:
        raise ValueError("countries are given, but the URL of the gateway has no {country}")
    if asked and codes is None:
        raise ValueError("the URL of the gateway has {country}, but no countries are given")
    if {"seconds", "minutes"} & names and ttl is None:
        raise ValueError("the URL of the gateway has the life of a session, but no ttl is given")
    known |= {"country", "COUNTRY", "seconds", "minutes"}
    unknown = names - known - set(lists)
    if unknown:
        raise ValueError(f"the URL of the gateway has {{{min(unknown)}}}, but no value for it is given")
    unused = set(lists) - names
    if unused:
        raise ValueError(f"a value for {min(unused)} is given, but the URL of the gateway has no {{{min(unused)}}}")
    fixed: dict[str, str] = {}
    if ttl is not None:
        fixed = {"seconds": str(math.ceil(ttl)), "minutes": str(max(1, math.ceil(ttl / 60)))}
    combined: list[dict[str, str]] = []
    keys = list(lists)
    # The countries change fastest, so that few proxies still cover many of them.
    for combination in itertools.product(*(lists[key] for key in keys)):
        for code in codes if codes is not None else [None]:
            country = {} if code is None else {"country": code.lower(), "COUNTRY": code.upper()}
            combined.append({**fixed, **dict(zip(keys, combination)), **country})
    return combined


def _texts(name: str, value: Values) -> list[str]:
    several = [value] if isinstance(value, (str, int)) else list(value)
    texts = []
    for one in several:
        if isinstance(one, bool) or not isinstance(one, (str, int)):
            raise TypeError(f"{name}: values are texts or whole numbers, not {type(one).__name__}")
        texts.append(str(one))
    if not texts or not all(texts):
        raise ValueError(f"{name}: an empty value leaves its placeholder empty")
    return list(dict.fromkeys(texts))


def _code(text: str) -> str:
    code = text.strip()
    if len(code) != 2 or not code.isascii() or not code.isalpha():
        raise ValueError(f"countries: {shown(text)} is no two-letter code")
    return code
