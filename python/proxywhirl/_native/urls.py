"""Questions about URLs: is it a proxy's, what are its parts, is it safe to ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from proxywhirl._native.redact import mask_proxy_url, redact_url, scrub_text

if TYPE_CHECKING:
    from proxywhirl import _core

# What is said of each kind of local address that the core knows.
_REFUSALS = {
    "localhost": "Localhost addresses not allowed",
    "loopback": "Localhost addresses not allowed",
    "private": "Private/internal IP addresses not allowed",
}


def client_url(proxy: _core.Proxy) -> str:
    """The URL of a proxy for a client, credentials quoted."""
    return proxy._client_url()


def masked_url(proxy: _core.Proxy) -> str:
    """The URL of a proxy for people: with ``***:***@`` if it wants a login."""
    return proxy._client_url(masked=True)


def is_valid_proxy_url(url: str) -> bool:
    """Whether a text is the URL of a proxy.

    Args:
        url: The text. Allowed are http, https, socks4 and socks5, ``user:password@``, a host name or address (IPv6
            in brackets), a port from 1 to 65535, which must be there, and a slash at the end.

    Returns:
        The answer; never raises.
    """
    if not isinstance(url, str):
        return False
    try:
        parse_proxy_url(url)
    except ValueError:
        return False
    return True


def parse_proxy_url(url: str) -> dict[str, Any]:
    """Take the URL of a proxy apart.

    Args:
        url: The URL, in the form that :func:`is_valid_proxy_url` allows.

    Returns:
        ``protocol``, ``host``, ``port`` (an ``int``), ``username`` and ``password`` (``None`` when absent).

    Raises:
        ValueError: It is not the URL of a proxy, or has no port.
    """
    return split_proxy_url(url, require_port=True)


def split_proxy_url(url: str, *, require_port: bool) -> dict[str, Any]:
    """As :func:`parse_proxy_url`; without ``require_port`` a missing port is the usual one of the scheme."""
    from proxywhirl import _core  # the one grammar of proxy URLs is the core's

    if not isinstance(url, str):
        raise ValueError(f"Invalid proxy URL format: not a string but {type(url).__name__}")  # noqa: TRY004
    try:
        return dict(_core.parse_proxy_url(url, require_port=require_port))
    except ValueError as error:
        reason = scrub_text(str(error).replace(url, mask_proxy_url(url)) if url else str(error))
        raise ValueError(f"Invalid proxy URL format: {reason}") from None


def validate_target_url_safe(url: str, allow_private: bool = False) -> None:
    """Refuse URLs that point into the caller's own network.

    Names are resolved, and every address they lead to is looked at. A name can lead elsewhere a moment later, so for
    hostile input this does not replace a network that forbids such connections.

    Args:
        url: Where a request is meant to go.
        allow_private: Accept addresses of local networks and of this machine; the scheme is still checked.

    Raises:
        ValueError: The URL is not http or https, has no host, cannot be resolved, or leads to this machine or to an
            address that is not public.
    """
    shown = redact_url(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError:
        raise ValueError(f"Invalid URL: {shown!r}") from None
    if not parts.scheme:
        raise ValueError(f"URL must have a scheme: {shown!r}")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"only http and https URLs are allowed, not {shown!r}")
    if not host:
        raise ValueError(f"URL must have a host: {shown!r}")
    if allow_private:
        return
    from proxywhirl import _core

    try:
        # What a client dials: digits of other scripts are digits.
        name = _core.ascii_host(host).rstrip(".")
    except ValueError:
        name = host.rstrip(".").casefold()
    literal = _core.literal_address(name)
    if literal is None and _core.address_locality(name) in _REFUSALS:
        raise ValueError(f"{_REFUSALS[_core.address_locality(name)]}: {shown!r}")
    for address in _addresses_of(name, port, shown) if literal is None else [literal]:
        kind = _core.address_locality(address)
        if kind != "public":
            raise ValueError(f"{_REFUSALS[kind]}: {shown!r} leads to {address}")


def _addresses_of(name: str, port: int | None, shown: str) -> list[str]:
    import socket

    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ValueError(f"the host of {shown!r} cannot be resolved") from None
    return [str(entry[4][0]).partition("%")[0] for entry in found]
