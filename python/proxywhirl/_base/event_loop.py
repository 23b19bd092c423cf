"""Event loops as plain code meets them. Importing this does not import asyncio."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any, Callable, TypeVar

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


async def in_thread(function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """Call a function that blocks on a thread of its own: from a task of asyncio, or of trio."""
    import asyncio

    if loop_is_running():
        return await asyncio.to_thread(function, *arguments, **keywords)
    import functools

    import anyio.to_thread

    found: T = await anyio.to_thread.run_sync(functools.partial(function, *arguments, **keywords))
    return found


def caller() -> Callable[[Callable[[], object]], None]:
    """What runs a function in the event loop of this task, called from any thread."""
    import asyncio
    import contextlib
    import threading

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules["trio"]
        token = trio.lowlevel.current_trio_token()

        def in_trio(function: Callable[[], object]) -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(function)

        return in_trio
    thread = threading.get_ident()

    def in_asyncio(function: Callable[[], object]) -> None:
        if threading.get_ident() == thread:
            function()
            return
        # A loop that is closed has closed the task that waited, too.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(function)

    return in_asyncio
