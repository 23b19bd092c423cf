"""What many tests need: pools made in one line, and a registry that forgets."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, StrategyRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    MakePool = Callable[..., ProxyPool]

TESTS = Path(__file__).parent
ENGINE = "PROXYWHIRL_ENGINE"
ON_BOTH_ENGINES = frozenset((TESTS / "on_both_engines.txt").read_text().split())
"""Files of tests that hold whichever engine carries the requests."""


def pytest_configure() -> None:
    """Make interrupts arrive: a shell that starts this in the background has children ignore them, and theirs too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the tests of some files run once with each engine, unless one is asked for."""
    if str(metafunc.definition.path.relative_to(TESTS)) not in ON_BOTH_ENGINES or os.environ.get(ENGINE):
        return
    if "engine" not in metafunc.fixturenames:
        metafunc.parametrize("default_engine", ["native", "httpx"], indirect=True)


@pytest.fixture(autouse=True)
def default_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of rotators and transports that name none."""
    engine = getattr(request, "param", None)
    if engine is not None:
        monkeypatch.setenv(ENGINE, engine)


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
