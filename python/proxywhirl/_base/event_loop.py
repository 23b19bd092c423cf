"""Whether code runs inside an event loop, asked without importing asyncio."""

from __future__ import annotations

import sys

__all__ = ["loop_is_running"]


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
