"""Where a proxy is and how to speak to it, read once from a lease's URL."""

from __future__ import annotations

from proxywhirl._core import ProxyHandshake, basic_authorization, parse_proxy_url
from proxywhirl._native.redact import Secrets


class ProxyAddress:
    """A proxy as the connections need it. Raises ``ValueError`` (it is no URL of a proxy)."""

    __slots__ = ("_auth", "_secrets", "authorization", "host", "is_http", "is_tls", "port", "scheme")

    def __init__(self, url: str) -> None:
        read = parse_proxy_url(url)
        self.scheme: str = read["protocol"]
        self.host: str = read["host"]
        self.port: int = read["port"]
        self.is_http = self.scheme in ("http", "https")
        self.is_tls = self.scheme == "https"
        self._auth: tuple[str, str] | None = None
        if read["username"] is not None:
            self._auth = (read["username"], read["password"])
        self.authorization: bytes | None = None if self._auth is None else basic_authorization(*self._auth)
        """Value of ``Proxy-Authorization``."""
        self._secrets: Secrets | None = None

    @property
    def secrets(self) -> Secrets | None:
        """What must not be repeated of what the proxy says; ``None`` without a login."""
        if self._secrets is None and self._auth is not None:
            self._secrets = Secrets(*self._auth)
        return self._secrets

    def handshake(self, host: str, port: int, authorization: bytes | None = None) -> ProxyHandshake:
        """Begin the talk that opens the way to a target."""
        return ProxyHandshake(self.scheme, host, port, self._auth, authorization)

    def __repr__(self) -> str:
        # The credentials stay out: this shows up in tracebacks that print locals.
        return f"ProxyAddress({self.scheme}://{self.host}:{self.port})"
