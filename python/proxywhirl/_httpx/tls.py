"""TLS contexts: made once, on first need, and shared by every connection.

Making one takes 20 to 40 ms and half a megabyte, because the certificate store is read; a pool of a thousand proxies
must not pay for that a thousand times, and plain HTTP must not pay at all.
"""

from __future__ import annotations

import ssl
from typing import Any, Union

from proxywhirl._base.fork import new_lock

__all__ = ["Tls", "Verify"]

Verify = Union[bool, str, ssl.SSLContext]
"""``True`` checks certificates, ``False`` does not, a path names a CA file or folder, a context is used as it is."""

_lock = new_lock()
_shared: dict[tuple[Any, bool], ssl.SSLContext] = {}


def _context(verify: Verify, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    key = (verify, trust_env)
    found = _shared.get(key)
    if found is None:
        with _lock:
            found = _shared.get(key)
            if found is None:
                found = _shared[key] = _make(verify, trust_env)
    return found


def _make(verify: bool | str, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, str):
        import os

        if not os.path.exists(verify):
            raise FileNotFoundError(f"no CA file or folder at {verify!r}")
        if os.path.isdir(verify):
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    from proxywhirl._httpx.library import default_name, flavour

    made: ssl.SSLContext = flavour(default_name()).module.create_ssl_context(verify=verify, trust_env=trust_env)
    return made


class Tls:
    """Which certificates are believed: of targets and, apart from that if wished, of HTTPS proxies.

    Args:
        verify: For targets.
        proxy_verify: For HTTPS proxies; ``None`` means like ``verify``.
        trust_env: Whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured.
    """

    __slots__ = ("_proxy_verify", "_trust_env", "_verify")

    def __init__(self, verify: Verify = True, proxy_verify: Verify | None = None, *, trust_env: bool = False) -> None:
        for given in (verify, proxy_verify):
            if given is not None and not isinstance(given, (bool, str, ssl.SSLContext)):
                raise TypeError(f"verify must be a bool, a path or an ssl.SSLContext, not {type(given).__name__}")
        self._verify = verify
        self._proxy_verify = verify if proxy_verify is None else proxy_verify
        self._trust_env = trust_env

    def target(self) -> ssl.SSLContext:
        """The context for targets."""
        return _context(self._verify, self._trust_env)

    def proxy(self) -> ssl.SSLContext:
        """The context for HTTPS proxies."""
        return _context(self._proxy_verify, self._trust_env)
