"""The choice of an engine: by argument, by environment, and by what only httpx can do."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import httpcore
import httpx
import pytest

from proxywhirl import AsyncRotatingTransport, ProxyRotator, RotatingTransport
from proxywhirl._httpx import engine
from proxywhirl._httpx.carrier import Carrier
from proxywhirl._httpx.native.sync import NativeCarrier
from proxywhirl._httpx.native.tasks import AsyncNativeCarrier
from proxywhirl.testing import ProxyFleet

PROXIES = ["http://proxy.test:8080"]


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_ENGINE", raising=False)
    monkeypatch.setattr(engine, "_told", set())


def kind_of(**options: Any) -> type:
    return type(RotatingTransport(PROXIES, **options).carrier)


def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind_of(engine="native") is NativeCarrier
    assert kind_of(engine="httpx") is Carrier
    monkeypatch.setenv("PROXYWHIRL_ENGINE", "native")
    assert kind_of() is NativeCarrier
    assert kind_of(engine="httpx") is Carrier
    monkeypatch.setenv("PROXYWHIRL_ENGINE", "httpx")
    assert kind_of() is Carrier
    assert kind_of(engine="native") is NativeCarrier
    for nothing in ("", None):
        if nothing is None:
            monkeypatch.delenv("PROXYWHIRL_ENGINE")
        else:
            monkeypatch.setenv("PROXYWHIRL_ENGINE", nothing)
        assert kind_of() is NativeCarrier
        assert type(AsyncRotatingTransport(PROXIES).carrier) is AsyncNativeCarrier


@pytest.mark.parametrize("transport", [RotatingTransport, AsyncRotatingTransport])
def test_there_are_two_engines(transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="engine must be 'native' or 'httpx', not 'curl'"):
        transport(PROXIES, engine="curl")
    monkeypatch.setenv("PROXYWHIRL_ENGINE", "fast")
    with pytest.raises(ValueError, match="PROXYWHIRL_ENGINE must be 'native' or 'httpx', not 'fast'"):
        transport(PROXIES)


def test_rotators_hand_it_on() -> None:
    for name, kind in (("native", NativeCarrier), ("httpx", Carrier)):
        with ProxyRotator(proxies=PROXIES, engine=name) as rotator:
            assert type(rotator._transport.carrier) is kind


@pytest.mark.parametrize("name", ["verify", "proxy_verify"])
def test_a_context_is_for_httpx_which_is_said_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.create_default_context()
    with caplog.at_level(logging.INFO, logger="proxywhirl.rotation"):
        assert [kind_of(engine="native", **{name: context}) for _ in range(3)] == [Carrier] * 3
    assert [record.getMessage() for record in caplog.records if "SSLContext" in record.getMessage()] == [
        "verify= is an ssl.SSLContext, whose settings cannot be read: httpx carries the requests"
    ]


def test_mocks_of_httpcore_are_heeded_as_long_as_they_are_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mocked(pool: Any, request: httpcore.Request) -> httpcore.Response:
        return httpcore.Response(200, content=b"mocked")

    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        assert rotator.get(url).json()["site"] == "shop.test"
        with monkeypatch.context() as patch, caplog.at_level(logging.INFO, logger="proxywhirl.rotation"):
            patch.setattr(httpcore.ConnectionPool, "handle_request", mocked)
            assert [rotator.get(url).text for _ in range(2)] == ["mocked", "mocked"]
        assert caplog.text.count("httpcore is mocked") == 1
        assert rotator.get(url).json()["site"] == "shop.test"


@pytest.mark.parametrize(
    ("cls", "method"),
    [
        (httpx.HTTPTransport, "handle_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (httpcore.ConnectionPool, "handle_request"),
        (httpcore.AsyncConnectionPool, "handle_async_request"),
    ],
)
def test_what_mocks_replace(cls: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not engine.is_mocked()
    with monkeypatch.context() as patch:
        patch.setattr(cls, method, lambda self, request: None)
        assert engine.is_mocked()
    assert not engine.is_mocked()


def test_a_mock_that_was_there_first_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    own = httpx.HTTPTransport.handle_request
    monkeypatch.setattr(engine, "methods", [])
    monkeypatch.setattr(engine, "_missing", ["httpcore", "httpx"])
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda self, request: None)
    assert engine.is_mocked()
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", own)
    assert not engine.is_mocked()
