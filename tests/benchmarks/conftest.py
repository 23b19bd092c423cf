"""Pools in which every proxy was used once, at two sizes.

These are not part of `make test`. To see them, and to compare two commits:

    pytest tests/benchmarks --benchmark-autosave
    pytest tests/benchmarks --benchmark-compare
"""

from __future__ import annotations

from typing import Any, Callable

import pytest

from proxywhirl import ProxyPool, RoundRobinStrategy

SIZES = (10, 1_000)
COUNTRIES = ("US", "DE", "FR", "GB", "NL")

MakePool = Callable[[], ProxyPool]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A benchmark repeats until it is sure, which is longer than a test may take on a busy machine.
    for item in items:
        if "tests/benchmarks" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(params=SIZES, ids=lambda size: f"{size}")
def size(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.fixture
def urls(size: int) -> list[str]:
    return [f"http://10.0.{number >> 8}.{number & 255}:8080" for number in range(size)]


@pytest.fixture
def pool(size: int, urls: list[str]) -> ProxyPool:
    made = ProxyPool(max_pool_size=size)
    made.add_many(urls)
    strategy: Any = RoundRobinStrategy()
    for number in range(size):
        proxy = strategy.select(made)
        strategy.record_result(proxy, True, 20.0 + number % 200)
        proxy.country_code = COUNTRIES[number % len(COUNTRIES)]
    return made
