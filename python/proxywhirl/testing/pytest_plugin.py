"""Fixtures for tests of one's own code: proxies that fail as real ones do, on loopback.

pytest finds it by itself where proxywhirl is installed; ``-p no:proxywhirl`` turns it off. ::

    @pytest.mark.proxy_fleet([ProxySpec(name="good"), ProxySpec.dead(), ProxySpec(ban_after=3)])
    def test_my_scraper(proxy_fleet):
        pages = scrape(proxy_fleet.site_url("shop.test", "/whoami"), proxies=proxy_fleet.urls)
        assert len(pages) == 10
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from proxywhirl.testing import ProxyFleet

_MARK = "proxy_fleet(proxies=4, *, seed, workers, ipv6, hosts): what the fixture proxy_fleet is made of, as ProxyFleet"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def make_proxy_fleet() -> Iterator[Callable[..., ProxyFleet]]:
    """Start fleets of proxies: a function with the arguments of ``ProxyFleet``. They stop when the test is over."""
    # pytest imports this module in every project; most tests need none of this.
    from proxywhirl.testing import ProxyFleet

    with ExitStack() as running:

        def make(*args: Any, **options: Any) -> ProxyFleet:
            return running.enter_context(ProxyFleet(*args, **options))

        yield make


@pytest.fixture
def proxy_fleet(request: pytest.FixtureRequest, make_proxy_fleet: Callable[..., ProxyFleet]) -> ProxyFleet:
    """A running fleet: four perfect HTTP proxies, or what ``@pytest.mark.proxy_fleet(...)`` says."""
    mark = request.node.get_closest_marker("proxy_fleet")
    return make_proxy_fleet() if mark is None else make_proxy_fleet(*mark.args, **mark.kwargs)
