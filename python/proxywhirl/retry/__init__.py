"""How often a request is tried, and how long to wait in between."""

from __future__ import annotations

from proxywhirl._enums import BackoffStrategy, RetryOutcome
from proxywhirl.exceptions import NonRetryableError, RetryableError
from proxywhirl.retry.policy import RetryPolicy

__all__ = ["BackoffStrategy", "NonRetryableError", "RetryOutcome", "RetryPolicy", "RetryableError"]
