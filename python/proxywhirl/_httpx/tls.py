"""TLS contexts: made once, on first need, and shared by every connection.

Making one takes 20 to 40 ms and half a megabyte, because the certificate store is read; a pool of a thousand proxies
must not pay for that a thousand times, and plain HTTP must not pay at all.
"""

from __future__ import annotations

import importlib.util
import os
import ssl
from typing import Any, Optional, Union

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl._native.redact import shown_path

Verify = Union[bool, str, ssl.SSLContext]
"""``True`` checks certificates, ``False`` does not, a path names a CA file or folder, a context is used as it is."""

_Path = Union[str, "os.PathLike[str]"]
Cert = Union[_Path, tuple[_Path, _Path], tuple[_Path, _Path, Optional[str]]]
"""Paths of a certificate and its key, in one file or two, and the password of the key."""

_NO_CERTIFICATE = "cert= is no certificate with its private key, or the password is wrong"

_lock = new_lock()
_shared: dict[tuple[Any, bool, bool], ssl.SSLContext] = {}
_profiles: dict[tuple[Any, bool], _core.WireTls] = {}


def _context(verify: Verify, trust_env: bool, http2: bool = False) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    # httpcore writes into a context which versions of HTTP it offers, so those that offer others are others.
    key = (verify, trust_env, http2)
    found = _shared.get(key)
    if found is None:
        with _lock:
            found = _shared.get(key)
            if found is None:
                found = _shared[key] = _make(verify, trust_env)
    return found


def _make(verify: bool | str, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, str):
        if not os.path.exists(verify):
            raise FileNotFoundError(f"no CA file or folder at {shown_path(verify)}")
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


def authorities() -> tuple[str, str | None]:
    """By which authorities certificates are judged where nothing else is said.

    Returns:
        The file, and its text; ``"the system"`` and ``None`` where those of the system are taken.

    Raises:
        ImportError: The package that has them is missing.
        OSError: They cannot be read.
    """
    from proxywhirl._httpx.library import default_name

    if default_name() != "httpx":
        return "the system", None
    import certifi

    return certifi.where(), _authorities(True, False)


def _authorities(verify: Verify, trust_env: bool) -> str | None:
    """Certificates of the authorities that httpx would accept, as text; ``None`` for the system's own, or for all."""
    if verify is False:
        return None
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
        raise FileNotFoundError(f"no CA file or folder at {shown_path(place)}")
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    texts = (file.read_text(encoding="ascii", errors="replace") for file in files)
    return [text for text in texts if "-----BEGIN" in text]


class Tls:
    """Which certificates are accepted: of targets and, apart from that if wished, of HTTPS proxies.

    ``http2`` says whether targets are offered HTTP/2.

    Raises ``TypeError`` (an argument has the wrong type), ``ValueError`` (there is both a certificate and an
    ``ssl.SSLContext`` for targets), ``FileNotFoundError`` (there is no such certificate), ``ImportError`` (HTTP/2 is
    asked for, and its package is not installed).
    """

    __slots__ = ("_cert", "_own_context", "_own_profile", "_proxy_verify", "_trust_env", "_verify", "http2")

    def __init__(
        self,
        verify: Verify = True,
        proxy_verify: Verify | None = None,
        *,
        trust_env: bool = False,
        cert: Cert | None = None,
        http2: bool = False,
    ) -> None:
        for given in (verify, proxy_verify):
            if given is not None and not isinstance(given, (bool, str, ssl.SSLContext)):
                raise TypeError(f"verify must be a bool, a path or an ssl.SSLContext, not {type(given).__name__}")
        if http2 and importlib.util.find_spec("h2") is None:
            raise ImportError("http2=True needs an extra: pip install 'proxywhirl-rs[http2]'")
        self.http2 = bool(http2)
        """Whether targets are offered HTTP/2."""
        self._cert = None if cert is None else _Certificate(cert)
        if self._cert is not None and isinstance(verify, ssl.SSLContext):
            # It may be used elsewhere, for proxies too.
            raise ValueError("cert= and verify= an ssl.SSLContext: load the certificate into the context instead")
        # Not among the shared ones: these are told apart by who holds the key.
        self._own_context: ssl.SSLContext | None = None
        self._own_profile: _core.WireTls | None = None
        self._verify = verify
        self._proxy_verify = verify if proxy_verify is None else proxy_verify
        self._trust_env = trust_env

    def needs_httpx(self) -> str | None:
        """Why the native engine cannot do what is asked for; ``None`` if it can."""
        if self.http2:
            return "http2=True"
        if isinstance(self._verify, ssl.SSLContext) or isinstance(self._proxy_verify, ssl.SSLContext):
            return "verify= is an ssl.SSLContext, whose settings cannot be read"
        if self._cert is not None and self._cert.password is not None:
            return "the key of cert= has a password"
        return None

    def native_target(self) -> _core.WireTls:
        """The same as :meth:`target` for the native engine; not where that cannot do it."""
        cert = self._cert
        if cert is None:
            return _profile(self._verify, self._trust_env)
        found = self._own_profile
        if found is None:
            with _lock:
                found = self._own_profile
                if found is None:
                    authorities = _authorities(self._verify, self._trust_env)
                    found = self._own_profile = cert.profile(self._verify is not False, authorities)
        return found

    def native_proxy(self) -> _core.WireTls:
        """The same as :meth:`proxy` for the native engine; not where a context was given."""
        return _profile(self._proxy_verify, self._trust_env)

    def target(self) -> ssl.SSLContext:
        """The context for targets."""
        cert = self._cert
        if cert is None or isinstance(self._verify, ssl.SSLContext):
            return _context(self._verify, self._trust_env, self.http2)
        found = self._own_context
        if found is None:
            with _lock:
                found = self._own_context
                if found is None:
                    found = _make(self._verify, self._trust_env)
                    cert.load_into(found)
                    self._own_context = found
        return found

    def proxy(self) -> ssl.SSLContext:
        """The context for HTTPS proxies."""
        return _context(self._proxy_verify, self._trust_env)


class _Certificate:
    """The certificate of this side.

    Raises ``TypeError`` (it has another form), ``FileNotFoundError`` (one of the files is not there).
    """

    __slots__ = ("_chain", "_key", "password")

    def __init__(self, given: Cert) -> None:
        parts: tuple[Any, ...] = given if isinstance(given, tuple) else (given,)
        paths, password = parts[:2], parts[2] if len(parts) == 3 else None
        if not 1 <= len(parts) <= 3 or not all(isinstance(path, (str, os.PathLike)) for path in paths):
            raise TypeError("cert must be a path, or a tuple of the paths of certificate and key, and a password")
        for path, what in zip(paths, ("certificate", "key")):
            if not os.path.isfile(path):
                # What was given may be the key itself.
                raise FileNotFoundError(f"the {what} of cert= is not the path of a file")
        self._chain = os.fspath(paths[0])
        self._key = os.fspath(paths[1]) if len(paths) == 2 else None
        self.password: str | None = password
        """Of the key; ``None`` for none."""

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context show it."""
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self._chain, self._key, self.password or "")
        except (ssl.SSLError, ValueError):
            raise ValueError(_NO_CERTIFICATE) from None

    def profile(self, verify: bool, authorities: str | None) -> _core.WireTls:
        """What connections of the native engine that show it are made with."""
        texts = [None if path is None else _text_of(path) for path in (self._chain, self._key)]
        return _core.WireTls(verify, authorities, *texts)


def _text_of(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
