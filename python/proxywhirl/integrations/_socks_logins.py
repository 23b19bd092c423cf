"""SOCKS proxies that want a login, which browsers cannot give: reached through an HTTP proxy on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl import _core

if TYPE_CHECKING:
    from proxywhirl.relay import Relay
    from proxywhirl.rotator._attempt import Attempt

__all__ = ["SocksLogins"]


class SocksLogins:
    """One relay for all of them, made with the first; each is asked for by a tag of its own. For one thread or loop."""

    def __init__(self) -> None:
        self._pool: _core.ProxyPool | None = None
        self._relay: Relay | None = None
        self._known: set[str] = set()

    def playwright_proxy(self, attempt: Attempt) -> dict[str, str]:
        """What Playwright takes as ``proxy`` for the proxy of an attempt, whichever it is.

        Raises:
            OSError: The relay cannot listen.
        """
        try:
            return attempt.playwright_proxy
        except ValueError:
            return self._through_relay(attempt)

    def _through_relay(self, attempt: Attempt) -> dict[str, str]:
        from proxywhirl.relay import Relay

        if self._pool is None or self._relay is None:
            self._pool = _core.ProxyPool(name="logins", max_pool_size=2**31 - 1)
            self._relay = Relay(self._pool).start()
        tag = attempt.id.hex
        if tag not in self._known:
            # A copy: what the browser finds is counted for the proxy of the attempt.
            self._pool.add_proxy(_core.Proxy(url=attempt.url, tags={tag}))
            self._known.add(tag)
        proxy = self._relay.playwright_proxy
        return {**proxy, "username": f"{proxy['username']}-tag-{tag}"}

    def close(self) -> None:
        """End the relay."""
        relay, self._relay = self._relay, None
        self._pool = None
        self._known.clear()
        if relay is not None:
            relay.close()
