"""A panic of the native core is an exception of this library, and nothing that goes on in the background ends by it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from proxywhirl import InternalError, Proxy, ProxyPool, ProxyWhirlError, RoundRobinStrategy, _core
from proxywhirl.strategies._adapter import adapt

pytestmark = pytest.mark.skipif(_core._locks_held() is None, reason="a release build has no deliberate panic")


def test_a_panic_is_an_ordinary_exception() -> None:
    with pytest.raises(InternalError) as caught:
        _core._panic()
    assert isinstance(caught.value, ProxyWhirlError)
    assert "src/py/border.rs:" in str(caught.value)
    assert caught.value.to_dict()["error_code"] == "INTERNAL_ERROR"


def test_a_panic_says_nothing_on_standard_error() -> None:
    program = (
        "import proxywhirl._core as core\ntry: core._panic()\nexcept Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr) == ("InternalError", "")


def test_the_thread_and_the_pool_go_on() -> None:
    pool = ProxyPool(proxies=["http://10.0.0.1:80"])
    for _ in range(3):
        with pytest.raises(InternalError):
            _core._panic()
        assert RoundRobinStrategy().select(pool) is pool.get_all_proxies()[0]
    assert _core._locks_held() == 0


def test_a_background_thread_that_contains_errors_contains_panics() -> None:
    rounds: list[str] = []

    def refresh() -> None:
        for _ in range(3):
            try:
                _core._panic()
            except Exception as error:
                rounds.append(type(error).__name__)

    thread = threading.Thread(target=refresh)
    thread.start()
    thread.join(10)
    assert rounds == ["InternalError"] * 3


def test_a_panic_below_a_callback_comes_through_both_borders() -> None:
    def lines() -> Iterator[str]:
        yield "http://10.0.0.2:80"
        _core._panic()

    pool = ProxyPool(proxies=["http://10.0.0.1:80"])
    with pytest.raises(InternalError):
        pool.add_many(lines())
    assert len(pool) == 1


def test_a_strategy_that_panics_is_replaced_as_one_that_fails() -> None:
    class Panics:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            _core._panic()
            return pool.get_all_proxies()[0]

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...

    pool = ProxyPool(proxies=["http://10.0.0.1:80"])
    with pool.lease(adapt(Panics())):
        assert [proxy.requests_active for proxy in pool] == [1]
    assert [proxy.requests_active for proxy in pool] == [0]


def test_a_callback_that_contains_a_panic_is_served() -> None:
    class Contains:
        def select(self, pool: ProxyPool, context: Any = None) -> Proxy:
            with pytest.raises(InternalError):
                _core._panic()
            proxy = pool.get_all_proxies()[0]
            proxy.start_request()
            return proxy

        def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None: ...

    pool = ProxyPool(proxies=["http://10.0.0.1:80"])
    with pool.lease(adapt(Contains())) as lease:
        assert lease.proxy is pool.get_all_proxies()[0]
