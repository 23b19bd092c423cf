"""What a session owns: its cookies, its headers, and connections that no other request uses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.cookies import MOST_JARS, CookieStore, new_jar
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from proxywhirl._httpx.library import HttpLibrary
    from proxywhirl._httpx.selection import Chooser

_ON_MOVE = ("keep", "drop")


class Identity(CookieStore):
    """The belongings of one session. Thread-safe."""

    def __init__(
        self,
        session_id: str,
        chooser: Chooser,
        kind: HttpLibrary,
        on_move: str = "keep",
        first: Sequence[Cookie] = (),
    ) -> None:
        self.session_id = session_id
        # Costs more to import than the rest of this module, and most programs have no sessions.
        import uuid

        self.token = uuid.uuid4()
        """Names its connections: a later session of the same id must not get them."""
        self.on_move = on_move
        self._first = first
        self.cookies: Any = new_jar(kind, first)
        self.headers: Any = kind.module.Headers()
        self._chooser = chooser
        self._proxy_id: Any = None
        self._was_bound = False

    def jar(self, proxy_id: Any, kind: HttpLibrary) -> Any:
        if proxy_id != self._proxy_id:
            if self._proxy_id is not None and self.on_move == "drop":
                self.cookies = new_jar(kind, self._first)
            self._proxy_id = proxy_id
        if not self._was_bound:
            self._was_bound = self._chooser.sessions.get_session(self.session_id) is not None
        return self.cookies

    def has_ended(self) -> bool:
        """Whether the session is over: it was bound to a proxy, and is not any more though the proxy is still there.

        A session whose proxy was removed goes on with the next one.
        """
        chooser = self._chooser
        if not self._was_bound or chooser.sessions.get_session(self.session_id) is not None:
            return False
        return self._proxy_id is not None and chooser.pool.get_proxy_by_id(self._proxy_id) is not None

    def dump(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "session_id": self.session_id,
            "proxy_id": None if self._proxy_id is None else str(self._proxy_id),
            "on_move": self.on_move,
            "headers": [list(pair) for pair in self.headers.multi_items()],
            "cookies": [_plain(cookie) for cookie in self.cookies.jar],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take in what :meth:`dump` gave. Raises ``ValueError`` (it is something else)."""
        from http.cookiejar import Cookie

        try:
            headers = [(str(name), str(value)) for name, value in saved["headers"]]
            cookies = [Cookie(**fields) for fields in saved["cookies"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is no saved session: {type(error).__name__}") from None
        self.headers.update(headers)
        for cookie in cookies:
            self.cookies.jar.set_cookie(cookie)

    def __repr__(self) -> str:
        # Neither the id nor the cookies: each of them lets its holder in.
        return "<identity of a session>"


def _plain(cookie: Cookie) -> dict[str, Any]:
    fields = dict(vars(cookie))
    fields["rest"] = fields.pop("_rest", {})
    return fields


class Identities:
    """The identities of a rotator's sessions, bounded in number. Thread-safe."""

    def __init__(self, chooser: Chooser, kind: HttpLibrary, first: Sequence[Cookie] = ()) -> None:
        self._first = first
        self._chooser = chooser
        self._kind = kind
        self._by_id: OrderedDict[str, Identity] = OrderedDict()
        self._lock = new_lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def _new(self, session_id: str, on_move: str = "keep") -> Identity:
        return Identity(session_id, self._chooser, self._kind, on_move, self._first)

    def of(self, session_id: str) -> Identity:
        """The identity of a session, a new one if the session is new or was over.

        A session that has run out keeps its headers, which the user set, and loses its cookies, which sites set.
        """
        self.renew(session_id)
        with self._lock:
            found = self._by_id.get(session_id)
            if found is None:
                found = self._by_id[session_id] = self._new(session_id)
                if len(self._by_id) > MOST_JARS:
                    self._by_id.popitem(last=False)
            else:
                self._by_id.move_to_end(session_id)
            return found

    def renew(self, session_id: str) -> None:
        """Make a new identity where there is one of a session that is over.

        To be called before a session of that id is bound anew: after that it would look as if it had gone on.
        """
        found = self._by_id.get(session_id)
        # Asked without the lock: it is the core that answers.
        if found is not None and found.has_ended():
            with self._lock:
                if self._by_id.get(session_id) is found:
                    again = self._by_id[session_id] = self._new(session_id, found.on_move)
                    again.headers = found.headers

    def end(self, session_id: str) -> Identity | None:
        """Forget what a session owned; the identity, if there was one."""
        with self._lock:
            return self._by_id.pop(session_id, None)

    def forget_ended(self) -> None:
        """Forget what belonged to sessions that are over."""
        for session_id, identity in list(self._by_id.items()):
            if identity.has_ended():
                with self._lock:
                    if self._by_id.get(session_id) is identity:
                        del self._by_id[session_id]


def checked_on_move(on_move: str) -> str:
    """``on_move`` as it was given. Raises ``ValueError`` (it is neither ``"keep"`` nor ``"drop"``)."""
    if on_move not in _ON_MOVE:
        raise ValueError(f"on_move must be 'keep' or 'drop', not {shown(on_move)}")
    return on_move
