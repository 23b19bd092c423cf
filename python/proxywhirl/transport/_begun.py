"""A request that a transport has begun to carry out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl._core import RuleJudge, StatusJudge
    from proxywhirl._httpx.cookies import CookieStore, Wearing
    from proxywhirl._httpx.library import HttpLibrary
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
