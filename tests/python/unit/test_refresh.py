"""``refresh_proxies()`` of the synchronous rotator: called plainly, awaited, twice at once, and when it fails."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from proxywhirl import ProxyRotator
from proxywhirl.fetchers import ProxyFetcher


class Parser:
    """A parser that waits until it is let go; counts its readings."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.readings = 0
        self.failure: BaseException | None = None

    def __call__(self, text: str) -> list[dict[str, Any]]:
        self.readings += 1
        self.begun.set()
        assert self.open.wait(30)
        if self.failure is not None:
            raise self.failure
        return [{"url": f"http://{line}"} for line in text.split()]


@pytest.fixture
def parser() -> Parser:
    return Parser()


@pytest.fixture
def rotator(web: Any, parser: Parser) -> Any:
    url = web.text("/list", "1.1.1.1:80\n1.1.1.2:80\n")
    fetcher = ProxyFetcher([{"url": url, "custom_parser": parser}], allow_local=True, validate_before_add=False)
    with ProxyRotator(auto_fetch_sources=fetcher) as made:
        yield made
        parser.open.set()


HOSTS = ["1.1.1.1", "1.1.1.2"]


def test_plainly(rotator: ProxyRotator, parser: Parser) -> None:
    parser.open.set()
    result = rotator.refresh_proxies()
    assert [proxy.host for proxy in result] == HOSTS
    assert len(result) == 2
    assert result.done


def test_plainly_beside_a_running_loop(rotator: ProxyRotator, parser: Parser) -> None:
    parser.open.set()

    async def main() -> list[str]:
        result = await asyncio.to_thread(rotator.refresh_proxies)
        return [proxy.host for proxy in result]

    assert asyncio.run(main()) == HOSTS


async def test_awaited_while_the_loop_goes_on(rotator: ProxyRotator, parser: Parser) -> None:
    turns = 0
    refresh = asyncio.ensure_future(_await(rotator))
    while not parser.begun.is_set() or turns < 20:
        await asyncio.sleep(0.001)  # would not come back if the loop were held up
        turns += 1
    assert not refresh.done()
    parser.open.set()
    assert await refresh == HOSTS


async def _await(rotator: ProxyRotator) -> list[str]:
    return [proxy.host for proxy in await rotator.refresh_proxies()]


async def test_twice_at_once(rotator: ProxyRotator, parser: Parser) -> None:
    first, second = rotator.refresh_proxies(), rotator.refresh_proxies()
    parser.open.set()
    done = await asyncio.gather(first, second, first)
    assert [[proxy.host for proxy in result] for result in done] == [HOSTS] * 3
    # One reading, or a second one if the first had begun: what is asked for later must not be older.
    assert parser.readings in (1, 2)


def test_many_threads_at_once_join(rotator: ProxyRotator, parser: Parser) -> None:
    results: list[list[str]] = []

    def refresh() -> None:
        results.append([proxy.host for proxy in rotator.refresh_proxies()])

    first = threading.Thread(target=refresh)
    first.start()
    assert parser.begun.wait(30)
    # All of these ask while the first reading is under way: they share the next one.
    others = [threading.Thread(target=refresh) for _ in range(12)]
    for thread in others:
        thread.start()
    while rotator._lists.supply is None or rotator._lists.supply._asked is None:
        threading.Event().wait(0.001)
    parser.open.set()
    for thread in [first, *others]:
        thread.join(30)
    assert results == [HOSTS] * 13
    assert parser.readings <= 14


async def test_the_end_of_the_rotator_surfaces(rotator: ProxyRotator, parser: Parser) -> None:
    refresh = rotator.refresh_proxies()
    await asyncio.to_thread(parser.begun.wait, 30)
    rotator._lists.supply.close()  # type: ignore[union-attr]
    parser.open.set()
    with pytest.raises(RuntimeError, match="closed"):
        await refresh
    with pytest.raises(RuntimeError, match="closed"):
        len(refresh)


@pytest.mark.parametrize("failure", [ValueError("no list"), KeyError("x"), RecursionError("deep")])
async def test_an_unreadable_list_is_reported(rotator: ProxyRotator, parser: Parser, failure: Exception) -> None:
    parser.failure = failure
    parser.open.set()
    result = await rotator.refresh_proxies()
    assert list(result) == []
    (reason,) = result.errors.values()
    assert reason
    # And nothing is the worse for it.
    parser.failure = None
    assert await _await(rotator) == HOSTS


async def test_a_parser_that_wants_out_is_an_error_of_the_refresh(rotator: ProxyRotator, parser: Parser) -> None:
    parser.failure = SystemExit(3)
    parser.open.set()
    try:
        result = await rotator.refresh_proxies()
    except Exception as error:
        assert str(error)
    else:
        assert result.errors
    parser.failure = None
    assert await _await(rotator) == HOSTS
