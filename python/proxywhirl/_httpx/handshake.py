"""What is said to a proxy before it passes bytes on: the core's codecs, fed by the sockets of :mod:`.dial`."""

from __future__ import annotations

from typing import Union

from proxywhirl._core import HandshakeRefusal, ProxyHandshake
from proxywhirl._httpx.judge import Verdict
from proxywhirl._native.enums import Outcome

__all__ = ["ProxyHandshake", "Refused", "opened"]


class Refused(Exception):
    """The proxy refused, or what it said makes no sense.

    Args:
        message: What it said.
        outcome: What that means; without more, that the proxy is at fault.
        retry_after: Seconds for which it asks to be left alone.
    """

    def __init__(
        self, message: str, *, outcome: Verdict = Outcome.PROXY_DOWN, retry_after: float | None = None
    ) -> None:
        self.outcome = outcome
        self.retry_after = retry_after
        super().__init__(message)


def opened(step: Union[bytes, HandshakeRefusal, None]) -> bytes | None:
    """What comes next of a handshake.

    Returns bytes to write before the next read, perhaps none; ``None`` when the way is open. Raises ``Refused`` (the
    proxy does not open it).
    """
    if isinstance(step, HandshakeRefusal):
        raise Refused(step.message, outcome=step.outcome, retry_after=step.retry_after)
    return step
