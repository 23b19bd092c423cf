"""Waiting in a pool's line without blocking an event loop; the line itself is the core's (`_core.WaitingLine`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.event_loop import caller

if TYPE_CHECKING:
    from proxywhirl import _core


async def wait_async(line: _core.WaitingLine, key: str, take: Callable[[], Any], seconds: float | None) -> Any:
    """As ``line.wait``, on asyncio or trio. Cancellation leaves the line.

    Args:
        line: The line.
        key: Equal for requests that want the same.
        take: Takes a lease now; may be called in any thread.
        seconds: How long to wait at most; ``None`` for as long as it makes sense.

    Returns:
        A lease.

    Raises:
        ProxyPoolEmptyError: Time is up, or waiting has become useless.
    """
    import anyio

    call = caller()
    alarm = anyio.Event()

    def wake() -> None:
        call(lambda: alarm.set())

    place = line.join(key, take, seconds, wake)
    try:
        while not place.is_settled:
            with anyio.move_on_after(place.sleep()):
                await alarm.wait()
            # A new one first, so that no ring is lost. The closure rings whichever is current.
            alarm = anyio.Event()
            if place.check():
                break
    except BaseException:
        place.leave()
        raise
    return place.result()
