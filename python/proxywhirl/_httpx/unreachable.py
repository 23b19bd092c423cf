"""The exception of a way through a proxy that did not open, as both engines raise it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._native.enums import Outcome

if TYPE_CHECKING:
    from proxywhirl._httpx.judge import Verdict


class ProxyUnreachable(Exception):
    """The way through the proxy could not be opened; nothing of the request was sent.

    Args:
        message: What happened.
        kind: Name of the httpx exception that tells it best.
        outcome: What it says of the proxy.
        retry_after: Seconds for which the proxy asks to be left alone.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        outcome: Verdict = Outcome.PROXY_DOWN,
        retry_after: float | None = None,
    ) -> None:
        self.kind = kind
        self.outcome = outcome
        self.retry_after = retry_after
        super().__init__(message)
