"""A client with a proxy of its own beside a transport that rotates: its requests are not rotated, which is said."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

import httpx
import pytest
from scripted_site import ScriptedSite

from proxywhirl import AsyncRotatingTransport, RotatingTransport

PROXIES = ["http://proxy.test:8080"]
OWN = "http://user:secret@own.test:3128"
BYPASSES = "proxy of its own for all://, which bypasses rotation: RotatingTransport"
OK = {"/": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}


@pytest.fixture(params=[name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)])
def library(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def test_a_client_that_is_entered(library: Any) -> None:
    transport = RotatingTransport(PROXIES)
    with pytest.warns(RuntimeWarning, match=BYPASSES) as seen, library.Client(transport=transport, proxy=OWN):
        pass
    assert len(seen) == 1
    assert "secret" not in str(seen[0].message)
    # The line of the user.
    assert seen[0].filename == __file__
    with library.Client(transport=transport, proxy=OWN):
        """It is said once."""


async def test_an_asynchronous_client(library: Any) -> None:
    transport = AsyncRotatingTransport(PROXIES)
    with pytest.warns(RuntimeWarning, match="AsyncRotatingTransport") as seen:
        async with library.AsyncClient(transport=transport, proxy=OWN):
            pass
    assert len(seen) == 1
    assert seen[0].filename == __file__


def test_a_client_that_is_only_closed(library: Any) -> None:
    client = library.Client(transport=RotatingTransport(PROXIES), proxy=OWN)
    with pytest.warns(RuntimeWarning, match=BYPASSES):
        client.close()


def test_a_mounted_proxy_shows_at_the_first_request(library: Any) -> None:
    with ScriptedSite(OK) as site:
        mounts = {"https://": library.HTTPTransport(proxy=OWN)}
        client = library.Client(transport=RotatingTransport([site.url]), mounts=mounts)
        with pytest.warns(RuntimeWarning, match="for https://, which") as seen:
            client.get("http://shop.test/")
        assert len(seen) == 1
        client.get("http://shop.test/")
        client.close()


async def test_a_mounted_proxy_of_an_asynchronous_client() -> None:
    with ScriptedSite(OK) as site:
        mounts = {"https://": httpx.AsyncHTTPTransport(proxy=OWN)}
        client = httpx.AsyncClient(transport=AsyncRotatingTransport([site.url]), mounts=mounts)
        with pytest.warns(RuntimeWarning, match="for https://, which"):
            await client.get("http://shop.test/")
        await client.aclose()


def test_what_is_no_bypass(library: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transport = RotatingTransport(PROXIES)
        with library.Client(transport=transport):
            pass
        # Another way without a proxy was asked for.
        with library.Client(transport=transport, mounts={"all://local.test": library.HTTPTransport(), "all://a": None}):
            pass
        # Only these requests were to be rotated.
        with library.Client(mounts={"https://": transport}, proxy=OWN):
            pass
        with transport:
            pass
        transport.close()


def test_the_environment_does_not_reach_such_a_client(monkeypatch: pytest.MonkeyPatch, library: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", OWN)
    with library.Client(transport=RotatingTransport(PROXIES)) as client:
        assert not client._mounts
