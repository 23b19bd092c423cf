"""Which proxies are eligible now, and why the others are not: what ``pool.explain()`` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional, overload

from proxywhirl._core import reason_words

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

# The reasons in the words of a sentence, in the order in which they are listed.
_WORDS = dict(reason_words())


@dataclass(frozen=True)
class Verdict:
    """What is said of one proxy.

    Attributes:
        proxy: The proxy.
        reasons: Why it may not be chosen: ``unhealthy``, ``resting``, ``expired``, ``breaker_open``, ``banned_here``,
            ``rate_limited_here``, ``resting_here``, ``at_capacity``, ``no_tokens``, ``over_budget``, ``filtered``,
            ``excluded``; empty if it may.
        until: When the last of the reasons is gone by itself, in UTC; ``None`` if that is not known.
    """

    proxy: Proxy
    reasons: list[str]
    until: Optional[datetime] = None

    @property
    def eligible(self) -> bool:
        """Whether it may be chosen."""
        return not self.reasons

    def __str__(self) -> str:
        url = str(self.proxy)
        if self.eligible:
            return f"{url}: eligible"
        until = "" if self.until is None else f" until {self.until:%Y-%m-%d %H:%M:%S} UTC"
        return f"{url}: {', '.join(self.reasons)}{until}"

    def model_dump(self) -> dict[str, Any]:
        """The verdict as plain data; the URL without credentials."""
        return {
            "proxy_id": str(self.proxy.id),
            "proxy_url": str(self.proxy),
            "eligible": self.eligible,
            "reasons": list(self.reasons),
            "until": None if self.until is None else self.until.isoformat(),
        }


class Explanation:
    """One verdict per proxy, in the order of the pool. SourceResult at one moment; does not change.

    Args:
        rows: Proxy, reasons against it, and until when.
        waiting: How many requests wait in line for a proxy of the pool.

    Attributes:
        waiting: As given. The same request would wait behind them, even where a proxy is eligible.
    """

    __slots__ = ("_at", "_verdicts", "waiting")

    def __init__(self, rows: Iterable[tuple[Proxy, list[str], Optional[datetime]]], *, waiting: int = 0) -> None:
        self._verdicts = [Verdict(*row) for row in rows]
        self.waiting = waiting
        self._at = datetime.now(timezone.utc)

    @property
    def eligible(self) -> list[Verdict]:
        """The verdicts of the eligible proxies."""
        return [verdict for verdict in self._verdicts if verdict.eligible]

    @property
    def refused(self) -> list[Verdict]:
        """The verdicts of the others."""
        return [verdict for verdict in self._verdicts if not verdict.eligible]

    def summary(self) -> str:
        """One line: how many may be chosen, how many are out for which reason, and when the next of them comes back."""
        counts: dict[str, int] = {}
        soonest: dict[str, datetime] = {}
        for verdict in self._verdicts:
            for reason in verdict.reasons:
                counts[reason] = counts.get(reason, 0) + 1
                until = verdict.until
                if until is not None and (reason not in soonest or until < soonest[reason]):
                    soonest[reason] = until
        parts = []
        for reason, words in _WORDS.items():
            if reason not in counts:
                continue
            part = f"{counts[reason]} {words}"
            if reason in soonest:
                seconds = max(0.0, (soonest[reason] - self._at).total_seconds())
                part += f" (next in {seconds:.0f} s)"
            parts.append(part)
        total = len(self._verdicts)
        text = f"{total - len(self.refused)} of {total} eligible"
        if parts:
            text += f"; {', '.join(parts)}"
        if self.waiting:
            text += f"; {self.waiting} {'request waits' if self.waiting == 1 else 'requests wait'} in line"
        return text

    def model_dump(self) -> list[dict[str, Any]]:
        """The verdicts as plain data."""
        return [verdict.model_dump() for verdict in self._verdicts]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._verdicts)

    def __len__(self) -> int:
        return len(self._verdicts)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> list[Verdict]: ...
    def __getitem__(self, index: int | slice) -> Verdict | list[Verdict]:
        return self._verdicts[index]

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(str(verdict) for verdict in self._verdicts)])

    def __repr__(self) -> str:
        return f"<Explanation: {self.summary()}>"
