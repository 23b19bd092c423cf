"""Second import path of :mod:`proxywhirl.strategies`, which older scripts use."""

from __future__ import annotations

from proxywhirl import strategies as _strategies
from proxywhirl.strategies import *  # noqa: F403

__all__ = _strategies.__all__
