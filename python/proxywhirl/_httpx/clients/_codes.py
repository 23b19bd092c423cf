"""The numbers and names by which systems, libcurl and browsers tell what went wrong."""

from __future__ import annotations

import errno

from proxywhirl import _core
from proxywhirl._httpx.clients._fault import Fault
from proxywhirl._native.enums import AMBIGUOUS, Doubt, Outcome


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


# This machine is out of something: no proxy is to blame, and another one would not help.
_LOCAL = _numbers("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL", "EADDRINUSE")
_CONNECT = _numbers(
    "ECONNREFUSED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ETIMEDOUT", "EPROTONOSUPPORT",
    "EAFNOSUPPORT",
)  # fmt: skip
_STREAM = _numbers("ECONNRESET", "ECONNABORTED", "EPIPE", "ESHUTDOWN", "ENETRESET", "ENOTCONN")


def of_errno(number: int | None) -> Fault | None:
    """What the number of an ``OSError`` says; ``None`` if it is not about the network."""
    if number in _LOCAL:
        return Fault.CLIENT
    if number in _CONNECT:
        return Fault.PROXY
    return Fault.CUT if number in _STREAM else None


# What follows from a reply of SOCKS is the core's rule; here it has the name of a fault.
_SOCKS: dict[Outcome | Doubt, Fault] = {
    Outcome.PROXY_DOWN: Fault.PROXY,
    Outcome.PROXY_AUTH: Fault.LOGIN,
    Outcome.BANNED: Fault.RULESET,
    AMBIGUOUS: Fault.UNREACHED,
}


def of_socks(reply: int, version: int) -> Fault:
    """What a SOCKS proxy means by a reply other than "granted"."""
    return _SOCKS[_core.judge_socks(min(reply, 255), version)]


# https://curl.se/libcurl/c/libcurl-errors.html. What is not here is ambiguous.
_CURL = {
    1: Fault.CLIENT,  # UNSUPPORTED_PROTOCOL
    2: Fault.CLIENT,  # FAILED_INIT
    3: Fault.CLIENT,  # URL_MALFORMAT
    4: Fault.CLIENT,  # NOT_BUILT_IN
    5: Fault.PROXY,  # COULDNT_RESOLVE_PROXY
    7: Fault.PROXY,  # COULDNT_CONNECT
    23: Fault.CLIENT,  # WRITE_ERROR: the callback
    26: Fault.CLIENT,  # READ_ERROR: the callback
    27: Fault.CLIENT,  # OUT_OF_MEMORY
    35: Fault.TLS,  # SSL_CONNECT_ERROR
    42: Fault.CLIENT,  # ABORTED_BY_CALLBACK
    43: Fault.CLIENT,  # BAD_FUNCTION_ARGUMENT
    45: Fault.CLIENT,  # INTERFACE_FAILED
    48: Fault.CLIENT,  # UNKNOWN_OPTION
    51: Fault.TLS,  # PEER_FAILED_VERIFICATION, before 7.62
    53: Fault.CLIENT,  # SSL_ENGINE_NOTFOUND
    54: Fault.CLIENT,  # SSL_ENGINE_SETFAILED
    58: Fault.CLIENT,  # SSL_CERTPROBLEM: the client's own
    59: Fault.CLIENT,  # SSL_CIPHER
    60: Fault.TLS,  # PEER_FAILED_VERIFICATION
    63: Fault.ELSEWHERE,  # FILESIZE_EXCEEDED: the client's own limit
    66: Fault.CLIENT,  # SSL_ENGINE_INITFAILED
    77: Fault.CLIENT,  # SSL_CACERT_BADFILE
    82: Fault.CLIENT,  # SSL_CRL_BADFILE
    83: Fault.TLS,  # SSL_ISSUER_ERROR
    90: Fault.TLS,  # SSL_PINNEDPUBKEYNOTMATCH
    91: Fault.TLS,  # SSL_INVALIDCERTSTATUS
    97: Fault.PROXY,  # PROXY: the handshake with it
    98: Fault.CLIENT,  # SSL_CLIENTCERT
    99: Fault.CLIENT,  # UNRECOVERABLE_POLL
    100: Fault.CLIENT,  # TOO_LARGE
}


def of_curl(number: int) -> Fault:
    """What a number of libcurl says."""
    return _CURL.get(number, Fault.CUT)


# https://source.chromium.org/chromium/chromium/src/+/main:net/base/net_error_list.h, without "net::ERR_", and Firefox's
# https://searchfox.org/firefox-main/source/xpcom/base/ErrorList.py, without "NS_ERROR_".
_BROWSER = {
    "PROXY_CONNECTION_FAILED": Fault.PROXY,
    "PROXY_CERTIFICATE_INVALID": Fault.PROXY,
    "PROXY_HTTP_1_1_REQUIRED": Fault.PROXY,
    "PROXY_DELEGATE_CANCELED_CONNECT_REQUEST": Fault.PROXY,
    "PROXY_DELEGATE_CANCELED_CONNECT_RESPONSE": Fault.PROXY,
    "PROXY_UNABLE_TO_CONNECT_TO_DESTINATION": Fault.UNREACHED,
    "PROXY_AUTH_REQUESTED": Fault.LOGIN,
    "PROXY_AUTH_REQUESTED_WITH_NO_CONNECTION": Fault.LOGIN,
    "PROXY_AUTH_UNSUPPORTED": Fault.LOGIN,
    "INVALID_AUTH_CREDENTIALS": Fault.LOGIN,
    "UNSUPPORTED_AUTH_SCHEME": Fault.LOGIN,
    "TUNNEL_CONNECTION_FAILED": Fault.UNREACHED,
    "SOCKS_CONNECTION_FAILED": Fault.UNREACHED,
    "SOCKS_CONNECTION_HOST_UNREACHABLE": Fault.UNREACHED,
    "NO_SUPPORTED_PROXIES": Fault.CLIENT,
    "MANDATORY_PROXY_CONFIGURATION_FAILED": Fault.CLIENT,
    "INTERNET_DISCONNECTED": Fault.CLIENT,
    "NETWORK_CHANGED": Fault.CLIENT,
    "NETWORK_IO_SUSPENDED": Fault.CLIENT,
    "NETWORK_ACCESS_DENIED": Fault.CLIENT,
    "INSUFFICIENT_RESOURCES": Fault.CLIENT,
    "OUT_OF_MEMORY": Fault.CLIENT,
    "INVALID_URL": Fault.CLIENT,
    "DISALLOWED_URL_SCHEME": Fault.CLIENT,
    "UNKNOWN_URL_SCHEME": Fault.CLIENT,
    "UNSAFE_PORT": Fault.CLIENT,
    "BLOCKED_BY_CLIENT": Fault.CLIENT,
    "BLOCKED_BY_ADMINISTRATOR": Fault.CLIENT,
    "ABORTED": Fault.ELSEWHERE,
    "TOO_MANY_REDIRECTS": Fault.ELSEWHERE,
    "HTTP_RESPONSE_CODE_FAILURE": Fault.ELSEWHERE,
    "CACHE_MISS": Fault.ELSEWHERE,
    "FILE_NOT_FOUND": Fault.ELSEWHERE,
    "BLOCKED_BY_RESPONSE": Fault.ELSEWHERE,
    "BLOCKED_BY_CSP": Fault.ELSEWHERE,
    # Firefox.
    "PROXY_CONNECTION_REFUSED": Fault.PROXY,
    "UNKNOWN_PROXY_HOST": Fault.PROXY,
    "PROXY_BAD_GATEWAY": Fault.UNREACHED,
    "PROXY_GATEWAY_TIMEOUT": Fault.UNREACHED,
    "PROXY_FORBIDDEN": Fault.UNREACHED,
    "PROXY_AUTHENTICATION_FAILED": Fault.LOGIN,
    "MALFORMED_URI": Fault.CLIENT,
    "UNKNOWN_PROTOCOL": Fault.CLIENT,
    "OFFLINE": Fault.CLIENT,
    "REDIRECT_LOOP": Fault.ELSEWHERE,
}


def of_browser(name: str) -> Fault:
    """What a browser's code says, without its prefix."""
    found = _BROWSER.get(name)
    if found is not None:
        return found
    return Fault.TLS if name.startswith(("SSL_", "CERT_")) else Fault.CUT
