"""Waiting, whichever reactor runs Scrapy."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

from scrapy.utils.defer import deferred_from_coro, maybe_deferred_to_future

_log = logging.getLogger("proxywhirl.scrapy")
# How often a request that waits for a proxy looks whether the spider is being closed.
_GLANCE = 0.5


def runs_asyncio() -> bool:
    """Whether coroutines of asyncio can be awaited in this process."""
    try:
        from scrapy.utils.asyncio import is_asyncio_available
    except ImportError:
        # Before 2.14.
        from scrapy.utils.reactor import is_asyncio_reactor_installed

        return bool(is_asyncio_reactor_installed())
    return bool(is_asyncio_available())


class ClosingError(Exception):
    """The spider is closed while a request waits for a proxy."""


async def next_attempt(attempts: Any, is_closing: Callable[[], bool]) -> Any:
    """The next attempt; ``None`` at the end of the loop.

    Without asyncio a thread waits, since both pauses and the line for a proxy would stop the reactor.

    Raises:
        ClosingError: The spider is being closed, and the attempt would have to be waited for.
    """
    if not hasattr(attempts, "__anext__"):
        from twisted.internet.threads import deferToThread

        return await maybe_deferred_to_future(deferToThread(next, attempts, None))
    task = asyncio.ensure_future(_next_or_none(attempts))
    try:
        while not (await asyncio.wait({task}, timeout=_GLANCE))[0]:
            if is_closing():
                raise ClosingError
    finally:
        if not task.done():
            task.cancel()
    return task.result()


async def _next_or_none(attempts: Any) -> Any:
    try:
        return await attempts.__anext__()
    except StopAsyncIteration:
        return None


def is_closing(crawler: Any) -> bool:
    """Whether the spider is being closed, by a signal of the system or by itself."""
    engine = crawler.engine
    if engine is None or not crawler.crawling:
        return True
    slot = getattr(engine, "_slot", None) or getattr(engine, "slot", None)
    return getattr(slot, "closing", None) is not None


def close_spider(crawler: Any, reason: str) -> None:
    """Begin to close the spider. It is not waited for: it ends when the requests have, of which the caller is one."""
    engine = crawler.engine
    if hasattr(engine, "close_spider_async"):
        closing: Any = deferred_from_coro(engine.close_spider_async(reason=reason))
    else:
        closing = engine.close_spider(crawler.spider, reason)
    closing.addErrback(lambda failure: _log.error("closing the spider failed: %s", failure.getErrorMessage()))


def looping(function: Callable[[], Any]) -> Any:
    """A call that repeats itself, with ``start(seconds)``, ``stop()`` and ``running``."""
    try:
        from scrapy.utils.asyncio import create_looping_call
    except ImportError:
        from twisted.internet.task import LoopingCall

        return LoopingCall(function)
    return create_looping_call(function)
