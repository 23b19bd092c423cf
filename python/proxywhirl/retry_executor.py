"""Where 0.1 had what is now in :mod:`proxywhirl.retry.executor`."""

from __future__ import annotations

from proxywhirl.retry.executor import RetryExecutor

__all__ = ["RetryExecutor"]
