"""How many connections are kept, and for how long; the same for both engines."""

from __future__ import annotations

from typing import NamedTuple


def most_routes() -> int:
    """How many proxies may have open connections, by default.

    A request to a proxy that has just lost its connections pays for a new one, so the bound should lie above the number
    of proxies in use; but each holds file descriptors and some 10 kB.
    """
    try:
        import resource
    except ImportError:
        return 100
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2000 if allowed == resource.RLIM_INFINITY else max(100, min(2000, allowed // 4))


class Limits(NamedTuple):
    """Bounds of the connections.

    Attributes:
        keepalive: Most idle connections kept per proxy.
        keepalive_seconds: How long an idle connection is kept, in seconds.
        routes: Most proxies with connections at the same time.
    """

    keepalive: int | None = 20
    keepalive_seconds: float | None = 300.0
    routes: int = 100

    def check(self) -> None:
        """Refuse bounds that let no request pass. Raises ``ValueError`` (there is no room for any proxy)."""
        if self.routes < 1:
            raise ValueError(f"the number of proxies with connections must be at least 1, not {self.routes}")
