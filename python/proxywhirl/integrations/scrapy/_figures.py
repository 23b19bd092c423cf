"""Statistics of a crawl, under the keys that scrapy-rotating-proxies has."""

from __future__ import annotations

from collections import Counter
from typing import Any

from proxywhirl._native.enums import Outcome

_BANS = (Outcome.BANNED, Outcome.RATE_LIMITED)
_STATES = ("good", "dead", "unchecked", "reanimated")


def standing(pool: Any) -> dict[str, int]:
    """How many proxies are good, dead, unchecked, and back from the dead."""
    found: Counter[str] = Counter()
    for proxy in pool:
        if not proxy.total_requests:
            found["unchecked"] += 1
        elif proxy.consecutive_failures:
            found["dead"] += 1
        else:
            found["good"] += 1
            found["reanimated"] += proxy.total_failures > 0
    return {state: found[state] for state in _STATES}


def note_standing(stats: Any, pool: Any) -> dict[str, int]:
    """Write the states of the proxies into the statistics."""
    found = standing(pool)
    for state, count in found.items():
        stats.set_value(f"proxies/{state}", count)
    return found


def note_response(stats: Any, outcome: Outcome, response: Any) -> None:
    """Count what came of an answer."""
    stats.inc_value(f"proxywhirl/outcome/{outcome.value}")
    if outcome in _BANS:
        stats.inc_value(f"bans/status/{response.status}")
        if not response.body:
            stats.inc_value("bans/empty")


def note_exception(stats: Any, outcome: Outcome, exception: BaseException) -> None:
    """Count what came of an exception."""
    stats.inc_value(f"proxywhirl/outcome/{outcome.value}")
    kind = type(exception)
    stats.inc_value(f"bans/error/{kind.__module__}.{kind.__qualname__}")
