"""A request that a transport has begun to carry out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from proxywhirl._httpx.cookies import Wearing
from proxywhirl._httpx.library import HttpLibrary, flavour_of

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl._core import HandedOver, RuleJudge, StatusJudge
    from proxywhirl._httpx.cookies import CookieStore
    from proxywhirl._httpx.selection import Selection

__all__ = ["Begun"]


class Begun(NamedTuple):
    """One request, as the transport carries it out."""

    kind: HttpLibrary
    selection: Selection | None
    rotation: _core._Rotation
    judge: StatusJudge | RuleJudge
    policy: Any
    read: bool
    """Whether the body is read before the response is handed on."""
    deadline: float | None
    taking: _core.LeaseAcquirer
    authorization: bytes | None
    """The user's own ``Proxy-Authorization``."""
    store: CookieStore | None
    wearing: Wearing | None

    @classmethod
    def of(cls, handed: HandedOver) -> Begun:
        """A request that the short way has begun."""
        request = handed.request
        kind = flavour_of(request)
        selection = request.extensions.get("proxywhirl")
        deadline = store = wearing = None
        if selection is not None:
            deadline, store, wearing = selection.deadline, selection.cookies, selection.wearing
            if store is not None and wearing is None:
                # No proxy was free at once.
                wearing = Wearing(store, request, kind, merges=selection.completes_cookies())
        return cls(
            *(kind, selection, handed.rotation, handed.judge, handed.policy, True, deadline, handed.taking, None),
            store=store,
            wearing=wearing,
        )
