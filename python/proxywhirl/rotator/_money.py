"""What requests of a rotator cost, and how much they may: the documentation, and calls of what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxywhirl import _core

__all__ = ["MoneyFace"]


class MoneyFace:
    """Bytes, money and the budget of a rotator; without state or rules of its own."""

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        raise NotImplementedError

    @property
    def budget(self) -> float | None:
        """The most that may be spent on paid proxies, ``None`` without a bound. Assigning holds from the next attempt.

        A paid proxy is used only while what is spent, and ``cost_per_request`` of all attempts under way, leaves room
        for one more. Beyond that requests go through free proxies, as if the others were not there; where the pool has
        no free one that fits the request, it raises ``ProxyBudgetExceededError``. What is under way goes on: only its
        bytes can exceed the budget.

        Raises:
            ValueError: Assigned something that is not more than 0.
        """
        return self.pool._budget

    @budget.setter
    def budget(self, budget: float | None) -> None:
        self.pool._budget = budget

    @property
    def spent(self) -> float:
        """What attempts have cost since the rotator was made. It can be set, as to go on with an earlier run's budget.

        That is ``cost_per_request`` of each that was judged or has moved bytes, and ``cost_per_gb`` for each 10^9 bytes
        sent and received.

        Raises:
            ValueError: Assigned something below 0.
        """
        return self.pool._spent

    @spent.setter
    def spent(self, spent: float) -> None:
        self.pool._spent = spent

    @property
    def bytes_sent(self) -> int:
        """Bytes that attempts have sent since the rotator was made; what they include is in ``docs/money.md``."""
        return self.pool._bytes[0]

    @property
    def bytes_received(self) -> int:
        """Bytes that attempts have received, likewise."""
        return self.pool._bytes[1]
