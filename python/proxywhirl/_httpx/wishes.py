"""What one request demands of its proxy, and how it is to be sent."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._httpx.cookies import Wearing
from proxywhirl._httpx.library import flavour_of
from proxywhirl._native.redact import shown
from proxywhirl.bans import BanPolicy

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl._httpx.cookies import CookieStore
    from proxywhirl.retry import RetryPolicy


class Selection(_core.Wishes):
    """The wishes of one logical request, redirects included; travels in ``request.extensions["proxywhirl"]``.

    Args:
        session_id: Requests of the same id use the same proxy.
        country: Country of the proxy.
        region: Region of the proxy.
        tags: Tags the proxy must have, all of them.
        protocol: Protocol that it must speak, or several of which one will do.
        context: A selection context that the other wishes are laid over.
        retry_policy: Instead of the transport's.
        read_body: Read the body before returning, so that a body cut short can be asked for again;
            ``None`` leaves it to the transport.
        fixed_timeout: The caller named a timeout, so it must not follow the speed of the proxy.
        ban_policy: Ban rules instead of the transport's, for whichever site; see :meth:`BanPolicy.of`.
        raise_on_ban: Whether a final ban or rate limit is raised; ``None`` leaves it to the transport.
        max_body: Most bytes of the body, on the wire and unpacked; ``math.inf`` for no bound, ``None`` leaves it to the
            transport.
        deadline: When the request must be over, redirects included, by ``time.monotonic``; ``None`` leaves it to the
            policy.
    """

    __slots__ = (
        "_hop_of",
        "_hop_status",
        "ban_policy",
        "cookies",
        "deadline",
        "fixed_timeout",
        "max_body",
        "merges_cookies",
        "raise_on_ban",
        "read_body",
        "retry_policy",
        "wearing",
    )

    def __init__(
        self,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: _core.SelectionContext | None = None,
        retry_policy: RetryPolicy | None = None,
        read_body: bool | None = None,
        fixed_timeout: bool = False,
        ban_policy: BanPolicy | Mapping[str, Any] | None = None,
        raise_on_ban: bool | None = None,
        max_body: float | None = None,
        deadline: float | None = None,
    ) -> None:
        # The demands on the proxy are the core's, which has taken them from the same arguments.
        del session_id, country, region, tags, protocol, context
        self.retry_policy = retry_policy
        self.read_body = read_body
        self.fixed_timeout = fixed_timeout
        self.ban_policy = None if ban_policy is None else BanPolicy.of(ban_policy)
        self.raise_on_ban = raise_on_ban
        self.max_body = None if max_body is None else checked_bound(max_body)
        self.deadline = deadline
        self.cookies: CookieStore | None = None
        """Where the cookies of this request come from and go to; ``None`` where the client keeps them."""
        self.merges_cookies = False
        """Whether those that the request brought along are completed by them."""
        self.wearing: Wearing | None = None
        """What puts them on the attempts of the request that the short way has begun."""
        self._hop_of = 0
        self._hop_status = 0

    @classmethod
    def of(cls, value: Any, request: Any) -> Selection:
        """Make a selection of what a request carries, or go on with the one of the hop before.

        Raises ``TypeError`` (it is something else, or names an unknown wish).
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value if value._continues(request) else value._anew()
        if isinstance(value, Mapping):
            return cls(**value)
        raise TypeError(f"extensions['proxywhirl'] must be a mapping, not {type(value).__name__}")

    def note_hop(self, request: Any, status: int, proxy_id: UUID | None, deadline: float | None = None) -> None:
        """Remember how this hop went; the next one stays on its proxy, and has the same deadline."""
        self.deadline = deadline
        # The identity, not the object: request and selection would otherwise keep each other alive. No other request
        # can have that address while a redirect is followed, for the response holds it.
        self._hop_of = id(request)
        self._hop_status = status
        self.proxy_id = proxy_id

    def _continues(self, request: Any) -> bool:
        """Whether the request is a further hop, rather than the same one sent again by the user."""
        if not self._hop_of:
            return True
        if self._hop_of == id(request):
            return self._hop_status == 401
        return 300 <= self._hop_status < 400

    def wear(self, request: Any, proxy_id: UUID) -> None:
        """Put the cookies on a request for its first attempt, which goes through that proxy."""
        cookies = self.cookies
        if cookies is not None:
            self.wearing = Wearing(cookies, request, flavour_of(request), merges=self.completes_cookies())
            self.wearing.put_on(proxy_id)

    def owner(self) -> Hashable | None:
        """Names the session that has its connections to itself; ``None`` without a session."""
        token: Hashable | None = getattr(self.cookies, "token", None)
        return self.session() if token is None else token

    def completes_cookies(self) -> bool:
        """Whether a ``Cookie`` header that the request has is completed, rather than taken for all there is to send."""
        # What a further hop has, as after a 401, comes from the client and not from the user.
        return self.merges_cookies or self._hop_of != 0

    def _anew(self) -> Selection:
        again = Selection(
            session_id=self.session_id,
            country=self.country,
            region=self.region,
            tags=self.tags,
            protocol=self.protocol,
            context=self.context,
            retry_policy=self.retry_policy,
            read_body=self.read_body,
            fixed_timeout=self.fixed_timeout,
            ban_policy=self.ban_policy,
            raise_on_ban=self.raise_on_ban,
            max_body=self.max_body,
        )
        again.cookies = self.cookies
        again.merges_cookies = self.merges_cookies
        return again


def checked_bound(most: float | None) -> float | None:
    """A ``max_body`` as it was given.

    Args:
        most: Bytes; ``math.inf`` for no bound, ``None`` for the default.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or not a number.
    """
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, (int, float)):
        raise TypeError(f"max_body must be a number of bytes, not {type(most).__name__}")
    if math.isnan(most) or most < 0:
        raise ValueError(f"max_body must be a number of bytes from 0 up, or math.inf, not {shown(most)}")
    return most


def selection_of(
    *,
    session_id: str | None,
    country: str | None,
    region: str | None,
    tags: Iterable[str] | None,
    protocol: str | Iterable[str] | None,
) -> Selection | None:
    """The demands of a lease, by the arguments of :class:`Selection`; ``None`` without any."""
    if session_id is None and country is None and region is None and tags is None and protocol is None:
        return None
    return Selection(session_id=session_id, country=country, region=region, tags=tags, protocol=protocol)


def wished(**wishes: Any) -> Selection:
    """The selection that keywords stand for.

    Raises ``TypeError`` (the context is neither that nor a ``SelectionContext``).
    """
    context = wishes.get("context")
    if isinstance(context, Mapping):
        wishes["context"] = _core.SelectionContext(**context)
    elif context is not None and not isinstance(context, _core.SelectionContext):
        raise TypeError(f"context must be a SelectionContext, not {type(context).__name__}")
    return Selection(**wishes)
