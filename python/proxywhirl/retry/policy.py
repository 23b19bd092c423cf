"""The policy of retries: how many, after which answers, with which pauses."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

import operator
import random
from typing import Any, Optional

from pydantic import Field, field_validator

from proxywhirl import _core
from proxywhirl._native.enums import BackoffStrategy
from proxywhirl._native.model.quiet import QuietModel
from proxywhirl.retry._unset import Unset

__all__ = ["BackoffStrategy", "RetryPolicy", "native_policy", "rotation_of"]


class RetryPolicy(QuietModel):
    """How often a request is tried, and how long to wait in between.

    Attributes:
        max_attempts: Attempts in all, 1 to 10.
        backoff_strategy: How the pause grows.
        base_delay: First pause in seconds, above 0 and up to 60.
        multiplier: Growth of the exponential pause, above 1 and up to 10.
        max_backoff_delay: Longest pause in seconds, above 0 and up to 300.
        jitter: Whether pauses are drawn at random, so that many clients do not come back at once.
        retry_status_codes: Answers that are tried again, each 400 to 599.
        timeout: Seconds for all attempts together; ``None`` means no limit.
        retry_non_idempotent: Whether POST and PATCH are repeated too.
    """

    # Not a field: equality, copies and pickles know nothing of it.
    __slots__ = ("_compiled",)

    max_attempts: int = Field(default=Unset.max_attempts, ge=1, le=10)
    backoff_strategy: BackoffStrategy = Unset.backoff_strategy
    base_delay: float = Field(default=Unset.base_delay, gt=0.0, le=60.0)
    multiplier: float = Field(default=Unset.multiplier, gt=1.0, le=10.0)
    max_backoff_delay: float = Field(default=Unset.max_backoff_delay, gt=0.0, le=300.0)
    jitter: bool = Unset.jitter
    retry_status_codes: list[int] = Field(default_factory=lambda: list(Unset.retry_status_codes))
    timeout: Optional[float] = Field(default=Unset.timeout, gt=0.0)
    retry_non_idempotent: bool = Unset.retry_non_idempotent

    @field_validator("retry_status_codes")
    @classmethod
    def _are_errors(cls, codes: list[int]) -> list[int]:
        wrong = [code for code in codes if not 400 <= code <= 599]
        if wrong:
            raise ValueError(f"retry_status_codes must be between 400 and 599, not {wrong}")
        return codes

    def calculate_delay(
        self, attempt: int, previous_delay: Optional[float] = None, *, rng: Optional[random.Random] = None
    ) -> float:
        """How long to wait after an attempt.

        Without jitter the pause depends on the attempt alone. With jitter the first one is drawn from zero up to
        it, and each later one from ``base_delay`` up to three times the previous ("decorrelated jitter", see
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

        Args:
            attempt: Which attempt failed, counted from 0.
            previous_delay: The pause before that attempt, in seconds; only jitter looks at it.
            rng: Source of randomness, so that a run can be repeated; the module-wide one by default.

        Returns:
            Seconds, never more than ``max_backoff_delay``.

        Raises:
            ValueError: ``attempt`` is negative.
        """
        if attempt < 0:
            raise ValueError(f"attempt is counted from 0, not {attempt}")
        draw = random.uniform if rng is None else rng.uniform
        return native_policy(self).delay(attempt, previous_delay, draw)


_OWN_DELAY = RetryPolicy.calculate_delay
_FACTS = (
    "max_attempts",
    "retry_status_codes",
    "backoff_strategy",
    "base_delay",
    "multiplier",
    "max_backoff_delay",
    "jitter",
    "timeout",
    "retry_non_idempotent",
)
_facts_of = operator.attrgetter(*_FACTS)
_DEFAULT = RetryPolicy()


def native_policy(policy: Any) -> _core._RetryPolicy:
    """A policy as the core has it: made once, and anew after a change.

    Args:
        policy: A :class:`RetryPolicy`, or an object with some of its attributes; the others have their defaults.
    """
    if not isinstance(policy, RetryPolicy):
        return _made(tuple([getattr(policy, name, getattr(_DEFAULT, name)) for name in _FACTS]), is_open_ended=False)
    facts = _facts_of(policy)
    is_open_ended = "max_attempts" not in policy.__pydantic_fields_set__
    kept: Any = getattr(policy, "_compiled", None)
    if kept is not None and kept[0] == facts and kept[1] is is_open_ended:
        native: _core._RetryPolicy = kept[2]
        return native
    native = _made(facts, is_open_ended=is_open_ended)
    # A list can change in its place, so that a copy is compared.
    kept = ((facts[0], list(facts[1]), *facts[2:]), is_open_ended, native)
    object.__setattr__(policy, "_compiled", kept)
    return native


def _made(facts: tuple[Any, ...], *, is_open_ended: bool) -> _core._RetryPolicy:
    most, statuses, strategy, *delays = facts
    return _core._RetryPolicy(most, is_open_ended, list(statuses), BackoffStrategy(strategy).value, *delays)


def rotation_of(policy: Any, take: Any, method: str, url: str, **job: Any) -> _core._Rotation:
    """The rotation of a request.

    Args:
        policy: A :class:`RetryPolicy`, or an object with its attributes.
        take: Takes a lease, see ``_core._Rotation``.
        method: The method, upper case.
        url: The target.
        **job: Further arguments of ``_core._Rotation``.
    """
    native = native_policy(policy)
    if getattr(type(policy), "calculate_delay", None) is not _OWN_DELAY:
        job["delay"] = policy.calculate_delay
    return _core._Rotation(native, take, method=method, url=url, **job)
