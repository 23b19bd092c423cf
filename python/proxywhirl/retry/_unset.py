"""The policy of retries where nothing is said.

Apart from :class:`RetryPolicy`, because requests need nothing else then: importing pydantic takes longer than the first
of them.
"""

from __future__ import annotations

from typing import Any

from proxywhirl import _core
from proxywhirl._native.enums import BackoffStrategy


class Unset:
    """What a :class:`RetryPolicy` says by default, with the same names."""

    max_attempts = 3
    backoff_strategy = BackoffStrategy.EXPONENTIAL
    base_delay = 1.0
    multiplier = 2.0
    max_backoff_delay = 30.0
    jitter = False
    retry_status_codes = _core.RETRY_STATUSES
    timeout = None
    retry_non_idempotent = False

    # As a policy has them: what was given, and what the core made of it.
    __pydantic_fields_set__: frozenset[str] = frozenset()
    _compiled: tuple[tuple[Any, ...], bool, _core._RetryPolicy]

    def __init__(self) -> None:
        facts: Any = (
            self.max_attempts,
            self.retry_status_codes,
            self.backoff_strategy,
            self.base_delay,
            self.multiplier,
            self.max_backoff_delay,
            self.jitter,
            self.timeout,
            self.retry_non_idempotent,
        )
        others: list[Any]
        most, statuses, strategy, *others = facts
        native = _core._RetryPolicy(most, True, list(statuses), strategy.value, *others)
        self._compiled = (facts, True, native)


UNSET = Unset()
"""The one object of these: a policy that is read is made anew, and may be changed."""


def rotation_of(policy: Any, take: Any, method: str, url: str, **job: Any) -> _core._Rotation:
    """As :func:`proxywhirl.retry.policy.rotation_of`, for any policy."""
    if policy is UNSET:
        return _core._Rotation(UNSET._compiled[2], take, method=method, url=url, **job)
    from proxywhirl.retry import policy as policies

    return policies.rotation_of(policy, take, method, url, **job)
