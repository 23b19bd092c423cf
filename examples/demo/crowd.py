"""Many at once: threads on a rotator, tasks on its asynchronous twin."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Optional

import httpx

from demo.stats import Page, Stats
from proxywhirl import ProxyWhirlError

if TYPE_CHECKING:
    from demo.fleet import Site
    from proxywhirl import AsyncProxyRotator, ProxyPool, ProxyRotator

__all__ = ["fetch", "fetch_with_tasks", "fetch_with_threads"]

# What may happen to a page. Anything else is a mistake of the program and ends it.
_TROUBLES = (ProxyWhirlError, httpx.HTTPError)


def fetch(
    site: Site, rotator: ProxyRotator, page: int, session_id: Optional[str] = None, host: Optional[str] = None
) -> Page:
    """Fetch one page and check it.

    Args:
        site: Where it is.
        rotator: Fetches it.
        page: Its number.
        session_id: The session it belongs to, if any.
        host: The site it is on, if not the usual one.
    """
    started = time.perf_counter()
    wishes = {} if session_id is None else {"session_id": session_id}
    url = site.url(page) if host is None else site.url(page, host)
    try:
        response = rotator.get(url, **wishes)
    except _TROUBLES as error:
        return _missed(error, started)
    return _checked(site, response, page, rotator.pool, started)


async def _fetch(site: Site, rotator: AsyncProxyRotator, page: int) -> Page:
    started = time.perf_counter()
    try:
        response = await rotator.get(site.url(page))
    except _TROUBLES as error:
        return _missed(error, started)
    return _checked(site, response, page, rotator.pool, started)


def _checked(site: Site, response: httpx.Response, page: int, pool: ProxyPool, started: float) -> Page:
    elapsed_ms = (time.perf_counter() - started) * 1000.0
    attempts: int = response.extensions["proxywhirl"]["attempts"]
    try:
        return Page(site.carrier(response, page, pool), elapsed_ms, attempts)
    except ValueError as error:
        return Page(None, elapsed_ms, attempts, str(error))


def _missed(error: Exception, started: float) -> Page:
    return Page(None, (time.perf_counter() - started) * 1000.0, trouble=f"{type(error).__name__}: {error}")


class _Pages:
    """Page numbers that threads share, until one of them stops."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)
        self._lock = threading.Lock()
        self.stopped = False

    def __iter__(self) -> Iterator[int]:
        while not self.stopped:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number


def fetch_with_threads(site: Site, rotator: ProxyRotator, pages: Iterable[int], threads: int, stats: Stats) -> None:
    """Fetch pages on several threads.

    Args:
        site: Where they are.
        rotator: Fetches them.
        pages: Their numbers.
        threads: How many threads.
        stats: Where they are counted.
    """
    left = _Pages(pages)

    def work() -> None:
        for page in left:
            stats.add(fetch(site, rotator, page))

    with ThreadPoolExecutor(threads, thread_name_prefix="demo") as executor:
        try:
            for worker in [executor.submit(work) for _ in range(threads)]:
                worker.result()
        except BaseException:
            # Interrupted, or a mistake. Once the fleet is stopped, threads that wait for a proxy fail at once and
            # see the flag.
            left.stopped = True
            site.stop()
            raise


async def fetch_with_tasks(
    site: Site, rotator: AsyncProxyRotator, pages: Iterable[int], tasks: int, stats: Stats
) -> None:
    """Fetch pages in several tasks.

    Args:
        site: Where they are.
        rotator: Fetches them.
        pages: Their numbers.
        tasks: How many tasks.
        stats: Where they are counted.
    """
    left = iter(pages)

    async def work() -> None:
        for page in left:
            stats.add(await _fetch(site, rotator, page))

    await asyncio.gather(*(work() for _ in range(tasks)))
