"""Event loops as plain code meets them. Importing this does not import asyncio."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


def loop_is_running() -> bool:
    """Whether an event loop runs on this thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except (AttributeError, RuntimeError):
        # AttributeError: another thread is importing asyncio at this moment, so no loop can run yet.
        return False
    return True


def run_to_end(work: Awaitable[T]) -> T:
    """Run a coroutine from plain code: in a loop of its own, and on a thread of its own where a loop runs already."""
    import asyncio

    async def wait() -> T:
        return await work

    if not loop_is_running():
        return asyncio.run(wait())
    from concurrent.futures import ThreadPoolExecutor

    # A notebook, for instance: its loop cannot be entered a second time.
    with ThreadPoolExecutor(1, "proxywhirl-apart") as thread:
        return thread.submit(asyncio.run, wait()).result()
