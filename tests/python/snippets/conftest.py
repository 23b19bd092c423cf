"""The documented snippets run against real proxies on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxywhirl.testing import ProxyFleet

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running_fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet(3) as fleet:
        yield fleet


@pytest.fixture
def fleet(running_fleet: ProxyFleet) -> ProxyFleet:
    """Three perfect proxies."""
    return running_fleet


@pytest.fixture
def target(fleet: ProxyFleet) -> str:
    """A page that says which proxy the request came through."""
    return fleet.site_url("site.test", "/whoami")
