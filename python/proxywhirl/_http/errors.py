"""What the exceptions of a transfer mean: the one table."""

from __future__ import annotations

import errno
from typing import NamedTuple

from proxywhirl._enums import Outcome
from proxywhirl._http.dial import ProxyUnreachable

__all__ = ["Meaning", "meaning_of"]


class Meaning(NamedTuple):
    """What an exception tells.

    Attributes:
        outcome: The class of failure.
        sent: Whether some of the request can have left.
        name: Name of the httpx exception to show the user.
    """

    outcome: Outcome
    sent: bool
    name: str


_DOWN = Outcome.PROXY_DOWN
_TARGET = Outcome.TARGET_FAULT
_CLIENT = Outcome.CLIENT_FAULT

# By name of the class, nearest first in the order of inheritance: httpcore, httpcore2, httpx and httpx2 share them.
# Columns: through a forward proxy, inside a tunnel, whether something was sent.
# Inside a tunnel "connect" can only be the TLS handshake with the target: the dialer reports what came before itself.
_TABLE: dict[str, tuple[Outcome, Outcome, bool]] = {
    "ConnectError": (_DOWN, _TARGET, False),
    "ConnectTimeout": (_DOWN, _DOWN, False),
    "ProxyError": (_DOWN, _DOWN, False),
    "ReadTimeout": (_DOWN, _DOWN, True),
    "WriteTimeout": (_DOWN, _DOWN, True),
    "PoolTimeout": (_CLIENT, _CLIENT, False),
    "ReadError": (_DOWN, _TARGET, True),
    "WriteError": (_DOWN, _TARGET, True),
    "CloseError": (_DOWN, _TARGET, True),
    "RemoteProtocolError": (_DOWN, _TARGET, True),
    "LocalProtocolError": (_CLIENT, _CLIENT, False),
    "UnsupportedProtocol": (_CLIENT, _CLIENT, False),
}
_PACKAGES = frozenset({"httpcore", "httpcore2", "httpx", "httpx2"})

# This machine is out of something; no proxy is to blame, and another one would not help.
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def meaning_of(error: Exception, *, tunnel: bool) -> Meaning | None:
    """Classify what a transfer raised.

    Args:
        error: The exception.
        tunnel: Whether the transfer went through a tunnel.

    Returns:
        Its meaning; ``None`` if it is no exception of a transfer, as one raised by the user's own body iterator.
    """
    if isinstance(error, ProxyUnreachable):
        if _is_local(error):
            return Meaning(_CLIENT, False, error.kind)
        return Meaning(Outcome.PROXY_AUTH if error.auth else _DOWN, False, error.kind)
    for cls in type(error).__mro__:
        row = _TABLE.get(cls.__name__)
        if row is not None and cls.__module__.partition(".")[0] in _PACKAGES:
            forward, inside, sent = row
            if not sent and cls.__name__ == "ConnectError" and _is_local(error):
                return Meaning(_CLIENT, False, cls.__name__)
            return Meaning(inside if tunnel else forward, sent, cls.__name__)
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
