"""What many tests need: pools made in one line, and a registry that forgets."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, StrategyRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    MakePool = Callable[..., ProxyPool]


def pytest_configure() -> None:
    """Make interrupts arrive: a shell that starts this in the background has children ignore them, and theirs too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_proxy() -> Callable[..., Proxy]:
    """``make_proxy(3, country_code="US")``: the proxy with the address of number three."""

    def make(number: int = 0, **fields: Any) -> Proxy:
        fields.setdefault("url", f"http://proxy{number}.test:8000")
        return Proxy(**fields)

    return make


@pytest.fixture
def make_pool(make_proxy: Callable[..., Proxy]) -> MakePool:
    """``make_pool(3, country_code=["US", "DE", None])``: three proxies in order.

    A field given as a list has one value per proxy, any other value is shared by all.
    """

    def make(size: int, *, pool: dict[str, Any] | None = None, **fields: Any) -> ProxyPool:
        proxies = [
            make_proxy(i, **{name: value[i] if isinstance(value, list) else value for name, value in fields.items()})
            for i in range(size)
        ]
        return ProxyPool(proxies=proxies, **(pool or {}))

    return make


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    """Names registered in one test are unknown in the next."""
    StrategyRegistry.reset()
    yield
    StrategyRegistry.reset()
