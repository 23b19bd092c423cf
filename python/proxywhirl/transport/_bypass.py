"""A client that has a proxy of its own beside a transport that rotates: it sends requests past the transport.

A client does not tell a transport whose it is, so it is found as the caller: when it is entered, when it is closed, and
at the first request that reaches the transport after all. One that is neither entered nor closed, and sends everything
through its own proxy, never calls the transport, and is not seen.
"""

from __future__ import annotations

import warnings
from types import FrameType
from typing import Any

# The pools of httpcore that lead through one proxy.
_PROXY_POOLS = frozenset({"AsyncHTTPProxy", "AsyncSOCKSProxy", "HTTPProxy", "SOCKSProxy"})


class BypassWarning:
    """Warns once, where a transport's client has a proxy that requests take instead."""

    _has_met_client = False
    _has_warned = False

    def _meet(self, caller: FrameType) -> None:
        """Look at what calls a method of the transport, which calls this one."""
        self._has_met_client = True
        text = None if self._has_warned else _bypass(self, caller)
        if text is not None:
            self._has_warned = True
            # The line that uses the client: four calls up.
            warnings.warn(text, RuntimeWarning, stacklevel=4)


def _bypass(transport: Any, caller: FrameType) -> str | None:
    client = caller.f_locals.get("self")
    if getattr(client, "_transport", None) is not transport:
        # No client; or one to which the transport is mounted, and which is meant to send the rest elsewhere.
        return None
    mounts = getattr(client, "_mounts", None) or {}
    patterns = sorted(pattern.pattern for pattern, mounted in mounts.items() if _leads_through_a_proxy(mounted))
    if not patterns:
        return None
    # The patterns, and not the proxies: these may have a login.
    where, name = ", ".join(patterns), type(transport).__name__
    return (
        f"the client has a proxy of its own for {where}, which bypasses rotation: {name} does not see these requests; "
        "give the proxy to the transport instead"
    )


def _leads_through_a_proxy(mounted: Any) -> bool:
    return type(getattr(mounted, "_pool", None)).__name__ in _PROXY_POOLS
