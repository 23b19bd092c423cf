"""The documented snippets run against real proxies on loopback."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

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
def lists(fleet: ProxyFleet) -> Iterator[dict[str, str]]:
    """Lists on a web server of their own: the addresses of ``plain``, ``json``, ``scripted`` and ``fleet``."""
    row = "<tr><td>1.1.1.3</td><td>80</td></tr>"
    pages = {
        "plain": "1.1.1.1:80\n",
        "json": '[{"ip": "1.1.1.2", "port": 80}]',
        "scripted": f"<!doctype html><table id=t><tr><th>IP<th>Port</tr></table><script>t.innerHTML += '{row}'</script>",
        "fleet": "\n".join(fleet.urls[1:3]),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path[1:], "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if body.startswith(b"<") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield {name: f"http://127.0.0.1:{server.server_address[1]}/{name}" for name in pages}
        server.shutdown()


@pytest.fixture
def target(fleet: ProxyFleet) -> str:
    """A page that says which proxy the request came through."""
    return fleet.site_url("site.test", "/whoami")
