"""Where 0.1 had what is now in :mod:`proxywhirl.retry.policy`."""

from __future__ import annotations

from proxywhirl.retry.policy import BackoffStrategy, RetryPolicy

__all__ = ["BackoffStrategy", "RetryPolicy"]
