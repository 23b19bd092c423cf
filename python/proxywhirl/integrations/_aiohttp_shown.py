"""What aiohttp shows of a proxy's login: in exceptions, responses and logs, and how it is taken out."""

from __future__ import annotations

import logging
import re
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from proxywhirl._native.redact import MASK, scrub_text

__all__ = ["LoginFilter", "hide_login", "hide_login_in_response", "hide_logins_in_logs"]

_LOGGERS = ("aiohttp.client", "aiohttp.internal", "asyncio")
_AUTH = re.compile(r"(BasicAuth\(login=).*?(?:encoding='[^']*')\)")
_HEADER = re.compile(r"(?i)((?:proxy-)?authorization['\"]?\s*[:=,]\s*b?['\"]?(?:basic|bearer)\s+)[^'\"\s)]+")
_DEEPEST = 8


class LoginFilter(logging.Filter):
    """Hides logins in what aiohttp logs: in URLs, in keys of connections, in headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide what the text of a record would show; every record passes."""
        said = record.getMessage()
        shown = hidden(said)
        if shown != said:
            record.msg, record.args = shown, ()
        return True


def hidden(text: str) -> str:
    """A text without logins."""
    return _HEADER.sub(rf"\g<1>{MASK}", _AUTH.sub(rf"\g<1>{MASK})", scrub_text(text)))


def hide_logins_in_logs() -> None:
    """Put the filter on the loggers that aiohttp's warnings come by; once is enough, and more does no harm."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, LoginFilter) for one in logger.filters):
            logger.addFilter(LoginFilter())


def hide_login(error: BaseException) -> BaseException:
    """Take the login out of an exception of aiohttp, and of what it was made from."""
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if found is None:
            break
        _hide(found)
        found = found.__cause__ or found.__context__
    return error


def hide_login_in_response(response: aiohttp.ClientResponse) -> None:
    """Take the login out of what a response, and those that led to it, tell of their requests."""
    for one in (response, *response.history):
        # Before anything has asked for it: the attribute that is asked for remembers its first value.
        one._request_info = _without_login(one._request_info)


def _hide(error: Any) -> None:
    key = getattr(error, "_conn_key", None)
    if key is not None:
        shown = key._replace(proxy_auth=None)
        if shown.proxy is not None:
            shown = shown._replace(proxy=shown.proxy.with_user(None))
        error._conn_key = shown
        error.args = tuple(shown if one is key else one for one in error.args)
    info = getattr(error, "request_info", None)
    if isinstance(info, aiohttp.RequestInfo):
        shown = error.request_info = _without_login(info)
        error.args = tuple(shown if one is info else one for one in error.args)


def _without_login(info: aiohttp.RequestInfo) -> aiohttp.RequestInfo:
    if "Proxy-Authorization" not in info.headers:
        return info
    headers = CIMultiDict(info.headers)
    del headers["Proxy-Authorization"]
    return aiohttp.RequestInfo(info.url, info.method, CIMultiDictProxy(headers), info.real_url)
