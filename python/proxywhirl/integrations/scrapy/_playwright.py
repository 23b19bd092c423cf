"""scrapy-playwright, which takes no ``meta["proxy"]``: a browser context per proxy."""

from __future__ import annotations

from typing import Any

_CONTEXT, _ARGUMENTS = "playwright_context", "playwright_context_kwargs"
_SESSION = "proxywhirl"


def protocols(pool: Any) -> tuple[str, ...]:
    """Of proxies that browsers can use: SOCKS where none has a login, since no browser logs in to SOCKS."""
    with_login = any(
        proxy.username is not None and str(getattr(proxy.protocol, "value", proxy.protocol)).startswith("socks")
        for proxy in pool
    )
    return ("http", "https") if with_login else ("http", "https", "socks5")


def put(meta: dict[str, Any], attempt: Any) -> None:
    """Give a request the context of its proxy; one of its own to a session, since cookies live in contexts."""
    session = (meta.get(_SESSION) or {}).get("session_id")
    meta["proxy"] = None
    meta[_CONTEXT] = f"proxywhirl-{attempt.id}" + ("" if session is None else f"-{session}")
    meta[_ARGUMENTS] = {
        **(meta.get(_ARGUMENTS) or {}),
        "proxy": attempt.playwright_proxy,
    }


def take_off(meta: dict[str, Any]) -> None:
    """Take the context off the copy of a request; the other arguments of the context stay."""
    meta.pop(_CONTEXT, None)
    meta[_ARGUMENTS] = {name: value for name, value in meta.pop(_ARGUMENTS, {}).items() if name != "proxy"}
