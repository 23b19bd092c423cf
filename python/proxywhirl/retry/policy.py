"""The policy of retries: how many, after which answers, with which pauses."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.
# ruff: noqa: UP045

from __future__ import annotations

import random
from typing import Optional

from pydantic import Field, field_validator

from proxywhirl._native.enums import BackoffStrategy
from proxywhirl._native.model.quiet import QuietModel

__all__ = ["BackoffStrategy", "RetryPolicy"]


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

    max_attempts: int = Field(default=3, ge=1, le=10)
    backoff_strategy: BackoffStrategy = BackoffStrategy.EXPONENTIAL
    base_delay: float = Field(default=1.0, gt=0.0, le=60.0)
    multiplier: float = Field(default=2.0, gt=1.0, le=10.0)
    max_backoff_delay: float = Field(default=30.0, gt=0.0, le=300.0)
    jitter: bool = False
    retry_status_codes: list[int] = Field(default_factory=lambda: [502, 503, 504])
    timeout: Optional[float] = Field(default=None, gt=0.0)
    retry_non_idempotent: bool = False

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
        capped = min(self._growing_delay(attempt), self.max_backoff_delay)
        if not self.jitter:
            return capped
        draw = random.uniform if rng is None else rng.uniform
        if previous_delay is None:
            return draw(0.0, capped)
        return min(self.max_backoff_delay, draw(self.base_delay, max(self.base_delay, previous_delay * 3.0)))

    def _growing_delay(self, attempt: int) -> float:
        if self.backoff_strategy is BackoffStrategy.FIXED:
            return self.base_delay
        if self.backoff_strategy is BackoffStrategy.LINEAR:
            return self.base_delay * (attempt + 1)
        try:
            return float(self.base_delay * self.multiplier**attempt)
        except OverflowError:
            return self.max_backoff_delay
