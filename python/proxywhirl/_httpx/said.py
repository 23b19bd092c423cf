"""What proxies say, before it goes into errors, responses and logs: without the login, and not followed blindly."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http.client import responses
from typing import Any, Callable

from proxywhirl._httpx.library import HttpLibrary, core
from proxywhirl._native.redact import Secrets

# Those of httpcore that quote what was received.
_LOGGERS = [f"{package}.{part}" for package in ("httpcore", "httpcore2") for part in ("connection", "http11", "http2")]
_REASONS = {status: reason.encode() for status, reason in responses.items()}
_REDIRECTS = (301, 302, 303, 307, 308)


def check_answer(payload: Any, request: Any, terms: Any) -> None:
    """Look at a head before it is handed on. Raises ``Exception`` (it redirects to where it must not)."""
    status = payload.status
    is_redirect = 300 <= status < 400
    reason = payload.extensions.get("reason_phrase")
    # Nearly all answers have the reason of the standard, and lead nowhere.
    if not is_redirect and (not reason or reason == _REASONS.get(status)):
        return
    # What came through a tunnel was said by a site, which never gets the login.
    secrets = None if payload.tunnel else payload.secrets
    if secrets is not None:
        scrub_reason(status, payload.extensions, secrets)
    if is_redirect:
        check_redirect(status, payload.headers, request, terms.flavour, secrets)


def scrub_reason(status: int, extensions: dict[str, Any], secrets: Secrets) -> None:
    """Hide the login in the reason phrase of an answer: it is in the ``repr`` of a response."""
    reason = extensions.get("reason_phrase")
    # Nearly all have the one of the standard.
    if reason and reason != _REASONS.get(status):
        extensions["reason_phrase"] = secrets.scrub(reason.decode("latin-1")).encode("latin-1", "replace")


def check_redirect(
    status: int, headers: list[tuple[bytes, bytes]], request: Any, kind: HttpLibrary, secrets: Secrets | None
) -> None:
    """Refuse a redirect that cannot be followed, or that would tell the login to whatever it leads to.

    A client fails on the first kind whether it follows redirects or not, so it is an answer that cannot be read.

    Raises ``RemoteProtocolError`` (the redirect is no good).
    """
    if status not in _REDIRECTS:
        return
    location = next((value for name, value in headers if name.lower() == b"location"), None)
    if location is None:
        return
    text = kind.module.Headers([(b"location", location)])["location"]
    if secrets is not None and secrets.gives_away(text):
        raise core().RemoteProtocolError("the proxy redirects to an address that contains its own login")
    try:
        url = kind.module.URL(text)
        if url.scheme and not url.host:
            url = url.copy_with(host=request.url.host)
        if url.is_relative_url:
            request.url.join(url)
    except (kind.module.InvalidURL, ValueError) as error:
        raise core().RemoteProtocolError(f"the answer redirects to what is no URL: {error}") from None


def hide_in_debug_logs(in_use: Callable[[], Iterable[Secrets]]) -> None:
    """Hide logins in the debug log of httpcore, which quotes heads and errors as they were received."""

    def scrub(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        for secrets in in_use():
            message = secrets.scrub(message)
        if message != record.getMessage():
            record.msg, record.args = message, None
        return True

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(scrub)
