"""Browser contexts by identity: which are kept, and whose. Nothing here waits: both kinds of Playwright share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from proxywhirl._native.enums import Outcome
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.integrations import _lender
from proxywhirl.integrations._socks_logins import SocksLogins

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.rotator._attempt import Attempt

__all__ = ["NOTHING", "Book", "Held", "PageAttemptBase", "Shared", "known", "raise_own"]

NOTHING: dict[str, list[Any]] = {"cookies": [], "origins": []}
"""The storage of a context that has been nowhere."""


class Held:
    """A context that a page is in."""

    __slots__ = ("context", "is_spoilt", "key", "users")

    def __init__(self, key: Hashable, context: Any) -> None:
        self.key = key
        self.context = context
        self.users = 1
        self.is_spoilt = False


class Book:
    """Contexts in use and at rest. For one thread, or one event loop.

    Without a session a context has one user at a time, and forgets what sites have stored before the next one. The
    pages of a session share a context, which keeps everything.

    Args:
        most: Most contexts at rest; the least recently used is closed first.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("max_contexts: at least 1")
        self._most = most
        self._at_rest: OrderedDict[int, Held] = OrderedDict()
        self._of_sessions: dict[Hashable, Held] = {}

    def at_rest(self, key: Hashable) -> Held | None:
        """A context at rest for an identity, which is in use from now on."""
        for place in reversed(self._at_rest):
            held = self._at_rest[place]
            if held.key == key:
                del self._at_rest[place]
                held.users = 1
                return held
        return None

    def of_session(self, session_id: str) -> Held | None:
        """The context of a session, at rest or in use."""
        return self._of_sessions.get(session_id)

    def join(self, held: Held) -> None:
        """One more page of a session uses it."""
        if not held.users:
            self._at_rest.pop(id(held), None)
        held.users += 1

    def begin_session(self, session_id: str, held: Held) -> list[Any]:
        """The context of a session from now on; contexts to be closed."""
        before = self._of_sessions.get(session_id)
        self._of_sessions[session_id] = held
        if before is None or before is held:
            return []
        before.is_spoilt = True
        return [] if before.users else self._forget(before)

    def give_back(self, held: Held, *, is_good: bool) -> list[Any]:
        """A page has left it; contexts to be closed."""
        held.users -= 1
        if held.users:
            return []
        if held.is_spoilt or not (is_good or self.is_of_a_session(held)):
            return self._forget(held)
        self._at_rest[id(held)] = held
        closed: list[Any] = []
        while len(self._at_rest) > self._most:
            _, oldest = self._at_rest.popitem(last=False)
            closed += self._forget(oldest)
        return closed

    def clear(self) -> list[Any]:
        """Forget all; contexts to be closed, in use or not."""
        gone = {id(held): held.context for held in (*self._at_rest.values(), *self._of_sessions.values())}
        self._at_rest.clear()
        self._of_sessions.clear()
        return list(gone.values())

    def is_of_a_session(self, held: Held) -> bool:
        """Whether a session has it."""
        return any(one is held for one in self._of_sessions.values())

    def _forget(self, held: Held) -> list[Any]:
        self._at_rest.pop(id(held), None)
        for session_id, one in list(self._of_sessions.items()):
            if one is held:
                del self._of_sessions[session_id]
        return [held.context]


class PageAttemptBase:
    """What the attempts of both kinds share: an attempt, and the word that was said of it."""

    def __init__(self, attempt: Attempt, session_id: str | None) -> None:
        self._attempt = attempt
        self._session_id = session_id
        self._held: Held | None = None
        self._page: Any = None
        self._outcome: Outcome | None = None

    @property
    def number(self) -> int:
        """Which attempt it is, from 1."""
        return self._attempt.number

    @property
    def proxy(self) -> _core.Proxy:
        """The proxy."""
        return self._attempt.proxy

    def report(self, answer: Any, *, body: Any = None) -> Outcome:
        """Say what came of it: what ``page.goto()`` returned, an exception, or a status.

        Args:
            answer: The response or exception of Playwright, or an HTTP status. ``None``, which ``goto`` returns for a
                page it is at already, is a success.
            body: The text of the page, for ban rules that look at it: ``page.content()``.

        Returns:
            The outcome.

        Raises:
            RuntimeError: The attempt has ended.
        """
        self._outcome = self._attempt.report(200 if answer is None else answer, body=body)
        return self._outcome

    def show_on(self, page: Any, response: Any, outcome: Outcome) -> None:
        """Say on a page where it has come from."""
        status = None if response is None else response.status
        page.proxywhirl = {**_lender.shown_of(self._attempt, outcome), "status": status}

    def _is_good(self, error: BaseException | None) -> bool:
        return error is None and self._outcome in (None, Outcome.SUCCESS)


class Shared:
    """What both kinds share: options and wishes."""

    _lender_class: Any

    def __init__(
        self,
        source: Any,
        browser: Any,
        *,
        max_contexts: int = 20,
        reuse: bool = True,
        options_for: Callable[[_core.Proxy], Mapping[str, Any]] | None = None,
        wishes: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if "proxy" in options:
            raise TypeError("proxy: not an option here, proxies are the rotation's")
        wishes = known(wishes or {})
        self._book = Book(max_contexts)
        self._lender = self._lender_class(source, wishes)
        self._logins = SocksLogins()
        self._browser = browser
        self._reuse = reuse
        self._options_for = options_for
        self._options = options

    @property
    def pool(self) -> _core.ProxyPool:
        """The pool."""
        return self._lender.pool  # type: ignore[no-any-return]

    def _options_of(self, attempt: Any) -> dict[str, Any]:
        of_proxy = {} if self._options_for is None else dict(self._options_for(attempt.proxy))
        return {**self._options, **of_proxy, "proxy": self._logins.playwright_proxy(attempt)}


def known(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The wishes; ``TypeError`` if one of them is none."""
    unknown = sorted(set(wishes) - set(_lender.WISHES))
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: not known as a wish")
    return dict(wishes)


def raise_own(error: ProxyWhirlError, kind: type[BaseException]) -> NoReturn:
    """Raise the browser's own exception where one is behind it."""
    found = _lender.own_error(error, (kind,))
    if found is None:
        raise error
    raise found from None
