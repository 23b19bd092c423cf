"""Clients that tell a fact in words only: the fixed phrase of each, read at its fixed place and nowhere else.

A number elsewhere in a text is no status: addresses of pages and proxies have numbers too. So each pattern here spells
out the whole of what stands before the fact, and lets nothing into it that the caller, the site or the proxy chooses,
except a URL, which has no white space. The groups say what the phrase means: ``connect`` the status of an answer to
CONNECT and ``reason`` the words beside it, ``answer`` the status of the site's answer, ``socks4`` and ``socks5`` the
reply of a SOCKS proxy, ``browser`` a code of a browser, ``errno`` a number of the system; a group named after a
:class:`Fault` means that fault.
"""

from __future__ import annotations

import re
from typing import Any, Callable

from proxywhirl._httpx.clients import _codes
from proxywhirl._httpx.clients._fault import Fault, Finding

_SENDING = r"error sending request for url \([^\s)]*\)"
_WREQ = r"wreq::Error \{ kind: Request, uri: \S+, source: Error \{ kind: "
_IMPIT = r"Failed to connect to the server\.\s+Reason:\s+hyper_util::client::legacy::Error\(\s+Connect,\s+"
_BROWSER = r"(?:net::ERR_|NS_ERROR_)(?P<browser>[A-Z0-9_]+)\b"

# By package and class; several patterns for one class are tried in order. They are compiled when one is first needed:
# most programs have one client, and a program without errors needs none.
_PHRASES: dict[tuple[str, str], tuple[str, ...]] = {
    # http.client has no class for it, so that urllib, requests and urllib3 have none either.
    ("builtins", "OSError"): (r"Tunnel connection failed: (?P<connect>\d{3})(?: (?P<reason>.*))?\Z",),
    ("urllib3", "ResponseError"): (r"too many (?P<answer>\d{3}) error responses\Z",),
    ("socks", "SOCKS5Error"): (r"(?P<socks5>0x[0-9a-f]{2}): ",),
    ("socks", "SOCKS4Error"): (r"(?P<socks4>0x[0-9a-f]{2}): ",),
    ("socks", "HTTPError"): (r"(?P<connect>\d{3}): (?P<reason>.*)\Z",),
    ("httpcore", "ProxyError"): (
        r"(?P<connect>\d{3})(?: (?P<reason>.*))?\Z",
        r"(?P<LOGIN>Invalid username/password|Requested .* from proxy server, but got .*\.)\Z",
        r"Proxy Server could not connect: (?P<RULESET>Connection not allowed by ruleset)\.\Z",
        r"Proxy Server could not connect: (?:Command not supported|Address type not supported)(?P<PROXY>)\.\Z",
        r"Proxy Server could not connect: (?P<UNREACHED>)",
    ),
    ("python_socks", "ProxyError"): (
        r"(?P<LOGIN>Username and password authentication failure|No acceptable authentication methods were offered)\Z",
    ),
    ("curl_cffi", "CurlError"): (
        r"Failed to perform, curl: \((?:7|56)\) CONNECT tunnel failed, response (?P<connect>\d{3})\. ",
        r"Failed to perform, curl: \(56\) Proxy CONNECT aborted(?P<PROXY>)",
        r"Failed to perform, curl: \(1\) Received HTTP/0\.9 when not allowed(?P<CUT>)",
        r"Failed to perform, curl: \(97\) (?P<LOGIN>User was rejected by|No authentication method was acceptable)",
        r"Failed to perform, curl: \(97\) cannot complete SOCKS5 connection to \S+ \((?P<socks5>\d{1,3})\)",
        r"Failed to perform, curl: \(97\) (?P<PROXY>)",
    ),
    ("primp", "RequestError"): (
        _SENDING + r" > proxy CONNECT failed: HTTP/1\.[01] (?P<connect>\d{3})\b(?P<reason>[^\r\n]*)",
        _SENDING + r" > proxy closed connection before CONNECT response(?P<PROXY>)",
        _SENDING + r" > client error \(Connect\) > error connecting to socks proxy > socks5 proxy "
        r"(?P<LOGIN>accepts no authentication methods|rejected the credentials)\Z",
        _SENDING + r" > client error \(Connect\) > error connecting to socks proxy > "
        r"socks5 proxy connect failed with status (?P<socks5>\d{1,3})\Z",
        _SENDING + r" > (?:[a-z ]+ > )*[A-Z][a-z ]+ \(os error (?P<errno>\d{1,3})\)\Z",
    ),
    ("wreq", "StatusError"): (r"is_status error: wreq::Error \{ kind: Status\((?P<answer>\d{3}),",),
    ("wreq", "ProxyConnectionError"): (
        r"is_proxy_connect error: " + _WREQ + r"ProxyConnect, source: Some\("
        r"(?P<LOGIN>ProxyAuthRequired|Socks\((?:NoAcceptableAuthMethods|PasswordAuthFailure))\b",
        r"is_proxy_connect error: " + _WREQ + r"ProxyConnect, source: Some\("
        r"Socks\((?P<RULESET>ConnectionNotAllowedByRuleset)\b",
        r"is_proxy_connect error: " + _WREQ + r"ProxyConnect, source: Some\((?P<UNREACHED>TunnelUnsuccessful|"
        r"Socks\((?:GeneralSocksServerFailure|NetworkUnreachable|HostUnreachable|ConnectionRefused|TtlExpired))\b",
    ),
    ("impit", "HTTPStatusError"): (r"HTTP status error occurred with status code (?P<answer>\d{3})\.\Z",),
    ("impit", "ProxyError"): (
        r"Proxy rejected the CONNECT tunnel with status code (?P<connect>\d{3})\.\Z",
        r"(?P<LOGIN>Proxy authentication required\.)\Z",
    ),
    ("impit", "ConnectError"): (
        _IMPIT + r"SocksConnect\(\s+V5\(\s+(?P<LOGIN>Auth\()",
        _IMPIT + r"SocksConnect\(\s+V5\(\s+Command\(\s+(?P<RULESET>ConnectionNotAllowed)\b",
        _IMPIT + r"SocksConnect\(\s+V5\(\s+(?P<UNREACHED>Command\()",
        # What the TLS library says; with the site for all but the rare proxies that are spoken to over TLS.
        _IMPIT + r"(?P<TLS>Custom \{)",
    ),
    # The whole class is one line of an unreadable answer, or of a body.
    ("impit", "HTTPError"): (r"The internal HTTP library has thrown an error:\s+(?P<CUT>reqwest::Error)",),
    ("scrapy", "TunnelError"): (
        r"Could not open CONNECT tunnel with proxy \S+ \[\{'status': (?P<connect>\d{3}), "
        r"'reason': b?(?P<reason>.*)\}\]\Z",
        r"Could not open CONNECT tunnel with proxy \S+ \[\{'status': (?P<connect>\d{3})\b",
        r"Could not open CONNECT tunnel with proxy \S+ \[(?P<PROXY>)",
    ),
    ("playwright", "Error"): (
        r"(?:[A-Za-z]+\.[a-z_]+: )?" + _BROWSER,
        r"(?:Page|Frame)\.(?:goto|reload|go_back|go_forward): (?P<CUT>Timeout )",
        r"APIRequestContext\.[a-z]+: (?:Request timed out|Timeout )(?P<CUT>)",
        r"APIRequestContext\.[a-z]+: (?:connect )(?P<PROXY>ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)\b",
        r"APIRequestContext\.[a-z]+: (?P<CUT>read ECONNRESET|socket hang up)\b",
    ),
    ("selenium", "WebDriverException"): (
        r"Message: (?:unknown error: )?" + _BROWSER,
        r"Message: Reached error page: about:neterror\?e=(?P<PROXY>proxyConnectFailure|proxyResolveFailure)&",
        r"Message: Reached error page: about:(?:neterror|certerror)\?e=(?P<CUT>)",
        r"Message: (?P<CUT>timeout: Timed out receiving message from renderer|Navigation timed out after )",
    ),
}
_SAME = {
    "httpx": "httpcore",
    "httpx2": "httpcore",
    "httpcore2": "httpcore",
    "httpx_socks": "python_socks",
    "aiohttp_socks": "python_socks",
    "urllib3_future": "urllib3",
    "patchright": "playwright",
}
# Every client whose failures of the network are one class with a list of causes gives the same list: hyper's.
_CAUSES = (
    r"tunnel error: (?P<LOGIN>proxy authorization required)\Z",
    r"tunnel error: (?P<UNREACHED>unsuccessful)\Z",
    r"SOCKS error: (?P<RULESET>connection not allowed)\Z",
    r"SOCKS error: (?P<LOGIN>server does not support user/pass authentication|credentials not accepted)\Z",
    r"SOCKS error: (?P<UNREACHED>general server failure|network unreachable|host unreachable|connection refused|"
    r"ttl expired)\Z",
    r"(?P<PROXY>tcp connect error|dns error|error connecting to socks proxy|"
    r"tunnel error: (?:failed to create underlying connection|unexpected end of file))\Z",
)
# A text is looked at up to here.
_LONGEST = 4096


def finding_of(package: str, error: BaseException, name: str | None = None) -> Finding | None:
    """What an exception says in a fixed phrase; ``None`` if the exception has no such phrase."""
    package = _SAME.get(package, package)
    if package == "pyreqwest":
        return _of_causes(error)
    text: str | None = None
    for own in (name,) if name is not None else [cls.__name__ for cls in type(error).__mro__]:
        for pattern in _PHRASES.get((package, own), ()):
            if text is None:
                text = str(error)[:_LONGEST]
            match = re.match(pattern, text)
            if match is not None:
                return _meaning(match, error)
    return None


def _of_causes(error: Any) -> Finding | None:
    """The messages of all causes, which pyreqwest gives as a list, the outermost first."""
    details = getattr(error, "details", None)
    causes = details.get("causes") if isinstance(details, dict) else None
    messages = [cause.get("message") for cause in causes or () if isinstance(cause, dict)]
    for pattern in _CAUSES:
        for message in messages:
            match = re.match(pattern, message) if isinstance(message, str) else None
            if match is not None:
                return _meaning(match, error)
    return None


def _reply(version: int) -> Callable[[str], Fault]:
    return lambda text: _codes.of_socks(int(text, 0), version)


_BY_CODE: dict[str, Callable[[str], Fault]] = {
    "socks4": _reply(4),
    "socks5": _reply(5),
    "browser": _codes.of_browser,
    "errno": lambda text: _codes.of_errno(int(text)) or Fault.CUT,
}
_BY_STATUS = {"connect": Fault.CONNECT, "answer": Fault.ANSWER}


def _meaning(match: re.Match[str], error: BaseException) -> Finding:
    found = {group: text for group, text in match.groupdict().items() if text is not None}
    reason = found.pop("reason", "")
    ((group, text),) = found.items()
    if group in _BY_STATUS:
        return Finding(_BY_STATUS[group], int(text), error, reason)
    by_code = _BY_CODE.get(group)
    return Finding(Fault[group] if by_code is None else by_code(text), None, error)
