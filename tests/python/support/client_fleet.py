"""The fleet that every client of ``proxywhirl.integrations`` has to cope with, and what is asked of it.

::

    with client_fleet() as crawl, ProxyWhirlSession(crawl.urls) as session:
        for _ in range(PAGES):
            crawl.arrived(session.get(crawl.page()).json())
        crawl.check(session.pool)

Ten proxies: three are dead, one hangs, one is banned at one site, one wants a login full of signs, one is SOCKS5 with
the same login, three are perfect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from proxywhirl.testing import ProxyFleet, ProxySpec

PAGES = 200
SITE = "shop.test"
"""The site that one of the proxies is banned at."""
LOGIN = ("us@er/%#?&=x", "p@s:/%#?&=w")
"""No colon in the name: Basic authentication cannot say it."""
DEAD = ("dead-1", "dead-2", "dead-3")
BAD = (*DEAD, "hanging", "banned")
PATIENCE = 1.0
"""Seconds that a client should wait for the proxy that hangs."""


def specs(*, socks: bool = True) -> list[ProxySpec]:
    """The ten; without ``socks`` for a client that does not speak it, the SOCKS5 proxy is an HTTP proxy."""
    return [
        *(ProxySpec.dead(name=name) for name in DEAD),
        ProxySpec.hanging(name="hanging"),
        ProxySpec(name="banned", ban_after={SITE: 0}),
        ProxySpec(name="login", auth=LOGIN),
        ProxySpec(name="socks", scheme="socks5" if socks else "http", auth=LOGIN),
        *(ProxySpec(name=f"good-{number}") for number in (1, 2, 3)),
    ]


class ClientFleet:
    """A running fleet, and the pages that came."""

    def __init__(self, fleet: ProxyFleet) -> None:
        self.fleet = fleet
        self.pages: list[str] = []
        """Names of the proxies that pages came through, in order."""

    @property
    def urls(self) -> list[str]:
        """The proxies, with credentials."""
        return self.fleet.urls

    def page(self, path: str = "/whoami", *, https: bool = False) -> str:
        """A page of the site; only proxies can resolve its name. With ``https``, trust ``ca_file``."""
        return self.fleet.site_url(SITE, path, https=https)

    @property
    def ca_file(self) -> str:
        """What to trust for ``https``."""
        return self.fleet.ca_file()

    def arrived(self, whoami: Mapping[str, Any]) -> None:
        """A page came: the JSON of ``/whoami``."""
        assert whoami["site"] == SITE, whoami
        self.pages.append(whoami["proxy"])

    def proxies(self, pool: Any) -> dict[str, Any]:
        """The proxies of a pool, by their names in the fleet."""
        names = {(member.host, member.port): member.name for member in self.fleet}
        return {names[proxy.host, proxy.port]: proxy for proxy in pool}

    def tries(self, pool: Any) -> dict[str, int]:
        """How often each bad proxy was tried."""
        found = self.proxies(pool)
        banned = self.fleet.origin.counters()["by_proxy"].get("banned", 0)
        return {**{name: found[name].total_failures for name in BAD if name != "banned"}, "banned": banned}

    def connections(self) -> dict[str, int]:
        """How many connections each proxy that works was opened, all in all."""
        return {member.name: member.counters()["connections"] for member in self.fleet if member.name not in BAD}

    def check(self, pool: Any, *, pages: int = PAGES, connections: int = 2, tries: int = 1) -> None:
        """Assert what every client has to do.

        Args:
            pool: What the client rotated over.
            pages: So many pages arrived, none of them through a proxy that is bad.
            connections: Most connections that a working proxy was opened; requests one at a time need no more than two.
            tries: Most tries of a bad proxy; requests that run side by side may begin before the first has failed.
        """
        assert len(self.pages) == pages
        assert not set(self.pages) & set(BAD), Counter(self.pages)
        found = self.proxies(pool)
        good = sorted(set(found) - set(BAD))
        assert sorted(set(self.pages)) == good, "all that work were used"
        tried = self.tries(pool)
        assert all(1 <= number <= tries for number in tried.values()), tried
        assert found["banned"].total_failures == 0, "a ban is the site's word, no failure of the proxy"
        booked = {name: (proxy.total_successes, proxy.total_failures) for name, proxy in found.items()}
        counted = Counter(self.pages)
        assert {name: booked[name] for name in good} == {name: (counted[name], 0) for name in good}
        assert all(booked[name][0] == 0 for name in BAD), booked
        assert all(proxy.requests_active == 0 for proxy in pool), "every lease has ended"
        opened = self.connections()
        assert all(1 <= number <= connections for number in opened.values()), opened


@contextmanager
def client_fleet(*, socks: bool = True) -> Iterator[ClientFleet]:
    """Start the fleet."""
    with ProxyFleet(specs(socks=socks)) as fleet:
        yield ClientFleet(fleet)
