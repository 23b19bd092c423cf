"""The loops of the examples, over the fleet that every client has to cope with."""

from __future__ import annotations

import gc
import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest
from client_fleet import PAGES, client_fleet

from proxywhirl import ProxyRotator

EXAMPLES = Path(__file__).parents[4] / "examples" / "clients"

# Clients leave sockets to the garbage collector where they raise.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("client", ["urllib3", "niquests", "primp", "pyreqwest"])
def test_every_page(client: str) -> None:
    with warnings.catch_warnings():
        # What a client warns of while it is imported is its own affair.
        warnings.simplefilter("ignore")
        pytest.importorskip(client)
        fetch: Any = runpy.run_path(str(EXAMPLES / f"{client}_loop.py"))["fetch"]
    with client_fleet() as crawl, ProxyRotator(proxies=crawl.urls) as rotator:
        for _ in range(PAGES):
            crawl.arrived(fetch(rotator, crawl.page()))
        crawl.check(rotator.pool)
    # Their connections go now, while it does not matter how.
    del fetch
    gc.collect()
