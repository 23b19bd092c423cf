"""What the drivers of the core's rotation share: the terms and replies of a carrier, and the error that ends a request.

The rotation itself (``_core._Rotation``) decides: how often a request is tried, through which proxies, after which
pauses, and what is returned or raised. A driver carries its steps out.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._native.enums import Outcome
from proxywhirl._native.redact import redact_url
from proxywhirl.exceptions import (
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyBudgetExceededError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyWhirlError,
)

if TYPE_CHECKING:
    from proxywhirl._httpx.judge import Verdict
    from proxywhirl._httpx.library import HttpLibrary

__all__ = ["NO_LEASE", "Answer", "Failure", "SendOptions", "error_of"]

NO_LEASE = (ProxyPoolEmptyError, ProxyConnectionError, ProxyBudgetExceededError)
"""Refusals of a lease that are the rotation's to judge: it may hold an answer, or have another way."""


class SendOptions:
    """How an attempt is to be made.

    Args:
        flavour: Whose exceptions to report.
        read: Whether to read the body before answering.
        repeatable: Whether the request may reach the target twice.
        timeout: Seconds for each phase instead of the request's own; ``None`` leaves those.
        time_left: Seconds left for everything.
        max_body: Most bytes of the body, on the wire and unpacked; ``None`` for the default, which bounds what is read
            whole.
        identity: Of the session that has its connections to itself; ``None`` for none.
        authorization: The user's own ``Proxy-Authorization``, for an HTTP proxy without a login.
    """

    __slots__ = (
        "authorization",
        "flavour",
        "identity",
        "max_body",
        "read",
        "repeatable",
        "time_left",
        "timeout",
    )

    def __init__(
        self,
        flavour: HttpLibrary,
        *,
        read: bool,
        repeatable: bool,
        timeout: float | None = None,
        time_left: float | None = None,
        max_body: float | None = None,
        identity: Hashable | None = None,
        authorization: bytes | None = None,
    ) -> None:
        self.flavour = flavour
        self.identity = identity
        self.authorization = authorization
        self.read = read
        self.max_body = max_body
        self.repeatable = repeatable
        self.timeout = timeout
        self.time_left = time_left


class Answer:
    """Headers arrived.

    Args:
        status: The status.
        elapsed_ms: Time from sending to the end of the headers.
        payload: What the driver needs to make a response of it.
        tunnel: Whether the answer came through a tunnel, so that the proxy cannot have made it up.
        retry_after: Seconds for which it asks to be left alone; ``None`` if it does not say.
    """

    __slots__ = ("elapsed_ms", "payload", "retry_after", "status", "tunnel")

    def __init__(
        self, status: int, elapsed_ms: float, payload: Any, *, tunnel: bool = False, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.elapsed_ms = elapsed_ms
        self.payload = payload
        self.tunnel = tunnel
        self.retry_after = retry_after


class Failure:
    """No usable answer.

    Args:
        outcome: The class of the failure.
        error: What happened; becomes the cause of what is raised.
        sent: Whether some of the request can have reached the site.
        elapsed_ms: Time from sending to the failure.
        timed_out: Whether a timeout ended it.
        retry_after: Seconds for which the proxy asks to be left alone; ``None`` if it does not say.
    """

    __slots__ = ("elapsed_ms", "error", "outcome", "retry_after", "sent", "timed_out")

    def __init__(
        self,
        outcome: Verdict,
        error: Exception,
        *,
        sent: bool,
        elapsed_ms: float | None = None,
        timed_out: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.outcome = outcome
        self.error = error
        self.sent = sent
        self.elapsed_ms = elapsed_ms
        self.timed_out = timed_out
        self.retry_after = retry_after


def error_of(rotation: _core._Rotation, method: str, url: Any, policy: Any, response: Any = None) -> BaseException:
    """The error that a rotation ends with, its cause attached.

    Args:
        rotation: The rotation, at "fail".
        method: The method.
        url: The target; shown redacted.
        policy: The policy, for its timeout.
        response: The last answer, if the error is to carry it.

    Returns:
        The exception to raise.
    """
    failure = rotation.failure
    error: BaseException | None = rotation.error
    if failure == "no_proxy" and error is not None:
        return error
    cause: BaseException | None = None if rotation.last is None else rotation.last[2]
    if failure == "request" and cause is not None:
        return cause
    shown = f"{method} {redact_url(str(url))}"
    last = None if rotation.last is None else _last_error(rotation, shown)
    if failure != "deadline" and last is not None:
        if response is not None and isinstance(last, ProxyConnectionError):
            last.response = response
        return last
    within = "in time" if policy.timeout is None else f"within {policy.timeout:g} s"
    why = "no time was left to begin" if last is None else last.message
    late = ProxyConnectionError(
        f"Request timeout: {shown} was not answered {within}: {why}",
        retry_recommended=True,
        attempt_count=rotation.attempts,
    )
    late.__cause__ = last
    return late


def _last_error(rotation: _core._Rotation, shown: str) -> ProxyWhirlError:
    outcome, status, error = rotation.last or (None, None, None)
    kind: type[ProxyWhirlError] = ProxyConnectionError
    if outcome is Outcome.PROXY_AUTH:
        kind = ProxyAuthenticationError
    elif rotation.failure == "ban":
        kind = ProxyBannedError
    if error is not None:
        why = f"{type(error).__name__}: {error}"
    elif outcome is Outcome.BANNED:
        why = f"the site refuses the proxy (status {status})"
    elif outcome is Outcome.RATE_LIMITED:
        why = f"the site asks for a pause (status {status})"
    else:
        why = f"status {status}"
    count = rotation.attempts
    text = f"{shown} failed after {'1 attempt' if count == 1 else f'{count} attempts'}: {why}"
    made = kind(text, proxy_url=getattr(rotation.lease, "url", None) or None, attempt_count=count)
    made.__cause__ = error
    return made
