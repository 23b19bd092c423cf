"""What the core cannot see of an answer or a failure.

That is: what the exceptions of our own transfers say, what follows from what :mod:`proxywhirl._httpx.clients` reads off
those of other clients, and what ban rules say that look inside. The table of statuses, ``Retry-After`` and the judging
of plain answers are the core's: ``_core.StatusJudge``, ``_core.ReportJudge``, ``_core.retry_after``.
"""

from __future__ import annotations

import errno
import logging
from typing import Any, Callable, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from proxywhirl import _core
from proxywhirl._core import StatusJudge, hold_of, pause_of
from proxywhirl._httpx import clients as _clients
from proxywhirl._httpx.clients import AMBIGUOUS as AMBIGUOUS_FAULTS
from proxywhirl._httpx.clients import Answer, Fault, Finding
from proxywhirl._native.enums import AMBIGUOUS, Doubt, Outcome
from proxywhirl.bans import BODY_LIMIT, BanPolicies, BanPolicy, Seen

__all__ = [
    "Judged",
    "Meaning",
    "RuleJudge",
    "judge_report",
    "meaning_of",
    "outcome_of_connect",
    "outcome_of_error",
]

_log = logging.getLogger("proxywhirl.lease")

_DOWN = Outcome.PROXY_DOWN
_AUTH = Outcome.PROXY_AUTH
_BANNED = Outcome.BANNED
_TARGET = Outcome.TARGET_FAULT
_CLIENT = Outcome.CLIENT_FAULT


Verdict = Union[Outcome, Doubt]
"""What is known of an attempt by itself: its outcome, or that evidence has to decide."""


class _Row(NamedTuple):
    """What an exception says: through a forward proxy, inside a tunnel, and whether something can have been sent."""

    forward: Verdict
    tunnel: Verdict
    sent: bool


_FAILED = _Row(_DOWN, _DOWN, True)
_OURS = _Row(_CLIENT, _CLIENT, False)
_LOGIN = _Row(_AUTH, _AUTH, False)
# Inside a tunnel "connect" can only be the TLS handshake with the target: what came before is reported by the dialer.
_CUT = _Row(AMBIGUOUS, AMBIGUOUS, True)
# The exceptions of our own transfers, of which it is known whether their tunnel was open. Those of other clients are
# read by `_clients`.
_WEB = {
    "TransportError": _CUT,
    "TimeoutException": _CUT,
    "NetworkError": _CUT,
    "ProtocolError": _CUT,
    "ConnectError": _Row(_DOWN, AMBIGUOUS, False),
    "ConnectTimeout": _Row(_DOWN, AMBIGUOUS, False),
    "ProxyError": _Row(_DOWN, _DOWN, False),
    "ReadTimeout": _CUT,
    "WriteTimeout": _CUT,
    "PoolTimeout": _OURS,
    "ReadError": _CUT,
    "WriteError": _CUT,
    "CloseError": _CUT,
    "RemoteProtocolError": _CUT,
    "DecodingError": _CUT,
    "LocalProtocolError": _OURS,
    "UnsupportedProtocol": _OURS,
    "InvalidURL": _OURS,
}
# What the faults that other clients report say of the proxy.
_OUTCOMES: dict[Fault, Verdict] = {
    Fault.PROXY: _DOWN,
    Fault.LOGIN: _AUTH,
    Fault.RULESET: _BANNED,
    **dict.fromkeys(AMBIGUOUS_FAULTS, AMBIGUOUS),
    Fault.CLIENT: _CLIENT,
}
# The packages whose exceptions come out of our own transfers.
_CARRIERS = frozenset({"httpcore", "httpcore2", "httpx", "httpx2"})

# This machine is out of something; no proxy is to blame, and another one would not help.
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class Meaning(NamedTuple):
    """What an exception of a transfer tells.

    Attributes:
        outcome: The class of failure.
        sent: Whether some of the request can have left.
        name: Name of the httpx exception to show the user.
    """

    outcome: Verdict
    sent: bool
    name: str


def meaning_of(error: Exception, *, tunnel: bool) -> Meaning | None:
    """Classify what one of our own transfers raised.

    Args:
        error: The exception.
        tunnel: Whether the transfer went through a tunnel.

    Returns:
        Its meaning; ``None`` if it is no exception of a transfer, as one raised by the user's own body iterator.
    """
    if type(error).__module__ == "proxywhirl._httpx.dial" and type(error).__name__ == "ProxyUnreachable":
        kind: str = error.kind  # type: ignore[attr-defined]
        if _is_local(error):
            return Meaning(_CLIENT, False, kind)
        return Meaning(error.outcome, False, kind)  # type: ignore[attr-defined]
    found = _row_of(error)
    if found is None:
        return None
    name, row = found
    if name == "ConnectError" and _is_local(error):
        return Meaning(_CLIENT, False, name)
    return Meaning(row.tunnel if tunnel else row.forward, row.sent, name)


def outcome_of_error(error: BaseException) -> Optional[Verdict]:
    """Classify an exception that ended a piece of work of any client.

    Args:
        error: The exception.

    Returns:
        The outcome it means; ``None`` if it is not about the network, cancellation included, or carries an
        answer.
    """
    return _outcome_of(_clients.read(error))[0]


def _outcome_of(finding: Finding) -> tuple[Optional[Verdict], Optional[float]]:  # noqa: UP045
    """The outcome that follows from a finding, and the seconds of the proxy's ``Retry-After``."""
    if finding.fault is Fault.CONNECT and finding.status is not None:
        return outcome_of_connect(finding.status, getattr(finding.source, "headers", None), finding.reason)
    return _OUTCOMES.get(finding.fault), None


def outcome_of_connect(status: int, headers: Any = None, said: str = "") -> tuple[Verdict, float | None]:
    """What it means that a proxy refused CONNECT.

    Args:
        status: The status that it refused with.
        headers: The headers of the refusal, as far as they are known.
        said: What it said besides, in the status line or in a page.

    Returns:
        The verdict, and for how many seconds the proxy asks to be left alone.
    """
    return _core.judge_connect(status, said.encode("utf-8", "replace").decode(), headers)


def _row_of(error: BaseException) -> tuple[str, _Row] | None:
    for cls in type(error).__mro__:
        if cls.__module__.partition(".")[0] in _CARRIERS:
            row = _WEB.get(cls.__name__)
            if row is not None:
                return cls.__name__, row
    return None


def _is_local(error: BaseException) -> bool:
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return False
        if isinstance(found, OSError) and found.errno in _LOCAL:
            return True
        found = found.__cause__ or found.__context__
    return False


class _Headers:
    """Headers of any client, looked up without regard to case."""

    __slots__ = ("_pairs",)

    def __init__(self, headers: Any) -> None:
        if headers is None:
            headers = ()
        items = getattr(headers, "items", None)
        self._pairs: list[tuple[str, str]] = [
            (_text(name).lower(), _text(value)) for name, value in (items() if callable(items) else headers)
        ]

    def get(self, name: str) -> str | None:
        name = name.lower()
        values = [value for found, value in self._pairs if found == name]
        return ", ".join(values) if values else None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def items(self) -> list[tuple[str, str]]:
        return list(self._pairs)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class RuleJudge:
    """Judges one request's answers and failures by all rules.

    Args:
        policy: The ban rules.
        request: The request, for rules that look at it.
        see: Makes of an answer what rules look at.
        auth_statuses: Statuses by which a proxy refuses credentials.
    """

    __slots__ = ("_by_status", "_policy", "_request", "_see")

    def __init__(
        self, policy: BanPolicy, request: Any, see: Callable[[Any], Seen], auth_statuses: tuple[int, ...] = (407,)
    ) -> None:
        self._by_status = StatusJudge(policy, auth_statuses)
        self._policy = policy
        self._request = request
        self._see = see

    def answer(self, answer: Any) -> Verdict:
        """The class of an answer, see ``StatusJudge.answer``."""
        policy = self._policy
        return self._by_status.answer(answer, policy.opinion(self._see(answer)) if policy.looks_inside else None)

    def failure(self, failure: Any) -> Verdict:
        """The class of a failure, with ``outcome`` and ``error``."""
        outcome: Verdict = failure.outcome
        policy = self._policy
        if outcome is _CLIENT or not policy.judges_failures:
            return outcome
        return _BANNED if policy.opinion_of_failure(self._request, failure.error) else outcome


class _Reported(NamedTuple):
    """An answer that was reported rather than carried."""

    status: int
    tunnel: bool
    retry_after: float | None


class ReportedResponse:
    """What a ban rule of the user's gets to see of an answer that another client received.

    Attributes:
        url: The target; ``None`` if it is not known.
        status_code: The status.
        headers: The headers, looked up without regard to case.
        content: The body as far as it was reported.
    """

    __slots__ = ("content", "headers", "status_code", "url")

    def __init__(self, url: str | None, status: int, headers: _Headers, body: Any) -> None:
        self.url = url
        self.status_code = status
        self.headers = headers
        self.content: bytes = body.encode() if isinstance(body, str) else bytes(body or b"")

    @property
    def text(self) -> str:
        """The body as text."""
        return text_of(self.content, self.headers.get("content-type"))


def text_of(body: bytes, content_type: str | None) -> str:
    """A body as text, whatever is in it.

    Args:
        body: The body, decoded as far as its ``Content-Encoding`` goes.
        content_type: Value of the header, for the charset.
    """
    charset = "utf-8"
    for part in (content_type or "").split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'")
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


class Judged(NamedTuple):
    """The verdict on what a client of the user's got.

    Attributes:
        outcome: The outcome; ``None`` if nothing is known of the attempt, so that its start is taken back.
        hold: Seconds for which the site asks to be left alone.
        status: The status that was judged; ``None`` where there was no answer.
    """

    outcome: Optional[Verdict]
    hold: Optional[float] = None
    status: Optional[int] = None


def judge_report(
    url: str | None,
    answer: Any,
    headers: Any = None,
    body: Any = None,
    error: BaseException | None = None,
    *,
    policies: BanPolicies | None = None,
    auth_statuses: tuple[int, ...] = (407,),
) -> Judged:
    """Judge what a client of the user's got, for ``lease.report`` and for a block that an exception leaves.

    Args:
        url: The target; ``None`` if it is not known.
        answer: The status of the answer, the answer itself as any client gives it, or the exception that came instead.
        headers: Its headers: a mapping, or pairs; by default the answer's own.
        body: Its body as far as read, bytes or text; by default the answer's own, if it has been read. Rules look at
            the first 64 KiB.
        error: The exception that came instead. One that carries an answer, as those of ``raise_for_status()``, is
            judged like that answer.
        policies: The ban rules; 403 and 429 by default.
        auth_statuses: Statuses by which a proxy refuses credentials.

    Returns:
        The verdict.

    Raises:
        TypeError: Neither a status nor an error is given, or an object without a status.
        ValueError: A status is no status.
    """
    if error is None and _clients.is_error(answer):
        answer, error = None, answer
    policy = (_DEFAULT if policies is None else policies).for_url(url)
    if error is not None:
        verdict = _judge_error(policy, error)
        if isinstance(verdict, Judged):
            return verdict
        found = verdict
    elif answer is None:
        raise TypeError("report() needs a status or an error: a number, a response or an exception")
    else:
        found = _answer_of(answer)
    headers = found.headers if headers is None else headers
    body = found.body if body is None else body
    return _judge_answer(policy, auth_statuses, url, found.status, headers, body)


def _judge_error(policy: BanPolicy, error: BaseException) -> Judged | Answer:
    """The verdict on an exception, or the answer that it carries."""
    finding = _clients.read(error)
    if not isinstance(error, Exception) and finding.fault is Fault.ELSEWHERE:
        # Cancellation and interrupts are no business of the rules.
        return Judged(None)
    outcome, hold = _outcome_of(finding)
    if outcome is not _CLIENT and policy.judges_failures and policy.opinion_of_failure(None, error):
        return Judged(_BANNED)
    if finding.fault is Fault.ANSWER:
        return _clients.carried(finding) or Judged(None)
    if finding.fault is Fault.UNKNOWN:
        _tell_unknown(error)
    return Judged(outcome, hold)


def _answer_of(answer: Any) -> Answer:
    if isinstance(answer, int) and not isinstance(answer, bool):
        if not 0 <= answer <= 999:
            raise ValueError(f"{int(answer)} is no HTTP status")
        return Answer(int(answer))
    found = _clients.answer_of(answer)
    if found is None:
        raise TypeError(
            f"report() needs a status or an error, and {type(answer).__name__} has no status_code, status or code from "
            "100 to 599"
        )
    return found


def _judge_answer(
    policy: BanPolicy, auth_statuses: tuple[int, ...], url: str | None, status: int, headers: Any, body: Any
) -> Judged:
    # A plain target behind a SOCKS proxy is a tunnel too, but what the user's client did is not known here.
    tunnel = url is not None and urlsplit(url).scheme.lower() == "https"
    hold = pause_of(status, headers)
    answer = _Reported(status, tunnel, hold)
    if not policy.looks_inside:
        outcome = StatusJudge(policy, auth_statuses).answer(answer)
    else:
        found = _Headers(headers)
        response = ReportedResponse(url, status, found, None if body is None else body[:BODY_LIMIT])
        seen = Seen(status, found, lambda: None if body is None else response.text, lambda: response)
        outcome = RuleJudge(policy, None, lambda _: seen, auth_statuses).answer(answer)
    return Judged(outcome, hold_of(outcome, hold), status)


# Names of the classes that have been reported, and no more of them than this.
_told: dict[str, None] = {}
_MOST_TOLD = 1000


def _tell_unknown(error: BaseException) -> None:
    """Say once for each class that its exceptions teach nothing, so that a dead proxy stays on offer."""
    cls = type(error)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name in _told or len(_told) >= _MOST_TOLD:
        return
    _told[name] = None
    _log.warning(
        "%s is not an exception of a client that is known, so its leases are released and nothing is learned of their "
        "proxies; say what happened with lease.report(status=...) or lease.failure()",
        name,
        extra={"event": "exception_unknown", "class": name},
    )


_DEFAULT = BanPolicies()
