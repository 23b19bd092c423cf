"""The strategy that the demo shows; its source is printed as it stands here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxywhirl import Proxy

__all__ = ["BestOfTwo"]


class BestOfTwo:
    """Draws two proxies and takes the faster one; one not measured yet counts as fast."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)

    def select_proxy(self, proxies: list[Proxy]) -> Proxy:
        """Choose one of those that may serve."""
        two = self.random.sample(proxies, min(2, len(proxies)))
        return min(two, key=lambda proxy: proxy.ema_response_time_ms or 0.0)
