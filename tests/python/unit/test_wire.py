"""What the native engine's objects hold, and which proxies must not lead inward."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxywhirl import Proxy, ProxyPool, ProxyRotator, ProxySource, RotatingTransport, _core
from proxywhirl._httpx.direct import DirectLease
from proxywhirl._httpx.native import parcel
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.testing import ProxyFleet

NO_TIMEOUTS = (None, None, None)


def order_of(body: Any, url: str = "http://shop.test/") -> _core.WireOrder:
    request = httpx.Request("GET", url)
    return _core.WireOrders().order(DirectLease(), "", request, False, body, NO_TIMEOUTS)


@pytest.mark.parametrize(
    ("source", "allowed", "expected"),
    [
        (ProxySource.USER, False, False),
        (ProxySource.FILE, False, False),
        (ProxySource.API, False, True),
        (ProxySource.FETCHED, False, True),
        (ProxySource.FETCHED, True, False),
    ],
)
def test_which_proxies_must_not_lead_inward(source: ProxySource, allowed: bool, expected: bool) -> None:
    proxy = Proxy(url="http://192.0.2.1:80", source=source, allow_local=allowed or expected)
    proxy.allow_local = allowed
    pool = ProxyPool(name="p", proxies=[proxy])
    with pool.lease("round-robin") as lease:
        assert _core.must_be_public(lease) is expected
    assert _core.must_be_public(SimpleNamespace(proxy=proxy)) is expected
    assert _core.must_be_public(DirectLease()) is False
    assert _core.must_be_public(object()) is False


@pytest.mark.parametrize("engine", ["native", "httpx"])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_name_that_leads_inward_is_refused(engine: str, allowed: bool) -> None:
    with ProxyFleet(1) as fleet:
        # The system's own resolver is asked, which knows one name for sure.
        proxy = Proxy(url="http://192.0.2.1:80", source=ProxySource.FETCHED, allow_local=True)
        proxy.url = f"http://localhost:{fleet[0].port}"
        proxy.allow_local = allowed
        with ProxyRotator(proxies=[proxy], engine=engine) as rotator:
            target = fleet.site_url("shop.test", "/whoami")
            if allowed:
                assert rotator.get(target, timeout=5).status_code == 200
            else:
                with pytest.raises(ProxyWhirlError):
                    rotator.get(target, timeout=5)
                assert fleet[0].counters()["connections"] == 0


class Upload:
    """A body that holds whatever was made of it."""

    order: Any = None

    def __iter__(self) -> Upload:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


def test_an_order_and_its_body_are_collected_together() -> None:
    body = Upload()
    body.order = order_of(body)
    gone = weakref.ref(body)
    del body
    gc.collect()
    assert gone() is None


async def test_the_connections_of_a_loop_are_closed_with_what_is_awaited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        wire = _core.LoopedWire(asyncio.get_running_loop(), keepalive=None, keepalive_seconds=None, proxies=1)
        # A bound method of the module's cannot be cleared, as a timer of uvloop cannot.
        wire.send(order_of(b"", f"http://127.0.0.1:{port}/"), wire.turn)
        assert wire.counts()[0] == 1
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(20)
            del wire
            gc.collect()
            # The end: nothing else closes it.
            while connection.recv(4096):
                pass


def test_an_answer_that_cannot_be_looked_at_gives_its_connection_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(payload: Any, request: Any, terms: Any) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(parcel, "check_answer", fail)
    with ProxyFleet(1) as fleet:
        transport = RotatingTransport([fleet[0].url], engine="native")
        with httpx.Client(transport=transport) as client:
            with pytest.raises(LookupError) as caught:
                client.get(fleet.site_url("shop.test", "/bytes/9000000"))
            # The traceback still holds the answer.
            assert caught.tb is not None
            assert transport.carrier._wire.counts()[0] == 0
