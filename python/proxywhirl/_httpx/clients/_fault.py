"""What an exception of a client says: the vocabulary of the tables in this package."""

from __future__ import annotations

import enum
from typing import NamedTuple, Optional


class Fault(enum.Enum):
    """Where an attempt failed."""

    PROXY = "on the way to the proxy, or in the handshake with it"
    LOGIN = "the proxy refuses the login, or wants one"
    RULESET = "a rule of the proxy forbids this site"
    UNREACHED = "the proxy says that it did not reach the site"
    TLS = "TLS with the site, or with the proxy"
    CUT = "closed, reset, timed out, or not readable"
    CLIENT = "the request, the client or this machine"
    ELSEWHERE = "nothing of the network"
    ANSWER = "an answer of the site, raised as an exception"
    CONNECT = "an answer of the proxy to CONNECT"
    UNKNOWN = "a class that is not known"


AMBIGUOUS = frozenset({Fault.UNREACHED, Fault.TLS, Fault.CUT})
"""The faults that can be the proxy's as well as the site's."""


class Finding(NamedTuple):
    """What was read off an exception.

    Attributes:
        fault: Where the attempt failed.
        status: The status of an ``ANSWER`` or of a ``CONNECT``.
        source: The exception that it was read off: the one given, or one inside it.
        reason: The words beside the status of a ``CONNECT``, as the proxy sent them.
    """

    fault: Fault
    status: Optional[int] = None  # noqa: UP045 - evaluated on 3.9
    source: Optional[BaseException] = None  # noqa: UP045
    reason: str = ""


class Row(NamedTuple):
    """What a class of exceptions says.

    Attributes:
        fault: What it says by itself.
        unless: What an exception inside it cannot change that to; ``None`` where nothing inside is looked at.
        context: Whether the client raises it while it handles what it wraps, without saying so by ``from``. Never for
            a class that a user's own code may have raised, while it handled something else.
    """

    fault: Fault
    unless: Optional[frozenset[Fault]] = None  # noqa: UP045
    context: bool = False


def flat(fault: Fault) -> Row:
    """A class that says everything itself."""
    return Row(fault)


def wraps(fault: Fault) -> Row:
    """A class of which the exception inside says more, whatever that is; `fault` where there is none."""
    return Row(fault, frozenset())


def phase(fault: Fault, *unless: Fault) -> Row:
    """A class that knows the phase: a reset, a timeout or a TLS error inside happened in that phase too."""
    return Row(fault, frozenset(unless or (Fault.CUT, Fault.TLS)))
