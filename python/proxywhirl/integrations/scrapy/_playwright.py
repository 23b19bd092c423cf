"""scrapy-playwright, which takes no ``meta["proxy"]``: a browser context per proxy."""

from __future__ import annotations

from typing import Any

KEYS = ("playwright_context", "playwright_context_kwargs")
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
    meta["playwright_context"] = f"proxywhirl-{attempt.id}" + ("" if session is None else f"-{session}")
    meta["playwright_context_kwargs"] = {
        **(meta.get("playwright_context_kwargs") or {}),
        "proxy": attempt.playwright_proxy,
    }
