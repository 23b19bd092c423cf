"""What exceptions say of an attempt: those of our own transfers, and those of other clients.

What :mod:`proxywhirl._httpx.clients` reads off an exception of another client becomes an outcome here. Statuses, ban
rules, ``Retry-After`` and the judging of answers are the core's: ``_core.StatusJudge``, ``_core.RuleJudge``,
``_core.ReportJudge``.
"""

from __future__ import annotations

import errno
import logging
from typing import NamedTuple, Optional, Union

from proxywhirl._core import judge_connect
from proxywhirl._httpx import clients as _clients
from proxywhirl._httpx.clients import AMBIGUOUS as AMBIGUOUS_FAULTS
from proxywhirl._httpx.clients import Answer, Fault, Finding
from proxywhirl._httpx.unreachable import ProxyUnreachable
from proxywhirl._native.enums import AMBIGUOUS, Doubt, Outcome

_log = logging.getLogger("proxywhirl.lease")

_DOWN = Outcome.PROXY_DOWN
_AUTH = Outcome.PROXY_AUTH
_BANNED = Outcome.BANNED
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

    Returns ``None`` if it is no exception of a transfer, as one raised by the user's own body iterator.
    """
    if isinstance(error, ProxyUnreachable):
        return Meaning(_CLIENT if _is_local(error) else error.outcome, False, error.kind)
    found = _row_of(error)
    if found is None:
        return None
    name, row = found
    if name == "ConnectError" and _is_local(error):
        return Meaning(_CLIENT, False, name)
    return Meaning(row.tunnel if tunnel else row.forward, row.sent, name)


def outcome_of_error(error: BaseException) -> Optional[Verdict]:
    """Classify an exception that ended a piece of work of any client.

    Returns ``None`` if it is not about the network, cancellation included, or carries an answer.
    """
    return _outcome_of(_clients.read(error))[0]


def _outcome_of(finding: Finding) -> tuple[Optional[Verdict], Optional[float]]:  # noqa: UP045
    """The outcome that follows from a finding, and the seconds of the proxy's ``Retry-After``."""
    if finding.fault is Fault.CONNECT and finding.status is not None:
        said = finding.reason.encode("utf-8", "replace").decode()
        return judge_connect(finding.status, said, getattr(finding.source, "headers", None))
    return _OUTCOMES.get(finding.fault), None


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


class Reading(NamedTuple):
    """What an exception of any client says by itself.

    Attributes:
        outcome: The class of failure; ``None`` if nothing is known.
        hold: Seconds for which the proxy asks to be left alone.
        answer: The answer that it carries.
        is_unknown: Whether its class is not known.
    """

    outcome: Optional[Verdict]
    hold: Optional[float] = None
    answer: Optional[Answer] = None
    is_unknown: bool = False


def read_error(error: BaseException) -> Reading | None:
    """Read an exception that a client raised in place of an answer.

    Returns ``None`` if it belongs to the program, as cancellation and interrupts do.
    """
    finding = _clients.read(error)
    if not isinstance(error, Exception) and finding.fault is Fault.ELSEWHERE:
        return None
    outcome, hold = _outcome_of(finding)
    answer = _clients.carried(finding) if finding.fault is Fault.ANSWER else None
    return Reading(outcome, hold, answer, finding.fault is Fault.UNKNOWN)


# Names of the classes that have been reported, and no more of them than this.
_told: dict[str, None] = {}
_MOST_TOLD = 1000


def tell_unknown(error: BaseException) -> None:
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
