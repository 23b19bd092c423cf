"""TLS contexts: made once, on first need, and shared by every connection.

Making one takes 20 to 40 ms and half a megabyte, because the certificate store is read; a pool of a thousand proxies
must not pay for that a thousand times, and plain HTTP must not pay at all.
"""

from __future__ import annotations

import ssl
from typing import Any, Union

from proxywhirl import _core
from proxywhirl._base.fork import new_lock

__all__ = ["Tls", "Verify"]

Verify = Union[bool, str, ssl.SSLContext]
"""``True`` checks certificates, ``False`` does not, a path names a CA file or folder, a context is used as it is."""

_lock = new_lock()
_shared: dict[tuple[Any, bool], ssl.SSLContext] = {}
_profiles: dict[tuple[Any, bool], _core.WireTls] = {}


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


def _profile(verify: Verify, trust_env: bool) -> _core.WireTls:
    """What the native engine makes connections with; made once, and shared."""
    key = (verify, trust_env)
    found = _profiles.get(key)
    if found is None:
        with _lock:
            found = _profiles.get(key)
            if found is None:
                found = _profiles[key] = _core.WireTls(verify is not False, _authorities(verify, trust_env))
    return found


def _authorities(verify: Verify, trust_env: bool) -> str | None:
    """Certificates of the authorities that httpx would accept, as text; ``None`` for the system's own, or for all."""
    if verify is False:
        return None
    import os

    place = verify if isinstance(verify, str) else None
    if place is None and trust_env:
        place = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if place is None:
        from proxywhirl._httpx.library import default_name

        if default_name() != "httpx":
            # httpx2 accepts those of the system.
            return None
        import certifi

        place = certifi.where()
    return "\n".join(_certificates(place))


def _certificates(place: str) -> list[str]:
    """The texts of a CA file, or of all files in a folder."""
    from pathlib import Path

    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"no CA file or folder at {place!r}")
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    texts = (file.read_text(encoding="ascii", errors="replace") for file in files)
    return [text for text in texts if "-----BEGIN" in text]


class Tls:
    """Which certificates are accepted: of targets and, apart from that if wished, of HTTPS proxies.

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

    def has_context(self) -> bool:
        """Whether a context was given, of which nothing else is known."""
        return isinstance(self._verify, ssl.SSLContext) or isinstance(self._proxy_verify, ssl.SSLContext)

    def native_target(self) -> _core.WireTls:
        """The same as :meth:`target` for the native engine; not where a context was given."""
        return _profile(self._verify, self._trust_env)

    def native_proxy(self) -> _core.WireTls:
        """The same as :meth:`proxy` for the native engine; not where a context was given."""
        return _profile(self._proxy_verify, self._trust_env)

    def target(self) -> ssl.SSLContext:
        """The context for targets."""
        return _context(self._verify, self._trust_env)

    def proxy(self) -> ssl.SSLContext:
        """The context for HTTPS proxies."""
        return _context(self._proxy_verify, self._trust_env)
