"""Limits of how many requests go through a proxy, or through all of them."""

from __future__ import annotations

from proxywhirl.rate_limiting.limiter import AsyncRateLimiter, RateLimiter, SyncRateLimiter
from proxywhirl.rate_limiting.models import RateLimit, RateLimitEvent

__all__ = ["AsyncRateLimiter", "RateLimit", "RateLimitEvent", "RateLimiter", "SyncRateLimiter"]
